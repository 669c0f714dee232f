"""Methods without rounds or with overlap, each by its name, against a few lines of numpy."""

import numpy as np
import pytest
from named import (
    DEVICES,
    PACES,
    RATE,
    SIZE,
    STEPS,
    Rows,
    alone,
    finished,
    gradient,
    model,
    played,
    settings_of,
    top,
    working,
)

from thinwire.common.codec import Limits, unpack
from thinwire.common.codec.mask import drawn, seed_of
from thinwire.server.training import plan_of


def close(found: np.ndarray, wanted: Rows) -> bool:
    return bool(np.abs(found - wanted).max() < 3e-6)


def test_fedasync() -> None:
    """Xie et al., 2019: W = (1 - a) W + a w_i with a = 0.6 / sqrt(1 + staleness), for whoever is done."""
    wanted_P, commits = np.zeros(SIZE), 25
    began = [(wanted_P, 0)] * DEVICES
    for version, number in enumerate(finished(commits)):
        start_P, base = began[number]
        share = 0.6 / np.sqrt(1 + version - base)
        wanted_P = (1 - share) * wanted_P + share * alone(number, start_P)
        began[number] = (wanted_P, version + 1)
    assert close(model(played("fedasync", commits, paces=PACES)), wanted_P)


def test_fedbuff() -> None:
    """Nguyen et al., 2022: a mean of discounted deltas when three are here; who sent one goes on at once."""
    wanted_P, version, commits = np.zeros(SIZE), 0, 12
    began, buffer = [(wanted_P, 0)] * DEVICES, []
    for number in finished(3 * commits):
        start_P, base = began[number]
        buffer.append((alone(number, start_P) - start_P) / np.sqrt(1 + version - base))
        if len(buffer) == 3:
            wanted_P, version, buffer = wanted_P + np.mean(buffer, axis=0), version + 1, []
        began[number] = (wanted_P, version)
    assert close(model(played("fedbuff", commits, paces=PACES)), wanted_P)


@pytest.mark.parametrize("delay", [1, 2, 3, 5, 7])
def test_dga(delay: int) -> None:
    """Zhu et al., 2021: when the mean of round t is here, it takes the place of the own delta of round t."""
    rounds = 5
    wanted_P, local_NP = np.zeros(SIZE), np.zeros((DEVICES, SIZE))
    own_NP, flying = np.zeros((DEVICES, SIZE)), []
    for step in range(1, rounds * STEPS + delay + 1):
        step_NP = -RATE * gradient(local_NP)
        local_NP, own_NP = local_NP + step_NP, own_NP + step_NP
        if step % STEPS == 0:
            flying.append((step + delay, own_NP))
            own_NP = np.zeros((DEVICES, SIZE))
        while flying and flying[0][0] == step:
            _, delta_NP = flying.pop(0)
            wanted_P = wanted_P + delta_NP.mean(axis=0)
            local_NP = local_NP + delta_NP.mean(axis=0) - delta_NP
    world = played("dga", rounds, delay=delay)
    assert close(model(world), wanted_P)
    # What was cut before the end became known is dropped with it.
    assert delay >= STEPS or close(working(world), local_NP)


