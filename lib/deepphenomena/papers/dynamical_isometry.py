"""Machinery of the chapter on dynamical isometry: random networks, their Jacobians, and what depth costs."""

import functools
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from flax import nnx
from jaxtyping import Array, Float, Key, PyTree

from deepphenomena import kernels, nets, spectra
from deepphenomena.nets import initializers, ultra_deep
from deepphenomena.nets.functional import Network
from deepphenomena.nets.initializers import Initializer
from deepphenomena.runtime import compilation, sampling, threads, timing
from deepphenomena.training.labels import Grid

Variances = Sequence[float]  # σ_w² and σ_b²
Taps = tuple[tuple[float, ...], ...]  # the variance vector, over the kernel's two axes

_ONE_TAP = ((1.0,),)
_IMAGES = 4  # of the gradient whose cost is measured
_WEIGHTS = 0.05  # standard deviation of its inputs
_ROUNDS = 2  # timed for each step time that is reported: other work on the machine only ever slows one down


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
    follow: Callable[..., Mapping[str, Float[np.ndarray, "draws *axes"]]],
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
        >>> planted_mode(follow, 0, 0, (1.5, 0.1, 0.5), ((0, 1, 0),), 1, 3, positions=4).shape
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

    Args:
        start: the initializer of a layer's kernel by its gain σ_w, such as `delta_orthogonal`.
        point: σ_w², σ_b² and the variance q* of the pre-activations that enter.
        seed: gives the network of as many layers as the largest depth.
        depths: numbers of layers.
        size, width: positions along each side, and channels.
        activation: φ; the same object every time, or it is compiled again.

    Example:
        >>> (values,) = jacobian_spectra(
        ...     initializers.delta_orthogonal, (1.0, 0.0, 1.0), 0, [5], size=3, width=2, activation=jax.nn.identity
        ... )
        >>> values.shape, bool(abs(values - 1).max() < 1e-5)
        ((18,), True)
    """
    (weight, bias, q), keys, depth = point, jax.random.split(jax.random.key(seed), 3), max(depths)
    kernel = initializers.stacked(start(weight**0.5))(keys[0], (depth, 3, 3, width, width), jnp.float32)
    biases = bias**0.5 * sampling.normal(keys[1], (depth, width))
    h = sampling.normal(keys[2], (size, size, width))
    h = (q / jnp.mean(h**2, -1, keepdims=True)) ** 0.5 * h  # few channels: else q would differ between positions
    x = activation(h)
    return [np.asarray(_singular_values(kernel[:depth], biases[:depth], x, activation)) for depth in depths]


@functools.partial(jax.jit, static_argnames="activation")
def _singular_values(kernel, biases, x, activation):
    network = functools.partial(ultra_deep.propagate, kernel, biases, activation=activation)
    return spectra.jacobian_singular_values(lambda x: network(x[None])[0], x)


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


def networks(members: Grid, build: Callable[..., nnx.Module]) -> tuple[Network, PyTree]:
    """(network, initial parameters of every member), the models made by `build` from the labels of the members.

    Args:
        members: the grid; all of its models have one architecture.
        build: called by keyword with the labels of a member.

    Example:
        >>> from deepphenomena import training
        >>> build = lambda seed: nets.fully_connected([3, 2], activation="relu", key=jax.random.key(seed))
        >>> network, initial = networks(training.grid(seed=[0, 1, 2]), build)
        >>> network(nets.member(initial, 0), jnp.ones((5, 3))).shape
        (5, 2)
    """
    first = dict(zip(members.axes, members.rows[0], strict=True))
    network, _ = nets.functional(nnx.eval_shape(lambda: build(**first)))
    return network, members.stack(lambda **labels: nets.functional(build(**labels))[1])


def accuracy_in_parts(network: Network, data: Mapping[str, Array], size: int = 50) -> Callable[[PyTree], Array]:
    """`accuracy(parameters)` on `data["x"]` and `data["y"]`, in parts of a few images, which stay in the cache.

    Args:
        network: `network(parameters, images)`, the logits.
        data: images "x" and labels "y"; more than `size` images are a multiple of it.
        size: images in a part.

    Example:
        >>> data = {"x": jnp.eye(4), "y": jnp.array([0, 1, 2, 0])}
        >>> float(accuracy_in_parts(lambda scale, x: scale * x, data, size=2)(1.0))
        0.75
    """
    parts = data["x"].reshape(-1, min(size, len(data["x"])), *data["x"].shape[1:])

    @jax.jit
    def accuracy(parameters):
        logits = jax.lax.map(functools.partial(network, parameters), parts)
        return jnp.mean(jnp.argmax(logits, -1).ravel() == data["y"])

    return accuracy


def stacked(sources: Mapping[str, pd.DataFrame], *kept: str, **names: str) -> dict[str, pd.DataFrame]:
    """Each table with some of its columns below each other, as a figure of several quantities takes them.

    Args:
        sources: {title: table}.
        kept: columns that stay.
        names: what to call each of the columns that come below each other.

    Returns:
        Tables of the columns `kept`, "column" (the name) and "value".

    Example:
        >>> table = pd.DataFrame({"depth": [1, 2], "low": [3, 4], "high": [5, 6]})
        >>> stacked({"": table}, "depth", low="lowest", high="highest")[""].values.tolist()
        [[1, 'lowest', 3], [2, 'lowest', 4], [1, 'highest', 5], [2, 'highest', 6]]
    """
    return {
        title: table.rename(columns=names).melt(list(kept), list(names.values()), var_name="column", value_name="value")
        for title, table in sources.items()
    }


class Costs(NamedTuple):
    """What a gradient of a very deep network costs.

    Attributes:
        table: a row for each depth: "step" and "compile" in seconds, and the compiler's count of temporary bytes
            beside parameters and gradients, "blocked" with checkpointed blocks and "all" without them.
        step_seconds: the time of a gradient in each round.
        compile_ratio: the time to compile at the last depth over that at the first, in each round.
    """

    table: pd.DataFrame
    step_seconds: Float[np.ndarray, "rounds depths"]
    compile_ratio: Float[np.ndarray, " rounds"]

    def exponent(self, column: str) -> float:
        """The exponent of a column of the table in depth."""
        return np.polyfit(np.log(self.table["depth"]), np.log(self.table[column]), 1)[0]

    def linearity(self) -> list[float]:
        """R² of a straight line through step time against depth, in each round."""
        return [np.corrcoef(self.table["depth"], steps)[0, 1] ** 2 for steps in self.step_seconds]


def costs(depths: Sequence[int], *, channels: int, grid: int, rounds: int, key: Key[Array, ""]) -> Costs:
    """Time, time to compile and memory of a gradient of `ultra_deep.propagate`, for several depths.

    Programs are compiled anew, whatever the cache holds. Step times are taken in turns over the depths, and the quicker
    of two counts.

    Args:
        depths: numbers of layers.
        channels, grid: the size of the feature maps.
        rounds: repetitions of each time.
        key: draws parameters and images.

    Example:
        >>> costs([2, 4], channels=2, grid=3, rounds=1, key=jax.random.key(0)).step_seconds.shape
        (1, 2)
    """
    program = functools.partial(gradient_program, channels=channels, grid=grid)
    with compilation.uncached():
        programs = {depth: program(depth) for depth in depths}
        again = [[program(depth).compile_seconds for depth in (depths[0], depths[-1])] for _ in range(rounds - 1)]
        whole = threads.each(lambda depth: program(depth, block=depth).temporary_bytes, depths)
    first = [programs[depth].compile_seconds for depth in (depths[0], depths[-1])]
    compiled = np.array([first, *again])
    calls = {str(depth): functools.partial(one.run, *one.inputs(key)) for depth, one in programs.items()}
    taken = np.array(list(timing.seconds(calls, runs=_ROUNDS * rounds).values()))
    steps = taken.reshape(len(depths), rounds, _ROUNDS).min(-1).T
    columns = {
        "depth": list(depths),
        "step": steps.min(0),
        "compile": [one.compile_seconds for one in programs.values()],
        "blocked": [one.temporary_bytes for one in programs.values()],
        "all": whole,
    }
    return Costs(pd.DataFrame(columns), steps, compiled[:, 1] / compiled[:, 0])


class GradientProgram(NamedTuple):
    """A compiled gradient by kernels and biases.

    Attributes:
        run: called with kernels, biases and images.
        shapes: the shapes of these.
        compile_seconds: how long the compilation took.
        temporary_bytes: the compiler's count of the memory that a call needs beside inputs and results.
    """

    run: Callable[..., Any]
    shapes: list[tuple[int, ...]]
    compile_seconds: float
    temporary_bytes: int

    def inputs(self, key: Key[Array, ""]) -> list[Array]:
        """Random kernels, biases and images."""
        return jax.block_until_ready([_WEIGHTS * sampling.normal(key, shape) for shape in self.shapes])


def gradient_program(depth: int, *, channels: int, grid: int, block: int | None = None) -> GradientProgram:
    """The gradient of the mean squared output of `depth` layers; `block` as in `kernels.deep_scan`.

    Example:
        >>> program = gradient_program(4, channels=2, grid=3)
        >>> [gradient.shape for gradient in program.run(*program.inputs(jax.random.key(0)))]
        [(4, 3, 3, 2, 2), (4, 2)]
    """
    shapes = [(depth, 3, 3, channels, channels), (depth, channels), (_IMAGES, grid, grid, channels)]

    def loss(kernels, biases, x):
        return jnp.mean(ultra_deep.propagate(kernels, biases, x, block=block) ** 2)

    lowered = jax.jit(jax.grad(loss, (0, 1))).lower(*(jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes))
    begun = time.perf_counter()
    run = lowered.compile()
    return GradientProgram(run, shapes, time.perf_counter() - begun, run.memory_analysis().temp_size_in_bytes)
