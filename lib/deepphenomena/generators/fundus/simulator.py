"""A simulation of photographs of the back of the eye, with diabetic retinopathy of a known grade.

Nothing here is a photograph and no number learnt from it is a clinical one. It stands in for collections that cannot be
given away, in one respect: the label hangs on a few small local signs in a scene that is much the same in every image.

An eye has an optic disc with vessels that arch around the macula. The grade, 0 to 4, decides which signs are added, as
in the international scale (Wilkinson et al. 2003, "Proposed international clinical diabetic retinopathy and diabetic
macular edema disease severity scales"): 1, microaneurysms only; 2, more of them, with some haemorrhages and hard
exudates; 3, many haemorrhages; 4, new vessels at the disc and a large haemorrhage before the retina. What does not
depend on the grade: left or right eye, anatomy, pigment, drusen (pale spots of age, not of diabetes), illumination,
exposure, colour cast and noise.

Positions and lengths are in units of the field of view's radius, x to the right and y down, both from -1 to 1.
"""

import dataclasses
import functools
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from deepphenomena.generators.samples import Samples, keys_of
from deepphenomena.runtime import sampling
from deepphenomena.runtime.errors import InputError

GRADES = ("none", "mild", "moderate", "severe", "proliferative")
REFERABLE = 2  # the grade from which an eye is sent to a specialist, and the paper's positive class begins

# (fewest, most) at each grade; an exudate here is a cluster of five spots.
_MICROANEURYSMS = ((0, 0), (1, 5), (4, 10), (6, 12), (6, 12))
_HAEMORRHAGES = ((0, 0), (0, 0), (1, 5), (8, 14), (4, 14))
_EXUDATES = ((0, 0), (0, 0), (0, 1), (0, 2), (0, 2))
_NEW_VESSELS = ((0, 0), (0, 0), (0, 0), (0, 0), (6, 6))

_BLOOD = np.array([0.25, 0.85, 0.75], np.float32)  # share of red, green and blue that it swallows
_EXUDATE, _DRUSE, _DISC = np.array([[1.0, 0.9, 0.45], [0.95, 0.75, 0.35], [1.0, 0.85, 0.6]], np.float32)
_PIECES = 7  # straight pieces of a vessel


class _Spots(NamedTuple):
    """Gaussian spots, each array (spots,): centre, half-axes, direction of the first, and depth between 0 and 1."""

    x: Array
    y: Array
    long: Array
    short: Array
    angle: Array
    depth: Array


class _Lines(NamedTuple):
    """Curves of straight pieces: points (curves, points), half-width at each curve's start, and depth."""

    x: Array
    y: Array
    width: Array
    depth: Array


@functools.partial(
    jax.tree_util.register_dataclass, data_fields=["prevalence", "noise", "enlargement"], meta_fields=["pixels"]
)
@dataclasses.dataclass(frozen=True, eq=False)
class Fundus:
    """Sample i: a simulated eye, (pixels, pixels, 3), and its grade. Made by `fundus`."""

    prevalence: Float[Array, "5"]
    noise: Float[Array, ""]
    enlargement: Float[Array, ""]
    pixels: int
    size = None

    def __call__(self, index: Int[Array, " n"], *, key: Key[Array, ""]) -> Samples:
        keys = keys_of(index, key)
        chosen = jax.vmap(lambda k: jax.random.uniform(jax.random.fold_in(k, 0)))(keys)
        grades = jnp.sum(chosen[:, None] >= jnp.cumsum(self.prevalence)[:-1], -1)
        return self._drawn(keys, grades)

    def graded(self, index: Int[Array, " n"], grades: Int[Array, " n"], *, key: Key[Array, ""]) -> Samples:
        """The same eyes, in the same light and with the same noise, at grades of one's choice."""
        return self._drawn(keys_of(index, key), jnp.broadcast_to(jnp.asarray(grades), jnp.shape(index)))

    def _drawn(self, keys, grades):
        return Samples(jax.lax.map(lambda one: self._image(*one), (keys, grades), batch_size=50), grades)

    def _image(self, key, grade):
        uniform = jax.random.uniform(jax.random.fold_in(key, 1), (_TOTAL,))
        u = {name: uniform[start : start + size] for name, (start, size) in _SLICES.items()}
        eye = _anatomy(u)
        image = _retina(u, eye, self.pixels)
        image = _spread(image, _DISC, _spots(_disc_spot(u, eye), self.pixels))
        image = image * (1 - _BLOOD * _lines(_vessels(u, eye), self.pixels)[..., None])
        image = _spread(image, _DRUSE, _spots(_drusen(u, eye), self.pixels))
        image = _spread(image, _EXUDATE, _spots(_enlarged(_exudates(u, eye, grade), self.enlargement), self.pixels))
        image = image * (
            1 - _BLOOD * _spots(_enlarged(_bleeding(u, eye, grade), self.enlargement), self.pixels)[..., None]
        )
        image = image * (1 - _BLOOD * _lines(_new_vessels(u, eye, grade), self.pixels)[..., None])
        return _camera(image, u, self.noise, jax.random.fold_in(key, 2), self.pixels)


