"""Layers without weights: nonlinearities, normalization, and what becomes of pixels."""

import math

import jax
from jax import lax
from jax import numpy as jnp

from deepphenomena.infinite_width import _fields
from deepphenomena.infinite_width.duals import Activation, dual
from deepphenomena.infinite_width.network import Network, State
from deepphenomena.runtime import numbers
from deepphenomena.runtime.errors import InputError


def activation(phi: Activation) -> Network:
    """Return an elementwise nonlinearity; it must follow weights.

    Args:
        phi: a name ("relu", "erf", "gelu", "leaky_relu", "sin", "cos", "tanh", "identity"), an elementwise JAX
            function, or what `leaky_relu` returns.

    Example:
        >>> infinite_width.activation(jnp.sign).apply((), jnp.array([-2.0, 0.5])).tolist()
        [-1.0, 1.0]
    """
    entry = dual(phi)

    def checked(state):
        if not state.gaussian:
            raise InputError("an activation on inputs that are not Gaussian: put dense or conv before each activation")
        return state

    def through(state, sides):
        products, slopes = entry.pair.of(state.nngp, *sides)
        return state._replace(nngp=products, ntk=slopes * state.ntk, gaussian=False)

    def alone(state):
        state = checked(state)
        variances = _fields.diagonal(state.nngp, state.kind)
        side = entry.pair.side(variances)
        if state.kind == _fields.PAIRS:
            return through(state, _transposed(lambda of: _fields.of_itself(of, state.kind), side)), side
        products, slopes = entry.moments(variances)
        return state._replace(nngp=products, ntk=slopes * state.ntk, gaussian=False), side

    def pair(state, one, other):
        state = checked(state)
        return through(state, _transposed(lambda *of: _fields.of_pair(*of, state.kind), one, other))

    return Network(lambda _, shape: (shape, ()), lambda _, x: entry.function(x), alone, pair, ("nonlinear",))


def _transposed(pair, *sides):
    """Apply a function that returns a pair to every array of the sides; return a pair of trees."""
    leaves, tree = jax.tree.flatten(sides[0])
    pairs = [pair(*of) for of in zip(leaves, *map(jax.tree.leaves, sides[1:]), strict=True)]
    return [jax.tree.unflatten(tree, [of[k] for of in pairs]) for k in range(2)]


def layer_norm() -> Network:
    """Return a normalization of the channels at each pixel to mean 0 and variance 1; it must follow weights.

    Example:
        >>> network = infinite_width.serial(infinite_width.dense(3, weight_variance=9.0), infinite_width.layer_norm())
        >>> network.kernel(jnp.eye(2)).nngp.tolist()
        [[1.0, 0.0], [0.0, 1.0]]
    """

    def apply(_, x):
        return (x - x.mean(-1, keepdims=True)) * lax.rsqrt(x.var(-1, keepdims=True) + 1e-12)

    def scaled(state, one, other):
        if not state.gaussian:
            raise InputError("layer_norm on inputs that are not Gaussian: put dense or conv before it")
        return state._replace(nngp=state.nngp * one * other, ntk=state.ntk * one * other)

    def alone(state):
        variances = _fields.diagonal(state.nngp, state.kind)
        side = jnp.where(variances > 0, lax.rsqrt(jnp.where(variances > 0, variances, 1.0)), 0.0)
        return scaled(state, *_fields.of_itself(side, state.kind)), side

    def pair(state, one, other):
        return scaled(state, *_fields.of_pair(one, other, state.kind))

    return Network(lambda _, shape: (shape, ()), apply, alone, pair, ("nonlinear",))


def flatten() -> Network:
    """Return the layer that makes one long vector of an image: the kernel sees equal pixels only.

    Example:
        >>> infinite_width.flatten().apply((), jnp.ones((2, 4, 4, 3))).shape
        (2, 48)
    """

    def through(state):
        if state.kind == _fields.FLAT:
            return state
        nngp, ntk = (_fields.diagonal(of, state.kind) for of in (state.nngp, state.ntk))
        pixels = nngp.shape[0] * nngp.shape[1]
        means = (_fields.mean(of, (0, 1)) for of in (nngp, ntk))
        return State(*means, _fields.FLAT, state.features * pixels, state.gaussian)

    def init(_, shape):
        return (math.prod(shape),), ()

    def apply(_, x):
        return x.reshape(len(x), -1)

    return Network(init, apply, lambda state: (through(state), None), lambda state, *_: through(state), ("flatten",))


def pool(size: int | None = None, *, stride: int | None = None) -> Network:
    """Return average pooling: of windows, or without a size of the whole image.

    The kernel needs every pair of pixels, so it costs more by a factor of the number of pixels.

    Args:
        size: pixels of a window in each direction.
        stride: from one window to the next; by default the size. Windows that do not fit are left out.

    Example:
        >>> infinite_width.pool().apply((), jnp.ones((2, 4, 4, 3))).shape
        (2, 3)
    """
    size = None if size is None else numbers.whole("size", size, minimum=1)
    stride = size if stride is None else numbers.whole("stride", stride, minimum=1)

    def init(_, shape):
        if size is None:
            return (shape[-1],), ()
        _ = [_fields.edges(pixels, size, stride, "VALID") for pixels in shape[:2]]
        return (*((pixels - size) // stride + 1 for pixels in shape[:2]), shape[-1]), ()

    def apply(_, x):
        if size is None:
            return x.mean((1, 2))
        return lax.reduce_window(x, 0.0, lax.add, (1, size, size, 1), (1, stride, stride, 1), "VALID") / size**2

    def through(state):
        if state.kind == _fields.FLAT:
            raise InputError("pool on inputs without pixels: give images, and pool before flatten()")
        fields = state.nngp, state.ntk
        if size is None:
            return State(*(_fields.mean(of, (0, 1, 2, 3)) for of in fields), _fields.FLAT, *state[3:])
        nngp, ntk = (_fields.windows(of, state.kind, size, stride, "VALID", apart=True) for of in fields)
        return state._replace(nngp=nngp, ntk=ntk)

    def alone(state):  # from equal pixels alone, nothing is known of a mean over pixels
        return (None if state.kind == _fields.DIAGONAL else through(state)), None

    return Network(init, apply, alone, lambda state, *_: through(state), ("pool",))


def identity() -> Network:
    """Return the layer that does nothing: the shortcut of `residual`.

    Example:
        >>> infinite_width.identity().apply((), 3.0)
        3.0
    """
    return Network(
        lambda _, shape: (shape, ()), lambda _, x: x, lambda state: (state, None), lambda state, *_: state, ()
    )
