"""What nobody foresaw: a fault of the program, a dead kernel, a narrow terminal, a cache that cannot be written."""

import json
import os
import signal
import subprocess
import sys

import nbformat
import pytest

from deepphenomena.book import cards, cli, fingerprint, parameters_cell, provenance, runner
from deepphenomena.runtime import compilation, paths
from deepphenomena.runtime.errors import RunError

SLUG = "large_learning_rate_phase"

pytestmark = pytest.mark.filterwarnings("ignore")  # papermill and its kernels warn of what no user can fix


def write_chapter(file, *sources, language="python"):
    parameters = nbformat.v4.new_code_cell(parameters_cell.source(cards.load(SLUG)), metadata={"tags": ["parameters"]})
    cells = [parameters, *(nbformat.v4.new_code_cell(source) for source in sources)]
    kernel = {"kernelspec": {"name": "my-env", "display_name": "mine"} | ({"language": language} if language else {})}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), file)


def test_a_fault_of_the_program_is_one_line_and_a_file_with_its_traceback(monkeypatch, capfd):
    def fail(*_, **__):
        raise KeyError("a name\nwith a line break")

    monkeypatch.setattr(signal, "signal", lambda *_: None)
    monkeypatch.setattr(cli, "command", fail)
    with pytest.raises(SystemExit) as stop:
        cli.main()
    said = capfd.readouterr().err
    assert stop.value.code == 70
    assert said.count("\n") == 1
    assert "Traceback" not in said
    kept = said.split()[-1]
    with open(kept, encoding="utf-8") as file:
        assert "Traceback" in file.read()
    os.remove(kept)
    monkeypatch.setenv("DEEPPHENOMENA_DEBUG", "1")
    with pytest.raises(SystemExit):
        cli.main()
    said = capfd.readouterr().err
    assert "Traceback" in said
    os.remove(said.split()[-1])


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_the_module_runs_and_prints_on_a_terminal_with_few_signs(encoding):
    environment = os.environ | {"PYTHONIOENCODING": encoding}
    done = subprocess.run([sys.executable, "-m", "deepphenomena", "list"], env=environment, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert SLUG.encode() in done.stdout


def test_the_command_starts_without_signals_for_alarms(monkeypatch, capfd):
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    monkeypatch.delattr(signal, "SIGALRM")
    monkeypatch.delattr(signal, "alarm")
    monkeypatch.setattr(sys, "argv", ["deepphenomena", "--version"])
    cli.main()
    assert "version" in capfd.readouterr().out


def test_a_dead_kernel_keeps_what_had_run(tmp_path, monkeypatch):
    write_chapter(tmp_path / "tiny.ipynb", "print('so far')", "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)")
    monkeypatch.setenv("DEEPPHENOMENA_CACHE", str(tmp_path / "cache"))
    with pytest.raises(RunError, match="kernel died"):
        runner.execute(SLUG, out=tmp_path / "out.ipynb", source=tmp_path / "tiny.ipynb")
    assert "so far" in (tmp_path / "out.failed.ipynb").read_text()


@pytest.mark.parametrize("deaths", [2, 3])
def test_a_kernel_that_dies_before_it_answers_is_replaced_twice(tmp_path, monkeypatch, deaths):
    source = f"import deepphenomena\nrun = deepphenomena.start('{SLUG}', globals())"
    write_chapter(tmp_path / "tiny.ipynb", source, "run.verdict()")
    monkeypatch.setenv("DEEPPHENOMENA_CACHE", str(tmp_path / "cache"))
    start, started = runner._QuietKernelManager.start_kernel, []

    async def start_then_die(self, **options):
        await start(self, **options)
        started.append(1)
        if len(started) <= deaths:
            await self.provisioner.kill()

    monkeypatch.setattr(runner._QuietKernelManager, "start_kernel", start_then_die)
    if deaths == 3:
        with pytest.raises(RunError, match="did not run: Kernel died before replying"):
            runner.execute(SLUG, out=tmp_path / "out.ipynb", source=tmp_path / "tiny.ipynb")
    else:
        _, record = runner.execute(SLUG, out=tmp_path / "out.ipynb", source=tmp_path / "tiny.ipynb")
        assert record.slug == SLUG
    assert len(started) == 3


def test_a_read_only_cache_and_a_notebook_without_a_language_cost_no_run(tmp_path, monkeypatch, capfd):
    (tmp_path / "cache").touch()  # not a folder, so nothing can be written in it
    monkeypatch.setenv("DEEPPHENOMENA_CACHE", str(tmp_path / "cache"))
    start = f"import deepphenomena\nrun = deepphenomena.start('{SLUG}', globals())\nassert run.checkpoint('x') is None"
    write_chapter(tmp_path / "tiny.ipynb", start, "run.verdict()", language=None)
    _, record = runner.execute(SLUG, preset="smoke", out=tmp_path / "out.ipynb", source=tmp_path / "tiny.ipynb")
    assert record.preset == "smoke"
    assert "DEEPPHENOMENA_CACHE" in capfd.readouterr().err


def test_programs_are_compiled_without_a_cache_that_can_be_written(tmp_path, monkeypatch):
    (tmp_path / "cache").touch()
    monkeypatch.setattr(paths, "cache", lambda: tmp_path / "cache")
    compilation.use_persistent_cache()


def test_a_run_goes_on_only_with_the_same_code_card_parameters_and_library(tmp_path, monkeypatch):
    card = cards.load(SLUG)
    file = tmp_path / "tiny.ipynb"

    def key(*sources, preset="quick", values=None):
        write_chapter(file, *sources)
        return fingerprint.run_key(file, card, preset, values or card.values())

    first = key("loss = 1")
    assert key("loss = 1  # a comment") == first
    assert key("loss = 2") != first
    assert key("loss = 1", values=card.values(overrides={"seeds": 4})) != first
    monkeypatch.setattr(fingerprint, "library_state", lambda: {"library": "another"})
    assert key("loss = 1") != first


@pytest.fixture
def clone(tmp_path, monkeypatch):
    """A repository with code, a card and a notebook, as a clone has them."""
    root = tmp_path / "around" / "clone"
    (root / "lib").mkdir(parents=True)
    (root / "chapters" / "tests").mkdir(parents=True)
    (root / "lib" / "code.py").write_text("x = 1\n")
    (root / "chapters" / "tests" / "a b.yaml").write_text("slug: a\n")
    cell = {"cell_type": "code", "source": ["x = 1"], "outputs": []}
    (root / "chapters" / "tests" / "é.ipynb").write_text(json.dumps({"cells": [cell]}))
    monkeypatch.setattr(paths, "repository", lambda: root)
    return root


def git(folder, *arguments):
    named = ["-c", "user.email=a@b", "-c", "user.name=a"]
    subprocess.run(["git", "-C", str(folder), *named, *arguments], check=True, capture_output=True)


def test_the_commit_is_that_of_the_clone_and_clean_covers_the_code_of_notebooks(clone):
    git(clone.parent, "init", "-q")
    git(clone.parent, "commit", "-q", "--allow-empty", "-m", "another project")
    assert provenance.code_state() == (None, None)
    git(clone, "init", "-q")
    git(clone, "add", "-A")
    git(clone, "commit", "-q", "-m", "all")
    assert provenance.code_state()[1] is True
    notebook = clone / "chapters" / "tests" / "é.ipynb"
    content = json.loads(notebook.read_text())
    content["cells"][0]["outputs"] = [{"output_type": "stream"}]
    notebook.write_text(json.dumps(content))
    assert provenance.code_state()[1] is True, "outputs alone do not make it another experiment"
    content["cells"][0]["source"] = ["x = 2"]
    notebook.write_text(json.dumps(content))
    assert provenance.code_state()[1] is False
    git(clone, "checkout", "-q", ".")
    for file in ("lib/code.py", "lib/new.py", "chapters/tests/a b.yaml"):
        (clone / file).write_text("changed")
        assert provenance.code_state()[1] is False
        git(clone, "stash", "-q", "-u")