def fundus(
    pixels: int = 64,
    *,
    prevalence: Sequence[float] = (0.3, 0.2, 0.2, 0.15, 0.15),
    noise: float = 0.02,
    enlargement: float = 1.0,
) -> Fundus:
    """The distribution of simulated eyes.

    Args:
        pixels: the side of the square images. Signs keep their size in the eye; below about 100 pixels microaneurysms
            are smaller than a pixel and only darken it.
        prevalence: how frequent each grade is; the default makes one eye in two referable.
        noise: standard deviation of the camera's noise in white, of 1; in black it is half of that.
        enlargement: how many times their natural size spots are drawn, so that small pictures show them.

    Raises:
        InputError: fewer than 8 pixels, a negative noise, an enlargement of 0 or less, or shares that are not five
            numbers from 0 with the sum 1.
    """
    shares = jnp.asarray(prevalence, jnp.float32)
    if shares.shape != (5,) or bool(jnp.any(shares < 0)) or abs(float(jnp.sum(shares)) - 1) > 1e-5:
        raise InputError(f"prevalence {list(prevalence)} of grades 0 to 4: give five numbers from 0 with the sum 1")
    if pixels < 8 or noise < 0:
        raise InputError(f"fundus images of {pixels} pixels with noise {noise:g}: give 8 or more, and 0 or more")
    if enlargement <= 0:
        raise InputError(f"signs enlarged {enlargement:g} times: give a number above 0; 1 is their natural size")
    return Fundus(shares, jnp.float32(noise), jnp.float32(enlargement), int(pixels))


# How many uniform numbers each part takes; one draw for everything compiles several times faster than a key for each.
_PARTS = {
    "side": 1, "disc": 5, "fovea": 2, "pigment": 3, "macula": 2, "wiggle": 3 * 10, "reach": 10, "counts": 4,
    "microaneurysms": 4 * 12, "haemorrhages": 6 * 14, "exudates": 2 * 2, "exudate_spots": 4 * 10, "drusen": 5 * 8,
    "tuft": 3 * 6, "pool": 3, "light": 4, "exposure": 4,
}  # fmt: skip
_SLICES, _TOTAL = {}, 0
for _name, _size in _PARTS.items():
    _SLICES[_name] = (_TOTAL, _size)
    _TOTAL += _size


class _Eye(NamedTuple):
    """Where the disc is, its radius, where the fovea is, and the direction from fovea to disc, 1 or -1."""

    disc_x: Array
    disc_y: Array
    disc_radius: Array
    fovea_x: Array
    fovea_y: Array
    side: Array


def _between(uniform, low, high):
    return low + (high - low) * uniform


def _anatomy(u) -> _Eye:
    side = jnp.where(u["side"][0] < 0.5, -1.0, 1.0)
    x, y, radius = (
        _between(u["disc"][0], 0.5, 0.66),
        _between(u["disc"][1], -0.1, 0.1),
        _between(u["disc"][2], 0.13, 0.17),
    )
    fovea = _between(u["fovea"], jnp.array([-0.2, -0.05]), jnp.array([-0.05, 0.12]))
    return _Eye(side * x, y, radius, side * fovea[0], fovea[1], side)


def _grid(pixels):
    axis = (jnp.arange(pixels) + 0.5) * (2 / pixels) - 1
    return axis[None, :], axis[:, None]


def _retina(u, eye, pixels):
    """Pigment, darker at the macula."""
    x, y = _grid(pixels)
    colour = _between(u["pigment"], jnp.array([0.65, 0.28, 0.08]), jnp.array([0.9, 0.48, 0.22]))
    squared = (x - eye.fovea_x) ** 2 + (y - eye.fovea_y) ** 2
    dark = _between(u["macula"][0], 0.3, 0.5) * jnp.exp(-squared / (2 * _between(u["macula"][1], 0.1, 0.16) ** 2))
    return colour * (1 - dark[..., None])


def _disc_spot(u, eye) -> _Spots:
    """A flat-topped pale ellipse, as two Gaussian spots on one another."""
    stretch, pale = _between(u["disc"][3], 0.8, 1.0), _between(u["disc"][4], 0.6, 0.85)
    size = eye.disc_radius * jnp.array([0.8, 0.6])
    one = jnp.ones(2)
    return _Spots(eye.disc_x * one, eye.disc_y * one, size, size * stretch, jnp.pi / 2 * one, pale * one)


