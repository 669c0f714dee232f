"""Tests may import `dyadic`: with pytest's importlib mode their own folder is not on the path."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
