"""What a training run obeys, made from the operator's settings by `training.py`."""

from __future__ import annotations

from dataclasses import dataclass

from thinwire.common.codec import ValueCode
from thinwire.server.density import DensityRules
from thinwire.server.policy import CommitPolicy

# Each name that ever came keeps a row in the ledger.
KNOWN_PER_CONNECTED = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """How this training is run; see docs/configuration.md for each."""

    policy: CommitPolicy
    density_down: float = 0.1  # where `density` does not decide it
    density: DensityRules | None = None  # None is the plan's, for all and for ever
    values_down: ValueCode = ValueCode.LOG3
    denominator: str = "all"
    weights: str = "uniform"
    staleness: str = "none"
    staleness_power: float = 0.5
    server_learning_rate: float = 1.0
    server_momentum: float = 0.0
    server_optimizer: str = "sgd"
    server_momentum_every: int = 1
    server_beta2: float = 0.99
    server_tau: float = 1e-3
    mixing: str = "delta"
    taylor: float = 0.0  # lambda / (eta K) of server/lateness.py
    min_devices: int = 1
    max_known: int = 0  # names that the ledger has room for; 0 is any number
    max_commits: int = 0
    target_accuracy: float = 0.0
    patience: int = 2
    evaluate: bool = True
    evaluate_every: int = 1

    def sums(self, max_staleness: int) -> dict[str, float | str]:
        """What the state needs to know of these rules to do the same sums again."""
        sums: dict[str, float | str] = {
            "learning_rate": self.server_learning_rate,
            "momentum": self.server_momentum,
        }
        if self.server_optimizer != "sgd":
            sums |= {
                "name": self.server_optimizer, "every": self.server_momentum_every, "beta2": self.server_beta2,
                "tau": self.server_tau,
            }  # fmt: skip
        if self.mixing != "delta" or self.taylor:
            sums |= {"mixing": self.mixing, "bounded_taylor": self.taylor, "versions": max_staleness}
        return sums