def _vessels(u, eye) -> _Lines:
    """Two pairs of arcades, an artery and a vein each, around the macula and to the nasal side, and two branches."""
    t = jnp.linspace(0, 1, _PIECES + 1)
    outward = jnp.array([-1.0, -1, -1, -1, 1, 1, 1, 1, -1, -1]) * eye.side
    upward = jnp.array([-1.0, -1, 1, 1, -1, -1, 1, 1, -1, 1])
    reach = jnp.array([1.5, 1.4, 1.5, 1.4, 0.6, 0.5, 0.6, 0.5, 1.0, 1.0]) * _between(u["reach"], 0.9, 1.1)
    height = jnp.array([0.72, 0.6, 0.72, 0.6, 0.75, 0.6, 0.75, 0.6, 0.3, 0.3])
    bend = jnp.array([0.45] * 4 + [0.8] * 4 + [0.6] * 2)
    size, waves, phase = u["wiggle"].reshape(3, 10, 1)
    wiggle = _between(size, 0.005, 0.03) * jnp.sin(2 * jnp.pi * (_between(waves, 1, 3) * t + phase)) * (t > 0)
    x = eye.disc_x + outward[:, None] * reach[:, None] * t
    y = eye.disc_y + upward[:, None] * height[:, None] * t ** bend[:, None] + wiggle
    vein = jnp.array([0.0, 1] * 4 + [0, 0])
    return _Lines(x, y, 0.014 + 0.006 * vein, 0.5 + 0.2 * vein)


def _present(u, kind, grade, table, most):
    """1 for each of the first signs of a kind, as many as the grade has, else 0: (most,)."""
    fewest, largest = jnp.asarray(table, jnp.float32)[grade]
    number = jnp.floor(fewest + u["counts"][kind] * (largest - fewest + 1))
    return (jnp.arange(most) < jnp.minimum(number, largest)).astype(jnp.float32)


def _scattered(radius, angle):
    """Points uniform over a disc of radius 0.85 about the centre."""
    radius, angle = 0.85 * jnp.sqrt(radius), 2 * jnp.pi * angle
    return radius * jnp.cos(angle), radius * jnp.sin(angle)


def _bleeding(u, eye, grade) -> _Spots:
    """Microaneurysms, haemorrhages and, before the retina at grade 4, one large pool of blood."""
    radius, angle, size, depth = u["microaneurysms"].reshape(4, 12)
    x, y = _scattered(radius, angle)
    size = _between(size, 0.012, 0.022)
    present = _present(u, 0, grade, _MICROANEURYSMS, 12)
    small = _Spots(x, y, size, size, jnp.zeros(12), present * _between(depth, 0.6, 0.9))
    radius, angle, size, shape, turn, depth = u["haemorrhages"].reshape(6, 14)
    x, y = _scattered(radius, angle)
    size = _between(size, 0.025, 0.06)
    present = _present(u, 1, grade, _HAEMORRHAGES, 14)
    blots = _Spots(x, y, size, size * _between(shape, 0.5, 1), jnp.pi * turn, present * _between(depth, 0.5, 0.85))
    place, size, depth = u["pool"]
    x, y, pooled = eye.fovea_x + _between(place, -0.3, 0.3), eye.fovea_y + 0.45, _between(size, 0.1, 0.18)
    pool = _Spots(x, y, pooled, pooled / 2, jnp.float32(0), (grade == 4) * _between(depth, 0.4, 0.8))
    return jax.tree.map(lambda *parts: jnp.concatenate([jnp.atleast_1d(part) for part in parts]), small, blots, pool)


def _exudates(u, eye, grade) -> _Spots:
    """Clusters of sharp pale yellow spots around the macula."""
    distance, angle = u["exudates"].reshape(2, 2)
    distance, angle = _between(distance, 0.15, 0.5), 2 * jnp.pi * angle
    across, turn, size, depth = u["exudate_spots"].reshape(4, 2, 5)
    x = eye.fovea_x + (distance * jnp.cos(angle))[:, None] + 0.12 * jnp.sqrt(across) * jnp.cos(2 * jnp.pi * turn)
    y = eye.fovea_y + (distance * jnp.sin(angle))[:, None] + 0.12 * jnp.sqrt(across) * jnp.sin(2 * jnp.pi * turn)
    size = _between(size, 0.012, 0.025)
    depth = _present(u, 2, grade, _EXUDATES, 2)[:, None] * _between(depth, 0.4, 0.8)
    return jax.tree.map(jnp.ravel, _Spots(x, y, size, size, jnp.zeros((2, 5)), depth))


