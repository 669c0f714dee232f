"""Nothing a device learned is lost or counted twice, whatever the link does. Whole-number steps make it exact."""

import random
from collections import deque

import numpy as np
import pytest

from thinwire.client import core, outbox
from thinwire.common.codec import ValueCode
from thinwire.common.frames import Rejection
from thinwire.common.link import LinkProfile
from thinwire.common.values import Plan, Welcome
from thinwire.server import feed
from thinwire.server.commits import CommitLog
from thinwire.server.effects import Finished
from thinwire.server.policy import Buffered, Sync
from thinwire.server.rules import Rules
from thinwire.sim import sessions
from thinwire.sim.audit import MassAudit, MassError
from thinwire.sim.learners import WholeSteps
from thinwire.sim.scenario import Break, Device, Scenario, TrainerLoss
from thinwire.sim.world import World
from thinwire.trainer import course
from thinwire.trainer.replica import Cut, Replica

SIZE = 48
EXACT = Plan(local_steps=4, density=0.25, values="fp32", window=6)
FAIR = Rules(
    policy=Buffered(3), values_down=ValueCode.FP32, density_down=1.0, denominator="all", min_devices=4, evaluate=False
)


def breaks(seed: int, devices: int, count: int, until: float) -> tuple[Break, ...]:
    dice = random.Random(seed)
    return tuple(
        Break(dice.randrange(devices), dice.uniform(30, until), dice.uniform(0, 15), dice.choice((0, 0.5, 8)))
        for _ in range(count)
    )


def fleet(seed: int, **changes: object) -> Scenario:
    """Four devices on thin links of different length that break again and again."""
    usual = {
        "learner": lambda number: WholeSteps(SIZE, seed=100 * seed + number),
        "rules": FAIR,
        "plan": EXACT,
        "devices": tuple(Device(link=LinkProfile(1.0 + rtt, 1500.0, 0.5), step_s=0.4) for rtt in (0.0, 2.0, 4.0, 9.0)),
        "breaks": breaks(seed, devices=4, count=20, until=140.0),
        "seed": seed,
    }
    return Scenario(**{**usual, **changes})  # type: ignore[arg-type]


