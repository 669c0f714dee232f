"""The journal of a method's run, replayed from the start or from a checkpoint, gives the same state, bit for bit."""

import numpy as np
import pytest
from named import PACES, SIZE, played
from numpy.typing import NDArray

from thinwire.common.layout import Layout
from thinwire.common.settings.algorithms import ALGORITHMS
from thinwire.server import core, effects
from thinwire.server.admit import Admission
from thinwire.server.core import CoordinatorCore
from thinwire.server.events import Event
from thinwire.server.model import GlobalModel
from thinwire.server.rules import Rules
from thinwire.server.state import Frozen, RunState

RATES = ("density.up=0.2", "density.down=0.4", "density.window=1", "density.ladder=[]")
METHODS: dict[str, tuple[str, tuple[str, ...]]] = {
    **{name: (name, ()) for name in ALGORITHMS},
    "delayed nesterov": ("fedbuff", ("aggregation.server_optimizer=nesterov", "aggregation.server_momentum=0.5",
                                     "aggregation.server_momentum_every=3")),
    **{policy: ("thinwire", (*RATES, f"density.policy={policy}")) for policy in ("temporal", "spatial")},
    "groups that share a mask": ("dpga", (*RATES, "density.policy=spatio-temporal", "aggregation.clip_norm=0.5")),
    "links": ("fedavg-topk", (*RATES, "density.link_aware=true", "density.daily_budget=100000")),
    "taylor": ("thinwire", ("correction.taylor_server=8", "aggregation.mode=async", "density.up=0.5")),
}  # fmt: skip


class Journaled(CoordinatorCore):
    """A core of which is kept what it has written, and its state as it was after the sixth commit."""

    def __init__(self, rules: Rules, state: RunState, admission: Admission) -> None:
        super().__init__(rules, state, admission)
        self.written: list[effects.Write] = []
        self.frozen: tuple[Frozen, dict[str, NDArray[np.float32]], int] | None = None

    def handle(self, event: Event, now: float) -> list[effects.Effect]:
        decided = super().handle(event, now)
        self.written += [effect for effect in decided if isinstance(effect, effects.Write)]
        if self.state.model.version == 6 and self.frozen is None:
            self.frozen = (*self.state.freeze(), len(self.written))
        return decided


def same(one: RunState, other: RunState) -> bool:
    (mine, my_vectors), (theirs, their_vectors) = one.freeze(), other.freeze()
    assert my_vectors.keys() == their_vectors.keys()
    assert all(my_vectors[name].tobytes() == their_vectors[name].tobytes() for name in my_vectors)
    return mine == theirs


@pytest.mark.parametrize(("name", "sets"), METHODS.values(), ids=METHODS.keys())
def test_a_replay_ends_in_the_same_state(
    name: str, sets: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(core, "CoordinatorCore", Journaled)
    journal = played(name, 14, *sets, paces=PACES).coordinator.core
    assert isinstance(journal, Journaled)
    live = journal.state

    whole = RunState(live.identity, GlobalModel(live.model.layout, Layout(()), np.zeros(SIZE), np.zeros(0)))
    for number, write in enumerate(journal.written):
        whole.apply(write.entry, write.body, number)  # type: ignore[arg-type]  # one of them
    assert same(whole, live)

    assert journal.frozen is not None
    frozen, vectors, written = journal.frozen
    thawed = RunState.thaw(frozen, vectors)
    for number, write in enumerate(journal.written[written:]):
        thawed.apply(write.entry, write.body, number)  # type: ignore[arg-type]
    assert same(thawed, live)
