"""Where a set of pictures is found on this machine, and how it is read. In this order, the first that is there:

1. the device's own data_dir: NAME.npz, or torchvision's layout, or the bare files
2. the cache that `thinwire data fetch` fills
3. torchvision's copy in ./data or ~/data: FashionMNIST/raw, MNIST/raw, cifar-10-batches-bin
4. Debian's dataset-fashion-mnist

A copy that is there but damaged is an error, not a reason to look further: two devices that silently read different
copies would be hard to tell apart. CIFAR-10's Python version is never read, for it is a pickle, and reading a pickle
runs whatever it says.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from thinwire.common.errors import TaskError
from thinwire.tasks.arrays import ArraySpec, read_arrays
from thinwire.tasks.cache import cached
from thinwire.tasks.catalogue import CATALOGUE, ImageSet
from thinwire.tasks.decode import CLASSES, MOST_PICTURES, Bytes, read_cifar_records, read_idx

DEBIAN = Path("/usr/share/datasets/fashion-mnist")
ARRAYS = ("train_image", "train_label", "test_image", "test_label")  # the order in which they are hashed


@dataclass(frozen=True, slots=True)
class Pictures:
    """A whole set: images as uint8 (N, C, H, W), labels as uint8 (N,)."""

    train_image: Bytes
    train_label: Bytes
    test_image: Bytes
    test_label: Bytes

    def __post_init__(self) -> None:
        for part in ("train", "test"):
            image_N, label_N = getattr(self, f"{part}_image"), getattr(self, f"{part}_label")
            if len(image_N) != len(label_N):
                raise TaskError(f"{len(image_N)} {part} pictures, but {len(label_N)} labels")
            if len(label_N) == 0 or label_N.max() >= CLASSES:
                raise TaskError(f"the {part} labels are not all from 0 to {CLASSES - 1}, or there are none")


Reader = Callable[[ImageSet, Path], Pictures]


@functools.lru_cache(maxsize=2)
def find(name: str, data_dir: Path | None = None) -> Pictures:
    """Read a set of the catalogue from the first place that has it; raise TaskError if none has."""
    wanted = CATALOGUE[name]
    for read, path in _places(wanted, data_dir):
        if path.exists():
            try:
                return read(wanted, path)
            except (TaskError, OSError) as error:
                raise TaskError(f"{wanted.name} in {path}: {error}") from error
    raise TaskError(_nowhere(wanted, data_dir))


def read_npz(wanted: ImageSet, path: Path) -> Pictures:
    """Read a file that `thinwire data fetch` has written."""
    most = MOST_PICTURES * int(np.prod(wanted.shape))
    specs = {name: ArraySpec("uint8", (None, *wanted.shape) if "image" in name else (None,), most) for name in ARRAYS}
    return Pictures(**read_arrays(path, specs))


def read_idx_folder(wanted: ImageSet, first: Path) -> Pictures:
    """Read the four IDX files, of which `first` is the training pictures."""

    def part(name: str) -> tuple[Bytes, Bytes]:
        image_NHW = read_idx(_beside(first, f"{name}-images-idx3-ubyte"), wanted.shape[1:])
        return image_NHW[:, None], read_idx(_beside(first, f"{name}-labels-idx1-ubyte"), ())

    return Pictures(*part("train"), *part("t10k"))


def read_cifar_folder(wanted: ImageSet, first: Path) -> Pictures:
    """Read CIFAR-10's binary version, of which `first` is the first training file."""
    parts = [read_cifar_records(first.with_name(f"data_batch_{number}.bin")) for number in range(1, 6)]
    image_N, label_N = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return Pictures(image_N, label_N, *read_cifar_records(first.with_name("test_batch.bin")))


def _places(wanted: ImageSet, data_dir: Path | None) -> Iterator[tuple[Reader, Path]]:
    if data_dir is not None:
        yield read_npz, data_dir / f"{wanted.name}.npz"
        for folder in (_torchvision(wanted, data_dir), data_dir / wanted.name, data_dir):
            yield from _raw(wanted, folder)
    yield read_npz, cached(wanted.name)
    for root in torchvision_roots():
        yield from _raw(wanted, _torchvision(wanted, root))
    if wanted.name == "fashion-mnist":
        yield from _raw(wanted, DEBIAN)


def torchvision_roots() -> tuple[Path, ...]:
    """Where people let torchvision keep its sets: it has no place of its own, but its examples all say ./data."""
    return Path("data"), Path.home() / "data"


def _torchvision(wanted: ImageSet, root: Path) -> Path:
    return root / wanted.torchvision if wanted.name == "cifar10" else root / wanted.torchvision / "raw"


def _raw(wanted: ImageSet, folder: Path) -> Iterator[tuple[Reader, Path]]:
    if wanted.name == "cifar10":
        yield read_cifar_folder, folder / "data_batch_1.bin"
    else:
        yield read_idx_folder, folder / "train-images-idx3-ubyte"
        yield read_idx_folder, folder / "train-images-idx3-ubyte.gz"


def _beside(first: Path, name: str) -> Path:
    # torchvision leaves both the .gz and the unpacked file; other copies have one or the other.
    plain = first.with_name(name)
    return plain if plain.exists() else first.with_name(f"{name}.gz")


def _nowhere(wanted: ImageSet, data_dir: Path | None) -> str:
    looked = [str(path.parent) for _, path in _places(wanted, data_dir)]
    lines = [
        f"{wanted.name} is not on this machine; `thinwire data fetch {wanted.name}` gets it",
        f"(looked in {', '.join(dict.fromkeys(looked))})",
    ]
    pickles = [root / "cifar-10-batches-py" for root in (data_dir, *torchvision_roots()) if root is not None]
    lines += [
        f"{pickle} is a pickle: reading it would run whatever it says, so it is not read; the binary version, "
        "a folder cifar-10-batches-bin beside it, would be"
        for pickle in pickles
        if wanted.name == "cifar10" and pickle.exists()
    ]
    return "\n".join(lines)
