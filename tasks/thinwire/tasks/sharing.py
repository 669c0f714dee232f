"""How a task shares its examples out to devices, as its parameters name it; and what every device then has."""

from __future__ import annotations

from dataclasses import dataclass

from numpy.typing import ArrayLike

from thinwire.common.errors import TaskError
from thinwire.tasks import partition

SCHEMES = ("iid", "dirichlet", "classes", "quantity", "natural")


@dataclass(frozen=True, slots=True)
class Labels:
    """What a partitioner has to know of the training examples: their labels (N,), and whose they are (N,), if known.

    With `one_owner_each` the natural device has one owner: several devices may have the same, or an owner none.
    """

    label_N: ArrayLike
    owner_N: ArrayLike | None
    classes: tuple[str, ...]
    one_owner_each: bool = False


@dataclass(frozen=True, slots=True)
class Sharing:
    """One of SCHEMES with its parameters; `alpha` is for dirichlet and quantity, `per_device` for classes."""

    scheme: str
    alpha: float = 0.5
    per_device: int = 2
    seed: int = 0

    def __post_init__(self) -> None:
        if self.scheme not in SCHEMES:
            raise ValueError(f"partition is {self.scheme!r}; it must be one of {', '.join(map(repr, SCHEMES))}")
        partition.check_alpha(self.alpha)

    def cut(self, labels: Labels, shards: int) -> partition.Shards:
        """The examples of each shard; raise TaskError when there is no such cut."""
        try:
            return self._cut(labels, shards)
        except ValueError as error:
            raise TaskError(f"partition {self.scheme!r} for {shards} devices: {error}") from error

    def _cut(self, labels: Labels, shards: int) -> partition.Shards:
        match self.scheme:
            case "dirichlet":
                return partition.dirichlet(labels.label_N, shards, self.seed, alpha=self.alpha)
            case "quantity":
                return partition.quantity(labels.label_N, shards, self.seed, alpha=self.alpha)
            case "classes":
                return partition.classes(labels.label_N, shards, self.seed, per_device=self.per_device)
            case "natural":
                if labels.owner_N is None:
                    raise ValueError("nobody owns these examples; take another one")
                deal = partition.one_owner_each if labels.one_owner_each else partition.natural
                return deal(labels.owner_N, shards)
            case _:
                return partition.iid(labels.label_N, shards, self.seed)
