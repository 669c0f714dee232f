"""From the operator's settings to what the core obeys, what it admits, and what every device is told."""

from __future__ import annotations

import math

from thinwire.common.codec import ValueCode, kept_of
from thinwire.common.layout import Layout
from thinwire.common.settings import CoordinatorSettings
from thinwire.common.settings.omega import omega_of
from thinwire.common.values import Plan
from thinwire.server.admit import Admission
from thinwire.server.density import DensityRules, LinkRules
from thinwire.server.outer import outer_of
from thinwire.server.policy import commit_policy
from thinwire.server.rules import KNOWN_PER_CONNECTED, Rules


def rules_of(settings: CoordinatorSettings, *, evaluate: bool) -> Rules:
    """The core's rules from the operator's settings."""
    a, t = settings.aggregation, settings.training
    return Rules(
        policy=commit_policy(
            a.mode, buffer=a.buffer, quorum=a.quorum, deadline_s=a.deadline, window=_window_of(settings)
        ),
        density_down=settings.density.down,
        density=density_rules_of(settings),
        values_down=ValueCode(settings.density.values_down),
        denominator=a.denominator,
        weights=a.weights,
        staleness=a.staleness,
        staleness_power=a.staleness_power,
        server_learning_rate=a.server_learning_rate,
        server_momentum=a.server_momentum,
        server_optimizer=a.server_optimizer,
        server_momentum_every=a.server_momentum_every,
        server_beta2=a.server_beta2,
        server_tau=a.server_tau,
        mixing=a.mixing,
        taylor=settings.correction.taylor_server / (t.learning_rate * t.local_steps),
        min_devices=a.min_devices,
        max_known=KNOWN_PER_CONNECTED * settings.limits.max_devices,
        max_commits=settings.stop.max_commits,
        target_accuracy=settings.stop.target_accuracy,
        patience=settings.stop.patience,
        evaluate=evaluate,
        evaluate_every=settings.evaluation.every_commits,
    )


def density_rules_of(settings: CoordinatorSettings) -> DensityRules | None:
    """How densities are decided; None for one that nobody lowers."""
    d = settings.density
    if d.policy == "fixed":
        # The devices' rates stand still; commits are to follow what links leave of them.
        rules = DensityRules(policy="fixed", up=d.up, down=d.down, most=d.up, window=d.window, by_link=True)
        return rules if d.link_aware else None
    return DensityRules(
        policy=d.policy, up=d.up, down=d.down, least=d.min, most=d.max, ladder=d.ladder, window=d.window,
        plateau=d.plateau, progress=d.progress, groups=d.groups, by_link=d.link_aware,
    )  # fmt: skip


def link_rules_of(settings: CoordinatorSettings) -> LinkRules | None:
    """How links bound densities; None for not at all."""
    d = settings.density
    return LinkRules(least=d.min, budget_bytes=d.daily_budget) if d.link_aware else None


def plan_of(settings: CoordinatorSettings) -> Plan:
    """What every device is told to do."""
    t, c = settings.training, settings.correction
    return Plan(
        local_steps=t.local_steps,
        density=settings.density.up,
        window=t.window,
        omega=omega_of(settings),
        server_gain=gain_of(settings),
        optimizer=t.optimizer,
        learning_rate=t.learning_rate,
        momentum=t.momentum,
        values=settings.density.values,
        overlap=t.overlap,
        max_delta_bytes=settings.limits.max_delta_bytes,
        residual=_told(c.residual, "release"),
        taylor=c.taylor,
        drift=c.drift,
        drift_memory=c.drift_memory if c.drift else 0.0,
        merge=_told(c.merge, "rebase"),
        mix=c.mix if c.merge == "mix" else 0.0,
        mask_momentum=t.mask_momentum,
        proximal=t.proximal,
        selection=_told(settings.density.selection, "top"),
        mask_seed=settings.task.seed if settings.density.selection == "mask" else 0,
        waits_for=_told(t.waits_for, "commit"),
        rebase=_told(t.rebase, "at-once"),
    )


def gain_of(settings: CoordinatorSettings) -> float:
    """What the coordinator makes of a delta in the long run, as a multiple of the device's share of it."""
    a = settings.aggregation
    mean = _gain_of_the_mean(settings) if a.denominator == "buffer" else 1.0
    choice = {"name": a.server_optimizer, "learning_rate": a.server_learning_rate, "momentum": a.server_momentum}
    return outer_of(choice).gain * mean


def _gain_of_the_mean(settings: CoordinatorSettings) -> float:
    """The mean over a buffer counts a delta as if the fleet had as many devices as the buffer has deltas."""
    a = settings.aggregation
    # One is the default, and means a fleet of any size: nothing is known then, and a low omega would be the danger.
    if a.min_devices == 1:
        return 1.0
    held = {
        "sync": max(1, math.ceil(a.quorum * a.min_devices)),
        "buffered": min(a.buffer, a.min_devices * _window_of(settings)),
        "async": 1,
    }[a.mode]
    return a.min_devices / held


def _window_of(settings: CoordinatorSettings) -> int:
    """Deltas that a device can put into one commit."""
    t = settings.training
    # Who waits for the commit cannot put a second delta into it; who waits for the outcome can.
    return t.window if t.overlap or t.waits_for == "outcome" else 1


def _told(word: str, usual: str) -> str:
    return "" if word == usual else word


def admission_of(settings: CoordinatorSettings, layout: Layout, buffer_layout: Layout) -> Admission:
    """What a delta may be, for a model of this layout."""
    rules = density_rules_of(settings)
    return Admission(
        layout=layout,
        buffer_layout=buffer_layout,
        max_kept=max_kept(settings.density.up, rules, layout.size),
        max_bytes=settings.limits.max_delta_bytes,
        max_staleness=settings.aggregation.max_staleness,
        clip_norm=settings.aggregation.clip_norm,
        norm_guard=settings.aggregation.norm_guard,
    )


def max_kept(density: float, rules: DensityRules | None, size: int) -> int:
    """Most coordinates of a delta, of a model of `size` parameters, where plans say `density` or a policy decides."""
    most = max(density, rules.most) if rules else density
    # A device's plan may change between its cut and its arrival, so twice the density is no offence.
    return min(size, 2 * kept_of(most, size))
