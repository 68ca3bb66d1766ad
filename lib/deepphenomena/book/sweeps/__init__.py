"""Sweeps: run a chapter over a grid of parameters, here or on a cluster. Finished runs are never repeated."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from deepphenomena.book.cards import QUICK
from deepphenomena.book.sweeps.grid import Task, tasks
from deepphenomena.runtime.errors import InputError

__all__ = ["Swept", "Task", "sweep", "tasks"]


class Swept(NamedTuple):
    """The result of a sweep: runs that were finished before, new runs, failed runs, and the path of the table."""

    found: int
    made: int
    failed: int
    table: str | None


def sweep(
    slug: str,
    parameters: Iterable[tuple[str, str]] = (),
    *,
    out: str,
    preset: str = QUICK,
    scheduler: str | None = None,
    workers: int | None = None,
    report: Callable[[str], None] = lambda line: None,
) -> Swept:
    """Run a chapter at every point of a grid, and write the table of all its finished runs.

    Args:
        slug, parameters, preset: the grid, as for `tasks`.
        out: a folder, or an address on any file system that fsspec supports (`s3://bucket/folder`).
        scheduler: the address of a Dask scheduler; by default, a cluster on this machine.
        workers: number of workers on this machine; by default, one for every two cores.
        report: called with progress messages.

    Raises:
        InputError: an invalid grid, an output that cannot be written or that another sweep uses, a scheduler that does
            not answer.
        RunError: a scheduler or all workers lost during the sweep, workers that do not start, or an output that
            can no longer be written.
    """
    try:
        from deepphenomena.book.sweeps import cluster
        from deepphenomena.book.sweeps.store import Store
    except ImportError as missing:
        raise InputError(
            f"sweeps need the package '{missing.name}', which is not installed; pip install 'deepphenomena[sweep]'"
        ) from None
    wanted = tasks(slug, parameters, preset=preset)
    store = Store(out)
    if scheduler is not None:
        cluster.check_address(scheduler)
    store.check()
    with store.locked():
        finished = store.finished(slug)
        open_ = [task for task in wanted if task.key not in finished]
        report(f"{len(wanted)} runs, {len(wanted) - len(open_)} of them finished before")
        results = []
        if open_:
            with cluster.connected(scheduler, workers) as client:
                report(f"dashboard: {client.dashboard_link}")
                results = cluster.run_all(client, open_, store.out, report)
        failed = sum(result.reason is not None for result in results)
        made = len(results) - failed
        table = store.write_table(slug) if len(wanted) > failed else None
    return Swept(len(wanted) - len(open_), made, failed, table)
