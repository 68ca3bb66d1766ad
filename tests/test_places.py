"""Where runs are kept: locks, addresses and targets are checked before compute; no file of the user's is replaced."""

import contextlib
import json
import os
import platform
import subprocess
import sys
import threading
import types
from concurrent import futures
from pathlib import Path

import fsspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deepphenomena.book import outputs, sweeps
from deepphenomena.book.sweeps import cluster
from deepphenomena.book.sweeps.store import Store
from deepphenomena.runtime.errors import InputError, RunError

SLUG = "large_learning_rate_phase"

pytestmark = pytest.mark.filterwarnings("ignore")


def held(**changes):
    """A lock as a sweep of this process would leave it, but for the changes."""
    found = {"host": platform.node(), "process": os.getpid(), "began": "never", "since": "2026-01-01 00:00 UTC"}
    return json.dumps(found | {"token": "x"} | changes)


@pytest.mark.parametrize("before", [None, "of a process that is gone"])
def test_of_sweeps_that_start_together_one_holds_the_lock(tmp_path, before):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    together, answered = threading.Barrier(6), threading.Barrier(6)

    def compete(_):
        store = Store(str(tmp_path))
        together.wait(timeout=60)
        try:
            with store.locked():
                answered.wait(timeout=60)
            return "held"
        except InputError:
            answered.wait(timeout=60)
            return "refused"

    for _ in range(30):
        if before:
            (tmp_path / "sweep.lock").write_text(held(process=gone.pid))
        with futures.ThreadPoolExecutor(6) as racing:
            assert sorted(racing.map(compete, range(6))) == ["held", *["refused"] * 5]
        assert not (tmp_path / "sweep.lock").exists()


@pytest.mark.parametrize("process", [os.getpid(), 1], ids=["its own", "1"])
def test_a_process_with_a_reused_number_does_not_hold_the_lock(tmp_path, process):
    """As in a container that was restarted, where the new sweep has the number of the old one."""
    (tmp_path / "sweep.lock").write_text(held(process=process))
    with Store(str(tmp_path)).locked():
        pass
    (tmp_path / "sweep.lock").write_text(held(process=process, host="another"))
    with pytest.raises(InputError, match="on another"), Store(str(tmp_path)).locked():
        pass


@settings(
    max_examples=int(os.environ.get("FUZZ_EXAMPLES", "200")), deadline=None, suppress_health_check=list(HealthCheck)
)
@given(
    content=st.one_of(
        st.binary(max_size=40),
        st.just(b"[" * 100_000),
        st.dictionaries(
            st.sampled_from(["host", "process", "since", "token", "began"]),
            st.one_of(st.none(), st.integers(), st.text(max_size=4), st.just(platform.node()), st.lists(st.none())),
        ).map(lambda content: json.dumps(content).encode()),
    )
)
def test_a_damaged_lock_is_named_or_taken_over(content, tmp_path):
    (tmp_path / "sweep.lock").write_bytes(content)
    said = "delete"
    try:
        with Store(str(tmp_path)).locked():
            pass
    except InputError as problem:
        said = str(problem)
    assert "delete" in said
    assert "\n" not in said
    (tmp_path / "sweep.lock").unlink(missing_ok=True)


@pytest.mark.parametrize("address", ["memory://x", "http://127.0.0.1:9/x", "nosuch://x", "/proc/x", "/dev/null/x"])
def test_an_output_that_cannot_keep_runs_is_refused_before_the_first(address, monkeypatch):
    monkeypatch.setattr(sweeps, "tasks", lambda *_, **__: [])
    with pytest.raises(InputError, match="give a folder"):
        sweeps.sweep(SLUG, out=address)


@pytest.mark.parametrize("address", ["tcp://host", "host", "", "tcp://:8786", "tcp://host:99999", "tcp://host:port"])
def test_a_scheduler_without_host_or_port_is_refused_at_once(address, monkeypatch, tmp_path):
    monkeypatch.setattr(sweeps, "tasks", lambda *_, **__: [])
    with pytest.raises(InputError, match="tcp://host:8786"):
        sweeps.sweep(SLUG, out=str(tmp_path), scheduler=address)


