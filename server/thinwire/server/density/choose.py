"""From the name of a policy to the policy."""

from __future__ import annotations

from thinwire.server.density.dynamic import Dynamic
from thinwire.server.density.fixed import Fixed
from thinwire.server.density.policy import DensityPolicy
from thinwire.server.density.rules import DensityRules


def density_policy(rules: DensityRules) -> DensityPolicy:
    """The policy that the rules name."""
    return Fixed(rules) if rules.policy == "fixed" else Dynamic(rules)
