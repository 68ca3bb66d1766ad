"""Make data/embedded: the first images of each class of MNIST, Fashion-MNIST and CIFAR-10, lossless.

    python data/make_embedded.py [--archives FOLDER] [--into FOLDER]

`--archives` is a folder that holds the archives that data/datasets.yaml names; without it they are fetched as
`deepphenomena.datasets` fetches them. Either way the canonical files inside are compared with their published
checksums. The rule: of each class take the first k images in canonical order, and go through the classes in turn.
Image i is thus number i // 10 of class i % 10, and the labels need no file.

A second run writes the same bytes (with the same libwebp; another one may pack the same pixels otherwise). At the end
the pixels are compared with the checksums in datasets.yaml; where these differ, the ones to write there are printed.
"""

import argparse
import hashlib
import io
import os
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from deepphenomena.datasets import catalogue
from deepphenomena.datasets._arrays import Arrays, tiles
from deepphenomena.datasets._complete import fetched
from deepphenomena.runtime import paths

SIZES = {
    "mnist": {"train": 10_000, "test": 2_000},
    "fashion_mnist": {"train": 10_000, "test": 2_000},
    "cifar10": {"train": 5_000, "test": 1_000},
}
COLUMNS = {28: 100, 32: 50}  # of a grid, by the images' width
CIFAR_BATCH = 2_500  # images in one file, to keep each file small


def balanced(arrays: Arrays, size: int) -> np.ndarray:
    """The first size / 10 images of each class, the classes in turn."""
    first = [np.flatnonzero(arrays.labels == label)[: size // 10] for label in range(10)]
    return arrays.images[np.stack(first, axis=1).ravel()]


def grid(images: np.ndarray) -> np.ndarray:
    """The inverse of `tiles`, with the columns that COLUMNS gives."""
    n, height, width, channels = images.shape
    columns = COLUMNS[width]
    rows = images.reshape(n // columns, columns, height, width, channels).swapaxes(1, 2)
    return rows.reshape(n // columns * height, columns * width, channels)


def packed(images: np.ndarray) -> bytes:
    """A lossless WebP of the grid of images. Slower methods gain less than one per cent."""
    picture = grid(images)
    stream = io.BytesIO()
    Image.fromarray(np.broadcast_to(picture, (*picture.shape[:2], 3))).save(
        stream, "WEBP", lossless=True, quality=100, method=4
    )
    unpacked = np.asarray(Image.open(io.BytesIO(stream.getvalue())))[..., : images.shape[-1]]
    if not np.array_equal(tiles(unpacked, *images.shape[1:3]), images):
        raise SystemExit("WebP did not give the pixels back unchanged; use another libwebp")
    return stream.getvalue()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--archives", type=Path, help="a folder with the archives")
    parser.add_argument("--into", type=Path, default=paths.data() / "embedded", help="where to write")
    options = parser.parse_args()
    options.into.mkdir(parents=True, exist_ok=True)
    total, as_declared = 0, True
    for name, sizes in SIZES.items():
        entry = catalogue()[name]
        served = fetched(name, entry, options.archives, looked=[])
        for split, size in sizes.items():
            images = balanced(served.splits[split], size)
            batches = np.split(images, size // CIFAR_BATCH) if name == "cifar10" and split == "train" else [images]
            made = {}
            for number, batch in enumerate(batches, start=1):
                file = options.into / (f"{name}_{split}_{number}.webp" if len(batches) > 1 else f"{name}_{split}.webp")
                content = packed(batch)
                beside = file.with_name(f".{file.name}")
                beside.write_bytes(content)
                os.replace(beside, file)
                made[file.name] = hashlib.sha256(np.ascontiguousarray(batch)).hexdigest()
                total += len(content)
                print(f"{file.name}: {len(batch)} images, {len(content)} bytes, from {served.source}")
            declared = entry.embedded.get(split)
            if declared is None or (declared.size, declared.files) != (size, made):
                as_declared = False
                print(f"{name}, embedded, {split}: size {size}, files {made}")
    print(f"{total} bytes in all")
    if not as_declared:
        sys.exit("data/datasets.yaml declares other embedded files; write there what is printed above")


if __name__ == "__main__":
    main()
