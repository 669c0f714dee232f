"""The device agent's settings."""

import re

import msgspec

from thinwire.common.address import parse_address
from thinwire.common.errors import SettingsError
from thinwire.common.settings.kinds import (
    Address,
    ClassPath,
    Count,
    CountOrNone,
    Duration,
    OptionalAddress,
    Section,
    Seed,
)
from thinwire.common.settings.shared import Logs, Tls, refuse_plain_text

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}", re.ASCII)


class Coordinator(Section, frozen=True, kw_only=True):
    """Where the coordinator is."""

    # The device dials this; nothing ever dials the device.
    address: Address = "127.0.0.1:8470"
    # Allow plain text beyond this machine.
    insecure: bool = False


class Device(Section, frozen=True, kw_only=True):
    """Who this device is, and which part of the data it has."""

    # Its name, unique in the fleet: lower-case letters, digits, ".", "_" and "-", at most 63.
    name: str
    # Which part of a data set that is split among devices.
    shard: CountOrNone = 0
    # Into how many parts it is split.
    shards: Count = 1
    # Seed of this device's own choices, such as the order of its examples.
    seed: Seed = 0
    # Folder with this device's own data; "" when the task brings it.
    data_dir: str = ""

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise SettingsError(
                f'device.name is "{self.name[:80]}"; it must be 1 to 63 of a-z, 0-9, ".", "_" and "-",'
                " and begin with a letter or a digit"
            )
        if self.shard >= self.shards:
            raise SettingsError(f"device.shard is {self.shard}; it must be below device.shards = {self.shards}")


class Trainer(Section, frozen=True, kw_only=True):
    """The trainer: the child process that has torch."""

    # Interpreter that runs it; "" is the agent's own.
    python: str = ""
    # Threads that it computes with.
    threads: Count = 1


class Link(Section, frozen=True, kw_only=True):
    """How the device keeps its link, and comes back when it breaks."""

    # Longest wait before the first new attempt; each further wait doubles, with full jitter.
    backoff_base: Duration = 0.5
    # Longest wait before any attempt.
    backoff_cap: Duration = 60.0
    # Silence after which the link is probed.
    keepalive: Duration = 60.0

    def __post_init__(self) -> None:
        if self.backoff_cap < self.backoff_base:
            raise SettingsError(
                f"link.backoff_cap is {self.backoff_cap:g}s;"
                f" it must be at least link.backoff_base = {self.backoff_base:g}s"
            )


class State(Section, frozen=True, kw_only=True):
    """What the agent keeps on disk."""

    # Folder of what the device must not forget; "" is devices/NAME in $STATE_DIRECTORY, or else in
    # $XDG_STATE_HOME/thinwire, or else in ~/.local/state/thinwire; "none" keeps nothing beyond the agent's life.
    dir: str = ""
    # Deltas after which the residual, which is as large as the model, is saved; a large one less often.
    residual_every: Count = 30


class Metrics(Section, frozen=True, kw_only=True):
    """Prometheus metrics of the device."""

    # Where they are served, on this machine only; "" is off.
    address: OptionalAddress = ""

    def __post_init__(self) -> None:
        if self.address and not parse_address(self.address).is_loopback:
            raise SettingsError(
                f'metrics.address is "{self.address}"; a device serves metrics to itself only,'
                ' for example "127.0.0.1:9464" (the coordinator shows those of all devices)'
            )


class Exit(Section, frozen=True, kw_only=True):
    """When the agent ends by itself."""

    # End when the training is finished, rather than wait for the next one.
    when_finished: bool = False


class AgentSettings(Section, frozen=True, kw_only=True):
    """Everything that a device's agent can be told."""

    coordinator: Coordinator = Coordinator()
    tls: Tls = Tls()
    device: Device
    # Tasks of your own, id = "module:Class"; built-in ones are always known.
    tasks: dict[str, ClassPath] = msgspec.field(default_factory=dict)
    trainer: Trainer = Trainer()
    link: Link = Link()
    state: State = State()
    metrics: Metrics = Metrics()
    exit: Exit = Exit()
    logs: Logs = Logs()

    def __post_init__(self) -> None:
        refuse_plain_text("coordinator", self.coordinator.address, self.tls, self.coordinator.insecure)
