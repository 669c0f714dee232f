"""Who waits for outcomes trains on what came of its own delta, whatever breaks: FedAsync and FedBuff by name."""

import random

import pytest
from named import CURVATURE_NP, DEVICES, GOAL_NP, PACES, settings_of

from thinwire.common.link import LinkProfile
from thinwire.server.training import plan_of, rules_of
from thinwire.sim.learners import Quadratic
from thinwire.sim.scenario import Break, Device, Scenario, TrainerLoss
from thinwire.sim.world import Watch, World

UNTIL_S = 400.0


class Looks(Watch):
    """At each device whenever it may take a step: has it a delta without an outcome, or one that is not in its base?"""

    def __init__(self) -> None:
        self.taken = self.undecided = self.not_included = 0

    def moment(self, world: World) -> None:
        for device in world.devices:
            course = device.trainer.course if device.trainer else None
            if course is None or not course.may_train:
                continue
            self.taken += 1
            self.undecided += any(not delta.accepted for delta in device.core.outbox.pending())
            self.not_included += bool(course.replica.pending)


def looks(name: str, *, trainers_die: bool) -> Looks:
    """After links that broke again and again, in mid-upload and between a delta and its outcome."""
    dice = random.Random(3)
    settings, watch = settings_of(name, 10_000), Looks()
    troubles = [(dice.randrange(DEVICES), dice.uniform(10, UNTIL_S)) for _ in range(30)]
    scenario = Scenario(
        learner=lambda number: Quadratic(GOAL_NP[number], CURVATURE_NP[number]),
        rules=rules_of(settings, evaluate=False),
        plan=plan_of(settings),
        devices=tuple(Device(link=LinkProfile(2.0, 300.0), step_s=pace) for pace in PACES),
        breaks=tuple(Break(device, at, 1.0, 0.5) for device, at in troubles),
        trainer_losses=tuple(TrainerLoss(device, at - 1) for device, at in troubles if trainers_die),
    )
    assert World(scenario, watch).run(until=UNTIL_S).version > 10
    assert watch.taken > 200
    return watch


@pytest.mark.parametrize("trainers_die", [False, True])
@pytest.mark.parametrize("name", ["fedasync", "fedbuff"])
def test_no_step_is_taken_while_an_own_delta_has_no_outcome(name: str, trainers_die: bool) -> None:
    assert looks(name, trainers_die=trainers_die).undecided == 0


def test_who_hears_of_an_outcome_in_a_welcome_goes_on_from_the_version_that_came_of_it() -> None:
    """With FedAsync each delta is in the version that its outcome names."""
    assert looks("fedasync", trainers_die=False).not_included == 0
