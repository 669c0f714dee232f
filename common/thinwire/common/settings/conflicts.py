"""What of a coordinator's settings cannot be together, though each for itself is right; and what to do about it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from thinwire.common.drift import LONG_MEMORY, bearable_rounds, strongest
from thinwire.common.settings.names import shown
from thinwire.common.settings.omega import omega_of

if TYPE_CHECKING:
    from thinwire.common.settings.coordinator import CoordinatorSettings

# A device may come back and ask for the outcomes of a whole window; so many are remembered.
MOST_WINDOW = 256
# The field that carries it to a device has 32 bits.
MOST_IN_A_PLAN = 2**32 - 1


def conflicts(settings: CoordinatorSettings) -> Iterator[str]:
    """A sentence for each."""
    t, c = settings.training, settings.correction
    if t.omega == "eager" and settings.aggregation.min_devices < 2:
        yield (
            'training.omega is "eager", which is 1/aggregation.min_devices, and that is 1;'
            " set it to the number of devices that take part"
        )
    if t.window > MOST_WINDOW:
        yield f"training.window is {t.window}; it must be at most {MOST_WINDOW}"
    told = {"training.local_steps": t.local_steps, "limits.max_delta_bytes": settings.limits.max_delta_bytes}
    yield from (
        f"{key} is {number}; devices can be told at most {MOST_IN_A_PLAN}"
        for key, number in told.items()
        if number > MOST_IN_A_PLAN
    )
    if c.drift and t.overlap:
        yield from _of_the_drift_correction(settings)
    if c.taylor:
        yield from _of_the_taylor_term(settings)
    if c.merge == "mix":
        yield from _of_mixing(settings)
    if settings.aggregation.mixing == "model":
        yield from _of_mixing_models(settings)


def _of_the_drift_correction(settings: CoordinatorSettings) -> Iterator[str]:
    t, c, a = settings.training, settings.correction, settings.aggregation
    otherwise = "or training.overlap = false, or correction.drift = 0"
    # The delay that is to be expected; a device that measures a longer one forgets what it has learned.
    if t.window > bearable_rounds(c.drift, c.drift_memory):
        yield (
            f"correction.drift is {c.drift} with drift_memory = {c.drift_memory} and training.window = {t.window};"
            " above two rounds of delay it drives devices apart, unless it is weak and remembers for long: set"
            f" correction.drift to at most {strongest(t.window):g} and drift_memory to at least {LONG_MEMORY}, or"
            f" training.window to at most 2, {otherwise}"
        )
    if c.drift > omega_of(settings):
        yield (
            f"correction.drift is {c.drift} with training.omega = {shown(t.omega)}; above omega a device's own pending"
            f" work counts against itself and runs away: set correction.drift to at most omega, {otherwise}"
        )
    if (a.server_optimizer, a.server_learning_rate, a.server_momentum, a.denominator) != ("sgd", 1.0, 0.0, "all"):
        yield (
            f"correction.drift is {c.drift}, with overlap, and the coordinator does not just add up what the devices"
            ' did; set aggregation.server_optimizer = "sgd", aggregation.server_learning_rate = 1,'
            f' aggregation.server_momentum = 0 and aggregation.denominator = "all", {otherwise}'
        )


def _of_the_taylor_term(settings: CoordinatorSettings) -> Iterator[str]:
    t, c = settings.training, settings.correction
    if t.omega not in ("dga", 1.0):
        yield (
            f"correction.taylor is {c.taylor} with training.omega = {shown(t.omega)}; it takes own work in full:"
            ' set training.omega = "dga", or correction.taylor = 0'
        )
    if t.optimizer != "sgd" or t.momentum:
        yield (
            f'correction.taylor is {c.taylor} with training.optimizer = "{t.optimizer}" and training.momentum ='
            f" {t.momentum}; it reads gradients off the steps, which only plain SGD shows: set training.optimizer ="
            ' "sgd" and training.momentum = 0, or correction.taylor = 0'
        )


def _of_mixing(settings: CoordinatorSettings) -> Iterator[str]:
    t, c = settings.training, settings.correction
    if t.window > 1:
        yield (
            f'correction.merge is "mix" with training.window = {t.window}; mixing has no place for a second delta'
            " under way: set training.window = 1"
        )
    if c.residual != "release":
        yield (
            f'correction.merge is "mix" with correction.residual = "{c.residual}"; the next delta is what is left'
            ' of the working model, so a residual in it would be sent twice: set correction.residual = "release"'
        )
    if c.taylor or c.drift:
        yield (
            f'correction.merge is "mix" with correction.taylor = {c.taylor} and correction.drift = {c.drift};'
            " mixing throws away what the one adds and uploads what the other must not: set both to 0,"
            ' or correction.merge = "rebase"'
        )


def _of_mixing_models(settings: CoordinatorSettings) -> Iterator[str]:
    d, instead = settings.density, 'or aggregation.mixing = "delta"'
    if d.up < 1:
        yield (
            f'aggregation.mixing is "model" with density.up = {d.up}; a model is mixed whole:'
            f" set density.up = 1, {instead}"
        )
    if d.policy != "fixed" or d.link_aware:
        yield (
            f'aggregation.mixing is "model" with density.policy = "{d.policy}" and density.link_aware ='
            f" {shown(d.link_aware)}; a model is mixed whole, and these have devices send parts of it:"
            f' set density.policy = "fixed" and density.link_aware = false, {instead}'
        )
    if settings.training.overlap:
        yield (
            'aggregation.mixing is "model" with training.overlap = true; what is mixed in is the model that a device'
            " began with and its one delta, and with overlap there are others under way:"
            f" set training.overlap = false, {instead}"
        )
