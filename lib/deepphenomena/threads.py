"""Independent computations on all cores: a small model's operations leave all but one of them idle."""

from collections.abc import Callable, Iterable
from concurrent import futures
from typing import Any

import jax
import jax.numpy as jnp

from deepphenomena import environment


def each[T](function: Callable[[Any], T], arguments: Iterable[Any]) -> list[T]:
    """function(argument) of all arguments in their order, on a thread for each core; results have been computed.

    XLA releases Python's lock while it compiles and computes, and compiles once what several threads call first. Double
    precision in the calling thread (`jax.enable_x64`) is double precision in all.
    """
    double = jnp.result_type(float) == jnp.float64

    def call(argument):
        with jax.enable_x64(double):
            return jax.block_until_ready(function(argument))

    with futures.ThreadPoolExecutor(environment.cores()) as threads:
        return list(threads.map(call, arguments))
