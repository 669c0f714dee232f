"""What devices were told of one lineage, and nobody may take back: outcomes, versions, epochs."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from thinwire.common.values import Outcome, Verdict, Welcome
from thinwire.server import entries
from thinwire.sim.lives import Identity
from thinwire.sim.violation import demand


@dataclass(slots=True)
class Told:
    """What has arrived, or was published; each word is held against those before it."""

    version: int = 0  # the newest of which anything has arrived
    outcomes: dict[Identity, Outcome] = field(default_factory=dict)
    published: dict[int, bytes] = field(default_factory=dict)
    epochs: dict[str, int] = field(default_factory=dict)  # by device: of its store
    leaders: dict[str, int] = field(default_factory=dict)  # by device: of the coordinator that it follows

    def copy(self) -> Told:
        """What was told until now."""
        return Told(self.version, dict(self.outcomes), dict(self.published), dict(self.epochs), dict(self.leaders))

    def publish(self, version: int, payload: bytes) -> None:
        """A version was published."""
        demand(self.published.setdefault(version, payload) == payload, f"version {version} became another")

    def show(self, version: int) -> None:
        """A part of a version has arrived."""
        self.version = max(self.version, version)

    def welcome(self, device: str, word: Welcome) -> None:
        """A welcome has arrived; its outcomes apart."""
        for what, told, now in (("store", self.epochs, word.epoch), ("leader", self.leaders, word.leader_epoch)):
            before = told.setdefault(device, now)
            demand(now >= before, f"{device}: {what} epoch {now} after {before}")
            told[device] = now

    def settle(self, who: Identity, outcome: Outcome, entry: entries.Admitted | entries.Rejected | None) -> None:
        """An outcome has arrived, of which the journal has this entry."""
        demand(entry is not None, f"delta {who} has an outcome that is in no journal")
        accepted = isinstance(entry, entries.Admitted)
        demand(accepted == (outcome.verdict is Verdict.ACCEPTED), f"delta {who}: the journal says otherwise")
        plain = replace(outcome, message="")
        demand(self.outcomes.setdefault(who, plain) == plain, f"the outcome of delta {who} has changed")

    def lose(self, entry: entries.AnyEntry, who: Identity | None) -> None:
        """An entry is not in the journal any more; `who` is the delta that it is about."""
        match entry:
            case entries.Admitted() | entries.Rejected():
                demand(who not in self.outcomes, f"the outcome of delta {who} was told, and is lost")
            case entries.Committed():
                demand(entry.version > self.version, f"version {entry.version} was sent out, and is lost")
            case entries.Led():
                told = max(self.leaders.values(), default=0)
                demand(entry.leader_epoch > told, "a leader epoch was told, and is lost")
            case _:
                pass
