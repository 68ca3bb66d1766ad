"""Sweeps: grids, keys, the store, and a cluster of processes that loses a worker and its scheduler."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
import types
from pathlib import Path

import fsspec
import nbformat
import pandas as pd
import pytest
from dask_processes import cluster, free_port
from hypothesis import given, settings
from hypothesis import strategies as st

from deepphenomena.book import cards, cli, judging, parameters_cell, provenance, records, runner, sweeps
from deepphenomena.book.claims import Sample
from deepphenomena.book.sweeps import cluster as sweep_cluster
from deepphenomena.book.sweeps import worker
from deepphenomena.book.sweeps.store import Store
from deepphenomena.runtime.errors import InputError, RunError

SLUG = "large_learning_rate_phase"
START = f"run = deepphenomena.start('{SLUG}', globals())"
MEASURE = (
    "import time; time.sleep(pause)\n"
    "run.measure('relu_maximal_rate', [12.0 + 0.01 * seed for seed in run.seeds])\n"
    "assert seeds != 13, 'an unlucky number'"
)

pytestmark = pytest.mark.filterwarnings("ignore")  # papermill, Dask and their servers warn of what no user can fix


def write_chapter(file: Path, *sources: str, pause: float = 0.0) -> None:
    """A notebook that runs in a moment under the chapter's card."""
    parameters = nbformat.v4.new_code_cell(parameters_cell.source(cards.load(SLUG)), metadata={"tags": ["parameters"]})
    start = f"import deepphenomena\npause = {pause}\n{START}"
    cells = [parameters, *(nbformat.v4.new_code_cell(source) for source in (start, *sources, "run.verdict()"))]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), file)


@pytest.fixture
def chapter(tmp_path, monkeypatch):
    file = tmp_path / "tiny.ipynb"
    write_chapter(file, MEASURE)
    monkeypatch.setattr(runner, "notebook_path", lambda slug: file)
    monkeypatch.setenv("DEEPPHENOMENA_CACHE", str(tmp_path / "cache"))
    return file


def record_of(task):
    """A record as a run of the task would leave it, without running."""
    values = cards.load(task.slug).values(task.preset, task.overrides)
    started = pd.Timestamp("2026-01-01", tz="UTC").to_pydatetime()
    claim = cards.load(task.slug).claim("relu_maximal_rate")
    measured = [12.0 + 0.01 * seed for seed in range(values["first_seed"], values["first_seed"] + values["seeds"])]
    return records.Record(
        slug=task.slug,
        preset=task.preset,
        overrides=task.overrides,
        parameters=values,
        outcomes=[judging.outcome(claim, task.preset, Sample(values=measured), None)],
        series={},
        datasets=[],
        provenance=provenance.provenance(started),
    )


def test_a_grid_is_every_combination_in_order(chapter):
    made = sweeps.tasks(SLUG, [("first_seed", "0..2"), ("seeds", "3,5"), ("seeds", "7")])
    assert [(task.overrides["first_seed"], task.overrides["seeds"]) for task in made] == [
        (first, seeds) for first in (0, 1, 2) for seeds in (3, 5, 7)
    ]
    lists = sweeps.tasks(SLUG, [("relu_widths", "64,128"), ("relu_widths", "256")])
    assert [task.overrides["relu_widths"] for task in lists] == [[64, 128], [256]]
    assert len(sweeps.tasks(SLUG)) == 1


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ([("sedes", "3")], "did you mean 'seeds'"),
        ([("seeds", "3,three")], "three"),
        ([("seeds", "3,0")], "out of bounds"),
        ([("seeds", "3..5,4")], "twice"),
        ([("first_seed", "9..3")], "count up"),
        ([("first_seed", "0..999"), ("seeds", "1..100"), ("conv_samples", "100..110")], "at most 100,000"),
    ],
)
def test_what_cannot_be_swept_is_said_before_anything_runs(chapter, parameters, words):
    with pytest.raises(InputError, match=words):
        sweeps.tasks(SLUG, parameters)


def test_a_key_names_what_is_computed_and_nothing_else(chapter):
    def key(*parameters, preset="quick"):
        return sweeps.tasks(SLUG, parameters, preset=preset)[0].key

    first = key(("seeds", "5"))
    assert key(("seeds", "5")) == first
    assert key(("seeds", "4")) != first
    assert key(("seeds", "5")) == key()  # the default, given or not, is the same run
    notebook = nbformat.read(chapter, as_version=4)
    notebook.cells.insert(0, nbformat.v4.new_markdown_cell("A better sentence."))
    nbformat.write(notebook, chapter)
    assert key(("seeds", "5")) == first
    write_chapter(chapter, MEASURE + "  # another experiment")
    assert key(("seeds", "5")) != first


