"""The state is what its journal adds up to: after any history, at every moment, recovery finds it bit for bit."""

import random
from typing import Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from journal_story import Run, bits

from thinwire.common.values import Sealed
from thinwire.server.density import DensityRules
from thinwire.server.effects import Published, Settled
from thinwire.server.events import Evaluated, Greeted, Left, Subscribed
from thinwire.server.journal import Journal
from thinwire.server.policy import Buffered
from thinwire.sim.disk import SimFolder

DEVICES = st.sampled_from(("oak", "elm", "ash"))
RULES = st.fixed_dictionaries(
    {
        "policy": st.integers(1, 4).map(Buffered),
        "denominator": st.sampled_from(("all", "covered")),
        "weights": st.sampled_from(("uniform", "examples")),
        "staleness": st.sampled_from(("none", "polynomial")),
        "server_learning_rate": st.sampled_from((1.0, 0.3)),
        "server_momentum": st.sampled_from((0.0, 0.9)),
        "server_optimizer": st.sampled_from(("sgd", "nesterov", "adam", "yogi")),
        "mixing": st.sampled_from(("delta", "model")),
        "taylor": st.sampled_from((0.0, 0.5)),
        "density": st.sampled_from((None, DensityRules())),
        "clip_norm": st.sampled_from((0.0, 0.8)),
        "checkpoint_bytes": st.sampled_from((300, 900, 1 << 30)),
    }
)
ACTIONS = st.one_of(
    st.tuples(st.just("delta"), DEVICES, st.integers(0, 50), st.integers(0, 4), st.booleans()),
    st.tuples(st.just("delta"), DEVICES, st.integers(0, 50), st.just(0), st.booleans()),
    st.tuples(st.just("come"), DEVICES, st.integers(1, 5)),
    st.tuples(st.just("return"), DEVICES, st.booleans()),
    st.tuples(st.just("leave"), DEVICES),
    st.tuples(st.just("measure"), st.floats(0, 1)),
    st.tuples(st.just("restart"), RULES),
    st.tuples(st.just("kill"), RULES),
)


class History:
    """A run that is led through a history, and held against its journal at every step."""

    def __init__(self, rules: dict[str, Any]) -> None:
        self.folder = SimFolder("coordinator", random.Random(0))
        self.rules = rules
        self.run = Run(self.folder, **rules)
        self.seen: set[str] = set()

    def happens(self, action: tuple[Any, ...]) -> None:
        kind, *details = action
        getattr(self, f"_{kind}")(*details)
        self.check()

    def check(self) -> None:
        copy = SimFolder("copy", random.Random(0))
        copy.restore(self.folder.backup())
        found = Journal(copy).recover()
        assert bits(found.state) == bits(self.run.state)
        # What devices that are a little behind go on with is the very bytes that were published.
        assert [commit.version for commit in found.commits] == sorted({commit.version for commit in found.commits})

    def _delta(self, device: str, seed: int, behind: int, statistics: bool) -> None:
        if device not in self.run.core.roster.members:
            self._come(device, seed + 1)
        base = self.run.core.model.version - behind
        for effect in self.run.delta(device, seed, base=max(0, base), statistics=statistics):
            self.seen.add(type(effect).__name__)
            if isinstance(effect, Settled):
                self.seen.add(effect.outcome.verdict.name)

    def _come(self, device: str, examples: int) -> None:
        self.run.happens(Greeted(device, 0))
        self.run.happens(Subscribed(device, examples))

    def _return(self, device: str, whole: bool) -> None:
        """With the store that it had, or with none that is right."""
        row = self.run.core.ledger.row(device)
        if row is not None:
            unsettled = () if whole else (Sealed(row.contiguous or 1, bytes(32)),)
            through = row.contiguous
            self.run.happens(Greeted(device, row.epoch, unsettled, through, through))

    def _leave(self, device: str) -> None:
        self.run.happens(Left(device))

    def _measure(self, accuracy: float) -> None:
        self.run.happens(Evaluated(self.run.core.model.version, {"accuracy": accuracy}))

    def _restart(self, rules: dict[str, Any]) -> None:
        self.run.stop()
        self.run = Run(self.folder, **rules)

    def _kill(self, rules: dict[str, Any]) -> None:
        self.folder.crash(power=True)
        self.run = Run(self.folder, **rules)


USUAL: dict[str, Any] = {"policy": Buffered(2), "checkpoint_bytes": 300}
CHANGED = {**USUAL, "denominator": "covered", "server_momentum": 0.9, "clip_norm": 0.8, "server_optimizer": "nesterov"}


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(RULES, st.lists(ACTIONS, min_size=5, max_size=30))
@example(USUAL, [("delta", "oak", 1, 0, True), ("restart", CHANGED), ("delta", "elm", 2, 0, True), ("kill", USUAL)])
def test_recovery_finds_the_live_state_at_every_step_of_any_history(rules: dict[str, Any], actions: list[Any]) -> None:
    history = History(rules)
    for action in actions:
        history.happens(action)


def test_such_a_history_holds_all_that_can_become_of_a_delta() -> None:
    """Else the test above would hold nothing."""
    history = History({**CHANGED, "taylor": 0.5, "density": DensityRules()})
    for seed in range(12):
        history.happens(("delta", ("oak", "elm")[seed % 2], seed, 4 * (seed % 3 == 2), seed % 4 > 0))
        if seed == 6:
            history.happens(("kill", USUAL))
    assert {"ACCEPTED", "REJECTED", Published.__name__, Settled.__name__} <= history.seen
