"""A run with its journal on some disk, for stories: events in, everything safe, and the state as bits to compare."""

import hashlib
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from thinwire.common.codec import Packet, ValueCode, pack, quantise
from thinwire.common.disk import Folder, OsFolder
from thinwire.common.layout import Layout, TensorSpec
from thinwire.common.statistics import pack_statistics
from thinwire.server.admit import Admission
from thinwire.server.core import CoordinatorCore
from thinwire.server.effects import Effect
from thinwire.server.events import DeltaSealed, Event, Greeted, Started, Subscribed
from thinwire.server.home import Home
from thinwire.server.journal import Journal
from thinwire.server.model import GlobalModel
from thinwire.server.policy import Buffered
from thinwire.server.recorder import Recorder
from thinwire.server.rules import Rules
from thinwire.server.state import Identity, RunState

SIZE = 6
LAYOUT = Layout((TensorSpec("w", (SIZE,)),))
BUFFERS = Layout((TensorSpec("mean", (2,)),))
LINEAGE = bytes(range(16))


def fresh_state() -> RunState:
    model = GlobalModel(LAYOUT, BUFFERS, np.linspace(-1, 1, SIZE, dtype=np.float32), np.ones(2, np.float32))
    return RunState(Identity(lineage=LINEAGE, task="story"), model)


def settings(**rules: Any) -> Rules:
    usual: dict[str, Any] = {
        "policy": Buffered(2), "density_down": 0.5, "values_down": ValueCode.LOG3, "evaluate": False,
    }  # fmt: skip
    return Rules(**{**usual, **rules})


def blob(seed: int, base: int, statistics: bool = True) -> tuple[bytes, int]:
    """A delta's bytes, random but for the seed; how many of them are statistics."""
    rng = np.random.default_rng(seed)
    index_K = np.sort(rng.choice(SIZE, 1 + seed % SIZE, replace=False))
    value_K = rng.standard_normal(len(index_K)).astype(np.float32)
    packed = pack(Packet(LAYOUT.hash, base, SIZE, index_K, quantise(value_K, ValueCode.FP16)))
    buffers = pack_statistics(rng.standard_normal(2).astype(np.float32), BUFFERS, base) if statistics else b""
    return packed + buffers, len(buffers)


class Run:
    """One process that serves a run: begun anew in an empty folder, or gone on with."""

    def __init__(
        self, folder: Folder, *, checkpoint_bytes: int = 1 << 30, clip_norm: float = 0.0, norm_guard: float = 0.0,
        keep_bytes: int = 1 << 30, segment_bytes: int = 1 << 20, **rules: Any,
    ) -> None:  # fmt: skip
        self.journal = Journal(
            folder, checkpoint_bytes=checkpoint_bytes, segment_bytes=segment_bytes, keep_bytes=keep_bytes
        )
        if self.journal.empty:
            self.state = fresh_state()
            self.journal.begin(self.state)
        else:
            self.state = self.journal.recover().state
        admission = Admission(
            layout=LAYOUT, buffer_layout=BUFFERS, max_kept=SIZE, max_bytes=2000, max_staleness=2, clip_norm=clip_norm,
            norm_guard=norm_guard,
        )  # fmt: skip
        self.core = CoordinatorCore(settings(**rules), self.state, admission)
        self.recorder = Recorder(self.core, self.journal)
        self.happens(Started(self.state.leader_epoch + 1))

    def happens(self, event: Event) -> list[Effect]:
        """Have it take an event, and make everything safe."""
        decided = self.recorder.handle(event, 0.0)
        self.recorder.sync()
        if (due := self.recorder.take_checkpoint()) is not None:
            self.journal.checkpoint(due.number, due.frozen, due.vectors)
        return decided.effects

    def join(self, *devices: str) -> None:
        for device in devices:
            self.happens(Greeted(device, 0))
            self.happens(Subscribed(device, 10 + len(device)))

    def delta(self, device: str, seed: int, *, base: int | None = None, statistics: bool = True) -> list[Effect]:
        """The device's next delta."""
        row = self.core.ledger.row(device)
        assert row is not None
        body, buffer_bytes = blob(seed, self.core.model.version if base is None else base, statistics)
        sha256 = hashlib.sha256(body).digest()
        return self.happens(DeltaSealed(device, row.epoch, row.contiguous + 1, sha256, body, buffer_bytes))

    def train(self, deltas: int, *devices: str, seed: int = 0) -> None:
        for number, device in zip(range(deltas), itertools.cycle(devices), strict=False):
            self.delta(device, seed + number)

    def stop(self) -> None:
        self.journal.close()


def real_run(path: Path, **how: Any) -> tuple[Run, Path]:
    """A run in a state folder of the real disk, and its own folder."""
    home = Home(path)
    try:
        half = home.begin(LINEAGE)
        Journal(half).begin(fresh_state())
        folder = home.settle(half)
    finally:
        home.close()
    return Run(folder, **how), folder.path


def again(path: Path, **how: Any) -> Run:
    """Go on in a run's folder, as after a restart."""
    return Run(OsFolder(path, lock=False), **how)


def bits(state: RunState) -> bytes:
    """Everything that a state is, to the last bit."""
    return msgspec.msgpack.encode(list(_parts(state)))


def _parts(state: RunState) -> Iterator[object]:
    model, fold, statistics = state.model, state.fold, state._statistics
    yield state.identity
    yield [model.version, model.checksum, state.phase, state.reason, state.leader_epoch]
    yield [vector.tobytes() for vector in (model.weights_P, model.residual_P, model.buffers_B)]
    yield [fold.denominator, fold._sum_P.tobytes(), None if fold._cover_P is None else fold._cover_P.tobytes()]
    yield [fold.weight, fold.count, statistics._sum_B.tobytes(), statistics._weight]
    yield {name: vector.tobytes() for name, vector in state._outer.dump().items()}
    # A whole number among the rules comes back from a journal as a float, and means the same.
    for denominator, sums in (state._rules, state._in_force):
        yield [denominator, {key: sum_ if isinstance(sum_, str) else float(sum_) for key, sum_ in sums.items()}]
    yield [state.metrics, state.evaluated_version, state.hits]
    yield {name: vector.tobytes() for name, vector in state._lateness.dump().items()}
    density, sketches = state.density.dump() if state.density else ({}, {})
    yield [density, {name: vector.tobytes() for name, vector in sketches.items()}]
    yield [sorted(state.contributors), sorted(state.took_part), sorted(map(repr, state._masks.items()))]
    yield [state.roster.dump(), state.ledger.dump()]
    yield [state.norms.dump(), state.buffers_norms.dump()]