@pytest.mark.parametrize("name", ["lr=[1,2]", "a*b?", "ü {x}", "two words"])
def test_a_folder_of_any_name_keeps_its_runs(tmp_path, name):
    store = Store(str(tmp_path / name))
    store.check()
    store._write("{}", SLUG, "key.json")
    store._write("{}", SLUG, "other.failed.json")
    assert store.finished(SLUG) == {"key"}
    elsewhere = Store(f"memory://{name}")
    elsewhere._write("{}", SLUG, "key.json")
    assert elsewhere.finished(SLUG) == {"key"}


def test_a_relative_folder_is_that_of_the_caller(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert Store("results").out == str(tmp_path / "results")
    assert Store("~/results").out == str(tmp_path / "results")
    assert fsspec.filesystem("file").exists(Store(".").out)


def test_a_sweep_without_workers_ends(monkeypatch):
    monkeypatch.setattr(cluster, "_SECONDS_WITHOUT_WORKERS", 0.5)
    monkeypatch.setattr(cluster, "_SECONDS_BETWEEN_COUNTS", 0.1)

    class Pending:
        status = "pending"

    client = types.SimpleNamespace(
        status="running", submit=lambda *_, **__: Pending(), scheduler_info=lambda: {"workers": {}}
    )
    (task,) = sweeps.tasks(SLUG)
    with pytest.raises(RunError, match="no workers were left"):
        cluster.run_all(client, [task], "out", lambda line: None)


def test_a_cluster_that_does_not_start_is_one_line(monkeypatch):
    def fail(**_):
        raise RuntimeError("Nanny failed\nto start.")

    monkeypatch.setattr(cluster, "LocalCluster", fail)
    with pytest.raises(RunError, match="did not start"), cluster.connected(None, 2):
        pass


def test_a_cluster_that_loses_a_worker_at_its_start_is_started_again(monkeypatch):
    starts = []

    def start(**options):
        starts.append(options)
        if len(starts) == 1:
            raise RuntimeError("Nanny failed to start.")
        return contextlib.nullcontext()

    monkeypatch.setattr(cluster, "LocalCluster", start)
    monkeypatch.setattr(cluster, "Client", lambda *_, **__: contextlib.nullcontext("client"))
    with cluster.connected(None, 2) as client:
        assert client == "client"
    assert len(starts) == 2


def test_a_cluster_that_nobody_can_reach_is_closed_and_one_line(monkeypatch):
    closed = []

    def unreachable(*_, **__):
        raise OSError("no route")

    @contextlib.contextmanager
    def closing(**_):
        try:
            yield
        finally:
            closed.append("cluster")

    monkeypatch.setattr(cluster, "LocalCluster", closing)
    monkeypatch.setattr(cluster, "Client", unreachable)
    with pytest.raises(RunError, match="no route"), cluster.connected(None, 2):
        pass
    assert len(closed) == 3  # each try closes its own


def test_only_what_a_run_has_written_is_replaced(tmp_path):
    chapter = tmp_path / "chapter.ipynb"
    executed = tmp_path / "executed.ipynb"
    executed.write_text(json.dumps({"cells": [], "metadata": {"papermill": {}}}))
    chapter.write_text(json.dumps({"cells": [], "metadata": {"papermill": {}}}))
    outputs.check(executed, chapter)
    outputs.check(tmp_path / "new.ipynb", chapter)
    (tmp_path / "mine.ipynb").write_text(json.dumps({"cells": [], "metadata": {}}))
    (tmp_path / "empty.ipynb").touch()
    (tmp_path / "folder.ipynb").mkdir()
    for target in (
        chapter,
        tmp_path,
        *(tmp_path / name for name in ("mine.ipynb", "empty.ipynb", "folder.ipynb", "a.md")),
    ):
        with pytest.raises(InputError, match="output "):
            outputs.check(Path(target), chapter)
