"""Tests see no data set of the machine they run on: neither its cache, nor its home, nor Debian's copy."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from thinwire.tasks import images, pictures

# So that tests may import `crafted`: with pytest's importlib mode their own folder is not on the path.
sys.path.insert(0, str(Path(__file__).parent))

# Models this small lose more to a second thread than they gain, above all on a busy machine.
torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _bare_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / "cache"))
    monkeypatch.chdir(home)
    monkeypatch.setattr(pictures, "DEBIAN", home / "usr")
    forget_pictures()
    yield
    forget_pictures()


def forget_pictures() -> None:
    for cached in (pictures.find, images._shards, images._test_examples):
        cached.cache_clear()
