"""The random numbers of one eye: the count for each part, and its place in one array.

One draw for all parts compiles several times faster than one key per part.
"""

import jax
from jaxtyping import Float, Key

from deepphenomena.runtime.arrays import Array

_PARTS = {
    "side": 1, "disc": 5, "fovea": 2, "pigment": 3, "macula": 2, "wiggle": 3 * 10, "reach": 10, "counts": 4,
    "microaneurysms": 4 * 12, "haemorrhages": 6 * 14, "exudates": 2 * 2, "exudate_spots": 4 * 10, "drusen": 5 * 8,
    "tuft": 3 * 6, "pool": 3, "light": 4, "exposure": 4,
}  # fmt: skip


def draw_parts(key: Key[jax.Array, ""]) -> dict[str, Float[Array, " numbers"]]:
    """Draw uniform numbers in [0, 1) for every part of an eye."""
    uniform = jax.random.uniform(key, (sum(_PARTS.values()),))
    parts, start = {}, 0
    for name, size in _PARTS.items():
        parts[name] = uniform[start : start + size]
        start += size
    return parts


def between(uniform, low, high):
    """Scale numbers in [0, 1) to [low, high)."""
    return low + (high - low) * uniform
