"""A CoordinatorCore and a fleet of devices that are nothing but names, for stories: events in, effects out."""

import hashlib
from typing import Any, TypeVar

import numpy as np

from thinwire.common.codec import Packet, ValueCode, pack, quantise
from thinwire.common.layout import Layout, TensorSpec
from thinwire.server.admit import Admission
from thinwire.server.core import CoordinatorCore
from thinwire.server.effects import Effect, Write
from thinwire.server.events import DeltaSealed, Greeted, Started, Subscribed
from thinwire.server.model import GlobalModel
from thinwire.server.policy import Buffered
from thinwire.server.rules import Rules
from thinwire.server.state import Identity, RunState

SIZE = 4
LAYOUT = Layout((TensorSpec("w", (SIZE,)),))
E = TypeVar("E")


def payload(value: float = 1.0, base: int = 0) -> bytes:
    quantised = quantise(np.full(SIZE, value, np.float32), ValueCode.FP32)
    return pack(Packet(LAYOUT.hash, base, SIZE, np.arange(SIZE), quantised))


class Fleet:
    """A core, and devices that are nothing but names."""

    def __init__(self, **rules: Any) -> None:
        usual: dict[str, Any] = {
            "policy": Buffered(2), "density_down": 1.0, "values_down": ValueCode.FP32, "evaluate": False,
            "denominator": "all",
        }  # fmt: skip
        model = GlobalModel(LAYOUT, Layout(()), np.zeros(SIZE, np.float32), np.zeros(0, np.float32))
        admission = Admission(layout=LAYOUT, buffer_layout=Layout(()), max_kept=SIZE, max_bytes=1000, max_staleness=2)
        state = RunState(Identity(lineage=bytes(16), task="story"), model)
        self.core = CoordinatorCore(Rules(**{**usual, **rules}), state, admission)
        self.now = 0.0
        self.sent: dict[str, int] = {}
        self.happens(Started())

    def happens(self, *events: Any) -> list[Effect]:
        """What the world hears of; what is written beside it is another story."""
        effects = (effect for event in events for effect in self.core.handle(event, self.now))
        return [effect for effect in effects if not isinstance(effect, Write)]

    def join(self, *devices: str) -> list[Effect]:
        return [effect for name in devices for effect in self.happens(Greeted(name, 0), Subscribed(name, 1))]

    def delta(
        self, device: str, value: float = 1.0, *, seq: int = 0, epoch: int = 1, base: int | None = None
    ) -> list[Effect]:
        """The device's next delta, or the one with this number."""
        seq = seq or self.sent.get(device, 0) + 1
        self.sent[device] = max(seq, self.sent.get(device, 0))
        body = payload(value, self.core.model.version if base is None else base)
        return self.happens(DeltaSealed(device, epoch, seq, hashlib.sha256(body).digest(), body))

    @property
    def weight(self) -> float:
        """The model is the same everywhere."""
        return float(self.core.model.weights_P[0])


def the(effects: list[Effect], kind: type[E]) -> list[E]:
    return [effect for effect in effects if isinstance(effect, kind)]


def one(effects: list[Effect], kind: type[E]) -> E:
    (found,) = the(effects, kind)
    return found
