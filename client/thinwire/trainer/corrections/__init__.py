"""What a plan may add to the rebase of replica.py; nothing by default. The methods and papers: docs/algorithms.md.

A correction is told what happens on its replica and may move the replica's vectors, as long as own increments stay
accounted for: what changes `unsent_P` will be uploaded, what changes `working_P` and `origin_P` alike will not.
Shapes: P parameters, K coordinates of a commit or delta.
"""

from __future__ import annotations

from thinwire.common.values import Plan
from thinwire.trainer.corrections.base import Correction
from thinwire.trainer.corrections.drift import Drift
from thinwire.trainer.corrections.small import FactorMasking, Mix, Proximal, Trained
from thinwire.trainer.corrections.taylor import Taylor

__all__ = ["Correction", "Drift", "FactorMasking", "Mix", "Proximal", "Taylor", "Trained", "corrections_of"]


def corrections_of(plan: Plan, learner: Trained) -> tuple[Correction, ...]:
    """The corrections that a plan asks for, in the order in which they act."""
    size, wanted = learner.weights_P.size, list[Correction]()
    if plan.proximal:
        wanted.append(Proximal(size, plan.proximal, plan.learning_rate))
    if plan.taylor:
        wanted.append(Taylor(size, plan.taylor, plan.learning_rate))
    if plan.drift:
        wanted.append(Drift(size, plan.drift, plan.drift_memory, plan.local_steps))
    if plan.merge == "mix":
        wanted.append(Mix(plan.mix))
    if plan.mask_momentum:
        wanted.append(FactorMasking(learner))
    return tuple(wanted)
