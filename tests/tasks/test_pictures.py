"""Pictures are found where people keep them, in a fixed order, and never in a pickle."""

from pathlib import Path

import crafted
import numpy as np
import pytest

from thinwire.common.errors import TaskError
from thinwire.tasks import pictures
from thinwire.tasks.cache import cached
from thinwire.tasks.pictures import find

SMALL = 30


def save_npz(path: Path, made: pictures.Pictures) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, **{name: getattr(made, name) for name in pictures.ARRAYS})  # type: ignore[arg-type]


def test_each_place_is_looked_at_in_turn(tmp_path: Path) -> None:
    """Each new copy is put where it is found before those that are there."""
    data_dir = tmp_path / "device"

    def of_seed(seed: int) -> pictures.Pictures:
        return crafted.pictures(SMALL, seed=seed)

    steps = [
        lambda made: crafted.write_all(pictures.DEBIAN, crafted.idx_files(made, ".gz")),
        lambda made: crafted.write_all(Path("data/FashionMNIST/raw"), crafted.idx_files(made)),
        lambda made: save_npz(cached("fashion-mnist"), made),
        lambda made: crafted.write_all(data_dir, crafted.idx_files(made, ".gz")),
        lambda made: crafted.write_all(data_dir, crafted.idx_files(made)),
        lambda made: crafted.write_all(data_dir / "FashionMNIST" / "raw", crafted.idx_files(made)),
        lambda made: save_npz(data_dir / "fashion-mnist.npz", made),
    ]
    for seed, put in enumerate(steps):
        put(of_seed(seed))
        pictures.find.cache_clear()
        assert crafted.same(find("fashion-mnist", data_dir), of_seed(seed))


def test_torchvision_s_half_unpacked_folder_is_read() -> None:
    made = crafted.pictures(SMALL)
    packed, plain = crafted.idx_files(made, ".gz"), crafted.idx_files(made)
    some = {name: content for name, content in plain.items() if "images" in name}
    crafted.write_all(Path("data/MNIST/raw"), packed | some)
    assert crafted.same(find("mnist"), made)


def test_cifar_s_binary_version_is_read_in_order() -> None:
    made = crafted.pictures(50, (3, 32, 32))
    files = {
        f"data_batch_{part + 1}.bin": crafted.records(made.train_image[ten], made.train_label[ten])
        for part, ten in enumerate(np.split(np.arange(50), 5))
    }
    crafted.write_all(
        Path("data/cifar-10-batches-bin"),
        files | {"test_batch.bin": crafted.records(made.test_image, made.test_label)},
    )
    assert crafted.same(find("cifar10"), made)


def test_a_set_that_is_nowhere_names_the_command_that_gets_it() -> None:
    with pytest.raises(TaskError, match="mnist is not on this machine; `thinwire data fetch mnist` gets it"):
        find("mnist")


def test_the_pickled_version_is_never_read_and_the_error_says_why() -> None:
    folder = Path("data/cifar-10-batches-py")
    crafted.write_all(folder, {"data_batch_1": b"cos\nsystem\n(S'touch read'\ntR."})
    with pytest.raises(TaskError, match="thinwire data fetch cifar10` gets it") as refusal:
        find("cifar10")
    assert "cifar-10-batches-py is a pickle" in str(refusal.value)
    assert "cifar-10-batches-bin" in str(refusal.value)
    assert not Path("read").exists()


def test_a_damaged_copy_is_an_error_even_if_there_is_another() -> None:
    crafted.write_all(pictures.DEBIAN, crafted.idx_files(crafted.pictures(SMALL)))
    cached("fashion-mnist").parent.mkdir(parents=True)
    cached("fashion-mnist").write_bytes(b"damaged")
    with pytest.raises(TaskError, match="cannot be read as a data set"):
        find("fashion-mnist")


def test_a_missing_part_is_named() -> None:
    crafted.write_all(Path("data/MNIST/raw"), crafted.idx_files(crafted.pictures(SMALL)))
    Path("data/MNIST/raw/t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(TaskError, match=r"t10k-labels-idx1-ubyte\.gz: cannot be read"):
        find("mnist")


@pytest.mark.parametrize(("label_N", "message"), [
    (np.full(SMALL, 10, np.uint8), "train labels are not all from 0 to 9"),
    (np.zeros(SMALL - 1, np.uint8), "30 train pictures, but 29 labels"),
])  # fmt: skip
def test_labels_that_do_not_fit_are_refused(label_N: pictures.Bytes, message: str) -> None:
    files = crafted.idx_files(crafted.pictures(SMALL))
    files["train-labels-idx1-ubyte"] = crafted.idx(label_N)
    crafted.write_all(Path("data/MNIST/raw"), files)
    with pytest.raises(TaskError, match=message):
        find("mnist")
