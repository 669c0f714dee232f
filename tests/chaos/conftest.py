"""Tests may import the mutants beside them: with pytest's importlib mode their own folder is not on the path."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
