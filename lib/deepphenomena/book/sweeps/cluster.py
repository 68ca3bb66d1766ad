"""The runs of a sweep on the workers of a Dask cluster, on this machine or at a given address."""

import contextlib
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError

import dask
from distributed import Client, Future, LocalCluster

from deepphenomena.book.sweeps.grid import Task
from deepphenomena.book.sweeps.worker import Result, run_task
from deepphenomena.runtime import environment, progress
from deepphenomena.runtime.errors import InputError, RunError

_SECONDS_TO_CONNECT = 20
_SECONDS_BETWEEN_LOOKS = 0.2


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
    }
    with (
        dask.config.set(settings),
        LocalCluster(n_workers=count, threads_per_worker=1, dashboard_address=":0") as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        yield client


def run_all(client: Client, tasks: Sequence[Task], out: str, report: Callable[[str], None]) -> list[Result]:
    """Run every task with a progress bar; return the results in the order of completion.

    Raise RunError if the scheduler is lost. Finished runs are kept, and the same sweep resumes.
    """
    pending = {client.submit(run_task, task, out, key=f"{task.slug}-{task.key}", pure=False): task for task in tasks}
    results = []
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
