"""The state of one training run, as what its journal's entries add up to.

    live      the core decides, makes an entry, applies it here, and has it written
    recovery  a checkpoint, then every entry after it is applied here

Both go through the same methods, so the state after a crash is the state before it, bit for bit. Commits are the one
thing that recovery takes from the journal instead of making it anew: what devices were sent is what counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from thinwire.common.codec import CodecError, ValueCode
from thinwire.common.errors import DamagedError
from thinwire.common.layout import Layout
from thinwire.common.values import Outcome, RejectReason, Verdict
from thinwire.server import entries
from thinwire.server.admit import Admitted, reopen
from thinwire.server.density import DeltaSeen, DensityPolicy, DensityRules, Dynamic
from thinwire.server.fold import Fold, Statistics
from thinwire.server.lateness import Lateness
from thinwire.server.ledger import Ledger, LedgerRow
from thinwire.server.model import Commit, DivergedError, GlobalModel, Mask
from thinwire.server.norms import Norms
from thinwire.server.outer import outer_of
from thinwire.server.roster import MemberRow, Roster

Vector = NDArray[np.float32]


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """What never changes in a run: its lineage (16 bytes), its task, and where it came from."""

    lineage: bytes
    task: str
    task_params: str = "{}"
    task_seed: int = 0
    parent: bytes = b""  # the lineage that was rolled back
    parent_version: int = 0


class Frozen(msgspec.Struct, frozen=True, kw_only=True):
    """Everything of a state but its vectors, which are in `vectors` in this order; as of a commit or the start."""

    identity: Identity
    layout: str
    buffer_layout: str
    version: int
    checksum: int
    phase: str
    reason: str
    leader_epoch: int
    denominator: str
    outer: dict[str, float | str]
    metrics: dict[str, float]
    evaluated_version: int
    hits: int
    members: list[MemberRow]
    ledger: list[LedgerRow]
    norms: list[tuple[str, float]] = []
    buffers_norms: list[tuple[str, float]] = []
    density_rules: dict[str, Any] = {}
    density: dict[str, Any] = {}
    took_part: list[str] = []
    vectors: list[tuple[str, int]] = []


class RunState:
    """One run: model, ledger, roster, the buffer being filled, and how far the training is."""

    def __init__(self, identity: Identity, model: GlobalModel) -> None:
        self.identity, self.model = identity, model
        self.ledger, self.roster = Ledger(), Roster()
        self.norms, self.buffers_norms = Norms(), Norms()
        self.leader_epoch = 0
        self.phase = "starting"
        self.reason = ""
        self.metrics: dict[str, float] = {}
        self.evaluated_version = -1
        self.hits = 0
        self.diverged = False  # what a step that could not be published has left here is in no journal
        self.contributors: set[str] = set()
        self.took_part: set[str] = set()  # in the newest version
        self._masks: dict[int | None, int] = {}  # of the deltas in the buffer: coordinates, by seed
        self.fold = Fold(model.layout.size, "all")
        self._statistics = Statistics(model.buffer_layout.size)
        self._rules: tuple[str, dict[str, float | str]] = ("all", {})
        self._in_force = self._rules
        self._outer = outer_of({})
        self._lateness = Lateness(model.layout, {})
        self.density: DensityPolicy | None = None
        self._density_rules: DensityRules | None = None

    @property
    def rules_in_force(self) -> dict[str, Any]:
        """By which rules the last process summed and rated, by name."""
        return rules_in_words(*self._rules, self._density_rules)

    def apply(self, entry: entries.AnyEntry, body: bytes, number: int) -> Commit | None:
        """Apply entry `number` of a journal; give the commit if it is one.

        Raise DamagedError when it does not follow from those before it.
        """
        try:
            # As in the core that decided it: sums may overflow on the way to a step that could not be published.
            with np.errstate(over="ignore", invalid="ignore"):
                return self._apply(entry, body)
        except (CodecError, ValueError, KeyError, IndexError) as error:
            raise DamagedError(
                f"record {number} ({type(entry).__name__}) does not follow from those before it: {error}"
            ) from None

    def _apply(self, entry: entries.AnyEntry, body: bytes) -> Commit | None:
        match entry:
            case entries.Led():
                self.lead(entry)
            case entries.Greeted():
                self.ledger.begin(entry.device, entry.epoch)
            case entries.Joined():
                self.roster.enrol(entry.device, entry.examples)
            case entries.Opened():
                self.open()
            case entries.Admitted():
                layouts = self.model.layout, self.model.buffer_layout
                self.admit(entry, reopen(body, entry.buffer_bytes, *layouts, entry.norm))
            case entries.Rejected():
                self.reject(entry)
            case entries.Committed():
                return self._recommit(entry, body)
            case entries.Evaluated():
                self.evaluate(entry)
            case entries.Finished():
                self.finish(entry)
        return None

    # -- changes, one for each kind of entry -------------------------------------------------------------------

    def lead(self, entry: entries.Led) -> None:
        """Another process does the sums from here on; a buffer that was begun is closed by the rules it began with."""
        self.leader_epoch = entry.leader_epoch
        self._rules = entry.denominator, dict(entry.outer)
        if self.fold.count == 0:
            self._follow_rules()
        self._rate_by(entry.density)

    def open(self) -> None:
        """The training begins."""
        self.phase, self.reason = "training", "enough devices are here"

    def admit(self, entry: entries.Admitted, delta: Admitted) -> Outcome:
        """Fold a delta in and settle it."""
        outcome = Outcome(entry.seq, Verdict.ACCEPTED)
        self.ledger.settle(entry.device, entry.sha256, outcome)
        value_K = delta.value_K * np.float32(entry.clip) if entry.clip != 1.0 else delta.value_K
        self.fold.add(
            *self._lateness.adjusted(entry.base, delta.index_K, value_K), entry.weight, entry.share
        )
        if delta.buffers_B is not None:
            self._statistics.add(delta.buffers_B, entry.share)
        # Of two masks of one seed the larger holds the smaller.
        self._masks[delta.seed] = max(self._masks.get(delta.seed, 0), len(delta.index_K))
        self.contributors.add(entry.device)
        self.norms.see(entry.device, delta.norm)
        if entry.buffers_norm is not None:
            self.buffers_norms.see(entry.device, entry.buffers_norm)
        self.roster.members[entry.device].accepted += 1
        if self.density is not None:
            density = len(delta.index_K) / self.model.layout.size
            self.density.see_delta(
                # As it was sent: what clipping takes away is not left unsent.
                DeltaSeen(entry.device, entry.share, delta.index_K, delta.value_K, entry.loss, entry.energy, density)
            )
        return outcome

    def reject(self, entry: entries.Rejected) -> Outcome:
        """Settle a delta that is not used."""
        outcome = Outcome(entry.seq, Verdict.REJECTED, RejectReason(entry.reason), entry.refund, entry.message)
        self.ledger.settle(entry.device, entry.sha256, outcome)
        self.roster.members[entry.device].rejected += 1
        return outcome

    def commit(self, density: float, code: ValueCode) -> Commit:
        """Close the buffer and publish the next version; raise DivergedError when there can be none."""
        folded = self.fold.count
        # Where all deltas lie on one mask, so does what comes of them, and no position travels down either.
        masks = [Mask(seed, kept) for seed, kept in self._masks.items() if seed is not None]
        mask = masks[0] if len(masks) == len(self._masks) == 1 else None
        try:
            made = self.model.publish(*self._close(), density, code, mask)
        except DivergedError:
            self.diverged = True
            raise
        self._lateness.published(made)
        self._note_commit()
        return replace(made, folded=folded, through=self.ledger.news())

    def evaluate(self, entry: entries.Evaluated) -> None:
        """A version was measured."""
        self.evaluated_version, self.metrics, self.hits = entry.version, entry.metrics, entry.hits

    def finish(self, entry: entries.Finished) -> None:
        """The training is over."""
        self.phase, self.reason = "finished", entry.reason

    def _recommit(self, entry: entries.Committed, body: bytes) -> Commit:
        commit = Commit(
            entry.version, body, entry.buffer_bytes, entry.kept, entry.folded, entry.through, entry.checksum
        )
        if entry.folded != self.fold.count:
            raise ValueError(f"commit {entry.version} folds {entry.folded} deltas, but {self.fold.count} are here")
        step_P, buffers_B = self._close()
        self.model.follow(step_P, buffers_B, commit)
        self._lateness.published(commit)
        self._note_commit()
        self.ledger.news()
        return commit

    def _close(self) -> tuple[Vector, Vector | None]:
        with np.errstate(over="ignore", invalid="ignore"):
            step_P = self._outer.step(self.fold.close())
        buffers_B = self._statistics.close()
        self.took_part, self.contributors = self.contributors, set()
        self._masks.clear()
        self._follow_rules()
        return step_P, buffers_B

    def _follow_rules(self) -> None:
        if self._rules == self._in_force:
            return
        denominator, choice = self._in_force = self._rules
        if denominator != self.fold.denominator:
            self.fold = Fold(self.model.layout.size, denominator)
        memory, late = self._outer.dump(), self._lateness.dump()
        self._outer, self._lateness = outer_of(choice), Lateness(self.model.layout, choice)
        self._outer.load(memory)
        self._lateness.load(late)

    def _note_commit(self) -> None:
        if self.density is not None:
            self.density.see_commit()

    def _rate_by(self, fields: Mapping[str, Any]) -> None:
        rules = msgspec.convert(fields, DensityRules) if fields else None
        if rules != self._density_rules:
            self._density_rules, self.density = rules, Dynamic(rules) if rules else None

    # -- checkpoints -------------------------------------------------------------------------------------------

    def freeze(self) -> tuple[Frozen, dict[str, Vector]]:
        """A copy of everything; only between a commit and the first delta after it."""
        if self.fold.count:
            raise RuntimeError("a checkpoint with a buffer half full would lose it")
        model = self.model
        vectors = {"weights": model.weights_P, "residual": model.residual_P, "buffers": model.buffers_B}
        vectors |= {f"outer.{name}": vector for name, vector in self._outer.dump().items()}
        vectors |= {f"late.{name}": vector for name, vector in self._lateness.dump().items()}
        density, sketches = self.density.dump() if self.density else ({}, {})
        vectors |= {f"density.{name}": vector for name, vector in sketches.items()}
        frozen = Frozen(
            identity=self.identity, layout=model.layout.to_json(), buffer_layout=model.buffer_layout.to_json(),
            version=model.version, checksum=model.checksum, phase=self.phase, reason=self.reason,
            leader_epoch=self.leader_epoch, denominator=self._rules[0], outer=self._rules[1], metrics=self.metrics,
            evaluated_version=self.evaluated_version, hits=self.hits, members=self.roster.dump(),
            ledger=self.ledger.dump(), norms=self.norms.dump(), buffers_norms=self.buffers_norms.dump(),
            density_rules=fields_of(self._density_rules), density=density, took_part=sorted(self.took_part),
            vectors=[(name, len(vector)) for name, vector in vectors.items()],
        )  # fmt: skip
        return frozen, {name: vector.copy() for name, vector in vectors.items()}

    @classmethod
    def thaw(cls, frozen: Frozen, vectors: Mapping[str, Vector]) -> RunState:
        """The state that was frozen; raise ValueError when its parts do not fit together."""
        layout, buffers = Layout.from_json(frozen.layout), Layout.from_json(frozen.buffer_layout)
        model = GlobalModel(layout, buffers, vectors["weights"], vectors["buffers"])
        if model.checksum != frozen.checksum or len(model.weights_P) != layout.size:
            raise ValueError(f"weights with checksum {model.checksum:016x}, where {frozen.checksum:016x} was kept")
        model.residual_P[:] = vectors["residual"]
        model.version = frozen.version
        state = cls(frozen.identity, model)
        state.leader_epoch, state.phase, state.reason = frozen.leader_epoch, frozen.phase, frozen.reason
        state.metrics, state.evaluated_version, state.hits = frozen.metrics, frozen.evaluated_version, frozen.hits
        state.roster.load(frozen.members)
        state.ledger.load(frozen.ledger)
        state.took_part = set(frozen.took_part)
        state.norms.load(frozen.norms)
        state.buffers_norms.load(frozen.buffers_norms)
        state._rules = frozen.denominator, frozen.outer
        state._follow_rules()
        state._outer.load(_named(vectors, "outer."))
        state._lateness.load(_named(vectors, "late."))
        state._rate_by(frozen.density_rules)
        if state.density is not None:
            state.density.load(frozen.density, _named(vectors, "density."))
        return state


def rules_in_words(denominator: str, outer: Mapping[str, Any], density: DensityRules | None) -> dict[str, Any]:
    """Rules by names that are no two's."""
    optimiser = {f"outer.{name}": value for name, value in outer.items()}
    return {"denominator": denominator, **optimiser, **{f"density.{k}": v for k, v in fields_of(density).items()}}


def fields_of(rules: DensityRules | None) -> dict[str, Any]:
    """Rules of the density as a journal has them; nothing where nobody changes it."""
    fields: dict[str, Any] = msgspec.to_builtins(rules) if rules else {}
    return fields


def _named(vectors: Mapping[str, Vector], prefix: str) -> dict[str, Vector]:
    return {name[len(prefix) :]: vector for name, vector in vectors.items() if name.startswith(prefix)}
