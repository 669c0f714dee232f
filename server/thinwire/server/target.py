"""Which versions are measured, and whether the target is reached. One measurement at a time, and the newest model next.

An evaluation takes longer than a commit, so its answer is about an older model than there is by then. The model that is
kept must be one that was measured: with the target met by an older version, the newest one is measured while no commit
is made, and only its own accuracy ends the training.
"""

from __future__ import annotations

from thinwire.server import entries
from thinwire.server.effects import Effect, Evaluate
from thinwire.server.events import Evaluated
from thinwire.server.rules import Rules
from thinwire.server.state import RunState


class Target:
    """The evaluations of one run; what they found is the state's."""

    def __init__(self, rules: Rules, state: RunState) -> None:
        self._rules, self._state = rules, state
        self._measuring = False

    @property
    def confirming(self) -> bool:
        """Whether the model must hold still, while it is measured once more."""
        return self._measuring and self._state.hits >= self._rules.patience

    @property
    def reached(self) -> str:
        """Why the training is over, in words; "" when it is not, or the newest version must be measured first."""
        return f"the target accuracy {self._rules.target_accuracy:g} is reached" if self._met and self._newest else ""

    def due(self) -> list[Effect]:
        """Have the newest version measured, if it is time: after so many commits, after the last, or to confirm."""
        if not self._rules.evaluate or self._measuring or self._newest:
            return []
        state = self._state
        fresh = state.model.version - state.evaluated_version
        if not (state.phase == "finished" or self._met or fresh >= self._rules.evaluate_every):
            return []
        self._measuring = True
        return [Evaluate(state.model.version, state.model.weights_P.copy(), state.model.buffers_B.copy())]

    def judge(self, event: Evaluated) -> entries.Evaluated:
        """A version was measured; what is to be written down of it."""
        self._measuring = False
        target, hits = self._rules.target_accuracy, self._state.hits
        if self._state.phase == "training" and target:
            hits = hits + 1 if event.metrics.get("accuracy", 0.0) >= target else 0
        entry = entries.Evaluated(version=event.version, metrics=event.metrics, hits=hits)
        self._state.evaluate(entry)
        return entry

    @property
    def _met(self) -> bool:
        # The target may be another one than that which was hit before a restart.
        target, accuracy = self._rules.target_accuracy, self._state.metrics.get("accuracy", 0.0)
        return bool(target) and self._state.hits >= self._rules.patience and accuracy >= target

    @property
    def _newest(self) -> bool:
        return self._state.evaluated_version == self._state.model.version
