"""The persistent cache of compiled programs, so that the second run of a chapter starts at once."""

import contextlib
import hashlib
import platform
from collections.abc import Iterator
from pathlib import Path

import jax
from jax.experimental.compilation_cache import compilation_cache

from deepphenomena import house

MAXIMUM_BYTES = 2_000_000_000  # beyond it JAX deletes the least recently used programs


def use_persistent_cache() -> None:
    """Keep compiled programs in the user's cache folder, unless a cache was already chosen. Safe to delete.

    Parallel runs share it: JAX writes an entry under a lock. Compiled programs hold for one kind of processor, so each
    kind has a folder of its own.
    """
    if jax.config.jax_compilation_cache_dir is None:
        jax.config.update("jax_compilation_cache_dir", str(house.cache() / "compiled" / _processor_kind()))
        jax.config.update("jax_compilation_cache_max_size", MAXIMUM_BYTES)
        # Small programs too: a notebook has hundreds, and together they take longer to compile than the large ones.
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)


@contextlib.contextmanager
def uncached() -> Iterator[None]:
    """Compile every program inside anew, as where the time that it takes is the question."""
    before = jax.config.jax_enable_compilation_cache
    try:
        _enable(False)
        yield
    finally:
        _enable(before)


def _enable(value: bool) -> None:
    jax.config.update("jax_enable_compilation_cache", value)
    compilation_cache.reset_cache()  # JAX looks at the setting only once, unless reset


def _processor_kind() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        features = next(line for line in lines if line.startswith(("flags", "Features")))
    except (OSError, StopIteration):
        features = platform.processor()
    return hashlib.sha256(f"{platform.machine()} {features}".encode()).hexdigest()[:12]
