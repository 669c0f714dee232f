"""The coordinator's cores in virtual time: what the gRPC service and its asyncio shell do, without either."""

from __future__ import annotations

from collections.abc import Callable

from thinwire.common import values
from thinwire.server import core, effects, events
from thinwire.server.plans import Plans
from thinwire.server.recorder import Recorder
from thinwire.server.staging import Staging
from thinwire.sim.agenda import Agenda, Alarm
from thinwire.sim.bulletin import Bulletin
from thinwire.sim.scenario import Evaluation
from thinwire.sim.sessions import Sessions, Then

Decided = Callable[[events.Event, list[effects.Effect]], None]


class Coordinator:
    """Sessions around one CoordinatorCore; `decided` hears of each event and its effects."""

    alive, full = True, False

    def __init__(
        self,
        agenda: Agenda,
        decisions: core.CoordinatorCore,
        welcome: values.Welcome,
        staging: Staging,
        decided: Decided,
        evaluation: Evaluation | None,
        plans: Plans,
    ) -> None:
        self.core = decisions
        self.bulletin = Bulletin(decisions, welcome, plans)
        self.sessions = Sessions(agenda, self, staging)
        self._recorder = Recorder(decisions, None)
        self._agenda, self._decided, self._evaluation = agenda, decided, evaluation
        self._alarm = Alarm(agenda, lambda: decisions.deadline, lambda: self.submit(events.Tick()))
        self.submit(events.Started(1))

    def submit(self, event: events.Event, then: Then | None = None) -> None:
        """Have the core handle an event, and carry out what it decides."""
        decided = self._recorder.handle(event, self._agenda.now).effects
        for effect in decided:
            self._perform(effect)
        self._decided(event, decided)
        self._alarm.set()
        # Only what concerns every device has every session looked at: else a thousand devices cost a million looks.
        concerning_all = effects.Opened | effects.Published | effects.Finished
        self.sessions.pump(everyone=any(isinstance(effect, concerning_all) for effect in decided))
        if then is not None:
            then(decided)

    def snapshot(self) -> bool:
        """Keep a snapshot of the model as it is."""
        self.bulletin.log.keep(self.bulletin.pack())
        return True

    def reach(self, point: str) -> None:
        """Nobody dies here."""

    def _perform(self, effect: effects.Effect) -> None:
        for device, word in self.bulletin.post(effect):
            self.sessions.tell(device, word)
        if isinstance(effect, effects.Evaluate):
            self._evaluate(effect)

    def _evaluate(self, effect: effects.Evaluate) -> None:
        metrics = self._evaluation(effect.weights_P, effect.buffers_B) if self._evaluation else {}
        self._agenda.soon(lambda: self.submit(events.Evaluated(effect.version, metrics)))