@settings(max_examples=10, deadline=None)
@given(order=st.permutations(range(6)))
def test_the_table_does_not_depend_on_the_order_of_the_runs(order):
    tasks = sweeps.tasks(SLUG, [("relu_widths", "64"), ("first_seed", "0..5")])
    store = Store(f"memory://{'-'.join(map(str, order))}")
    for place in order:
        store.keep(tasks[place], "{}", record_of(tasks[place]))
    table = pd.read_parquet(fsspec.open(store.write_table(SLUG)).open())
    assert list(table["first_seed"]) == sorted(table["first_seed"])
    assert list(table["mean"]) == pytest.approx([12.0 + 0.01 * (first + 2) for first in range(6)])
    assert not {"wall_seconds", "started", "device"} & set(table)


def test_two_sweeps_into_one_folder_are_one_too_many(tmp_path):
    store = Store(str(tmp_path))
    with store.locked(), pytest.raises(InputError, match=rf"process {os.getpid()} on .*sweep\.lock"), store.locked():
        pass
    with store.locked():  # the first has let go
        pass
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    with store.locked():
        held = json.loads((tmp_path / "sweep.lock").read_text())
    (tmp_path / "sweep.lock").write_text(json.dumps(held | {"process": gone.pid}))
    with store.locked():  # who held it was killed
        pass
    assert not (tmp_path / "sweep.lock").exists()


def test_a_full_disk_leaves_nothing_half_written(tmp_path, chapter, monkeypatch):
    task = sweeps.tasks(SLUG)[0]
    store = Store(str(tmp_path / "out"))

    def full(path, content):
        Path(path).write_bytes(content[:3])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(type(store.files), "pipe_file", lambda self, path, content, **_: full(path, content))
    with pytest.raises(RunError, match="No space left on device"):
        store.keep(task, "{}", record_of(task))
    assert not [file for file in (tmp_path / "out").rglob("*") if file.is_file()]
    assert store.finished(SLUG) == set()


def test_a_run_that_raises_fails_alone_and_is_tried_again(chapter, tmp_path, monkeypatch, capfd):
    out = str(tmp_path / "out")
    task, unlucky = sweeps.tasks(SLUG, [("seeds", "3,13")])
    assert worker.run_task(task, out).reason is None
    assert "an unlucky number" in worker.run_task(unlucky, out).reason
    store = Store(out)
    assert store.finished(SLUG) == {task.key}
    kept = json.loads((tmp_path / "out" / SLUG / f"{unlucky.key}.failed.json").read_text())
    assert kept["overrides"] == {"seeds": 13}
    assert "an unlucky number" in (tmp_path / "out" / SLUG / f"{unlucky.key}.failed.ipynb").read_text()
    monkeypatch.setattr(runner, "execute", lambda *_, **__: pytest.fail("a finished run was run again"))
    assert worker.run_task(task, out).reason is None


def test_a_run_for_which_no_place_is_left_says_so_and_can_be_made_again(chapter, tmp_path, monkeypatch):
    def full(self, path, content, **_):
        raise OSError(errno.ENOSPC, "No space left on device")

    out = str(tmp_path / "out")
    (task,) = sweeps.tasks(SLUG)
    files = type(Store(out).files)
    with monkeypatch.context() as filled:
        filled.setattr(files, "pipe_file", full)
        assert "No space left on device" in worker.run_task(task, out).reason
    assert Store(out).finished(SLUG) == set()
    assert worker.run_task(task, out).reason is None  # there is room again
    assert Store(out).finished(SLUG) == {task.key}


