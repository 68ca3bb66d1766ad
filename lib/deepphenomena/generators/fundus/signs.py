"""Signs of disease, whose number depends on the grade, and drusen, which do not depend on it."""

import jax
import jax.numpy as jnp

from deepphenomena.generators.fundus.anatomy import PIECES
from deepphenomena.generators.fundus.randomness import between
from deepphenomena.generators.fundus.shapes import Lines, Spots

# (fewest, most) at each grade; an exudate here is a cluster of five spots.
_MICROANEURYSMS = ((0, 0), (1, 5), (4, 10), (6, 12), (6, 12))
_HAEMORRHAGES = ((0, 0), (0, 0), (1, 5), (8, 14), (4, 14))
_EXUDATES = ((0, 0), (0, 0), (0, 1), (0, 2), (0, 2))
_NEW_VESSELS = ((0, 0), (0, 0), (0, 0), (0, 0), (6, 6))


def _present(u, kind, grade, table, most):
    """Return (most,): 1 for the signs of a kind that are present at the grade, 0 for the others."""
    fewest, largest = jnp.asarray(table, jnp.float32)[grade]
    number = jnp.floor(fewest + u["counts"][kind] * (largest - fewest + 1))
    return (jnp.arange(most) < jnp.minimum(number, largest)).astype(jnp.float32)


def _scattered(radius, angle):
    """Return points uniform over a disc of radius 0.85 around the center."""
    radius, angle = 0.85 * jnp.sqrt(radius), 2 * jnp.pi * angle
    return radius * jnp.cos(angle), radius * jnp.sin(angle)


def bleeding(u, eye, grade) -> Spots:
    """Return microaneurysms, hemorrhages and, at grade 4, one large preretinal hemorrhage."""
    radius, angle, size, depth = u["microaneurysms"].reshape(4, 12)
    x, y = _scattered(radius, angle)
    size = between(size, 0.012, 0.022)
    present = _present(u, 0, grade, _MICROANEURYSMS, 12)
    small = Spots(x, y, size, size, jnp.zeros(12), present * between(depth, 0.6, 0.9))
    radius, angle, size, shape, turn, depth = u["haemorrhages"].reshape(6, 14)
    x, y = _scattered(radius, angle)
    size = between(size, 0.025, 0.06)
    present = _present(u, 1, grade, _HAEMORRHAGES, 14)
    blots = Spots(x, y, size, size * between(shape, 0.5, 1), jnp.pi * turn, present * between(depth, 0.5, 0.85))
    place, size, depth = u["pool"]
    x, y, pooled = eye.fovea_x + between(place, -0.3, 0.3), eye.fovea_y + 0.45, between(size, 0.1, 0.18)
    pool = Spots(x, y, pooled, pooled / 2, jnp.float32(0), (grade == 4) * between(depth, 0.4, 0.8))
    return jax.tree.map(lambda *parts: jnp.concatenate([jnp.atleast_1d(part) for part in parts]), small, blots, pool)


def exudates(u, eye, grade) -> Spots:
    """Return clusters of sharp pale yellow spots around the macula."""
    distance, angle = u["exudates"].reshape(2, 2)
    distance, angle = between(distance, 0.15, 0.5), 2 * jnp.pi * angle
    across, turn, size, depth = u["exudate_spots"].reshape(4, 2, 5)
    x = eye.fovea_x + (distance * jnp.cos(angle))[:, None] + 0.12 * jnp.sqrt(across) * jnp.cos(2 * jnp.pi * turn)
    y = eye.fovea_y + (distance * jnp.sin(angle))[:, None] + 0.12 * jnp.sqrt(across) * jnp.sin(2 * jnp.pi * turn)
    size = between(size, 0.012, 0.025)
    depth = _present(u, 2, grade, _EXUDATES, 2)[:, None] * between(depth, 0.4, 0.8)
    return jax.tree.map(jnp.ravel, Spots(x, y, size, size, jnp.zeros((2, 5)), depth))


def drusen(u, eye) -> Spots:
    """Return soft pale spots near the macula in one of three eyes, independent of the grade."""
    some, distance, angle, size, depth = u["drusen"].reshape(5, 8)
    distance, angle = between(distance, 0.05, 0.35), 2 * jnp.pi * angle
    x, y = eye.fovea_x + distance * jnp.cos(angle), eye.fovea_y + distance * jnp.sin(angle)
    size = between(size, 0.025, 0.05)
    present = (some[0] < 1 / 3) * (some > 0.15)
    return Spots(x, y, size, size, jnp.zeros(8), present * between(depth, 0.15, 0.35))


def new_vessels(u, eye, grade) -> Lines:
    """Return a tuft of fine winding vessels on and next to the disc."""
    angle, phase, length = u["tuft"].reshape(3, 6, 1)
    t = jnp.linspace(0, 1, PIECES + 1)
    along, across = between(length, 0.15, 0.35) * t, 0.04 * jnp.sin(2 * jnp.pi * (2 * t + phase))
    angle = 2 * jnp.pi * angle
    x = eye.disc_x + along * jnp.cos(angle) - across * jnp.sin(angle)
    y = eye.disc_y + along * jnp.sin(angle) + across * jnp.cos(angle)
    return Lines(x, y, jnp.full(6, 0.009), 0.7 * _present(u, 3, grade, _NEW_VESSELS, 6))
