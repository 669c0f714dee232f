"""How much of an update each device sends: the update rate, in time, in space, and by the link.

docs/density.md has the rules, their sources, and a worked example of each. A fixed rate needs this only where links may
lower it.
"""

from thinwire.server.density.dynamic import Dynamic
from thinwire.server.density.link import LinkAware, LinkRules
from thinwire.server.density.policy import DeltaSeen, DensityPolicy
from thinwire.server.density.rules import DensityRules

__all__ = ["DeltaSeen", "DensityPolicy", "DensityRules", "Dynamic", "LinkAware", "LinkRules"]
