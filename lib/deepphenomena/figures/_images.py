"""Images: pictures, each below its title."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
from numpy.typing import ArrayLike

from deepphenomena.figures import _show
from deepphenomena.figures._theme import FACET, theme
from deepphenomena.runtime.errors import InputError

_ALONE = 14  # points, the title of a sheet as wide as the column: on a phone it shrinks with the picture


def images(sheets: Mapping[str, ArrayLike], *, alt: str, caption: str, columns: int | None = None) -> None:
    """Show pictures side by side, without interpolation.

    Args:
        sheets: {title: array}, gray (height, width) or color (height, width, 3), 0 to 1 or uint8 from 0 to 255.
        alt, caption: as for `lines`.
        columns: pictures per row; by default, up to three.

    Raises:
        InputError: an empty alt or caption, no picture, or a picture of another shape.

    Example:
        >>> images(
        ...     {"digits": np.zeros((28, 280))}, alt="Ten handwritten digits.", caption="The first ten digits of MNIST."
        ... )  # doctest: +SKIP
    """
    call = "figures.images"
    _show.require_words(call, alt, caption)
    if not sheets:
        raise InputError(f"{call} was given no sheet: give {{title: array}} with at least one")
    pictures = {title: np.asarray(sheet) for title, sheet in sheets.items()}
    for title, picture in pictures.items():
        if picture.ndim not in (2, 3) or picture.shape[2:] not in ((), (3,)) or 0 in picture.shape:
            raise InputError(
                f"{call} was given '{title}' of shape {picture.shape}: give (height, width) or (height, width, 3)"
            )
    theme()
    columns = columns or min(3, len(pictures))
    rows = -(-len(pictures) // columns)
    width = 2 * FACET[0] / columns
    tallest = max(picture.shape[0] / picture.shape[1] for picture in pictures.values())
    size = (2 * FACET[0], rows * (width * min(tallest, 2) + 0.3))
    figure, grid = plt.subplots(rows, columns, figsize=size, squeeze=False)
    for axis in grid.flat:
        axis.set_axis_off()
    for axis, (title, picture) in zip(grid.flat, pictures.items(), strict=False):
        whole = picture if picture.dtype == np.uint8 else np.round(255 * picture.clip(0, 1)).astype(np.uint8)
        axis.imshow(whole, cmap="gray", vmin=0, vmax=255, interpolation="none")
        axis.set_title(title, fontsize=_ALONE if columns == 1 else None)
    _show.show(figure, alt=alt, caption=caption)
