"""One thread for torch, as in a trainer: sums are then the same on every machine, and small ones faster."""

import pytest
import torch


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    torch.set_num_threads(1)
