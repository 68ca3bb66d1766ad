"""The three faces of one trilinear form, ⟨y, x * w⟩, as JAX primitives.

A convolution y = x * w is linear in x and in w, so the derivative of any order is made of three operations only:

    forward   (x, w) -> y      the convolution
    pullback  (y, w) -> x      its transpose in x
    outer     (x, y) -> w      its transpose in w

Each is bilinear and the transposes of each are the other two, so differentiation in either mode to any order stays
within the three. Making them primitives gives two freedoms that `custom_vjp` and `custom_jvp` do not: the batching
rule sees which operand is batched, and the lowering rule sees the platform the program is compiled for (which is not
always `jax.default_backend()`) and the shapes.

Only documented extension points of JAX are used: `jax.extend.core.Primitive` and `jax.interpreters`.
"""

from functools import cache, partial
from typing import NamedTuple

import jax
from jax import numpy as jnp
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

from deepphenomena.kernels import _convolution_cpu, _convolution_native


class Geometry(NamedTuple):
    """Spatial sizes of a convolution: y[o] = Σᵢ x[stride·o + i − low] w[i], x being zero outside 0..image−1."""

    image: tuple[int, int]
    kernel: tuple[int, int]
    output: tuple[int, int]
    stride: tuple[int, int]
    low: tuple[int, int]


FACES = ("forward", "pullback", "outer")


def _result_shape(face: str, a: tuple[int, ...], b: tuple[int, ...], geometry: Geometry) -> tuple[int, ...]:
    """The shape of a face's result from its operands' (NHWC, HWIO and NHWC for x, w and y)."""
    if face == "forward":
        return (a[0], *geometry.output, b[3])
    if face == "pullback":
        return (a[0], *geometry.image, b[2])
    return (*geometry.kernel, a[3], b[3])


def _abstract(face: str, a, b, *, geometry: Geometry):
    members = a.shape[: a.ndim - 4]  # one leading axis when every operand has its own, else none
    return a.update(shape=(*members, *_result_shape(face, a.shape[-4:], b.shape[-4:], geometry)))


# Where a batch axis of one operand alone can go without repeating the other: (operand axis, result axis).
# A batch of images is more images; a batch of weights is more channels.
_ABSORB = {
    "forward": ((0, 0), (3, 3)),
    "pullback": ((0, 0), (2, 3)),
    "outer": ((3, 2), (3, 3)),
}


def _batch(face: str, operands, axes, *, geometry: Geometry):
    if None not in axes:
        a, b = (jnp.moveaxis(operand, axis, 0) for operand, axis in zip(operands, axes, strict=True))
        if a.ndim == 5:
            return bind(face, a, b, geometry), 0
        flat = bind(face, a.reshape(-1, *a.shape[2:]), b.reshape(-1, *b.shape[2:]), geometry)
        return flat.reshape(*a.shape[:2], *flat.shape[1:]), 0
    which = axes.index(None) ^ 1
    operand, size = operands[which], operands[which].shape[axes[which]]
    members = operand.ndim - 5  # 1 when a members axis is there already
    into, out = (axis + members for axis in _ABSORB[face][which])
    operand = jnp.moveaxis(operand, axes[which], into)
    operand = operand.reshape(*operand.shape[:into], -1, *operand.shape[into + 2 :])
    result = bind(face, *((operand, operands[1]) if which == 0 else (operands[0], operand)), geometry)
    return result.reshape(*result.shape[:out], size, -1, *result.shape[out + 1 :]), out


def _each_member(single, a, b, geometry: Geometry):
    """Members one after the other: on a CPU every batched form of a convolution with many weights is slower."""
    return jax.lax.map(lambda pair: single(*pair, geometry), (a, b)) if a.ndim == 5 else single(a, b, geometry)


def _primitive(face: str) -> Primitive:
    primitive = Primitive(f"convolution_{face}")
    primitive.def_abstract_eval(partial(_abstract, face))
    primitive.def_impl(lambda a, b, *, geometry: _compiled(face, geometry)(a, b))
    batching.primitive_batchers[primitive] = partial(_batch, face)
    cpu = partial(_each_member, getattr(_convolution_cpu, face))
    mlir.register_lowering(
        primitive,
        mlir.lower_fun(lambda a, b, *, geometry: cpu(a, b, geometry), multiple_results=False),
        platform="cpu",
    )
    native = getattr(_convolution_native, face)
    mlir.register_lowering(
        primitive, mlir.lower_fun(lambda a, b, *, geometry: native(a, b, geometry), multiple_results=False)
    )
    return primitive


_PRIMITIVES = {face: _primitive(face) for face in FACES}


@cache
def _compiled(face: str, geometry: Geometry):
    return jax.jit(lambda a, b: bind(face, a, b, geometry))


def bind(face: str, a, b, geometry: Geometry):
    """One face of the form; operands are 4-D, or 5-D with a leading axis of members, each with its own pair."""
    return _PRIMITIVES[face].bind(a, b, geometry=geometry)


def _transposes(face: str, first, second) -> None:
    """Say what the two transposes of a face are; each rule gets (cotangent, a, b), one of a and b undefined."""
    ad.defbilinear(
        _PRIMITIVES[face],
        lambda cotangent, a, b, *, geometry: bind(*first(cotangent, b), geometry),
        lambda cotangent, a, b, *, geometry: bind(*second(cotangent, a), geometry),
    )


_transposes("forward", lambda y, w: ("pullback", y, w), lambda y, x: ("outer", x, y))
_transposes("pullback", lambda x, w: ("forward", x, w), lambda x, y: ("outer", x, y))
_transposes("outer", lambda w, y: ("pullback", y, w), lambda w, x: ("forward", x, w))
