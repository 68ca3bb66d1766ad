"""A simulation of photographs of the back of the eye, with diabetic retinopathy of a known grade.

These images are not photographs, and no result on them is a clinical result. They replace collections that cannot be
redistributed in one respect: the label depends on a few small local signs in a scene that is similar in all images.

An eye has an optic disc with vessels that arch around the macula. The grade, 0 to 4, decides which signs are added, as
in the international scale (Wilkinson et al. 2003, "Proposed international clinical diabetic retinopathy and diabetic
macular edema disease severity scales"): 1, microaneurysms only; 2, more of them, with some hemorrhages and hard
exudates; 3, many hemorrhages; 4, new vessels at the disc and a large preretinal hemorrhage. These do not depend on the
grade: left or right eye, anatomy, pigment, drusen (pale spots of age, not of diabetes), illumination, exposure, color
cast and noise.

Positions and lengths are in units of the radius of the field of view, x to the right and y down, both from -1 to 1.
"""

import dataclasses
import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int, Key

from deepphenomena.generators.fundus.anatomy import anatomy_of, disc, retina, vessels
from deepphenomena.generators.fundus.randomness import between, draw_parts
from deepphenomena.generators.fundus.shapes import draw_lines, draw_spots, enlarged, grid, overlay
from deepphenomena.generators.fundus.signs import bleeding, drusen, exudates, new_vessels
from deepphenomena.generators.samples import Samples, keys_of
from deepphenomena.runtime import sampling
from deepphenomena.runtime.arrays import Array
from deepphenomena.runtime.errors import InputError

GRADES = ("none", "mild", "moderate", "severe", "proliferative")
REFERABLE = 2  # the lowest grade that is referred to a specialist: the start of the paper's positive class

_BLOOD = np.array([0.25, 0.85, 0.75], np.float32)  # absorbed fraction of red, green and blue
_EXUDATE, _DRUSE, _DISC = np.array([[1.0, 0.9, 0.45], [0.95, 0.75, 0.35], [1.0, 0.85, 0.6]], np.float32)


@functools.partial(
    jax.tree_util.register_dataclass, data_fields=["prevalence", "noise", "enlargement"], meta_fields=["pixels"]
)
@dataclasses.dataclass(frozen=True, eq=False)
class Fundus:
    """Sample i: a simulated eye, (pixels, pixels, 3), and its grade. Returned by `fundus`.

    Example:
        >>> eyes = generators.fundus(24)
        >>> eyes.graded(jnp.arange(2), jnp.array([0, 4]), key=jax.random.key(0)).labels.tolist()
        [0, 4]
    """

    prevalence: Float[Array, "5"]
    noise: Float[Array, ""]
    enlargement: Float[Array, ""]
    pixels: int
    size = None

    def __call__(self, index: Int[Array, " n"], *, key: Key[jax.Array, ""]) -> Samples:
        keys = keys_of(index, key)
        chosen = jax.vmap(lambda k: jax.random.uniform(jax.random.fold_in(k, 0)))(keys)
        grades = jnp.sum(chosen[:, None] >= jnp.cumsum(self.prevalence)[:-1], -1)
        return self._drawn(keys, grades)

    def graded(self, index: Int[Array, " n"], grades: Int[Array, " n"], *, key: Key[jax.Array, ""]) -> Samples:
        """Return the same eyes, with the same light and noise, at the given grades."""
        return self._drawn(keys_of(index, key), jnp.broadcast_to(jnp.asarray(grades), jnp.shape(index)))

    def _drawn(self, keys, grades):
        return Samples(jax.lax.map(lambda one: self._image(*one), (keys, grades), batch_size=50), grades)

    def _image(self, key, grade):
        u = draw_parts(jax.random.fold_in(key, 1))
        eye = anatomy_of(u)
        image = retina(u, eye, self.pixels)
        image = overlay(image, _DISC, draw_spots(disc(u, eye), self.pixels))
        image = image * (1 - _BLOOD * draw_lines(vessels(u, eye), self.pixels)[..., None])
        image = overlay(image, _DRUSE, draw_spots(drusen(u, eye), self.pixels))
        image = overlay(image, _EXUDATE, draw_spots(enlarged(exudates(u, eye, grade), self.enlargement), self.pixels))
        image = image * (
            1 - _BLOOD * draw_spots(enlarged(bleeding(u, eye, grade), self.enlargement), self.pixels)[..., None]
        )
        image = image * (1 - _BLOOD * draw_lines(new_vessels(u, eye, grade), self.pixels)[..., None])
        return photograph(image, u, self.noise, jax.random.fold_in(key, 2), self.pixels)


def fundus(
    pixels: int = 64,
    *,
    prevalence: Sequence[float] | Float[Array, " grades"] = (0.3, 0.2, 0.2, 0.15, 0.15),
    noise: float = 0.02,
    enlargement: float = 1.0,
) -> Fundus:
    """Return the distribution of simulated eyes.

    Args:
        pixels: the side of the square images. The size of signs in the eye does not change: below about 100 pixels,
            microaneurysms are smaller than a pixel and only darken it.
        prevalence: the frequency of each grade; by default, one of two eyes is referable.
        noise: standard deviation of the camera noise at white (1); at black it is half of that.
        enlargement: the scale of spots relative to their natural size, to show them in small images.

    Raises:
        InputError: fewer than 8 pixels, negative noise, an enlargement of 0 or less, or a prevalence that is not five
            nonnegative numbers with sum 1.

    Example:
        >>> eyes = generators.fundus(24)
        >>> samples = eyes(jnp.arange(2), key=jax.random.key(0))
        >>> samples.images.shape, bool(jnp.all((samples.labels >= 0) & (samples.labels <= 4)))
        ((2, 24, 24, 3), True)
    """
    shares = jnp.asarray(prevalence, jnp.float32)
    if shares.shape != (5,) or bool(jnp.any(shares < 0)) or abs(float(jnp.sum(shares)) - 1) > 1e-5:
        raise InputError(f"prevalence {list(prevalence)} of grades 0 to 4: give five nonnegative numbers with sum 1")
    if pixels < 8 or noise < 0:
        raise InputError(f"fundus images of {pixels} pixels with noise {noise:g}: give 8 or more, and 0 or more")
    if enlargement <= 0:
        raise InputError(f"signs enlarged {enlargement:g} times: give a number above 0; 1 is their natural size")
    return Fundus(shares, jnp.float32(noise), jnp.float32(enlargement), int(pixels))


def photograph(image, u, noise, key, pixels):
    """Apply uneven light, the round field of view, exposure, color cast, and noise that grows with brightness."""
    x, y = grid(pixels)
    slope, turn, fall, _ = u["light"]
    turn = 2 * jnp.pi * turn
    light = 1 + between(slope, 0, 0.25) * (x * jnp.cos(turn) + y * jnp.sin(turn))
    radius = jnp.sqrt(x**2 + y**2)
    light = light * (1 - between(fall, 0.1, 0.4) * radius**2) * jax.nn.sigmoid((0.97 - radius) * pixels)
    gain = between(u["exposure"][0], 0.75, 1.15) * between(u["exposure"][1:], 0.92, 1.08)
    image = image * light[..., None] * gain
    sigma = noise * jnp.sqrt(0.25 + 0.75 * jnp.clip(image, 0, 1))
    drawn = sampling.normal(key, image.shape)
    return jnp.clip(image + sigma * drawn, 0, 1)
