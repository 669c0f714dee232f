"""Tests may import `agent_story`: with pytest's importlib mode their own folder is not on the path."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from agent_story import Story  # the line above makes it possible


@pytest.fixture
def story() -> Story:
    return Story()
