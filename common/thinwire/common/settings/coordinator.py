"""The coordinator's settings."""

from collections.abc import Iterator, Mapping
from typing import Any, Literal

import msgspec

from thinwire.common.errors import SettingsError
from thinwire.common.settings.algorithms import expanded
from thinwire.common.settings.conflicts import conflicts
from thinwire.common.settings.correction import Correction
from thinwire.common.settings.density import Density
from thinwire.common.settings.kinds import (
    Address,
    ClassPath,
    Count,
    CountOrNone,
    Decay,
    Duration,
    NotNegative,
    Omega,
    OptionalAddress,
    Positive,
    Section,
    Seed,
    Share,
    ShareAboveZero,
    Size,
)
from thinwire.common.settings.shared import Logs, Tls, refuse_plain_text


def _not_plain(value: object, key: str) -> Iterator[str]:
    """A sentence for each parameter that could not travel to the devices as JSON, such as a date."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield from _not_plain(item, f"{key}.{name}")
    elif isinstance(value, list):
        for place, item in enumerate(value):
            yield from _not_plain(item, f"{key}[{place}]")
    elif not isinstance(value, (bool, int, float, str)) or value in (float("inf"), float("-inf")) or value != value:
        yield f"{key} is {value}; it must be text, a finite number, true, false, a list or a table of these"


class Listen(Section, frozen=True, kw_only=True):
    """Where devices, operators and Prometheus reach the coordinator."""

    # Devices and `thinwire status` dial this.
    address: Address = "127.0.0.1:8470"
    # Prometheus metrics and health checks; "" is off.
    metrics: OptionalAddress = "127.0.0.1:9470"
    # Allow plain text beyond this machine.
    insecure: bool = False


class TaskChoice(Section, frozen=True, kw_only=True):
    """What is trained."""

    # Id of a built-in task, or of one in [tasks].
    id: str = "watch"
    # What the task's constructor takes, by name.
    params: dict[str, object] = msgspec.field(default_factory=dict)
    # Seed of the first model.
    seed: Seed = 1

    def __post_init__(self) -> None:
        problems = tuple(_not_plain(self.params, "task.params"))
        if problems:
            raise SettingsError(*problems)


class Training(Section, frozen=True, kw_only=True):
    """How a device trains between two deltas."""

    # A method by name: it sets what is not set here, for example "fedavg"; docs/algorithms.md has what each one sets.
    algorithm: Literal[
        "thinwire", "fedavg", "fedprox", "scaffold", "fedadam", "fedyogi", "fedasync", "fedbuff", "dga", "fedavg-topk",
        "diloco-delayed", "dpga", "delayed-dynamic",
    ] = "thinwire"  # fmt: skip
    # Steps of the optimiser from one delta to the next.
    local_steps: Count = 10
    # Deltas that a device may have on their way, at most 256; when it is full, training goes on into the next one.
    window: Count = 8
    # Weight of a device's own pending deltas in the model that it trains: by name 0, 1/aggregation.min_devices, 1/2, 1;
    # or a number. 1/2 is stable for every delay of what is sent; what is not sent yet has a limit of its own, which
    # docs/algorithms.md tells.
    omega: Omega = 0.5
    # Train while deltas and commits travel; false waits for each answer.
    overlap: bool = True
    # Without overlap, what ends the wait: the commit that has the delta in it, or the word that it is accepted.
    waits_for: Literal["commit", "outcome"] = "commit"
    # When commits move the working model: when they come, or not before the delta under work is cut.
    rebase: Literal["at-once", "at-cut"] = "at-once"
    # The device's optimiser.
    optimizer: Literal["sgd", "adam"] = "sgd"
    # Its learning rate.
    learning_rate: Positive = 0.05
    # Its momentum; for "sgd".
    momentum: Decay = 0.0
    # Clear the momentum where a delta has carried its product away (DGC's factor masking).
    mask_momentum: bool = False
    # Pull of each step towards the published model (FedProx's mu); 0 is off.
    proximal: NotNegative = 0.0


class Aggregation(Section, frozen=True, kw_only=True):
    """How deltas become a commit."""

    # Commit after `buffer` deltas, after a round of `quorum`, or after each delta.
    mode: Literal["buffered", "sync", "async"] = "buffered"
    # Deltas in a commit; for "buffered". Fewer are enough when the connected devices' windows cannot hold so many.
    buffer: Count = 3
    # Share of the connected devices whose delta closes a round; for "sync".
    quorum: ShareAboveZero = 0.8
    # How long a round waits for its quorum; for "sync".
    deadline: Duration = 30.0
    # Average a coordinate over all devices, over those in the buffer, or over those that sent it; the last enlarges
    # what few have sent.
    denominator: Literal["covered", "all", "buffer"] = "all"
    # Add deltas as they are, or mix in the models that devices had: FedAsync's rule, which draws back to old versions.
    mixing: Literal["delta", "model"] = "delta"
    # Devices count the same, or by how many examples they have.
    weights: Literal["uniform", "examples"] = "uniform"
    # Whether an old delta counts less.
    staleness: Literal["none", "polynomial"] = "none"
    # Weight (1 + staleness) ** -power; for "polynomial".
    staleness_power: NotNegative = 0.5
    # Versions behind at which a delta is rejected.
    max_staleness: CountOrNone = 200
    # The coordinator's own optimiser; its gain goes into omega by itself.
    server_optimizer: Literal["sgd", "nesterov", "adam", "yogi"] = "sgd"
    # Its learning rate: the step of the model along the averaged delta.
    server_learning_rate: Positive = 1.0
    # Its momentum; for "adam" and "yogi" beta1.
    server_momentum: Decay = 0.0
    # Commits from one step of the momentum to the next; above 1 it is delayed Nesterov; for "nesterov".
    server_momentum_every: Count = 1
    # Memory of the squares; for "adam" and "yogi".
    server_beta2: Decay = 0.99
    # What is added to their root, and so the scale below which updates shrink; for "adam" and "yogi".
    server_tau: Positive = 0.001
    # Longest Euclidean norm of a delta; longer ones are scaled down; 0 is off.
    clip_norm: NotNegative = 0.0
    # A delta is rejected when its norm is so many times the median, over other devices, of the longest delta accepted
    # from each; or that of its statistics likewise. It takes two others. 0 is off.
    norm_guard: NotNegative = 100.0
    # Training starts when so many devices have subscribed.
    min_devices: Count = 1


class Limits(Section, frozen=True, kw_only=True):
    """What the coordinator never exceeds, whatever devices send."""

    # Devices connected at one time; over the whole training four times as many names are taken note of.
    max_devices: Count = 2000
    # Longest packed delta.
    max_delta_bytes: Size = 32 * 2**20
    # Memory for deltas that are still arriving, over all devices.
    staged_bytes: Size = 256 * 2**20

    def __post_init__(self) -> None:
        if self.staged_bytes < self.max_delta_bytes:
            raise SettingsError(
                f"limits.staged_bytes is {self.staged_bytes};"
                f" it must hold one delta of limits.max_delta_bytes = {self.max_delta_bytes}"
            )


class Stop(Section, frozen=True, kw_only=True):
    """When training is finished; without a limit it goes on until it is stopped."""

    # Accuracy of the evaluated model at which training is finished; 0 is none.
    target_accuracy: Share = 0.0
    # Commits after which training is finished; 0 is none.
    max_commits: CountOrNone = 0
    # Evaluations in a row that must be at or above the target.
    patience: Count = 2


class Evaluation(Section, frozen=True, kw_only=True):
    """The evaluator: a child process that runs the task's `evaluate` on the current model."""

    # Whether there is one.
    enabled: bool = True
    # Commits between two evaluations, at least.
    every_commits: Count = 1
    # Interpreter that runs it; "" is the coordinator's own.
    python: str = ""


