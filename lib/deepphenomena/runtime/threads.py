"""Independent computations on all cores: a small model's operations leave all but one of them idle."""

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


def cache[**P, T](function: Callable[P, T]) -> Callable[P, T]:
    """`functools.cache` for what threads call: computed once for the same arguments, however they are passed.

    Several threads that ask for one result at once wait for it; other results are computed meanwhile.
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
