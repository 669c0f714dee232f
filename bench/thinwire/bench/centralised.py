"""What could a task reach if nothing had to be sent? Dense training in one place, the yardstick of other figures.

`run` pools the data of all devices: one model, plain SGD, batches mixed from all of them. `run_averaged` keeps
the devices apart, lets each take some local steps from the common model, and averages the results dense: what
a perfect network would give federated training. Neither has a wire, so neither knows density or staleness.

    python -m thinwire.bench.centralised watch --steps 1200
    python -m thinwire.bench.centralised watch --rounds 120 --local-steps 10 --json
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

import click
import torch
from torch import Tensor, nn

from thinwire.tasks import Batch, DeviceInfo, Task, load_task


@dataclass(frozen=True, slots=True)
class Row:
    """One measurement: after `steps` optimiser steps in all (of one device, where devices are apart)."""

    steps: int
    accuracy: float
    loss: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """How to train, and how often to look."""

    lr: float = 0.05
    momentum: float = 0.0
    seed: int = 0
    devices: int = 10
    every: int = 100  # steps (or rounds) from one measurement to the next

    def optimiser(self, model: nn.Module) -> torch.optim.SGD:
        """Make this training's optimiser for a model."""
        return torch.optim.SGD(model.parameters(), lr=self.lr, momentum=self.momentum)


def run(
    task_id: str, steps: int, training: Training | None = None, params: Mapping[str, object] | None = None
) -> list[Row]:
    """Train on the pooled data of all devices; measure every `training.every` steps and at the end."""
    training = training or Training()
    task, model = _start(task_id, params, training.seed)
    optimiser = training.optimiser(model)
    stream = mixed(_streams(task, training), training.seed)
    rows = []
    for step in range(1, steps + 1):
        _step(task, model, optimiser, next(stream))
        if step % training.every == 0 or step == steps:
            rows.append(_measured(task, model, step))
    return rows


def run_averaged(
    task_id: str,
    rounds: int,
    local_steps: int,
    training: Training | None = None,
    params: Mapping[str, object] | None = None,
) -> list[Row]:
    """Train devices apart and average their models each round; `steps` counts one device's."""
    training = training or Training()
    task, model = _start(task_id, params, training.seed)
    streams = _streams(task, training)
    rows = []
    for number in range(1, rounds + 1):
        common = _state(model)
        ends = [_local(task, model, common, itertools.islice(stream, local_steps), training) for stream in streams]
        _restore(model, {name: torch.stack([end[name].float() for end in ends]).mean(0) for name in common})
        if number % training.every == 0 or number == rounds:
            rows.append(_measured(task, model, number * local_steps))
    return rows


def mixed(streams: Sequence[Iterator[Batch]], seed: int) -> Iterator[Batch]:
    """Mix batches of all devices example by example, if they are tuples of tensors; else take turns."""
    draw = torch.Generator().manual_seed(seed)
    while True:
        turn = [next(stream) for stream in streams]
        yield from _shuffled(turn, draw) if all(map(_is_of_tensors, turn)) else turn


def _is_of_tensors(batch: Batch) -> bool:
    return isinstance(batch, tuple) and all(isinstance(part, Tensor) for part in batch)


def _shuffled(turn: list[Batch], draw: torch.Generator) -> list[Batch]:
    pooled = [torch.cat(parts) for parts in zip(*turn, strict=True)]
    order = torch.randperm(len(pooled[0]), generator=draw).chunk(len(turn))
    return [tuple(part[chosen] for part in pooled) for chosen in order]


def _start(task_id: str, params: Mapping[str, object] | None, seed: int) -> tuple[Task, nn.Module]:
    task = load_task(task_id, params or {})
    torch.manual_seed(seed)
    return task, task.model()


def _streams(task: Task, training: Training) -> list[Iterator[Batch]]:
    return [
        task.batches(DeviceInfo(f"device-{shard}", shard, training.devices, training.seed))
        for shard in range(training.devices)
    ]


def _step(task: Task, model: nn.Module, optimiser: torch.optim.SGD, batch: Batch) -> None:
    optimiser.zero_grad()
    task.loss(model, batch).backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
    optimiser.step()


def _local(
    task: Task, model: nn.Module, common: dict[str, Tensor], batches: Iterator[Batch], training: Training
) -> dict[str, Tensor]:
    _restore(model, common)
    optimiser = training.optimiser(model)
    for batch in batches:
        _step(task, model, optimiser, batch)
    return _state(model)


def _state(model: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def _restore(model: nn.Module, state: Mapping[str, Tensor]) -> None:
    model.load_state_dict(state)


def _measured(task: Task, model: nn.Module, steps: int) -> Row:
    measures = task.evaluate(model)
    model.train()
    return Row(steps, measures["accuracy"], measures.get("loss"))


@click.command()
@click.argument("task")
@click.option("--steps", default=1200, show_default=True, help="Optimiser steps on the pooled data.")
@click.option("--rounds", default=0, help="Average devices in so many rounds instead of pooling.")
@click.option("--local-steps", default=10, show_default=True, help="Steps of each device in a round.")
@click.option("--lr", default=0.05, show_default=True)
@click.option("--momentum", default=0.0, show_default=True)
@click.option("--seed", default=0, show_default=True)
@click.option("--devices", default=10, show_default=True)
@click.option("--every", default=100, show_default=True, help="Steps or rounds between measurements.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def main(task: str, steps: int, rounds: int, local_steps: int, as_json: bool, **settings: float) -> None:
    """Train TASK densely in one place and print its accuracy on the way."""
    training = Training(**settings)  # type: ignore[arg-type]  # click has converted each by its default's type
    rows = run_averaged(task, rounds, local_steps, training) if rounds else run(task, steps, training)
    for row in rows:
        click.echo(json.dumps(asdict(row)) if as_json else _line(row))


def _line(row: Row) -> str:
    loss = "" if row.loss is None else f"   loss {row.loss:.4f}"
    return f"{row.steps:7d} steps   accuracy {row.accuracy:.4f}{loss}"


if __name__ == "__main__":
    main()
