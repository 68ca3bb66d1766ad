"""Sweeps under fire: `python tests/sweep_proof.py [--runs 20] [--preset smoke] [--chapter SLUG ...]`.

For each of two chapters: a run with an empty cache and the same run again (cold and warm); then a sweep over seeds on a
cluster of processes over TCP, where a worker is killed in the first chapter's sweep and the scheduler in the second's,
which is started again. Last the same runs one after the other, without Dask. It holds if the tables are equal, byte for
byte, and no finished run was touched. Some 15 minutes with the defaults on two cores.
"""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click
import pandas as pd
from dask_processes import cluster, free_port

from deepphenomena.book import runner, sweeps
from deepphenomena.book.sweeps import worker
from deepphenomena.book.sweeps.store import Store

_QUIET = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
_SECONDS_TO_WAIT = 1800


@click.command(help=__doc__)
@click.option("--runs", default=20, show_default=True, type=click.IntRange(4), help="Runs of each chapter.")
@click.option("--preset", default="smoke", show_default=True)
@click.option("--chapter", "chapters", multiple=True, default=("large_learning_rate_phase", "deep_bootstrap"))
@click.option("--workers", default=2, show_default=True, type=click.IntRange(2))
def main(runs: int, preset: str, chapters: tuple[str, str], workers: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["DEEPPHENOMENA_CACHE"] = str(folder / "cache")
        for slug in chapters:
            cold, warm = timed_run(slug, preset, folder), timed_run(slug, preset, folder)
            click.echo(f"{slug}: cold {cold:.1f} s, warm {warm:.1f} s, {cold / warm:.1f} times faster")
        parameters = ("first_seed", f"1..{runs}")
        for slug, victim in zip(chapters, ("a worker", "the scheduler"), strict=True):
            disturbed(slug, preset, parameters, folder / "cluster", workers, victim)
        for slug in chapters:
            serial = [timed_task(task, folder / "serial") for task in sweeps.tasks(slug, [parameters], preset=preset)]
            Store(str(folder / "serial")).write_table(slug)
            report_overhead(slug, folder / "serial", sum(serial) / len(serial))
        for slug in chapters:
            tables = [(folder / place / f"{slug}.parquet").read_bytes() for place in ("cluster", "serial")]
            if tables[0] != tables[1]:
                sys.exit(f"{slug}: the tables differ\n{difference(folder, slug)}")
            click.echo(f"{slug}: the table of {runs} runs is that of runs one after the other, byte for byte")


def timed_run(slug: str, preset: str, folder: Path) -> float:
    """Wall seconds of one run, from the call to its record."""
    began = time.monotonic()
    runner.execute(slug, preset=preset, out=folder / "one.ipynb")
    return time.monotonic() - began


def timed_task(task: sweeps.Task, out: Path) -> float:
    """Wall seconds of one run of a sweep, without Dask."""
    began = time.monotonic()
    result = worker.run_task(task, str(out))
    if result.reason is not None:
        sys.exit(f"a run failed: {result.reason}")
    return time.monotonic() - began


def report_overhead(slug: str, out: Path, seconds: float) -> None:
    """What a run takes beside the chapter itself, which times itself from its first line to its record."""
    store = Store(str(out))
    inside = [store.read(slug, key).provenance.wall_seconds for key in store.finished(slug)]
    mean = sum(inside) / len(inside)
    click.echo(f"{slug}: a run takes {seconds:.1f} s, of these {seconds - mean:.1f} s the kernel, papermill, the store")


def disturbed(slug: str, preset: str, parameters: tuple[str, str], out: Path, workers: int, victim: str) -> None:
    """Sweep on a cluster of processes, kill one of them half way, and go on where the sweep stops."""
    port, total = free_port(), len(sweeps.tasks(slug, [parameters], preset=preset))
    began = time.monotonic()
    with (
        cluster(port, workers, out.parent) as (scheduler, serving),
        sweeping(slug, preset, parameters, out, port) as sweep,
    ):
        wait_for(lambda: len(finished(out, slug)) >= total // 2 or sweep.poll() is not None)
        before = finished(out, slug)
        if victim == "a worker":
            serving[0].send_signal(signal.SIGKILL)
        else:
            scheduler.kill()
        status = sweep.wait(_SECONDS_TO_WAIT)
    if victim == "the scheduler":
        if status != 1:
            sys.exit(f"{slug}: the sweep ended with status {status} where its scheduler was lost, not with 1")
        before = finished(out, slug)
        with cluster(port, workers, out.parent), sweeping(slug, preset, parameters, out, port) as sweep:
            status = sweep.wait(_SECONDS_TO_WAIT)
    after = finished(out, slug)
    if status != 0 or len(after) != total:
        sys.exit(f"{slug}: status {status}, {len(after)} of {total} runs finished")
    if any(after[file] != made for file, made in before.items()):
        sys.exit(f"{slug}: a finished run was run again")
    took = time.monotonic() - began
    click.echo(
        f"{slug}: {total} runs on {workers} workers in {took:.0f} s; {victim} was killed when {len(before)} had "
        "finished, and none of those was touched"
    )


def finished(out: Path, slug: str) -> dict[Path, int]:
    """The records that are there, each with the time it was written."""
    return {file: file.stat().st_mtime_ns for file in (out / slug).glob("[!.]*.json")}


@contextlib.contextmanager
def sweeping(slug: str, preset: str, parameters: tuple[str, str], out: Path, port: int):
    """The command `deepphenomena sweep` at work."""
    program = "from deepphenomena.book.cli import main; main()"
    arguments = ["sweep", slug, "--preset", preset, "-p", "=".join(parameters), "--out", str(out)]
    process = subprocess.Popen(
        [sys.executable, "-c", program, *arguments, "--scheduler", f"tcp://127.0.0.1:{port}"], **_QUIET
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def wait_for(true) -> None:
    deadline = time.monotonic() + _SECONDS_TO_WAIT
    while not true():
        if time.monotonic() > deadline:
            sys.exit("waited in vain")
        time.sleep(0.1)


def difference(folder: Path, slug: str) -> str:
    ours, serial = (pd.read_parquet(folder / place / f"{slug}.parquet") for place in ("cluster", "serial"))
    if ours.shape != serial.shape:
        return f"shapes {ours.shape} and {serial.shape}"
    columns = ["first_seed", "claim", "mean"]
    return ours[columns].join(serial["mean"], rsuffix="_serial")[ours["mean"] != serial["mean"]].to_string()


if __name__ == "__main__":
    main()
