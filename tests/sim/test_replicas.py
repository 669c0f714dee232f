"""Every replica of a version is the same, bit for bit, however its device came to it."""

from collections import Counter, defaultdict

import numpy as np
import pytest

from thinwire.common import checksum
from thinwire.common.link import LinkProfile
from thinwire.common.values import CommitChunk, FromCoordinator, FromDevice, Plan, SnapshotChunk
from thinwire.server.policy import Buffered
from thinwire.server.rules import Rules
from thinwire.sim.learners import Quadratic
from thinwire.sim.scenario import Break, Device, History, Scenario, TrainerLoss
from thinwire.sim.world import Watch, World

SIZE = 4000
THIN = LinkProfile(2.0, 2e5)


class Versions(Watch):
    """Which checksum each device had at each version, and what it was sent."""

    def __init__(self) -> None:
        self.seen: defaultdict[str, dict[int, int]] = defaultdict(dict)
        self.sent: defaultdict[str, Counter[str]] = defaultdict(Counter)

    def arrived(self, device: str, word: FromDevice | FromCoordinator) -> None:
        if isinstance(word, SnapshotChunk | CommitChunk) and word.header is not None:
            self.sent[device][type(word).__name__] += 1

    def moment(self, world: World) -> None:
        for device in world.devices:
            replica = device.trainer.course.replica if device.trainer else None
            if replica is not None and replica.based:
                self.seen[device.name][replica.version] = replica.checksum


def play(watch: Versions, until: float = 100.0, **changes: object) -> tuple[World, History]:
    start_P, *goal_NP = np.random.default_rng(1).normal(size=(5, SIZE)).astype(np.float32)
    usual = {
        "learner": lambda number: Quadratic(goal_NP[number], np.ones(SIZE), start_P),
        "rules": Rules(policy=Buffered(2), min_devices=3, density_down=0.02, evaluate=False),
        "plan": Plan(local_steps=4, density=0.01, learning_rate=0.05),
        "devices": 3 * (Device(link=THIN),),
    }
    world = World(Scenario(**{**usual, **changes}), watch)  # type: ignore[arg-type]
    return world, world.run(until)


def assert_identical(world: World, watch: Versions, history: History) -> None:
    published = {row.version: row.checksum for row in history.rows}
    for device in world.devices:
        own = {version: mark for version, mark in watch.seen[device.name].items() if version > 0}
        assert own == {version: published[version] for version in own}
        assert device.trainer is not None
        replica = device.trainer.course.replica
        assert checksum.full(replica.base_P) == replica.checksum, "kept up to date, and right"
        assert replica.version >= history.version - 3


def test_replicas_are_the_same_at_each_version() -> None:
    watch = Versions()
    world, history = play(watch)
    assert_identical(world, watch, history)
    assert all(len(seen) > 20 for seen in watch.seen.values())


def test_who_joins_late_gets_a_snapshot_and_the_commits_after_it() -> None:
    """The snapshot is the one kept from the start, as long as the commits after it are no longer than a new one."""
    watch = Versions()
    devices = (*(3 * (Device(link=THIN),)), Device(link=THIN, joins_at=50.0))
    world, history = play(watch, devices=devices)
    assert_identical(world, watch, history)
    assert watch.sent["device-3"]["SnapshotChunk"] == 1
    assert watch.sent["device-3"]["CommitChunk"] > 10


@pytest.mark.parametrize(("away_s", "snapshots"), [(6.0, 1), (400.0, 2)], ids=["commits", "snapshot"])
def test_who_was_away_gets_commits_or_a_snapshot_whichever_is_smaller(away_s: float, snapshots: int) -> None:
    """Each device has one snapshot at its start. A commit here has about 200 bytes, a snapshot 15 KB."""
    watch = Versions()
    world, history = play(watch, until=40.0 + away_s + 60.0, breaks=(Break(1, 30.0, away_s),))
    assert_identical(world, watch, history)
    assert watch.sent["device-0"]["SnapshotChunk"] == 1
    assert watch.sent["device-1"]["SnapshotChunk"] == snapshots


def test_a_new_trainer_gets_a_snapshot_while_others_go_on() -> None:
    watch = Versions()
    losses = (TrainerLoss(0, 30.0), TrainerLoss(2, 44.4))
    world, history = play(watch, trainer_losses=losses, trainer_start_s=3.0)
    assert_identical(world, watch, history)
    assert watch.sent["device-1"]["SnapshotChunk"] == 1
    assert watch.sent["device-2"]["SnapshotChunk"] == 2


def test_at_the_end_all_hold_the_last_version() -> None:
    watch = Versions()
    rules = Rules(policy=Buffered(2), min_devices=3, density_down=0.02, evaluate=False, max_commits=25)
    world, history = play(watch, until=1e4, rules=rules, breaks=(Break(2, 30.0, 100.0),))
    assert history.reason == "25 commits were asked for"
    assert_identical(world, watch, history)
    for device in world.devices:
        assert device.core.figures.checksum == history.rows[-1].checksum, "checked in full, and reported"
