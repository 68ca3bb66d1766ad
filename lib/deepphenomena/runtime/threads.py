"""Independent computations on all cores. The operations of a small model use only one core."""

import collections
import functools
import inspect
import threading
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


def cache[**P, T](function: Callable[P, T]) -> Callable[P, T]:
    """Cache results like `functools.cache`, for functions that several threads call.

    A result is computed once for the same arguments, passed by position or by name. Threads that need the same result
    wait for it; other results are computed meanwhile.
    """
    signature, results, guard = inspect.signature(function), {}, threading.Lock()
    locks: dict[Any, threading.Lock] = collections.defaultdict(threading.Lock)

    @functools.wraps(function)
    def cached(*args: P.args, **kwargs: P.kwargs) -> T:
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        asked = tuple(bound.arguments.items())
        with guard:
            lock = locks[asked]
        with lock:
            if asked not in results:
                results[asked] = function(*args, **kwargs)
        return results[asked]

    return cached
