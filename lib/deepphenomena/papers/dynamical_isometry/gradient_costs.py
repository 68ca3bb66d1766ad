"""Time, time to compile and memory of gradients of very deep networks."""

import functools
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jaxtyping import Float, Key

from deepphenomena.nets import ultra_deep
from deepphenomena.runtime import compilation, sampling, threads, timing
from deepphenomena.runtime.arrays import Array

_IMAGES = 4  # of the gradient whose cost is measured
_WEIGHTS = 0.05  # standard deviation of its inputs
_ROUNDS = 2  # timed for each step time that is reported: other work on the machine only ever slows one down


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


def costs(depths: Sequence[int], *, channels: int, grid: int, rounds: int, key: Key[jax.Array, ""]) -> Costs:
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

    def inputs(self, key: Key[jax.Array, ""]) -> list[Array]:
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
