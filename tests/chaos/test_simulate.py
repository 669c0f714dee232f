"""Small fleets of the product's own cores in virtual time: whatever dies or breaks, every token is accounted for."""

import json
import re
from functools import cache

import pytest
from click.testing import CliRunner

from thinwire.cli.main import main
from thinwire.sim.points import POINTS
from thinwire.sim.seeds import Tally, sweep
from thinwire.sim.trial import Trial

PART = 60
PARTS = range(0, 300, PART)


@cache
def tried(first: int) -> Tally:
    return sweep(first, PART, jobs=1)


@pytest.mark.slow
@pytest.mark.parametrize("first", PARTS)
def test_nothing_is_lost_and_nothing_counted_twice(first: int) -> None:
    assert tried(first).failed == []
    assert tried(first).seeds == PART


@pytest.mark.slow
def test_a_trial_goes_through_what_it_is_meant_to_go_through() -> None:
    """With too little at stake, or too few faults, that nothing was lost would mean nothing."""
    tally = Tally()
    for first in PARTS:
        tally.merge(tried(first))
    assert tally.accepted > 4 * tally.seeds
    assert tally.versions > 3 * tally.seeds
    assert sum(tally.kills.values()) > tally.seeds
    assert len(tally.kills) > 70
    assert set(tally.reached) <= set(POINTS)
    for fault in (
        "power cut", "killed", "trainer killed", "link breaks", "link breaks, words upward arrive", "answers held up",
        "device asleep", "slow disk", "disk full at the agent", "disk full at the coordinator",
        "disk error at the agent", "disk error at the coordinator", "bit flipped at the agent",
        "bit flipped at the coordinator", "damage found by an agent", "damage found by the coordinator",
        "an older disk is put into a device", "an older backup is put back at the coordinator", "rolled back",
        "devices know more than the coordinator", "clock jumps ahead", "clock jumps back",
    ):  # fmt: skip
        assert tally.faults[fault] > 0, fault


def test_a_seed_has_one_history() -> None:
    first, again = ([], []), ([], [])
    for lines in (first, again):
        result = Trial(7, trace=lines[0].append).run()
        lines[1].append((result.steps, result.versions, result.accepted, result.kills, result.faults))
    assert first == again


def test_what_a_replay_says() -> None:
    result = CliRunner().invoke(main, ["chaos", "simulate", "--seed", "9", "--trace", "--json"])
    found = json.loads(result.stdout)
    assert found["schema"] == "thinwire.chaos.simulate/v1"
    assert found["seeds"] == 1
    assert found["violations"] == []
    assert " s  calm" in result.stderr


def test_a_seed_that_is_named_is_tried_alone() -> None:
    result = CliRunner().invoke(main, ["chaos", "simulate", "--seed", "9", "--json"])
    assert json.loads(result.stdout)["seeds"] == 1


def test_points_at_which_nobody_died_are_named() -> None:
    result = CliRunner().invoke(main, ["chaos", "simulate", "--seed", "9"])
    assert re.search(r"^never killed at: .*agent\.outbox\.cut\.after", result.stdout, re.MULTILINE)
    assert Tally().to_json()["never_killed_at"] == list(POINTS)


def test_a_violation_is_one_line_that_ends_with_the_command_that_replays_it(monkeypatch: pytest.MonkeyPatch) -> None:
    from thinwire.trainer.replica import Replica

    monkeypatch.setattr(Replica, "_include", lambda self, through, steps: None)
    result = CliRunner().invoke(main, ["chaos", "simulate", "--seeds", "8"])
    assert result.exit_code == 6
    found = re.search(r"^seed \d+: .*own work twice.*; again: thinwire (chaos simulate --seed \d+) --trace$",
        result.stderr, re.MULTILINE)
    assert found
    assert CliRunner().invoke(main, found[1].split()).exit_code == 6
