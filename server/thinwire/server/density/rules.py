"""The bounds and constants of the update rate; the settings in [density] fill them in."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class DensityRules:
    """`up` and `down` are where a policy starts; its rates stay within `least` and `most`."""

    policy: str = "temporal"  # or "spatial", "spatio-temporal", "fixed"
    up: float = 0.05
    down: float = 0.1
    least: float = 0.01
    most: float = 0.3
    ladder: tuple[float, ...] = (0.3, 0.1, 0.05, 0.02)  # descending; () starts at `up` with the window rule
    window: int = 5  # rounds, that is, deltas of each device
    plateau: float = 0.005  # relative fall of the loss in a window below which more is sent
    progress: float = 0.03  # and above which less is
    groups: int = 4  # at most
    by_link: bool = False  # whether links may lower a device's rate, so that commits are to follow what comes

    @property
    def in_time(self) -> bool:
        """Whether the rates follow the training's history."""
        return self.policy in ("temporal", "spatio-temporal")

    @property
    def in_space(self) -> bool:
        """Whether devices are grouped."""
        return self.policy in ("spatial", "spatio-temporal")
