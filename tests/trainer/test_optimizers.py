"""The trainer's optimisers are torch.optim's, without what torch.optim imports."""

import subprocess
import sys

import pytest
import torch
from torch import Tensor

from thinwire.trainer.optimizers import optimizer

STEPS = 25


def walked(step: object, weight_P: Tensor, gradient_P: Tensor) -> Tensor:
    """Where a sequence of gradients leads."""
    draw = torch.Generator().manual_seed(7)
    for _ in range(STEPS):
        gradient_P.copy_(torch.randn(weight_P.shape, generator=draw) + 0.1 * weight_P.detach())
        step.step()  # type: ignore[attr-defined]  # ours or torch's
    return weight_P.detach().clone()


@pytest.mark.parametrize(("name", "momentum"), [("sgd", 0.0), ("sgd", 0.9), ("adam", 0.0)])
def test_each_step_is_that_of_torch(name: str, momentum: float) -> None:
    start_P = torch.randn(1000, generator=torch.Generator().manual_seed(1))
    ours_P, gradient_P = start_P.clone(), torch.zeros(1000)
    found_P = walked(optimizer(name, ours_P, gradient_P, 0.05, momentum), ours_P, gradient_P)

    theirs = torch.nn.Parameter(start_P.clone())
    theirs.grad = torch.zeros(1000)
    if name == "adam":
        reference: torch.optim.Optimizer = torch.optim.Adam([theirs], lr=0.05, foreach=False)
    else:
        reference = torch.optim.SGD([theirs], lr=0.05, momentum=momentum, foreach=False)
    wanted_P = walked(reference, theirs, theirs.grad)
    assert torch.equal(found_P, wanted_P)


def test_a_trainer_does_not_import_the_compiler() -> None:
    code = (
        "import sys, torch; from thinwire.trainer.optimizers import optimizer; "
        "optimizer('adam', torch.zeros(3), torch.ones(3), 0.1, 0.0).step(); "
        "sys.exit('torch._dynamo' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(("name", "momentum"), [("sgd", 0.9), ("adam", 0.0)])
def test_damped_coordinates_go_on_as_if_their_momentum_began_anew(name: str, momentum: float) -> None:
    ours_P, gradient_P = torch.zeros(4), torch.ones(4)
    step = optimizer(name, ours_P, gradient_P, 0.1, momentum)
    for _ in range(5):
        step.step()
    before_P = ours_P.clone()
    step.damp(torch.tensor([1, 3]))
    step.step()
    moved_P = before_P - ours_P
    assert moved_P[0] == moved_P[2] > moved_P[1] == moved_P[3] > 0
