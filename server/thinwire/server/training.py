"""From the operator's settings to what the core obeys, what it admits, and what every device is told."""

from __future__ import annotations

from thinwire.common.codec import ValueCode, kept_of
from thinwire.common.layout import Layout
from thinwire.common.settings import CoordinatorSettings
from thinwire.common.values import Plan
from thinwire.server.admit import Admission
from thinwire.server.core import Rules
from thinwire.server.policy import commit_policy


def rules_of(settings: CoordinatorSettings, *, evaluate: bool) -> Rules:
    """The core's rules from the operator's settings."""
    a, t = settings.aggregation, settings.training
    window = t.window if t.overlap else 1
    return Rules(
        policy=commit_policy(
            a.mode, buffer=a.buffer, quorum=a.quorum, deadline_s=a.deadline, window=window
        ),
        density_down=settings.density.down,
        values_down=ValueCode(settings.density.values_down),
        denominator=a.denominator,
        weights=a.weights,
        staleness=a.staleness,
        staleness_power=a.staleness_power,
        server_learning_rate=a.server_learning_rate,
        server_momentum=a.server_momentum,
        min_devices=a.min_devices,
        max_commits=settings.stop.max_commits,
        target_accuracy=settings.stop.target_accuracy,
        patience=settings.stop.patience,
        evaluate=evaluate,
        evaluate_every=settings.evaluation.every_commits,
    )


def plan_of(settings: CoordinatorSettings) -> Plan:
    """What every device is told to do."""
    t, a = settings.training, settings.aggregation
    return Plan(
        local_steps=t.local_steps,
        density=settings.density.up,
        window=t.window,
        omega=t.omega,
        server_gain=a.server_learning_rate / (1.0 - a.server_momentum),
        optimizer=t.optimizer,
        learning_rate=t.learning_rate,
        momentum=t.momentum,
        values=settings.density.values,
        overlap=t.overlap,
        max_delta_bytes=settings.limits.max_delta_bytes,
    )


def admission_of(settings: CoordinatorSettings, layout: Layout, buffer_layout: Layout) -> Admission:
    """What a delta may be, for a model of this layout."""
    return Admission(
        layout=layout,
        buffer_layout=buffer_layout,
        # A device's plan may change between its cut and its arrival, so twice the density is no offence.
        max_kept=min(layout.size, 2 * kept_of(settings.density.up, layout.size)),
        max_bytes=settings.limits.max_delta_bytes,
        max_staleness=settings.aggregation.max_staleness,
        clip_norm=settings.aggregation.clip_norm,
    )
