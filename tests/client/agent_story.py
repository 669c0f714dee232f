"""An AgentCore, told story by story: each method is one event, and gives the effects."""

import hashlib
import random
from dataclasses import dataclass, field
from typing import Any, TypeVar

from thinwire.client.core import AgentCore
from thinwire.client.effects import Dial, Effect, Flush, Persist, Recover, Send, Tell
from thinwire.client.events import (
    Closed,
    DiskRefused,
    Event,
    Opened,
    Persisted,
    Received,
    Recovered,
    Tick,
    TrainerLost,
    TrainerSaid,
)
from thinwire.client.store import Store
from thinwire.common import frames
from thinwire.common.backoff import Backoff
from thinwire.common.errors import DiskError
from thinwire.common.values import (
    CommitChunk,
    CommitHeader,
    FromCoordinator,
    FromDevice,
    Outcome,
    Plan,
    RejectReason,
    SnapshotChunk,
    SnapshotHeader,
    Verdict,
    Welcome,
)
from thinwire.sim.disk import SimFolder

E = TypeVar("E")
W = TypeVar("W")
LAYOUT = b"L" * 8
LINEAGE = b"l" * 16


@dataclass
class Story:
    """One agent, and how to talk to it."""

    leave_when_finished: bool = False
    now: float = 0.0
    residual_every: int = 30
    folder: SimFolder = field(default_factory=lambda: SimFolder("device", random.Random(1)))
    store: Store = field(init=False)
    core: AgentCore = field(init=False)

    def __post_init__(self) -> None:
        self.boot()

    def boot(self) -> None:
        """Start an agent on what is in the folder."""
        self.store = Store(self.folder)
        self.core = AgentCore(
            "watch-1",
            "test",
            random.Random(1),
            Backoff(),
            self.store.restored,
            leave_when_finished=self.leave_when_finished,
            residual_every=self.residual_every,
        )

    def lose_power(self) -> None:
        """Every process is gone, with all that was not synced; then the agent starts again."""
        self.folder.crash(power=True)
        self.boot()

    def happens(self, event: Event) -> list[Effect]:
        """One event, and what the disk answers; what a trainer is told of its predecessor is told by the store."""
        effects: list[Effect] = []
        for effect in self.core.handle(event, self.now):
            effects.append(effect)
            match effect:
                case Persist() | Flush():
                    effects += self._write(effect)
                case Recover():
                    recovery = self.store.recover()
                    effects += [Tell(frame, body) for frame, body in recovery.told]
                    effects += self.happens(Recovered(recovery.forgotten_cuts, recovery.problem))
                case _:
                    pass
        return effects

    def _write(self, effect: Persist | Flush) -> list[Effect]:
        try:
            if isinstance(effect, Persist):
                self.store.keep(effect.record, effect.body)
            else:
                self.store.flush()
        except DiskError as error:
            return self.happens(DiskRefused(str(error)))
        synced = isinstance(effect, Flush) or effect.record.synced
        return self.happens(Persisted()) if synced else []

    def wait(self) -> list[Effect]:
        """Until its deadline."""
        assert self.core.deadline is not None
        self.now = max(self.now, self.core.deadline)
        return self.happens(Tick())

    def hear(self, word: FromCoordinator) -> list[Effect]:
        return self.happens(Received(word))

    def dial(self) -> FromDevice:
        """Until the stream stands; gives its Hello."""
        return one(words(self.happens_dial()))

    def happens_dial(self) -> list[Effect]:
        """Until the stream stands; gives all that happened."""
        effects: list[Effect] = []
        while not the(effects, Dial):
            effects += self.wait()
        return effects + self.happens(Opened())

    def welcome(self, **changes: Any) -> list[Effect]:
        usual: dict[str, Any] = {
            "lineage": LINEAGE, "epoch": 1, "task": "t", "task_params": "{}", "layout_hash": LAYOUT, "plan": Plan(),
            "version": 3,
        }  # fmt: skip
        return self.hear(Welcome(**{**usual, **changes}))

    def lose_link(self) -> list[Effect]:
        return self.happens(Closed("gone"))

    def ready(self, layout: bytes = LAYOUT) -> list[Effect]:
        return self.says(frames.Ready(layout_hash=layout.hex(), parameters=5, examples=7))

    def says(self, frame: frames.FromTrainer, body: bytes = b"") -> list[Effect]:
        return self.happens(TrainerSaid(frame, body))

    def lose_trainer(self) -> list[Effect]:
        return self.happens(TrainerLost("killed"))

    def seal(self, seq: int, body: bytes = b"delta") -> list[Effect]:
        return self.says(frames.SealedFrame(seq=seq, buffer_bytes=0, steps=1, loss=0.5), body)

    def snapshot(self, version: int = 3, packed: bytes = b"model", through: int = 0) -> list[Effect]:
        return self.hear(snapshot_chunk(version, packed, through=through))

    def commit(self, version: int, payload: bytes = b"commit", through: int = 0) -> list[Effect]:
        return self.hear(CommitChunk(version, 0, payload, CommitHeader(len(payload), 0, through)))

    def accept(self, seq: int) -> list[Effect]:
        return self.hear(Outcome(seq, Verdict.ACCEPTED))

    def reject(self, seq: int, *, refund: bool) -> list[Effect]:
        return self.hear(Outcome(seq, Verdict.REJECTED, RejectReason.TOO_STALE, refund, "too late"))

    def train(self) -> None:
        """Up to a trainer that holds version 3."""
        self.dial()
        self.welcome()
        self.ready()
        self.snapshot()


def snapshot_chunk(
    version: int, packed: bytes, offset: int = 0, end: int | None = None, through: int = 0
) -> SnapshotChunk:
    """A slice of a snapshot, with its header."""
    header = SnapshotHeader(len(packed), hashlib.sha256(packed).digest(), through)
    return SnapshotChunk(version, offset, packed[offset:end], header)


def the(effects: list[Effect], kind: type[E]) -> list[E]:
    """The effects of one kind."""
    return [effect for effect in effects if isinstance(effect, kind)]


def words(effects: list[Effect], kind: type[W] | None = None) -> list[Any]:
    """What is sent, of one kind or all."""
    return [send.message for send in the(effects, Send) if kind is None or isinstance(send.message, kind)]


def told(effects: list[Effect]) -> list[frames.ToTrainer]:
    """What the trainer is told."""
    return [tell.frame for tell in the(effects, Tell)]


def one(items: list[Any]) -> Any:
    """The only one."""
    assert len(items) == 1, items
    return items[0]
