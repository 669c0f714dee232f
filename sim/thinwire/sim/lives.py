"""Which lives devices have had, and to which bytes each gave a number.

A life is a store epoch in a lineage, as one number. It is given once, unless the coordinator's disk was set back. In
one life a number stands for one delta, unless the device's disk was exchanged.
"""

from __future__ import annotations

from thinwire.sim.violation import demand

Identity = tuple[str, int, int]  # device, life, seq
# No lineage here sees so many epochs.
EPOCHS = 10_000


class Lives:
    """Of all devices, over all lineages."""

    def __init__(self, lineage: bytes) -> None:
        self.lineages = [lineage]
        self.sent: dict[Identity, set[bytes]] = {}
        self._begun: set[tuple[str, int]] = set()
        self._fickle: set[tuple[str, int]] = set()  # device and life: they may give a number to other bytes
        self._rewound: set[int] = set()  # lineages in which the coordinator's disk was set back

    def life(self, lineage: bytes, epoch: int) -> int:
        """A store epoch of a lineage; 0 for none."""
        return self.lineages.index(lineage) * EPOCHS + epoch if epoch else 0

    def rewind(self, generation: int) -> None:
        """The coordinator has forgotten some lives of this lineage, and may give them again."""
        self._rewound.add(generation)

    def exchange(self, device: str, lives: set[int]) -> None:
        """Another disk is in a device, in one of these lives."""
        self._fickle |= {(device, life) for life in lives}

    def begin(self, device: str, life: int) -> None:
        """A device is in a new life, which nobody was in before unless the coordinator has forgotten it."""
        if (device, life) in self._begun:
            demand(life // EPOCHS in self._rewound, f"{device} is given life {life} a second time")
            self._fickle.add((device, life))
        self._begun.add((device, life))

    def said(self, device: str, life: int, seq: int, sha256: bytes) -> None:
        """A device begins to send a delta."""
        known = self.sent.setdefault((device, life, seq), {sha256})
        if (device, life) in self._fickle:
            known.add(sha256)
        demand(sha256 in known, f"delta {(device, life, seq)} was sent with other bytes than before")