class Notes(MassAudit):
    """The audit, and what Welcomes said."""

    def __init__(self, **options: bool) -> None:
        super().__init__(SIZE, **options)
        self.welcomes: list[Welcome] = []

    def arrived(self, device: str, word: object) -> None:
        if isinstance(word, Welcome):
            self.welcomes.append(word)


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut what travels into slices of 50 bytes, so that a break finds transfers half done."""
    monkeypatch.setattr(outbox, "CHUNK_BYTES", 50)
    monkeypatch.setattr(feed, "CHUNK_BYTES", 50)


def test_links_that_break_in_mid_upload_lose_and_double_nothing(small_chunks: None) -> None:
    welcomes: list[Welcome] = []
    for seed in (1, 2, 3):
        audit = Notes()
        assert World(fleet(seed), audit).run(until=150.0).version > 30
        welcomes += audit.welcomes
    assert any(welcome.staged for welcome in welcomes), "an upload went on where it had stopped"
    assert any(welcome.outcomes for welcome in welcomes), "an outcome was heard of only at the next greeting"


def test_a_delta_that_arrives_twice_counts_once() -> None:
    devices = tuple(Device(link=LinkProfile(2.0, 1e5), step_s=0.5, stammer=0.5) for _ in range(4))
    audit = Notes()
    World(fleet(1, devices=devices), audit).run(until=100.0)
    assert audit.repeated > 20


def test_a_stale_delta_returns_to_the_residual() -> None:
    audit = Notes()
    World(fleet(2, max_staleness=2), audit).run(until=150.0)
    assert audit.refunded > 10


def test_a_delta_that_is_refused_for_good_is_dropped_once() -> None:
    """The wild ones are beyond ten clip norms, the others below one: clipped ones would not be whole."""
    audit = Notes()
    learner = lambda number: WholeSteps(SIZE, seed=number, wild=10_000)  # noqa: E731
    World(fleet(3, learner=learner, clip_norm=300.0), audit).run(until=150.0)
    assert audit.dropped > 10


def test_what_comes_after_the_end_is_dropped() -> None:
    audit = Notes()
    rules = Rules(
        policy=Buffered(3), values_down=ValueCode.FP32, density_down=1.0, denominator="all", min_devices=4,
        evaluate=False, max_commits=20,
    )  # fmt: skip
    World(fleet(4, rules=rules), audit).run(until=300.0)
    assert audit.dropped > 0


def test_what_the_downlink_does_not_carry_waits_at_the_coordinator(small_chunks: None) -> None:
    rules = Rules(
        policy=Buffered(2), values_down=ValueCode.FP32, density_down=0.1, denominator="all", min_devices=4,
        evaluate=False,
    )  # fmt: skip
    audit = Notes()
    world = World(fleet(5, rules=rules), audit)
    world.run(until=150.0)
    assert np.abs(world.coordinator.core.model.residual_P).sum() > 0


def test_rounds_with_a_deadline_keep_what_comes_late() -> None:
    rules = Rules(
        policy=Sync(0.5, 6.0), values_down=ValueCode.FP32, density_down=0.2, denominator="all", min_devices=4,
        evaluate=False,
    )  # fmt: skip
    history = World(fleet(6, rules=rules), Notes()).run(until=150.0)
    assert {row.folded for row in history.rows} > {2, 3}


def test_a_trainer_that_dies_takes_only_what_was_not_sealed(small_chunks: None) -> None:
    losses = tuple(TrainerLoss(number % 4, 11.0 + 7.3 * number) for number in range(14))
    audit = Notes()
    world = World(fleet(7, trainer_losses=losses, trainer_start_s=2.0), audit)
    world.run(until=150.0)
    assert sum(device.core.seat.restarts for device in world.devices) == 14
    assert all(np.abs(audit.account(device.name).forgotten_P).sum() > 0 for device in world.devices)


# -- mutants: each of these mistakes must be found -------------------------------------------------------------------


class Echoing(Replica):
    """It uploads where it ended minus where it began, and so the commits that came between as well."""

    def cut(self, density: float, code: ValueCode, steps: int) -> Cut:
        began_P = getattr(self, "began_P", self.base_P)
        self._absorb()
        self.unsent_P[:] = self.working_P - began_P
        cut = super().cut(density, code, steps)
        self.began_P = self.working_P.copy()
        return cut


def test_uploading_end_minus_start_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(course, "Replica", Echoing)
    with pytest.raises(MassError, match="too much of device"):
        World(fleet(1, breaks=()), Notes()).run(until=150.0)


class Hasty(feed.Feed):
    """It lets commits overtake outcomes, so a device forgets a delta before it hears that it gets it back."""

    def next(self, log: CommitLog, *, open: bool, final: Finished | None) -> feed.Outgoing | feed.SnapshotWanted | None:
        words, self._words = self._words, deque()
        due = super().next(log, open=open, final=final)
        self._words = words
        return due or super().next(log, open=open, final=final)


def test_a_commit_that_overtakes_an_outcome_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "Feed", Hasty)
    with pytest.raises(MassError, match="too much of device"):
        World(fleet(1, max_staleness=2), Notes()).run(until=150.0)


class Timid(core.AgentCore):
    """It takes a broken link for a rejection, though the coordinator may have the delta already."""

    def handle(self, event: core.Event, now: float) -> list[core.Effect]:
        effects = super().handle(event, now)
        if isinstance(event, core.Closed):
            for delta in self.outbox.unsettled():
                self.outbox.drop(delta.seq)
                effects.append(core.Tell(Rejection(seq=delta.seq, refund=True)))
        return effects


def test_a_timeout_taken_for_a_rejection_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(core, "AgentCore", Timid)
    with pytest.raises(MassError, match="too much of device"):
        World(fleet(1), Notes()).run(until=150.0)
