"""A few plain steps of a task: enough to see that it can be learned."""

from collections.abc import Iterable

import torch

from thinwire.tasks import Task


def losses(task: Task, model: torch.nn.Module, batches: Iterable[object], lr: float) -> list[float]:
    """The loss of each batch, before the step that is taken on it."""
    optimiser = torch.optim.SGD(model.parameters(), lr=lr)
    found = []
    for batch in batches:
        optimiser.zero_grad()
        loss = task.loss(model, batch)
        loss.backward()
        optimiser.step()
        found.append(float(loss.detach()))
    return found
