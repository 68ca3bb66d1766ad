"""Random tanh networks of finite width: what becomes of pairs of inputs, of gradients and of singular values."""

import functools
import itertools
from collections.abc import Callable, Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jaxtyping import Float

from deepphenomena import kernels
from deepphenomena.nets import initializers
from deepphenomena.nets.initializers import Initializer
from deepphenomena.runtime import sampling
from deepphenomena.runtime.arrays import Array

Variances = Sequence[float]  # σ_w² and σ_b²
Follow = Callable[..., Mapping[str, Float[np.ndarray, "draws *axes"]]]  # `follow_pairs` with its width and draws
Taps = tuple[tuple[float, ...], ...]  # the variance vector, over the kernel's two axes

_ONE_TAP = ((1.0,),)


def follow_pairs(
    seed: int,
    purpose: int,
    variances: Variances,
    *,
    q: float,
    c: float | Float[Array, " positions"],
    layers: int,
    pairs: int,
    positions: int,
    width: int,
    draws: int,
    taps: Taps = _ONE_TAP,
) -> dict[str, Float[np.ndarray, "draws *axes"]]:
    """What becomes of pairs of inputs in random tanh networks.

    Args:
        seed, purpose: give the random networks.
        variances: σ_w² and σ_b² of a layer.
        q: variance of the first pre-activations.
        c: correlation of the two inputs of a pair; an array gives each position its own.
        layers: of each network.
        pairs, positions, width: number of pairs, of positions on a circle, and of channels.
        draws: random networks.
        taps: how the variance is shared among the taps of the kernel.

    Returns:
        "q", the mean variance, and "c", the mean correlation over pairs, (draws, layers) after each layer; and
        "difference", half their mean squared difference, (draws, 1 + layers, positions) from the start.

    Example:
        >>> seen = follow_pairs(
        ...     0, 0, (1.5, 0.1), q=0.5, c=0.9, layers=3, pairs=2, positions=5, width=4, draws=2
        ... )
        >>> seen["c"].shape, seen["difference"].shape
        ((2, 3), (2, 4, 5))
    """
    seen = []
    for key in _keys(seed, purpose, draws):
        h = _pairs_of_inputs(q, c, key, (pairs, 1, positions, width))
        later = _follow(h, tuple(variances), key, layers=layers, taps=taps)
        first = _observe(h)["difference"][None]
        seen.append(later | {"difference": np.concatenate([first, later["difference"]])})
    return {name: np.stack([np.asarray(one[name]) for one in seen]) for name in ("q", "c", "difference")}


def planted_mode(
    follow: Follow,
    seed: int,
    purpose: int,
    point: Sequence[float],
    taps: Taps,
    mode: int,
    layers: int,
    *,
    positions: int,
    pairs: int = 48,
) -> pd.DataFrame:
    """Amplitudes of the uniform mode, and of a spatial mode planted in the difference of two inputs, by depth.

    Args:
        follow: `follow_pairs` with its width and draws.
        seed, purpose, taps, layers, positions, pairs: as for `follow_pairs`.
        point: σ_w², σ_b² and q*.
        mode: k of the planted mode, a cosine of k periods.

    Returns:
        Columns "uniform" and "planted", means over the random networks; a row for the start and for each layer.

    Example:
        >>> follow = functools.partial(follow_pairs, width=4, draws=1)
        >>> planted_mode(follow, 0, 0, (1.5, 0.1, 0.5), ((0.0, 1.0, 0.0),), 1, 3, positions=4).shape
        (4, 2)
    """
    *variances, q = point
    wave = jnp.cos(2 * jnp.pi * mode * jnp.arange(positions) / positions)
    correlation = 1 - 0.02 * (1 + 0.9 * wave)
    seen = follow(
        seed, purpose, variances, q=q, c=correlation, layers=layers, pairs=pairs, positions=positions, taps=taps
    )
    difference = seen["difference"].mean(0)
    return pd.DataFrame({"uniform": difference.mean(1), "planted": difference @ np.asarray(wave) / positions})


def gradient_norms(
    seed: int,
    purpose: int,
    variances: Variances,
    *,
    q: float,
    layers: int,
    samples: int,
    positions: int,
    width: int,
    draws: int,
) -> Float[np.ndarray, "draws layers"]:
    """The mean squared gradient at each layer's pre-activations, back from random vectors at the last layer.

    Args:
        seed, purpose, variances, q, layers, positions, width, draws: as for `follow_pairs`.
        samples: inputs.

    Example:
        >>> gradient_norms(0, 0, (1.5, 0.1), q=0.5, layers=3, samples=2, positions=5, width=4, draws=2).shape
        (2, 3)
    """
    norms = []
    for key in _keys(seed, purpose, draws):
        h = _pairs_of_inputs(q, 0.0, key, (samples, 1, positions, width))[0]
        norms.append(np.asarray(_gradient_norms(h, tuple(variances), key, layers=layers)))
    return np.stack(norms)


