"""Tests may import the stories beside them: with pytest's importlib mode their own folder is not on the path."""

import random
import sys
from pathlib import Path

import pytest

from thinwire.sim.disk import SimFolder

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def folder() -> SimFolder:
    """The coordinator's folder on a simulated disk."""
    return SimFolder("coordinator", random.Random(0))
