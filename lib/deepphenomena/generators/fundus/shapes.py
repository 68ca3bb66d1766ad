"""Gaussian spots and curved lines, and their rendering to pixels.

Positions and lengths are in units of the radius of the field of view, x to the right and y down, both from -1 to 1.
"""

from typing import NamedTuple

import jax.numpy as jnp

from deepphenomena.runtime.arrays import Array


class Spots(NamedTuple):
    """Gaussian spots, each array (spots,): center, half-axes, direction of the first, and depth between 0 and 1."""

    x: Array
    y: Array
    long: Array
    short: Array
    angle: Array
    depth: Array


class Lines(NamedTuple):
    """Piecewise linear curves: points (curves, points), half-width at the start of each curve, and depth."""

    x: Array
    y: Array
    width: Array
    depth: Array


def grid(pixels):
    """Return x as a row and y as a column of pixel centers."""
    axis = (jnp.arange(pixels) + 0.5) * (2 / pixels) - 1
    return axis[None, :], axis[:, None]


def enlarged(spots: Spots, times) -> Spots:
    """Return the spots at `times` their size."""
    return spots._replace(long=times * spots.long, short=times * spots.short)


def draw_spots(spots: Spots, pixels):
    """Return the depth of the spots at each pixel, (pixels, pixels), between 0 and 1.

    A spot smaller than a pixel is spread over it, with proportionally less depth.
    """
    x, y = grid(pixels)
    x, y = x[..., None] - spots.x, y[..., None] - spots.y
    along, across = (
        x * jnp.cos(spots.angle) + y * jnp.sin(spots.angle),
        y * jnp.cos(spots.angle) - x * jnp.sin(spots.angle),
    )
    blur = (1 / pixels) ** 2
    long, short = spots.long**2 + blur, spots.short**2 + blur
    depth = spots.depth * spots.long * spots.short / jnp.sqrt(long * short)
    return 1 - jnp.prod(1 - depth * jnp.exp(-(along**2 / long + across**2 / short) / 2), -1)


def draw_lines(lines: Lines, pixels):
    """Return the depth of the curves at each pixel, (pixels, pixels): a Gaussian profile that tapers to half width."""
    x, y = (axis[..., None, None] for axis in grid(pixels))
    start_x, start_y = lines.x[:, :-1], lines.y[:, :-1]
    along_x, along_y = jnp.diff(lines.x), jnp.diff(lines.y)
    share = (x - start_x) * along_x + (y - start_y) * along_y
    share = jnp.clip(share / (along_x**2 + along_y**2), 0, 1)
    squared = (x - start_x - share * along_x) ** 2 + (y - start_y - share * along_y) ** 2
    width = lines.width[:, None] * jnp.linspace(1, 0.5, lines.x.shape[1] - 1)
    blurred = width**2 + (1 / pixels) ** 2
    depth = lines.depth[:, None] * width / jnp.sqrt(blurred) * jnp.exp(-squared / (2 * blurred))
    return 1 - jnp.prod(1 - jnp.max(depth, -1), -1)


def overlay(image, colour, depth):
    """Blend a color over the image."""
    return image + depth[..., None] * (colour - image)
