"""The weight of own pending work, which has names."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from thinwire.common.settings.coordinator import CoordinatorSettings


def omega_of(settings: CoordinatorSettings) -> float:
    """`training.omega` as a number."""
    names = {"overwrite": 0.0, "eager": 1.0 / settings.aggregation.min_devices, "half": 0.5, "dga": 1.0}
    omega = settings.training.omega
    return names[omega] if isinstance(omega, str) else omega
