"""A coordinator that ends at each point of each write, killed or without power: what it had told is there, and goes on.

One history of deltas is played to a coordinator on a disk with named points. It ends at the first point; its successor
recovers, is sent again whatever is not settled, and must come to the very model that it would have come to undisturbed.
Then all over, with the end at the second point, and so on to the last.
"""

import hashlib
import itertools
import random
from collections.abc import Iterator

import pytest
from journal_story import Run, blob

from thinwire.server import entries
from thinwire.server.effects import Effect, Published, Settled
from thinwire.server.events import DeltaSealed, Event, Greeted, Started, Subscribed
from thinwire.server.journal import Journal
from thinwire.server.recorder import Recorder
from thinwire.sim.disk import Crash, SimFolder

DEVICES = ("oak", "elm")
DELTAS = 10
# Small enough that checkpoints, new segments and the removal of old ones all happen in it.
SMALL = {"checkpoint_bytes": 600, "keep_bytes": 900, "segment_bytes": 1200}


class Life:
    """One history, over as many processes as it takes; `dies_at` counts the points from the first delta on."""

    def __init__(self, seed: int, dies_at: int | None, *, power: bool) -> None:
        self.passed: list[str] = []
        self._dies_at, self._power = dies_at, power
        self._armed = False
        self.told: list[Effect] = []
        self.folder = SimFolder("coordinator", random.Random(seed), self._reach)
        self.run = Run(self.folder, **SMALL)
        self.died_at = ""
        while True:
            try:
                self._play()
                return
            except Crash as crash:
                self.died_at, self._armed, self._dies_at = crash.point, False, None
                self.folder.crash(power=self._power)
                self.run = Run(self.folder, **SMALL)
                self._demand_what_was_told()

    def _reach(self, point: str) -> None:
        if self._armed:
            self.passed.append(point)
            if self._dies_at is not None and len(self.passed) > self._dies_at:
                raise Crash(point)

    def _play(self) -> None:
        self._armed = self._dies_at is not None or not self.died_at
        for device in DEVICES:
            row = self.run.core.ledger.row(device)
            epoch, settled = (row.epoch, row.contiguous) if row else (0, 0)
            self._happens(Greeted(device, epoch, sealed_through=DELTAS, settled_through=settled))
            self._happens(Subscribed(device, 1))
        for event in self._deltas():
            self._happens(event)
        self._armed = False

    def _deltas(self) -> Iterator[Event]:
        """Those that are not settled, in the order in which all devices would send them."""
        for number, device in zip(range(DELTAS), itertools.cycle(DEVICES), strict=False):
            seq = 1 + number // len(DEVICES)
            if seq == self.run.core.ledger.next_seq(device):
                body, buffer_bytes = blob(number, number // 2)
                yield DeltaSealed(device, 1, seq, hashlib.sha256(body).digest(), body, buffer_bytes)

    def _happens(self, event: Event) -> None:
        recorder, journal = self.run.recorder, self.run.journal
        decided = recorder.handle(event, 0.0)
        recorder.sync()
        self.told += decided.effects
        if (due := recorder.take_checkpoint()) is not None:
            journal.checkpoint(due.number, due.frozen, due.vectors)

    def _demand_what_was_told(self) -> None:
        core = self.run.core
        commits = {
            entry.version: body
            for _, entry, body in self.run.journal.read(self.run.journal.first)
            if isinstance(entry, entries.Committed)
        }
        for effect in self.told:
            if isinstance(effect, Settled):
                row = core.ledger.row(effect.device)
                assert row is not None
                assert row.outcomes[effect.outcome.seq][1] == effect.outcome
            elif isinstance(effect, Published):
                assert core.model.version >= effect.commit.version
                assert commits.get(effect.commit.version, effect.commit.payload) == effect.commit.payload

    @property
    def end(self) -> list[object]:
        """Where it has come to, but for how many processes it took."""
        core = self.run.core
        model = core.model
        return [
            model.version, model.checksum, model.weights_P.tobytes(), model.residual_P.tobytes(),
            model.buffers_B.tobytes(), core.ledger.dump(), core.roster.dump(), core.state.norms.dump(),
        ]  # fmt: skip


@pytest.fixture(scope="module")
def undisturbed() -> Life:
    return Life(0, None, power=False)


@pytest.mark.parametrize("power", [False, True], ids=["killed", "without power"])
def test_wherever_it_ends_what_was_told_is_there_and_the_model_is_what_it_would_have_been(
    undisturbed: Life, power: bool
) -> None:
    for number, point in enumerate(undisturbed.passed):
        life = Life(number, number, power=power)
        assert life.died_at == point
        assert life.end == undisturbed.end, f"after the end at {point}, the {number}th point"


def test_a_coordinator_that_tells_before_it_syncs_is_found(
    undisturbed: Life, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Recorder, "sync", lambda self: self.last)

    def lost(number: int) -> bool:
        try:
            return Life(number, number, power=True).end != undisturbed.end
        except (AssertionError, KeyError):
            return True

    assert any(lost(number) for number in range(len(undisturbed.passed) // 2))


@pytest.mark.parametrize(
    "point",
    [
        pytest.param("journal.append.before", id="before append"),
        pytest.param("journal.append.during", id="half a record"),
        pytest.param("journal.append.after", id="appended, not synced"),
        pytest.param("journal.sync.before", id="before the sync"),
        pytest.param("journal.sync.after", id="synced, before the reply"),
        pytest.param("journal.jot.before", id="before the watermark"),
        pytest.param("journal.open.during", id="a segment begun, its name not safe"),
        pytest.param("checkpoint.replace.before", id="before the checkpoint"),
        pytest.param("checkpoint.replace.during", id="checkpoint renamed, its name not safe"),
        pytest.param("checkpoint.replace.after", id="checkpoint written, before the journal is shortened"),
        pytest.param("checkpoint.remove.after", id="an old checkpoint removed"),
        pytest.param("journal.remove.before", id="before a segment is removed"),
        pytest.param("journal.remove.after", id="a segment removed"),
    ],
)
def test_the_history_passes_every_point_of_the_matrix(undisturbed: Life, point: str) -> None:
    assert f"coordinator.{point}" in undisturbed.passed


@pytest.mark.parametrize("power", [False, True], ids=["killed", "without power"])
def test_killed_again_and_again_while_it_recovers_it_recovers_all_the_same(power: bool) -> None:
    whole = Life(0, None, power=False)
    whole.folder.crash(power=False)
    files, passed = whole.folder.backup(), itertools.count()
    for dies_at in itertools.count():
        points: list[str] = []

        def reach(point: str, points: list[str] = points, dies_at: int = dies_at) -> None:
            points.append(point)
            if len(points) > dies_at:
                raise Crash(point)

        folder = SimFolder("coordinator", random.Random(dies_at), reach)
        folder.restore(files)
        try:
            Journal(folder, segment_bytes=1200).recover()
            Run(folder, **SMALL)
        except Crash:
            next(passed)
            folder.crash(power=power)
            folder._reach = None
            state = Run(folder, **SMALL).state
            assert (state.model.checksum, state.ledger.dump()) == (whole.end[1], whole.end[5])
        else:
            break
    assert next(passed) > 3, "recovery writes: it has points, too"


def test_a_leader_that_has_ended_is_followed_by_a_higher_one() -> None:
    life = Life(1, 5, power=True)
    epoch = life.run.core.state.leader_epoch
    life.run.happens(Started(epoch + 1))
    assert Journal(life.folder, segment_bytes=1200).recover().state.leader_epoch == epoch + 1
