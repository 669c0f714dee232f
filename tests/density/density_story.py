"""Rounds of devices that are nothing but a loss, an energy and a direction."""

from collections.abc import Iterable, Mapping

import numpy as np

from thinwire.server.density import DeltaSeen, DensityPolicy

SIZE = 400


def delta(
    device: str, loss: float | None, *, energy: float | None = None, toward: int = 0, noise: int = 0,
    density: float = 1.0,
) -> DeltaSeen:  # fmt: skip
    """A delta of length 1 toward one of several directions, with as much noise as there is of the direction."""
    value_K = np.random.default_rng(toward).normal(size=SIZE)
    if noise:
        value_K += np.random.default_rng(noise).normal(size=SIZE)
    value_K /= np.linalg.norm(value_K)
    return DeltaSeen(
        device=device, share=1.0, index_K=np.arange(SIZE), value_K=value_K.astype(np.float32), loss=loss, energy=energy,
        density=density,
    )  # fmt: skip


def round_of(policy: DensityPolicy, deltas: Iterable[DeltaSeen]) -> None:
    """One delta of each, and a commit."""
    for seen in deltas:
        policy.see_delta(seen)
    policy.see_commit()


def rounds(policy: DensityPolicy, losses: Iterable[Mapping[str, float]]) -> list[float]:
    """A round for each row of losses; the density of the first device after each."""
    path = []
    for row in losses:
        round_of(policy, [delta(device, loss) for device, loss in row.items()])
        path.append(policy.density_of(next(iter(row))))
    return path
