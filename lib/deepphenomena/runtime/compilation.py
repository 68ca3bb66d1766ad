"""The persistent cache of compiled programs, so that the second run of a chapter starts at once."""

import contextlib
import hashlib
import platform
from collections.abc import Iterator
from pathlib import Path

import jax
from jax.experimental.compilation_cache import compilation_cache

from deepphenomena.runtime import paths

MAXIMUM_BYTES = 2_000_000_000  # beyond it the oldest programs are deleted


def use_persistent_cache() -> None:
    """Keep compiled programs in the user's cache folder, unless a cache is already set. It is safe to delete.

    Parallel runs share the cache. Entries have checksums: an incomplete entry, from a parallel or a killed run, is
    compiled again. Compiled programs are specific to a kind of processor, so each kind has its own folder.
    """
    if jax.config.jax_compilation_cache_dir is None:
        folder = paths.cache() / "compiled" / _processor_kind()
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError:  # a read-only home: programs are compiled every time
            return
        _prune(folder, MAXIMUM_BYTES)
        jax.config.update("jax_compilation_cache_dir", str(folder))
        # JAX's own limit would look at every entry whenever it adds one, which soon takes longer than to compile.
        jax.config.update("jax_compilation_cache_max_size", -1)
        # Small programs too: a notebook has hundreds, and together they take longer to compile than the large ones.
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)


def _prune(folder: Path, limit: int) -> None:
    """Delete the oldest entries until at most `limit` bytes are left."""
    entries = []
    for file in folder.glob("*"):
        with contextlib.suppress(OSError):  # a parallel run was faster
            status = file.stat()
            entries.append((status.st_mtime, status.st_size, file))
    excess = sum(size for _, size, _ in entries) - limit
    for _, size, file in sorted(entries):
        if excess <= 0:
            break
        with contextlib.suppress(OSError):
            file.unlink()
        excess -= size


@contextlib.contextmanager
def uncached() -> Iterator[None]:
    """Compile every program inside again, for example to measure compile time."""
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