@pytest.mark.parametrize("delay", [1, 2])
def test_dpga(delay: int) -> None:
    """The faithful arm: models are averaged on a mask that all draw from one seed; the rest stays each device's own."""
    rounds, kept = 5, 6
    local_NP, sent_NP = np.zeros((DEVICES, SIZE)), np.zeros((DEVICES, SIZE))
    for step in range(1, rounds * STEPS + delay + 1):
        local_NP = local_NP - RATE * gradient(local_NP)
        if step % STEPS == 0:
            sent_NP = local_NP
        if step % STEPS == delay and step > STEPS:
            mask_K = drawn(seed_of(1, step // STEPS), kept, SIZE)
            local_NP[:, mask_K] += sent_NP[:, mask_K].mean(axis=0) - sent_NP[:, mask_K]
    sets = (f"density.up={kept / SIZE}", "density.values=fp32", "density.values_down=fp32")
    world = played("dpga", rounds, *sets, delay=delay)
    assert close(working(world), local_NP)
    commit = world.coordinator.bulletin.log.after(rounds - 1)
    assert commit is not None
    limits = Limits(world.coordinator.core.model.layout.hash, SIZE, SIZE)
    assert unpack(commit.payload, limits).seed == seed_of(1, rounds), "no position travels down either"


@pytest.mark.parametrize("delay", [1, 2, 5])
def test_the_recommended_arm(delay: int) -> None:
    """Top-k, released residual, omega 1/2: w = W + (F + A) / 2. The rate is held still; docs/density.md moves it."""
    rounds, kept = 5, 6
    wanted_P, own_NP = np.zeros(SIZE), np.zeros((DEVICES, SIZE))
    residual_NP, flying = np.zeros((DEVICES, SIZE)), []
    local_NP = np.zeros((DEVICES, SIZE))
    for step in range(1, rounds * STEPS + delay + 1):
        step_NP = -RATE * gradient(local_NP)
        local_NP, own_NP = local_NP + step_NP, own_NP + step_NP
        moved = step % STEPS == 0
        if moved:
            residual_NP += own_NP
            sent_NP = np.stack([top(row_P, kept) for row_P in residual_NP])
            residual_NP, own_NP = residual_NP - sent_NP, np.zeros((DEVICES, SIZE))
            flying.append((step + delay, sent_NP))
        if flying and flying[0][0] == step:
            wanted_P, moved = wanted_P + flying.pop(0)[1].mean(axis=0), True
        if moved:
            local_NP = wanted_P + (sum(sent_NP for _, sent_NP in flying) + own_NP) / 2
    sets = (
        "density.policy=fixed", f"density.up={kept / SIZE}", "density.values=fp32", "density.down=1.0",
        "density.values_down=fp32", "aggregation.mode=sync", "aggregation.quorum=1.0",
    )  # fmt: skip
    world = played("delayed-dynamic", rounds, *sets, delay=delay)
    assert close(model(world), wanted_P)
    # What was cut before the end became known is dropped with it.
    assert delay >= STEPS or close(working(world), local_NP)


@pytest.mark.parametrize(
    ("sets", "omega"),
    [
        ((), 0.5),
        (("aggregation.server_learning_rate=0.5", "aggregation.server_momentum=0.5"), 0.5),
        (("aggregation.server_learning_rate=0.1", "aggregation.server_momentum=0.5"), 0.1),
        (("aggregation.denominator=buffer", "aggregation.buffer=2"), 1.0),
        (("aggregation.denominator=buffer", "aggregation.mode=async"), 2.0),
        (("aggregation.denominator=buffer", "aggregation.buffer=8"), 0.25),
        (("aggregation.denominator=buffer", "aggregation.buffer=8", "training.overlap=false"), 0.5),
        (("aggregation.denominator=buffer", "aggregation.mode=sync", "aggregation.quorum=0.8"), 0.5),
        (("aggregation.denominator=buffer", "aggregation.mode=sync", "aggregation.quorum=0.5"), 1.0),
        (("aggregation.denominator=buffer", "aggregation.buffer=8", "aggregation.min_devices=1"), 0.5),
        (("training.omega=eager",), 0.25),
        (("training.omega=overwrite",), 0.0),
        (("training.omega=dga",), 1.0),
    ],
)
def test_the_coordinators_gain_goes_into_omega(sets: tuple[str, ...], omega: float) -> None:
    """Four devices; a buffer of eight holds two deltas of each, so every one counts half of what it would alone."""
    plan = plan_of(settings_of("thinwire", 1, *sets))
    assert plan.omega * plan.server_gain == pytest.approx(omega)
