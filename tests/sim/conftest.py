"""One thread for torch, as in a trainer: sums are then the same on every machine, and small ones faster.

Tests may import the story beside them: with pytest's importlib mode their own folder is not on the path.
"""

import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    torch.set_num_threads(1)
