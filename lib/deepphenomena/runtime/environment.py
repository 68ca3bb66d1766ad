"""Environment variables that make JAX fast on a CPU. They take effect only if set before Python starts."""

import os
import platform

# XLA:CPU takes its temporaries from the C library, which by default gives large ones back to the system after every
# call; the page faults of fetching them again can take longer than the arithmetic. So: keep them, on large pages, in a
# pool for each core, so that trainings on several threads do not wait for each other's.
_KEEP_MEMORY = (
    "glibc.malloc.hugetlb=1:glibc.malloc.mmap_max=0:glibc.malloc.trim_threshold=20000000000:"
    "glibc.malloc.arena_max={cores}:glibc.malloc.top_pad=67108864"
)
# JAX's small decompositions run in SciPy's OpenBLAS, whose threads spend longer waiting for each other than working.
_ONE_THREAD_FOR_LAPACK = "1"


def for_speed() -> dict[str, str]:
    """Return the variables for starting a Python process. Variables that the user has set are left out, so they keep
    their value.
    """
    wanted = {"OPENBLAS_NUM_THREADS": _ONE_THREAD_FOR_LAPACK}
    if platform.libc_ver()[0] == "glibc":
        wanted["GLIBC_TUNABLES"] = _KEEP_MEMORY.format(cores=cores())
    return {name: value for name, value in wanted.items() if name not in os.environ}


def for_threads(count: int) -> dict[str, str]:
    """Return the variables that limit a Python process to `count` threads, for several processes on one machine."""
    return {"NPROC": str(count), "OMP_NUM_THREADS": str(count), "OPENBLAS_NUM_THREADS": _ONE_THREAD_FOR_LAPACK}


def cores() -> int:
    """Return the number of cores this process uses: the number from `for_threads`, otherwise what the system allows."""
    if "NPROC" in os.environ:
        return int(os.environ["NPROC"])
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
