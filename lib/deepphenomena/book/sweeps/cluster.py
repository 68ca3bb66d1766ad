"""The runs of a sweep on the workers of a Dask cluster, on this machine or at a given address."""

import contextlib
import logging
import re
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError

import dask
from distributed import Client, Future, LocalCluster

from deepphenomena.book.sweeps.grid import Task
from deepphenomena.book.sweeps.worker import Result, run_task
from deepphenomena.runtime import environment, progress
from deepphenomena.runtime.errors import InputError, RunError, shown

_SECONDS_TO_CONNECT = 20
_TRIES_TO_START = 3  # the workers of this machine
_SECONDS_BETWEEN_LOOKS = 0.2
_SECONDS_BETWEEN_COUNTS = 5.0  # of the workers: each asks the scheduler for all of them
_SECONDS_WITHOUT_WORKERS = 300.0  # on a busy machine a worker takes minutes to start
_ADDRESS = re.compile(r"([a-z]+://)?(\[[0-9a-fA-F:.]+\]|[^\s:/\[\]]+):([0-9]{1,5})")
_ON_THIS_MACHINE_ONLY = "127.0.0.1:0"  # any free port, not reachable from other machines


def check_address(scheduler: str) -> None:
    """Raise InputError for an address of a scheduler without a host or a port."""
    found = _ADDRESS.fullmatch(scheduler)
    if not found or not 0 < int(found[3]) < 2**16:
        raise InputError(f"scheduler {shown(scheduler)}: give its host and port, for example tcp://host:8786")


@contextlib.contextmanager
def connected(scheduler: str | None, workers: int | None) -> Iterator[Client]:
    """Return a client of the scheduler at an address or, without an address, of a cluster on this machine.

    A local cluster has one worker for every two cores, or the given number. Each worker runs one chapter at a time in
    its own process. The workers share the cores.
    """
    for name in ("distributed", "distributed.client"):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # the errors raised here contain what is needed
    if scheduler is not None:
        try:
            client = Client(scheduler, timeout=_SECONDS_TO_CONNECT, set_as_default=False)
        except (OSError, ValueError) as problem:
            raise InputError(
                f"scheduler '{scheduler}': no Dask scheduler answers there ({problem}); give its address, for example "
                "tcp://host:8786, or leave it out for this machine"
            ) from None
        try:
            yield client
        finally:
            with contextlib.suppress(OSError, TimeoutError):  # the scheduler may be gone
                client.close(timeout=_SECONDS_TO_CONNECT)
        return
    cores = environment.cores()
    count = workers or max(1, cores // 2)
    variables = environment.for_speed() | environment.for_threads(max(1, cores // count))
    settings = {
        "distributed.nanny.pre-spawn-environ": variables,
        "distributed.scheduler.allowed-failures": 3,  # a run that loses more workers than this has crashed them
        # On a busy machine a lost worker is replaced slowly; by default its nanny would be closed before that.
        "distributed.deploy.lost-worker-timeout": "1 hour",
        "distributed.scheduler.worker-ttl": "1 hour",
        "distributed.comm.timeouts.connect": "120s",
        "distributed.comm.timeouts.tcp": "120s",
    }
    with contextlib.ExitStack() as stack:
        stack.enter_context(dask.config.set(settings))
        yield _client_of_a_local_cluster(count, stack)


def _client_of_a_local_cluster(count: int, stack: contextlib.ExitStack) -> Client:
    """Start a cluster on this machine, and again if one of its workers dies while it starts. The stack closes it."""
    tries = 0
    while True:
        tries += 1
        try:
            with contextlib.ExitStack() as starting:
                cluster = starting.enter_context(
                    LocalCluster(n_workers=count, threads_per_worker=1, dashboard_address=_ON_THIS_MACHINE_ONLY)
                )
                client = starting.enter_context(Client(cluster, set_as_default=False))
                stack.push(starting.pop_all())
                return client
        except (OSError, RuntimeError, ValueError) as problem:
            if tries == _TRIES_TO_START:
                raise RunError(
                    f"the {count} workers on this machine did not start ({problem}); free memory, or give --workers "
                    "1, with the same command again: finished runs are kept"
                ) from None


def run_all(client: Client, tasks: Sequence[Task], out: str, report: Callable[[str], None]) -> list[Result]:
    """Run every task with a progress bar; return the results in the order of completion.

    Raise RunError if the scheduler is lost, or all workers for minutes. Finished runs are kept, and the same sweep
    resumes.
    """
    pending = {client.submit(run_task, task, out, key=f"{task.slug}-{task.key}", pure=False): task for task in tasks}
    results, last_seen, counted = [], time.monotonic(), time.monotonic()
    with progress.bar(len(tasks), "sweep", unit="run") as bar:
        while pending:
            # Poll instead of waiting: waiting on a future of a lost scheduler never ends.
            # The result of a "lost" future was on a worker that is gone; the scheduler computes it again.
            ended = [future for future in pending if future.status in ("finished", "error")]
            if not ended and (client.status != "running" or any(f.status == "cancelled" for f in pending)):
                raise RunError(_lost(len(results), len(tasks)))
            for future in ended:
                task = pending.pop(future)
                try:
                    results.append(_result(future, task))
                except (OSError, CancelledError):
                    raise RunError(_lost(len(results), len(tasks))) from None
                bar.update()
                if results[-1].reason:
                    report(f"failed: {_named(task)}: {results[-1].reason.strip().splitlines()[-1]}")
            now = time.monotonic()
            if now - counted >= _SECONDS_BETWEEN_COUNTS:
                counted = now
                last_seen = now if client.scheduler_info()["workers"] else last_seen
            if ended:
                last_seen = now
            elif now - last_seen > _SECONDS_WITHOUT_WORKERS:
                raise RunError(
                    f"no workers were left for {_SECONDS_WITHOUT_WORKERS:.0f} s after {len(results)} of {len(tasks)} "
                    "runs; finished runs are kept: start workers, or free memory, and give the same command again"
                )
            if not ended:
                time.sleep(_SECONDS_BETWEEN_LOOKS)
    return results


def _result(future: Future, task: Task) -> Result:
    if future.status == "finished":
        return future.result()
    problem = future.exception()  # its workers died repeatedly
    return Result(task.key, f"{type(problem).__name__}: {problem}")


def _lost(done: int, total: int) -> str:
    return (
        f"the scheduler was lost after {done} of {total} runs; finished runs are kept, and the same command resumes "
        "the sweep"
    )


def _named(task: Task) -> str:
    given = ", ".join(f"{name}={value}" for name, value in task.overrides.items())
    return f"{task.slug} ({task.preset}{': ' if given else ''}{given})"
