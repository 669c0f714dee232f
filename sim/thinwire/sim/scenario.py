"""What a world is made from, and what it leaves behind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from thinwire.common.link import LinkProfile
from thinwire.common.values import Plan
from thinwire.server.density import LinkRules
from thinwire.server.rules import Rules
from thinwire.trainer.course import Learner

Vector = NDArray[np.float32]
Evaluation = Callable[[Vector, Vector], dict[str, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """One device: its link, its pace, and when it first dials. `stammer`: how likely a whole delta arrives twice.

    `link_down` is the other direction where it differs; `loss` is the share of packets that are lost, both ways.
    """

    link: LinkProfile | None = None
    link_down: LinkProfile | None = None
    loss: float = 0.0
    step_s: float = 1.0
    joins_at: float = 0.0
    stammer: float = 0.0


@dataclass(frozen=True, slots=True)
class Break:
    """A device's link is gone for a while; the coordinator notices `notice_s` after the device."""

    device: int
    at: float
    for_s: float
    notice_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Nap(Break):
    """The link is gone and the trainer stands still; both go on where they were."""


@dataclass(frozen=True, slots=True)
class TrainerLoss:
    """A device's trainer dies, and with it what was not sealed."""

    device: int
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """A fleet, its training and its misfortunes. `learner` builds a device's learner, whenever its trainer starts.

    The first model is that of a fresh learner 0.
    """

    learner: Callable[[int], Learner]
    rules: Rules
    plan: Plan
    devices: tuple[Device, ...]
    links: LinkRules | None = None
    seed: int = 0
    breaks: tuple[Break, ...] = ()
    naps: tuple[Nap, ...] = ()
    trainer_losses: tuple[TrainerLoss, ...] = ()
    evaluation: Evaluation | None = None
    max_staleness: int = 64
    clip_norm: float = 0.0
    norm_guard: float = 0.0
    staged_bytes: int = 256 << 20
    trainer_start_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Row:
    """A version was published: when, with which checksum, from how many deltas, after how many bytes on all links."""

    time: float
    version: int
    checksum: int
    folded: int
    up_bytes: int
    down_bytes: int


@dataclass(frozen=True, slots=True)
class History:
    """Everything that happened to the model; two histories are equal bit for bit or not at all."""

    rows: tuple[Row, ...]
    reason: str
    metrics: dict[str, float] = field(default_factory=dict)

    @property
    def version(self) -> int:
        """The last version that was published."""
        return self.rows[-1].version if self.rows else 0
