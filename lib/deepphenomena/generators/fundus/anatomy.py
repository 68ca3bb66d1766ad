"""A healthy eye: disc, fovea, pigment and vessels, from uniform random numbers."""

from typing import NamedTuple

import jax.numpy as jnp

from deepphenomena.generators.fundus.randomness import between
from deepphenomena.generators.fundus.shapes import Lines, Spots, grid
from deepphenomena.runtime.arrays import Array

PIECES = 7  # straight pieces of a vessel


class Eye(NamedTuple):
    """Position and radius of the disc, position of the fovea, and direction from fovea to disc, 1 or -1."""

    disc_x: Array
    disc_y: Array
    disc_radius: Array
    fovea_x: Array
    fovea_y: Array
    side: Array


def anatomy_of(u) -> Eye:
    """Return the eye for the random numbers `u`."""
    side = jnp.where(u["side"][0] < 0.5, -1.0, 1.0)
    x, y, radius = (
        between(u["disc"][0], 0.5, 0.66),
        between(u["disc"][1], -0.1, 0.1),
        between(u["disc"][2], 0.13, 0.17),
    )
    fovea = between(u["fovea"], jnp.array([-0.2, -0.05]), jnp.array([-0.05, 0.12]))
    return Eye(side * x, y, radius, side * fovea[0], fovea[1], side)


def retina(u, eye, pixels):
    """Return the pigment of the retina, darker at the macula."""
    x, y = grid(pixels)
    colour = between(u["pigment"], jnp.array([0.65, 0.28, 0.08]), jnp.array([0.9, 0.48, 0.22]))
    squared = (x - eye.fovea_x) ** 2 + (y - eye.fovea_y) ** 2
    dark = between(u["macula"][0], 0.3, 0.5) * jnp.exp(-squared / (2 * between(u["macula"][1], 0.1, 0.16) ** 2))
    return colour * (1 - dark[..., None])


def disc(u, eye) -> Spots:
    """Return a pale ellipse with a flat top, as two overlapping Gaussian spots."""
    stretch, pale = between(u["disc"][3], 0.8, 1.0), between(u["disc"][4], 0.6, 0.85)
    size = eye.disc_radius * jnp.array([0.8, 0.6])
    one = jnp.ones(2)
    return Spots(eye.disc_x * one, eye.disc_y * one, size, size * stretch, jnp.pi / 2 * one, pale * one)


def vessels(u, eye) -> Lines:
    """Return two pairs of arcades (artery and vein) around the macula and on the nasal side, and two branches."""
    t = jnp.linspace(0, 1, PIECES + 1)
    outward = jnp.array([-1.0, -1, -1, -1, 1, 1, 1, 1, -1, -1]) * eye.side
    upward = jnp.array([-1.0, -1, 1, 1, -1, -1, 1, 1, -1, 1])
    reach = jnp.array([1.5, 1.4, 1.5, 1.4, 0.6, 0.5, 0.6, 0.5, 1.0, 1.0]) * between(u["reach"], 0.9, 1.1)
    height = jnp.array([0.72, 0.6, 0.72, 0.6, 0.75, 0.6, 0.75, 0.6, 0.3, 0.3])
    bend = jnp.array([0.45] * 4 + [0.8] * 4 + [0.6] * 2)
    size, waves, phase = u["wiggle"].reshape(3, 10, 1)
    wiggle = between(size, 0.005, 0.03) * jnp.sin(2 * jnp.pi * (between(waves, 1, 3) * t + phase)) * (t > 0)
    x = eye.disc_x + outward[:, None] * reach[:, None] * t
    y = eye.disc_y + upward[:, None] * height[:, None] * t ** bend[:, None] + wiggle
    vein = jnp.array([0.0, 1] * 4 + [0, 0])
    return Lines(x, y, 0.014 + 0.006 * vein, 0.5 + 0.2 * vein)
