"""A network as one value: how it is drawn, what it computes, and the kernels of its limit of infinite width."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
from jax import numpy as jnp
from jaxtyping import Key, PyTree, Real

from deepphenomena.infinite_width import _fields
from deepphenomena.infinite_width._inputs import checked_inputs, in_float64
from deepphenomena.infinite_width._tiles import from_tiles
from deepphenomena.infinite_width.fully_connected import KernelMatrices
from deepphenomena.runtime import numbers
from deepphenomena.runtime.arrays import Array
from deepphenomena.runtime.errors import InputError


class State(NamedTuple):
    """What a layer hands to the next.

    Attributes:
        nngp, ntk: fields of covariances and of the tangent kernel.
        kind: the pixels of these fields; see `_fields`.
        features: the number of channels of the finite network there. A flattened image counts its pixels.
        gaussian: whether the limit is Gaussian there, as it is after weights and not after an activation.
    """

    nngp: Array
    ntk: Array
    kind: str
    features: int
    gaussian: bool


class Network(NamedTuple):
    """A network or a part of one, made by `dense`, `conv`, ... and put together by `serial` and `residual`.

    Attributes:
        init: (key, shape of one input) -> (shape of one output, parameters).
        apply: (parameters, inputs) -> outputs.
        alone: (state of each input with itself, whether some pairs of pixels are known) -> (state, sides): what `pair`
            needs of one input.
        pair: (state, sides of one input, sides of the other) -> state.
        steps: the kinds of its layers in order, "weights", "nonlinear", "pool" or "flatten".

    Example:
        >>> hidden = [infinite_width.dense(64), infinite_width.activation("relu")]
        >>> network = infinite_width.serial(*hidden, infinite_width.dense(1))
        >>> shape, parameters = network.init(jax.random.key(0), (5,))
        >>> network.apply(parameters, jnp.ones((3, 5))).shape, network.kernel(jnp.eye(5)).ntk.shape
        ((3, 1), (5, 5))
    """

    init: Callable[[Key[jax.Array, ""], tuple[int, ...]], tuple[tuple[int, ...], PyTree]]
    apply: Callable[[PyTree, Array], Array]
    alone: Callable[[State], tuple[State, Any]]
    pair: Callable[[State, Any, Any], State]
    steps: tuple[str, ...]

    def kernel(
        self, x1: Real[Array, "n1 *shape"], x2: Real[Array, "n2 *shape"] | None = None, *, tile: int | None = None
    ) -> KernelMatrices:
        """Compute the NNGP and NTK at every pair of inputs, tile by tile: memory does not depend on n.

        If x2 is left out, one side of the diagonal is computed. Differentiable in the inputs and in variances. Outside
        jit, small matrices are computed in float64 on a CPU and rounded.

        Args:
            x1, x2: inputs, (samples, features) or (samples, height, width, channels); x2 defaults to x1.
            tile: inputs on each side of a tile. The default depends on the network. The result does not depend on it.

        Raises:
            InputError: inputs of other or different shapes; a network that ends with images.
        """
        x1, x2 = checked_inputs(x1, x2)
        if x1.ndim not in (2, 4) or (x2 is not None and x2.shape[1:] != x1.shape[1:]):
            shapes = f"{x1.shape}" if x2 is None else f"{x1.shape} and {x2.shape}"
            raise InputError(
                f"inputs {shapes} of a kernel: they must be (samples, features) or (samples, height, width, channels), "
                "with equal shapes of a sample."
            )
        plan = _plan(self.steps, x1.ndim == 4)
        tile = None if tile is None else numbers.whole("tile", tile, minimum=1)
        matrices = functools.partial(_matrices, self, plan, tile)
        pixels = x1.shape[1] * x1.shape[2] if x1.ndim == 4 else 1
        passes = (1 + len(self.steps)) * pixels ** (2 if plan.kind == _fields.PAIRS else 1) * (9 if pixels > 1 else 1)
        return KernelMatrices(*in_float64(matrices, x1, x2, passes=passes))


class _Plan(NamedTuple):
    """The pixels that the kernel of two inputs needs, and that of an input with itself."""

    kind: str
    alone: str


class _Side(NamedTuple):
    """Inputs with what the layers need of each. Samples are the leading axis of every array."""

    x: Array
    sides: Any


def _plan(steps: tuple[str, ...], images: bool) -> _Plan:
    if not images:
        return _Plan(_fields.FLAT, _fields.FLAT)
    if "pool" not in steps:
        return _Plan(_fields.DIAGONAL, _fields.DIAGONAL)
    later = steps[steps.index("pool") :]
    return _Plan(_fields.PAIRS, _fields.PAIRS if "nonlinear" in later else _fields.DIAGONAL)


def _start(x: Array, field: Array, kind: str) -> State:
    return State(field, jnp.zeros((), field.dtype), kind, x.shape[-1], gaussian=False)


# The functions of a network are new objects for each network, and so is what is compiled for it.
@functools.partial(jax.jit, static_argnums=(0, 1, 2))
def _matrices(network: Network, plan: _Plan, tile: int | None, x1: Array, x2: Array | None) -> tuple[Array, Array]:
    (one, diagonal), (other, _) = (_side(network, plan, x) for x in (x1, x2))

    def of_tile(one, other):
        # Read from its own memory, a layer's side is one contiguous load for a row of the tile.
        sides = [jax.tree.map(lambda side: jnp.moveaxis(side, 0, -1), of.sides) for of in (one, other)]
        sides = jax.lax.optimization_barrier(sides)
        state = network.pair(_start(one.x, _fields.products(one.x, other.x, plan.kind), plan.kind), *sides)
        if state.kind != _fields.FLAT:
            raise InputError("a network whose outputs are images has no kernel matrix: add flatten() or pool()")
        return jnp.stack(_whole(state))

    cpu, elsewhere = {_fields.FLAT: (256, 4096), _fields.DIAGONAL: (32, 128), _fields.PAIRS: (1, 1)}[plan.kind]
    return from_tiles(
        of_tile, one, other, diagonal=diagonal if x2 is None else None, tile=tile, cpu=cpu, elsewhere=elsewhere
    )


def _side(network: Network, plan: _Plan, x: Array | None) -> tuple[_Side | None, Array | None]:
    """Return inputs with their sides, and the exact diagonal of both kernels, (2, n), where it is known."""
    if x is None:
        return None, None

    def of(x):
        state, sides = network.alone(_start(x, _fields.squares(x, plan.alone), plan.alone))
        sides = jax.tree.map(lambda side: jnp.moveaxis(side, -1, 0), sides)
        known = state is not None and state.kind == _fields.FLAT
        return sides, jnp.stack(_whole(state), axis=1) if known else None

    if plan.alone == _fields.PAIRS:  # one input at a time: its pairs of pixels fill a cache by themselves
        sides, last = jax.tree.map(lambda leaf: leaf[:, 0], jax.lax.map(of, x[:, None]))
    else:
        sides, last = of(x)
    return _Side(x, sides), None if last is None else last.T


def _whole(state: State) -> tuple[Array, Array]:
    return state.nngp, jnp.broadcast_to(state.ntk, state.nngp.shape)


def serial(*layers: Network) -> Network:
    """Put layers one after the other.

    Example:
        >>> infinite_width.serial(infinite_width.dense(3), infinite_width.activation("erf")).steps
        ('weights', 'nonlinear')
    """

    def init(key, shape):
        parameters = []
        for one, layer in zip(jax.random.split(key, len(layers)), layers, strict=True):
            shape, own = layer.init(one, shape)
            parameters.append(own)
        return shape, parameters

    def apply(parameters, x):
        for own, layer in zip(parameters, layers, strict=True):
            x = layer.apply(own, x)
        return x

    def alone(state):
        found = []
        for layer in layers:
            state, sides = (None, None) if state is None else layer.alone(state)
            found.append(sides)
        return state, found

    def pair(state, one, other):
        for layer, *sides in zip(layers, one, other, strict=True):
            state = layer.pair(state, *sides)
        return state

    return Network(init, apply, alone, pair, sum((layer.steps for layer in layers), ()))


def residual(*branches: Network) -> Network:
    """Add the outputs of branches that see the same input; `identity()` is a shortcut.

    All branches but one must end with weights: outputs with independent weights of mean zero are uncorrelated, so
    their kernels add. Pooling and flattening may follow the weights.

    Raises:
        InputError: fewer than two branches, or two that do not end with weights.

    Example:
        >>> block = infinite_width.serial(infinite_width.activation("relu"), infinite_width.dense(5))
        >>> added = infinite_width.residual(infinite_width.identity(), block)
        >>> network = infinite_width.serial(infinite_width.dense(5), added)
        >>> np.asarray(network.kernel(jnp.eye(2)).nngp, float).round(3).tolist()
        [[0.75, 0.08], [0.08, 0.75]]
    """
    if len(branches) < 2:
        raise InputError(f"residual with {len(branches)} branch(es): give identity() and a block, or more")
    loose = [branch for branch in branches if not _ends_with_weights(branch.steps)]
    if len(loose) > 1:
        raise InputError(
            f"residual with {len(loose)} branches that do not end with weights: their outputs are correlated, and "
            "their kernels do not add; end all branches but one with dense or conv"
        )

    def init(key, shape):
        made = [
            branch.init(one, shape) for one, branch in zip(jax.random.split(key, len(branches)), branches, strict=True)
        ]
        if len({shape for shape, _ in made}) > 1:
            raise InputError(f"branches of shapes {', '.join(str(shape) for shape, _ in made)}: only equal shapes add")
        return made[0][0], [parameters for _, parameters in made]

    def apply(parameters, x):
        return sum(branch.apply(own, x) for own, branch in zip(parameters, branches, strict=True))

    def alone(state):
        states, sides = zip(*(branch.alone(state) for branch in branches), strict=True)
        return None if None in states else _sum(states), list(sides)

    def pair(state, one, other):
        return _sum([branch.pair(state, *sides) for branch, *sides in zip(branches, one, other, strict=True)])

    return Network(init, apply, alone, pair, sum((branch.steps for branch in branches), ()))


def _ends_with_weights(steps: tuple[str, ...]) -> bool:
    kept = [step for step in steps if step not in ("pool", "flatten")]
    return bool(kept) and kept[-1] == "weights"


def _sum(states) -> State:
    fields = {(state.kind, state.nngp.shape) for state in states}
    if len(fields) > 1:
        raise InputError("branches of different shapes cannot be added: use equal strides, padding and pooling in each")
    return State(
        sum(state.nngp for state in states),
        sum(state.ntk for state in states),
        states[0].kind,
        states[0].features,
        all(state.gaussian for state in states),
    )
