"""Independent computations on all cores. The operations of a small model use only one core."""

from collections.abc import Callable, Iterable
from concurrent import futures
from typing import Any

import jax
import jax.numpy as jnp

from deepphenomena.runtime import environment


def each[T](function: Callable[[Any], T], arguments: Iterable[Any]) -> list[T]:
    """Compute function(argument) for all arguments, on one thread per core, and return the results in order.

    The results are fully computed. XLA releases Python's lock while it compiles and computes, and compiles once what
    several threads call first. Double precision in the calling thread (`jax.enable_x64`) applies in all threads.

    Example:
        >>> each(lambda x: x**2, [1, 2, 3])
        [1, 4, 9]
    """
    double = jnp.result_type(float) == jnp.float64

    def call(argument):
        with jax.enable_x64(double):
            return jax.block_until_ready(function(argument))

    with futures.ThreadPoolExecutor(environment.cores()) as threads:
        return list(threads.map(call, arguments))
