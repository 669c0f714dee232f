"""Methods by name: what `training.algorithm` fills in where the user has set nothing. Papers: docs/algorithms.md.

A name is no mode of its own: it expands to keys that exist anyway, `thinwire config show` prints them, and whatever is
set beside the name stays as it is set.
"""

from collections.abc import Mapping
from typing import Any

_DENSE = {"density.up": 1.0, "density.down": 1.0, "density.values": "fp32", "density.values_down": "fp32"}
_ROUNDS = {"aggregation.mode": "sync", "aggregation.quorum": 1.0}
# Train, send, wait for the new model, begin anew on it.
_TURNS = {"training.overlap": False, "training.rebase": "at-cut"}
_FEDAVG = {
    **_DENSE, **_ROUNDS, **_TURNS, "aggregation.denominator": "buffer", "aggregation.weights": "examples",
}  # fmt: skip
_ADAPTIVE = {"aggregation.server_learning_rate": 0.03, "aggregation.server_momentum": 0.9}
# Without rounds: whoever is done is taken, weighted by how late it comes.
_ASYNC = {
    **_DENSE, **_TURNS, "aggregation.denominator": "buffer", "aggregation.weights": "uniform",
    "aggregation.staleness": "polynomial", "aggregation.staleness_power": 0.5, "training.waits_for": "outcome",
}  # fmt: skip

ALGORITHMS: Mapping[str, Mapping[str, object]] = {
    "thinwire": {},
    "fedavg": _FEDAVG,
    "fedprox": {**_FEDAVG, "training.proximal": 0.1},
    "scaffold": {
        **_FEDAVG, "aggregation.weights": "uniform", "correction.drift": 1.0, "correction.drift_memory": 0.0,
    },
    "fedadam": {**_FEDAVG, **_ADAPTIVE, "aggregation.server_optimizer": "adam"},
    "fedyogi": {**_FEDAVG, **_ADAPTIVE, "aggregation.server_optimizer": "yogi"},
    "fedasync": {
        **_ASYNC, "aggregation.mode": "async", "aggregation.mixing": "model", "aggregation.server_learning_rate": 0.6,
    },
    "fedbuff": {
        **_ASYNC, "aggregation.mode": "buffered", "training.omega": "overwrite",
    },
    "dga": {**_DENSE, **_ROUNDS, "training.omega": "dga"},
    "fedavg-topk": {
        **_ROUNDS, **_TURNS, "density.up": 0.05, "density.down": 0.1, "aggregation.denominator": "buffer",
        "aggregation.weights": "examples",
    },
    "diloco-delayed": {
        **_DENSE, **_ROUNDS, "training.window": 1, "correction.merge": "mix", "correction.mix": 0.5,
        "aggregation.denominator": "buffer", "aggregation.server_optimizer": "nesterov",
        "aggregation.server_learning_rate": 0.7, "aggregation.server_momentum": 0.9,
    },
    "dpga": {
        **_ROUNDS, "training.omega": "dga", "correction.residual": "keep", "density.selection": "mask",
        "density.values": "fp16", "density.values_down": "fp16",
    },
    "delayed-dynamic": {
        "training.omega": "half", "correction.residual": "release", "density.selection": "top",
        "density.policy": "temporal",
    },
}  # fmt: skip


def yielding(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """`base` without the keys that an algorithm named in `changes` sets, which beside it are mere defaults."""
    taken = set_by(changes)
    return {
        section: {key: value for key, value in keys.items() if f"{section}.{key}" not in taken}
        if isinstance(keys, dict)
        else keys
        for section, keys in base.items()
    }


def set_by(table: Mapping[str, Any]) -> set[str]:
    """The keys, as "section.key", that the algorithm named in these tables sets."""
    return set(_named(table))


def expanded(table: Mapping[str, Any]) -> dict[str, Any]:
    """The tables of a settings file, with those keys set that its algorithm sets and the file does not."""
    filled = dict(table)
    for dotted, value in _named(table).items():
        section, key = dotted.split(".")
        present = filled.get(section, {})
        # What is no section is told as a problem when it is read.
        if isinstance(present, dict):
            filled[section] = {key: value, **present}
    return filled


def _named(table: Mapping[str, Any]) -> Mapping[str, object]:
    training = table.get("training")
    name = training.get("algorithm") if isinstance(training, dict) else None
    return ALGORITHMS.get(name, {}) if isinstance(name, str) else {}
