"""Make `tasks/thinwire/tasks/data/omniglot_small.npz` from the two small background sets of Omniglot.

    python tools/convert_omniglot.py images_background_small1.zip images_background_small2.zip

The zips are those of github.com/brendenlake/omniglot, folder `python`. Two alphabets are in both, and are taken once.
A drawing of 105x105 is made 28x28: each pixel is the ink in its part of the drawing, 0 none to 255 all.
The same zips give the same file, byte for byte.
"""

from __future__ import annotations

import io
import sys
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

OUT = Path(__file__).parents[1] / "tasks/thinwire/tasks/data/omniglot_small.npz"
SIDE = 28
Drawings = dict[tuple[str, str, int], bytes]


def drawings(paths: list[Path]) -> Drawings:
    """Every drawing once: its PNG by alphabet, character and drawer."""
    found: Drawings = {}
    for path in paths:
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                if name.endswith(".png"):
                    _, alphabet, character, file = name.split("/")
                    png = archive.read(name)
                    if found.setdefault((alphabet, character, int(Path(file).stem[-2:])), png) != png:
                        raise SystemExit(f"{path}: {name} is another drawing in the other archive")
    return found


def ink(png: bytes) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """The share of ink in each of 28x28 parts of a drawing."""
    paper_HW = np.asarray(Image.open(io.BytesIO(png)).convert("1"))
    ink_HW = np.where(paper_HW, 0, 255).astype(np.uint8)
    return np.asarray(Image.fromarray(ink_HW).resize((SIDE, SIDE), Image.Resampling.BOX))


def main(paths: list[Path]) -> None:
    """Write the file and say what is in it."""
    found = drawings(paths)
    alphabets = sorted({alphabet for alphabet, _, _ in found})
    characters = sorted({(alphabet, character) for alphabet, character, _ in found})
    keys = sorted(found)
    np.savez_compressed(
        OUT,
        image=np.stack([ink(found[key]) for key in keys]),
        character=np.array([characters.index(key[:2]) for key in keys], np.int16),
        drawer=np.array([drawer for _, _, drawer in keys], np.int8),
        alphabet=np.array([alphabets.index(alphabet) for alphabet, _ in characters], np.int8),
        alphabets=np.array(alphabets),
    )
    print(f"{OUT}: {len(keys)} drawings of {len(characters)} characters, {len(alphabets)} alphabets")


if __name__ == "__main__":
    main([Path(argument) for argument in sys.argv[1:]])