def jacobian_spectra(
    start: Callable[[float], Initializer],
    point: Sequence[float],
    seed: int,
    depths: Sequence[int],
    *,
    size: int,
    width: int,
    activation: Callable[[Array], Array] = jnp.tanh,
) -> list[Float[np.ndarray, " values"]]:
    """All singular values, largest first, of the input-output Jacobian of a random network's first layers.

    Computed in double precision. Values below 1e-15 of the largest are rounding.

    Args:
        start: the initializer of a layer's kernel by its gain σ_w, such as `delta_orthogonal`; the same object every
            time, or it is compiled again.
        point: σ_w², σ_b² and the variance q* of the pre-activations that enter.
        seed: gives the network of as many layers as the largest depth.
        depths: numbers of layers, in increasing order.
        size, width: positions along each side, and channels. With a single position kernels have a single tap.
        activation: φ; the same object every time as well.

    Example:
        >>> (values,) = jacobian_spectra(
        ...     initializers.delta_orthogonal, (1.0, 0.0, 1.0), 0, [5], size=3, width=2, activation=jax.nn.identity
        ... )
        >>> values.shape, bool(abs(values - 1).max() < 1e-12)
        ((18,), True)
    """
    with jax.enable_x64(True):
        weight, bias, q = (np.float64(value) for value in point)
        keys = jax.random.split(jax.random.key(seed), 2)
        h = sampling.normal(keys[0], (size, size, width), jnp.float64)
        h = (q / jnp.mean(h**2, -1, keepdims=True)) ** 0.5 * h  # few channels: else q would differ between positions
        state, found = (activation(h), jnp.eye(h.size).reshape(h.size, *h.shape)), []
        for first, last in itertools.pairwise([0, *depths]):
            state = _through_layers(state, keys[1], weight**0.5, bias**0.5, first, last, start, activation)
            found.append(np.linalg.svd(np.asarray(state[1]).reshape(h.size, -1), compute_uv=False))
    return found


@functools.partial(jax.jit, static_argnames=("start", "activation"))
def _through_layers(state, key, gain, bias_deviation, first, last, start, activation):
    """(x, its derivative by each input) after the layers from `first` to before `last`."""
    size, _, width = state[0].shape
    side = 3 if size > 1 else 1
    initializer = start(1.0)

    def layer(k, state):
        keys = jax.random.split(jax.random.fold_in(key, k))
        kernel = gain * initializer(keys[0], (side, side, width, width), jnp.float64)
        bias = bias_deviation * sampling.normal(keys[1], (width,), jnp.float64)

        def apply(x):
            taps = [(jnp.roll(x, (i - side // 2, j - side // 2), (0, 1)), kernel[i, j])
                    for i in range(side) for j in range(side)]  # fmt: skip
            return activation(sum(x @ weights for x, weights in taps) + bias)

        x, tangents = state
        x, derivative = jax.linearize(apply, x)
        return x, jax.vmap(derivative)(tangents)

    return jax.lax.fori_loop(first, last, layer, state)


def _keys(seed, purpose, draws):
    """One key for each random network behind a seed."""
    return jax.random.split(jax.random.fold_in(jax.random.key(seed), purpose), draws)


def _pairs_of_inputs(q, c, key, shape):
    """(2, *shape): Gaussian inputs of variance q, each pair with a correlation at each position."""
    one, other = sampling.normal(key, (2, *shape))
    c = jnp.broadcast_to(c, shape[-2:-1])[:, None]
    return jnp.sqrt(q) * jnp.stack([one, c * one + jnp.sqrt(1 - c**2) * other])


def _random_layer(h, keys, variances, taps):
    """Pre-activations after one more layer, whose weights and biases the two keys give."""
    weight_variance, bias_variance = variances
    shape = (*np.shape(taps), h.shape[-1], h.shape[-1])
    kernel = jnp.sqrt(weight_variance) * initializers.gaussian_convolution(taps=np.array(taps))(keys[0], shape)
    bias = jnp.sqrt(bias_variance) * jax.random.normal(keys[1], shape[-1:])
    return kernels.convolution(jnp.tanh(h), kernel, padding="CIRCULAR") + bias


def _observe(h):
    one, other = h
    q = jnp.mean(h**2)
    return {"q": q, "c": jnp.mean(one * other) / q, "difference": jnp.mean((one - other) ** 2, (0, 1, 3)) / 2}


@functools.partial(jax.jit, static_argnames=("layers", "taps"))
def _follow(h, variances, key, *, layers, taps):
    def layer(h, key):
        h = _random_layer(h, jax.random.split(key), variances, taps)
        return h, _observe(h)

    return jax.lax.scan(layer, h, jax.random.split(key, layers))[1]


@functools.partial(jax.jit, static_argnames="layers")
def _gradient_norms(h, variances, key, *, layers):
    def last(shifts):  # a shift of zero at every layer: the derivative by it is the gradient there
        def layer(h, inputs):
            key, shift = inputs
            return _random_layer(h + shift, (key, jax.random.fold_in(key, 1)), variances, _ONE_TAP), None

        return jax.lax.scan(layer, h, (jax.random.split(key, layers), shifts))[0]

    _, back = jax.vjp(last, jnp.zeros((layers, *h.shape)))
    (gradients,) = back(sampling.normal(jax.random.fold_in(key, 2), h.shape))
    return jnp.mean(gradients**2, axis=range(1, gradients.ndim))
