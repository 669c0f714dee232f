"""The methods of the delayed table, and our arm with one part changed at a time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Method:
    """A method and its settings, as in a scenario file."""

    name: str
    settings: str
    # Synchronous and dense: what is learned does not depend on the link, only when.
    lockstep: bool = False
    dense: bool = True
    overlaps: bool = False
    drifts: bool = False  # with the drift correction, as strong as its window bears


# Each method has the better of two learning rates on the first seed, this one and half of it; the server of fedadam and
# fedyogi the best of four. The drift correction and the rate of our arm were chosen on seeds 7 and 8.
LEARNING_RATE = 0.1
SLOWER = f"training.learning_rate = {LEARNING_RATE / 2}"
SERVER = "aggregation.server_learning_rate = 0.01"
DRIFT = 0.25
METHODS: Mapping[str, Method] = {
    method.name: method
    for method in (
        Method("fedavg", f'training.algorithm = "fedavg"\n{SLOWER}', lockstep=True),
        Method("fedprox", f'training.algorithm = "fedprox"\n{SLOWER}', lockstep=True),
        Method("scaffold", f'training.algorithm = "scaffold"\n{SLOWER}', lockstep=True),
        Method("fedadam", f'training.algorithm = "fedadam"\n{SLOWER}\n{SERVER}', lockstep=True),
        Method("fedyogi", f'training.algorithm = "fedyogi"\n{SLOWER}\n{SERVER}', lockstep=True),
        Method("fedasync", 'training.algorithm = "fedasync"'),
        Method("fedbuff", 'training.algorithm = "fedbuff"\naggregation.buffer = 3'),
        Method("dga", 'training.algorithm = "dga"', overlaps=True),
        Method("diloco-delayed", 'training.algorithm = "diloco-delayed"', overlaps=True),
        Method("fedavg-topk", 'training.algorithm = "fedavg-topk"', dense=False),
        Method("dpga", 'training.algorithm = "dpga"\ndensity.up = 0.1\ndensity.down = 0.1', dense=False, overlaps=True),
        Method(
            "delayed-dynamic",
            f'training.algorithm = "delayed-dynamic"\n{SLOWER}\ndensity.max = 0.1\ndensity.ladder = [0.1, 0.05, 0.02]',
            dense=False,
            overlaps=True,
            drifts=True,
        ),
    )
}
# What makes the targets, at the first of the two rates for every run.
REFERENCE = Method("fedavg", 'training.algorithm = "fedavg"', lockstep=True)
OURS = "delayed-dynamic"
_OURS = METHODS[OURS].settings


def _without(what: str, settings: str, *, overlaps: bool = True, drifts: bool = True) -> Method:
    return Method(what, f"{_OURS}\n{settings}", dense=False, overlaps=overlaps, drifts=drifts)


# Our arm with one part changed or switched off, all else as it is; without the drift correction where it cannot be.
ABLATIONS: Mapping[str, Method] = {
    method.name: method
    for method in (
        _without("omega-overwrite", 'training.omega = "overwrite"', drifts=False),
        _without("omega-dga", 'training.omega = "dga"'),
        _without("residual-keep", 'correction.residual = "keep"'),
        _without("drift-off", "", drifts=False),
        _without("rate-fixed", 'density.policy = "fixed"\ndensity.up = 0.05\ndensity.down = 0.1'),
        _without("values-fp32", 'density.values = "fp32"\ndensity.values_down = "fp32"'),
        _without("down-dense", "density.down = 1.0"),
        _without("no-overlap", "training.overlap = false", overlaps=False),
        _without(
            "server-yogi",
            'aggregation.server_optimizer = "yogi"\naggregation.server_learning_rate = 0.01\n'
            "aggregation.server_momentum = 0.9",
            drifts=False,
        ),
    )
}
DENSE_SYNCHRONOUS = tuple(name for name, method in METHODS.items() if method.lockstep)
