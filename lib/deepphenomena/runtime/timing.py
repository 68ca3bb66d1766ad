"""Run times compared fairly: the calls take turns, so that whatever else the machine does meets them all."""

import time
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np
from jaxtyping import Float

from deepphenomena.runtime.errors import InputError


def seconds(calls: Mapping[str, Callable[[], Any]], *, runs: int) -> dict[str, Float[np.ndarray, " runs"]]:
    """Seconds that each call takes, its results computed, in `runs` rounds over all of them.

    A first round, which compiles, is not counted.

    Args:
        calls: {name: function without arguments}.
        runs: rounds that are counted, 1 or more.

    Raises:
        InputError: for no calls, or no runs.

    Example:
        >>> times = seconds({"slow": lambda: time.sleep(0.02), "quick": lambda: time.sleep(0.001)}, runs=3)
        >>> float(np.median(times["slow"] / times["quick"])) > 2
        True
    """
    if not calls or runs < 1:
        raise InputError(f"{len(calls)} calls timed {runs} times: give one call or more, and 1 run or more")
    taken = {name: [] for name in calls}
    for _ in range(runs + 1):
        for name, call in calls.items():
            started = time.perf_counter()
            jax.block_until_ready(call())
            taken[name].append(time.perf_counter() - started)
    return {name: np.array(of_call[1:]) for name, of_call in taken.items()}
