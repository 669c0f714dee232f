"""What there is to tell devices: their plans, the commits, and whether the training is open or over."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from thinwire.common.values import FromCoordinator, Plan, Verdict, Welcome
from thinwire.server import effects, reception
from thinwire.server.commits import CommitLog, PackedSnapshot
from thinwire.server.core import CoordinatorCore
from thinwire.server.model import Commit
from thinwire.server.plans import Plans


class Bulletin:
    """What one process of the coordinator may tell of; `commits` are those that it found in its journal."""

    def __init__(self, core: CoordinatorCore, welcome: Welcome, plans: Plans, commits: Iterable[Commit] = ()) -> None:
        self.welcome, self.plans = welcome, plans
        state, model = core.state, core.model
        self.log = CommitLog(4 * (model.layout.size + model.buffer_layout.size), model.version)
        for commit in commits:
            self.log.append(commit)
        self.open = state.phase != "starting"
        self.final = effects.Finished(model.version, state.reason) if state.phase == "finished" else None
        self._core = core

    def post(self, effect: effects.Effect) -> Iterator[tuple[str, FromCoordinator]]:
        """An effect was decided, and may be told of; give the words that it has for single devices."""
        match effect:
            case effects.Settled():
                version = self._core.model.version
                yield effect.device, reception.settled(effect.outcome, self.welcome.plan, version)
                if effect.outcome.verdict is Verdict.ACCEPTED and not effect.repeated:
                    plan = self.plans.settle(effect.device, effect.kept, effect.packed_bytes)
                    yield from _told(effect.device, plan)
            case effects.Recognised() | effects.Rerated():
                yield from _told(effect.device, self.plans.rate(effect.device, effect.density))
            case effects.Opened():
                self.open = True
            case effects.Published():
                self.log.append(effect.commit)
            case effects.Finished():
                self.final = effect
            case effects.Evaluate() | effects.Refused() | effects.Write():
                pass  # the session that asked answers its own device

    def pack(self) -> PackedSnapshot:
        """A snapshot of the model as it is, to keep in the log."""
        model = self._core.model
        return PackedSnapshot.of(model.freeze(), model.layout, model.buffer_layout, self._core.ledger.published())


def _told(device: str, plan: Plan | None) -> Iterator[tuple[str, Plan]]:
    if plan is not None:
        yield device, plan
