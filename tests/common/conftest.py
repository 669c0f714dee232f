"""The codec's loops in C, compiled for the tests whatever was installed, and tests that run with and without them."""

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from thinwire.common.codec import native


@pytest.fixture(scope="session")
def build_loops() -> ModuleType:
    """The build script as a module; tools/ is no package."""
    script = Path(__file__).parents[2] / "tools/build_loops.py"
    spec = importlib.util.spec_from_file_location("build_loops", script)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def compiled(build_loops: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> native.Loops:
    """The loops of the source as it is now."""
    library = tmp_path_factory.mktemp("loops") / "loops.so"
    missing = build_loops.build(library, "-Wall", "-Wextra", "-Werror")
    if missing and missing.startswith(("there is no C compiler", "THINWIRE_NATIVE")):
        pytest.skip(missing)
    assert not missing
    return native.Loops(library)


@pytest.fixture(scope="module", params=["numpy", "native"])
def each_loops(request: pytest.FixtureRequest) -> Iterator[None]:
    """Run a module's tests with numpy's loops, then with those in C."""
    loops = request.getfixturevalue("compiled") if request.param == "native" else None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(native, "loops", loops)
        yield