class State(Section, frozen=True, kw_only=True):
    """What the coordinator keeps on disk: the journal, from which it goes on after any end, however sudden."""

    # Folder; "" is $STATE_DIRECTORY or ~/.local/state/thinwire, each with /coordinator; "none" keeps nothing.
    dir: str = ""
    # Journal between two checkpoints; it bounds how long a restart takes.
    checkpoint_every: Size = 128 * 2**20
    # Journal and checkpoints kept for rollback and audit; at least the two newest checkpoints are.
    keep: Size = 2**30
    # Share of its disk that stays free, at most 1 GiB, but room for the next checkpoint and commit: with less, old
    # history is given up, then no new delta and no new device is taken, and all else goes on; 0 is off.
    reserve: Share = 0.1


class CoordinatorSettings(Section, frozen=True, kw_only=True):
    """Everything that the coordinator can be told."""

    listen: Listen = Listen()
    tls: Tls = Tls()
    task: TaskChoice = TaskChoice()
    # Tasks of your own, id = "module:Class"; built-in ones are always known.
    tasks: dict[str, ClassPath] = msgspec.field(default_factory=dict)
    training: Training = Training()
    correction: Correction = Correction()
    density: Density = Density()
    aggregation: Aggregation = Aggregation()
    limits: Limits = Limits()
    state: State = State()
    stop: Stop = Stop()
    evaluation: Evaluation = Evaluation()
    logs: Logs = Logs()

    @classmethod
    def prepared(cls, table: Mapping[str, Any]) -> Mapping[str, Any]:
        """The file's tables, with what `training.algorithm` stands for."""
        return expanded(table)

    def __post_init__(self) -> None:
        refuse_plain_text("listen", self.listen.address, self.tls, self.listen.insecure)
        problems = tuple(conflicts(self))
        if problems:
            raise SettingsError(*problems)
        if self.stop.target_accuracy and not self.evaluation.enabled:
            raise SettingsError(
                f"stop.target_accuracy is {self.stop.target_accuracy}, but nothing measures accuracy;"
                " set evaluation.enabled = true, or stop.target_accuracy = 0"
            )
