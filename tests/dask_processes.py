"""A Dask cluster of separate processes over TCP, to be killed in parts."""

import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def cluster(port: int, workers: int, folder: Path) -> Iterator[tuple[subprocess.Popen, list[subprocess.Popen]]]:
    """(scheduler, workers), at work in a folder."""
    environment = os.environ | {"DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL": "5 minutes"}
    dask = [sys.executable, "-m", "dask"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "env": environment, "cwd": folder}
    scheduler = subprocess.Popen(
        [*dask, "scheduler", "--host", "127.0.0.1", "--port", str(port), "--no-dashboard"], **quiet
    )
    serve = [*dask, "worker", f"tcp://127.0.0.1:{port}", "--no-nanny", "--nthreads", "1"]
    serving = [subprocess.Popen(serve, **quiet) for _ in range(workers)]
    try:
        yield scheduler, serving
    finally:
        for process in (scheduler, *serving):
            process.kill()
            process.wait()
