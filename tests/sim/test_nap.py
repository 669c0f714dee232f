"""A device that naps neither trains nor talks, and goes on afterwards from where it was."""

import numpy as np

from thinwire.common.values import Plan
from thinwire.server.policy import Buffered
from thinwire.server.rules import Rules
from thinwire.sim.learners import Quadratic
from thinwire.sim.scenario import Device, Nap, Scenario
from thinwire.sim.world import World


def steps_and_version(naps: tuple[Nap, ...], until: float) -> tuple[int, int]:
    scenario = Scenario(
        learner=lambda number: Quadratic(np.ones(8), np.ones(8)),
        rules=Rules(policy=Buffered(1), evaluate=False),
        plan=Plan(local_steps=2),
        devices=(Device(step_s=1.0),),
        naps=naps,
    )
    world = World(scenario)
    history = world.run(until)
    trainer = world.devices[0].trainer
    assert trainer is not None
    return trainer.course.steps, history.version


def test_no_step_is_taken_in_a_nap_and_none_is_lost_before_it() -> None:
    nap = (Nap(0, at=20.5, for_s=50.0),)
    before, _ = steps_and_version(nap, until=20.4)
    asleep, published = steps_and_version(nap, until=70.4)
    assert before == 20
    assert asleep == 21, "the step that was under way ends"
    assert published == 10
    awake, later = steps_and_version(nap, until=500.0)
    assert 440 <= awake <= 452
    assert later > 200