def test_the_command_runs_all_it_can_and_its_status_tells_of_the_rest(chapter, tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    out = tmp_path / "out"
    arguments = ["sweep", SLUG, "-p", "seeds=13,3", "--workers", "1", "--out", str(out)]
    monkeypatch.setattr(sys, "argv", ["deepphenomena", *arguments])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    said, problem = capfd.readouterr()
    assert stop.value.code == 1
    assert "dashboard: http://" in said
    assert "failed: large_learning_rate_phase (quick: seeds=13): " in said
    assert "an unlucky number" in said
    assert "1 runs made, 0 found finished, 1 failed" in said
    assert "1 runs failed" in problem
    assert set(pd.read_parquet(out / f"{SLUG}.parquet")["seeds"]) == {3}
    with Store(str(out)).locked(), pytest.raises(SystemExit) as stop:
        cli.main()
    assert stop.value.code == 2
    assert "a sweep writes there already" in capfd.readouterr().err


def test_the_command_refuses_a_scheduler_that_does_not_answer(chapter, tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    monkeypatch.setattr("deepphenomena.book.sweeps.cluster._SECONDS_TO_CONNECT", 1)
    address = f"tcp://127.0.0.1:{free_port()}"
    monkeypatch.setattr(
        sys, "argv", ["deepphenomena", "sweep", SLUG, "--scheduler", address, "--out", str(tmp_path / "out")]
    )
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert stop.value.code == 2
    assert "no Dask scheduler answers there" in capfd.readouterr().err


def test_a_lost_worker_and_a_lost_scheduler_change_nothing(chapter, tmp_path):
    """The table of a disturbed sweep is that of runs one after the other, and nothing finished is run twice."""
    write_chapter(chapter, MEASURE, pause=1.0)
    parameters, port, out = [("first_seed", "0..5")], free_port(), tmp_path / "out"
    command = [sys.executable, "-c", SWEEP, str(chapter), SLUG, str(out), f"tcp://127.0.0.1:{port}"]

    def finished():
        return {file: file.stat().st_mtime_ns for file in (out / SLUG).glob("*.json")}

    said = tmp_path / "said"

    def wait_for(count: int):
        deadline = time.monotonic() + 300
        while len(finished()) < count:
            if first.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"{count} runs did not finish, status {first.poll()}: {said.read_text()}")
            time.sleep(0.2)

    with cluster(port, 2, tmp_path) as (scheduler, workers), said.open("w") as stderr:
        first = subprocess.Popen(command, stderr=stderr)
        wait_for(1)
        workers[0].send_signal(signal.SIGKILL)
        wait_for(3)
        scheduler.kill()
        first.wait(timeout=120)
    problem = said.read_text()
    assert first.returncode == 1, problem
    assert "the same command resumes the sweep" in problem
    before = finished()
    assert 3 <= len(before) < 6
    with cluster(port, 2, tmp_path):
        again = subprocess.run(command, timeout=300, capture_output=True, text=True)
    assert again.returncode == 0, again.stdout + again.stderr
    after = finished()
    assert len(after) == 6
    assert all(after[file] == made for file, made in before.items())
    serial = tmp_path / "serial"
    for task in sweeps.tasks(SLUG, parameters):
        assert worker.run_task(task, str(serial)).reason is None
    Store(str(serial)).write_table(SLUG)
    assert (out / f"{SLUG}.parquet").read_bytes() == (serial / f"{SLUG}.parquet").read_bytes()


class Passing:
    """A future that is in one state after the other, as often as it is asked."""

    def __init__(self, key, *states):
        self.key, self.states = key, list(states)

    @property
    def status(self):
        return self.states.pop(0) if len(self.states) > 1 else self.states[0]

    def result(self):
        return worker.Result(self.key, None)


@pytest.mark.parametrize(
    ("states", "lost"), [(("pending", "lost", "finished"), False), (("pending", "cancelled"), True)]
)
def test_a_result_that_went_with_its_worker_is_made_again_and_only_a_lost_scheduler_ends_the_sweep(
    chapter, states, lost
):
    (task,) = sweeps.tasks(SLUG)
    client = types.SimpleNamespace(
        status="running",
        submit=lambda run, task, out, key, pure: Passing(task.key, *states),
        scheduler_info=lambda: {"workers": {"tcp://127.0.0.1:1": {}}},
    )
    if lost:
        with pytest.raises(RunError, match="scheduler was lost"):
            sweep_cluster.run_all(client, [task], "out", lambda line: None)
    else:
        (result,) = sweep_cluster.run_all(client, [task], "out", lambda line: None)
        assert result == worker.Result(task.key, None)


SWEEP = """
import sys
from pathlib import Path
from deepphenomena.book import cli, runner
notebook, slug, out, scheduler = sys.argv[1:]
runner.notebook_path = lambda slug: Path(notebook)
sys.argv = ["deepphenomena", "sweep", slug, "-p", "first_seed=0..5", "--scheduler", scheduler, "--out", out]
cli.main()
"""