def _drusen(u, eye) -> _Spots:
    """Soft pale spots near the macula in one eye of three, whatever the grade."""
    some, distance, angle, size, depth = u["drusen"].reshape(5, 8)
    distance, angle = _between(distance, 0.05, 0.35), 2 * jnp.pi * angle
    x, y = eye.fovea_x + distance * jnp.cos(angle), eye.fovea_y + distance * jnp.sin(angle)
    size = _between(size, 0.025, 0.05)
    present = (some[0] < 1 / 3) * (some > 0.15)
    return _Spots(x, y, size, size, jnp.zeros(8), present * _between(depth, 0.15, 0.35))


def _new_vessels(u, eye, grade) -> _Lines:
    """A tuft of fine winding vessels on and beside the disc."""
    angle, phase, length = u["tuft"].reshape(3, 6, 1)
    t = jnp.linspace(0, 1, _PIECES + 1)
    along, across = _between(length, 0.15, 0.35) * t, 0.04 * jnp.sin(2 * jnp.pi * (2 * t + phase))
    angle = 2 * jnp.pi * angle
    x = eye.disc_x + along * jnp.cos(angle) - across * jnp.sin(angle)
    y = eye.disc_y + along * jnp.sin(angle) + across * jnp.cos(angle)
    return _Lines(x, y, jnp.full(6, 0.009), 0.7 * _present(u, 3, grade, _NEW_VESSELS, 6))


def _enlarged(spots: _Spots, times) -> _Spots:
    return spots._replace(long=times * spots.long, short=times * spots.short)


def _spots(spots: _Spots, pixels):
    """How deep the spots are at each pixel, (pixels, pixels), between 0 and 1.

    A spot below the size of a pixel is spread over it, and is shallower in proportion.
    """
    x, y = _grid(pixels)
    x, y = x[..., None] - spots.x, y[..., None] - spots.y
    along, across = (
        x * jnp.cos(spots.angle) + y * jnp.sin(spots.angle),
        y * jnp.cos(spots.angle) - x * jnp.sin(spots.angle),
    )
    blur = (1 / pixels) ** 2
    long, short = spots.long**2 + blur, spots.short**2 + blur
    depth = spots.depth * spots.long * spots.short / jnp.sqrt(long * short)
    return 1 - jnp.prod(1 - depth * jnp.exp(-(along**2 / long + across**2 / short) / 2), -1)


def _lines(lines: _Lines, pixels):
    """How deep the curves are at each pixel, (pixels, pixels): Gaussian across, tapering to half along."""
    x, y = (axis[..., None, None] for axis in _grid(pixels))
    start_x, start_y = lines.x[:, :-1], lines.y[:, :-1]
    along_x, along_y = jnp.diff(lines.x), jnp.diff(lines.y)
    share = (x - start_x) * along_x + (y - start_y) * along_y
    share = jnp.clip(share / (along_x**2 + along_y**2), 0, 1)
    squared = (x - start_x - share * along_x) ** 2 + (y - start_y - share * along_y) ** 2
    width = lines.width[:, None] * jnp.linspace(1, 0.5, lines.x.shape[1] - 1)
    blurred = width**2 + (1 / pixels) ** 2
    depth = lines.depth[:, None] * width / jnp.sqrt(blurred) * jnp.exp(-squared / (2 * blurred))
    return 1 - jnp.prod(1 - jnp.max(depth, -1), -1)


def _spread(image, colour, depth):
    """The image with a colour laid over it."""
    return image + depth[..., None] * (colour - image)


def _camera(image, u, noise, key, pixels):
    """Uneven light, the round field of view, exposure and colour cast, and noise that grows with brightness."""
    x, y = _grid(pixels)
    slope, turn, fall, _ = u["light"]
    turn = 2 * jnp.pi * turn
    light = 1 + _between(slope, 0, 0.25) * (x * jnp.cos(turn) + y * jnp.sin(turn))
    radius = jnp.sqrt(x**2 + y**2)
    light = light * (1 - _between(fall, 0.1, 0.4) * radius**2) * jax.nn.sigmoid((0.97 - radius) * pixels)
    gain = _between(u["exposure"][0], 0.75, 1.15) * _between(u["exposure"][1:], 0.92, 1.08)
    image = image * light[..., None] * gain
    sigma = noise * jnp.sqrt(0.25 + 0.75 * jnp.clip(image, 0, 1))
    drawn = sampling.normal(key, image.shape)
    return jnp.clip(image + sigma * drawn, 0, 1)
