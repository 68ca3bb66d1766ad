"""The `deepphenomena` command: what works, and that whatever does not is one line with the fix."""

import json
import os
import signal
import subprocess
import sys
import time

import nbformat
import pytest

from deepphenomena.book import cards, cli, parameters_cell, records, results, runner
from deepphenomena.runtime import paths

SLUG = "large_learning_rate_phase"

pytestmark = pytest.mark.filterwarnings("ignore")  # papermill and its kernels warn of what no user can fix

START = f"import deepphenomena\nrun = deepphenomena.start('{SLUG}', globals())"
MEASURE = "run.measure('relu_maximal_rate', [12.0 + 0.01 * seed for seed in run.seeds])"


@pytest.fixture
def command(monkeypatch, capfd):
    monkeypatch.setattr(signal, "signal", lambda *_: None)  # the test process keeps its own handlers

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["deepphenomena", *map(str, arguments)])
        try:
            cli.main()
            status = 0
        except SystemExit as stop:
            status = stop.code
        return status, *capfd.readouterr()

    return call


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    """The chapter's card with a notebook that runs in a moment, and a results folder of its own."""

    def write(*sources):
        parameters = nbformat.v4.new_code_cell(
            parameters_cell.source(cards.load(SLUG)), metadata={"tags": ["parameters"]}
        )
        cells = [parameters, *(nbformat.v4.new_code_cell(source) for source in sources)]
        kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
        nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), tmp_path / "tiny.ipynb")

    write(START, MEASURE, "run.verdict()")
    monkeypatch.setattr(runner, "notebook_path", lambda slug: tmp_path / "tiny.ipynb")
    monkeypatch.setattr(paths, "data", lambda: tmp_path / "data")
    monkeypatch.setenv("DEEPPHENOMENA_CACHE", str(tmp_path / "cache"))
    return write


def test_list_has_a_line_for_each_chapter(command):
    status, out, _ = command("list")
    assert status == 0
    lines = out.splitlines()
    assert [line.split()[0] for line in lines[: len(cards.slugs())]] == cards.slugs()
    assert max(map(len, lines)) <= 140


def test_list_of_a_chapter_names_its_presets_and_parameters(command):
    status, out, _ = command("list", SLUG)
    assert status == 0
    assert "presets: quick, full" in out
    assert "-p relu_widths=128,256" in out
    assert command("list", "no_such_chapter")[0] == 2


@pytest.mark.parametrize("group", [[], ["gpu"]])
def test_the_help_describes_every_command_in_full(command, group):
    _, out, _ = command(*group, "--help")
    assert "  list " in out
    assert "..." not in out.partition("Commands:")[2]


def test_run_writes_the_executed_notebook_and_prints_verdicts(command, tiny, tmp_path):
    out_file = tmp_path / "out" / "run.ipynb"
    status, out, _ = command("run", SLUG, "-p", "seeds=4", "--out", out_file)
    assert status == 0
    assert "✓ reproduced (size)      relu_maximal_rate" in out
    assert str(out_file) in out
    assert records.read(out_file).parameters["seeds"] == 4
    assert [file.name for file in out_file.parent.iterdir()] == ["run.ipynb"]


def test_record_keeps_the_record_and_stores_the_quick_outputs(command, tiny, tmp_path):
    status, out, _ = command("record", SLUG)
    assert status == 0, out
    kept = results.recorded(SLUG, "quick")
    assert kept.outcome("relu_maximal_rate").verdict == "reproduced (size)"
    stored = nbformat.read(tmp_path / "tiny.ipynb", as_version=4)
    assert "papermill" not in json.dumps(stored)
    assert records.read(tmp_path / "tiny.ipynb") == kept
    status, out, _ = command("scorecard")
    assert "no claim has a recorded run" in out, "a quick run counts for nothing"
    assert "quick: no decided record" in out
    status, out, _ = command("scorecard", "--json")
    claims = {claim["id"]: claim for chapter in json.loads(out)["chapters"] for claim in chapter["claims"]}
    assert claims["relu_maximal_rate"]["verdict"] == "not measured"
    assert claims["relu_maximal_rate"]["measurements"][0]["verdict"] == "reproduced (size)"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", "large_learning_rate"], ["unknown chapter 'large_learning_rate'", SLUG]),
        (["run", "../etc/passwd"], ["unknown chapter"]),
        (["run", SLUG, "--preset", "ful"], ["unknown preset", "did you mean 'full'"]),
        (["record", SLUG, "--preset", "smoke"], ["smoke", "not judged"]),
        (["record", SLUG, "--preset", "full"], ["300 to 307", "attempt 2 used", "first_seed: 903", "--reuse-seeds"]),
        (["record", SLUG, "--preset", "huge"], ["unknown preset", "full, paper, quick, smoke"]),
        (["run", SLUG, "-p", "sedes=3"], ["unknown parameter", "did you mean 'seeds'"]),
        (["run", SLUG, "-p", "seeds=three"], ["seeds", "'three'", "a whole number", "seeds=5"]),
        (["run", SLUG, "-p", "seeds=0"], ["seeds", "out of bounds", "1 to 100"]),
        (["run", SLUG, "-p", "seeds"], ["name=value"]),
        (["run", SLUG, "-p", "conv_dataset=imagenet"], ["mnist, fashion_mnist, cifar10"]),
        (["run", "transfusion", "-p", "networks=cbr-tinny/8,cbr-tiny/4"], ["networks", "cbr-tinny/8", "of the form"]),
        (["run", "deep_bootstrap", "-p", "samples=1500"], ["samples", "1500", "a multiple of 1000"]),
        (["run", "deep_bootstrap", "-p", "convolutional=cnn8@0.1"], ["convolutional", "cnn8@0.1", "of the form"]),
        (["run"], ["SLUG"]),
        (["rnu", SLUG], ["rnu"]),
        (["run", SLUG, "--pre", "x"], ["--pre"]),
        (["scorecard", "--runs", "nowhere"], ["nowhere"]),
    ],
)
def test_what_a_person_got_wrong_is_one_line_before_any_kernel_starts(command, monkeypatch, arguments, words):
    monkeypatch.setattr(runner, "_papermill", lambda *_: pytest.fail("a kernel was started"))
    status, out, err = command(*arguments)
    assert status == 2
    assert out == ""
    assert err.count("\n") == 1
    assert all(word in err for word in words), err
    assert "Traceback" not in err


def test_a_notebook_that_lacks_a_parameter_of_its_card_is_refused_before_the_run(command, tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(runner, "_papermill", lambda *_: pytest.fail("a kernel was started"))
    notebook = nbformat.read(tmp_path / "tiny.ipynb", as_version=4)
    notebook.cells[0].source = notebook.cells[0].source.replace("\nrelu_widths: list", "\nrelu_width: list")
    nbformat.write(notebook, tmp_path / "tiny.ipynb")
    status, _, err = command("run", SLUG)
    assert status == 2
    assert "lacks 'relu_widths'" in err
    assert f"deepphenomena parameters {SLUG}" in err


def test_an_output_that_cannot_be_written_is_known_before_the_run(command, tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(runner, "_papermill", lambda *_: pytest.fail("a kernel was started"))
    (tmp_path / "file").write_text("")
    status, _, err = command("run", SLUG, "--out", tmp_path / "file" / "run.ipynb")
    assert status == 2
    assert "cannot be written" in err
    assert err.count("\n") == 1


def test_a_card_with_a_typo_is_one_line(command, tmp_path, monkeypatch):
    folder = tmp_path / "training-dynamics"
    folder.mkdir()
    text = cards.path(SLUG).read_text().replace("summary:", "sumary:")
    (folder / f"{SLUG}.yaml").write_text(text)
    monkeypatch.setattr(paths, "chapters", lambda: tmp_path)
    for arguments in (["list"], ["run", SLUG], ["scorecard"]):
        status, _, err = command(*arguments)
        assert status == 2
        assert err.splitlines()[-1].startswith(f"deepphenomena: card {SLUG}.yaml: unknown key 'sumary'")
        assert "did you mean 'summary'" in err


def test_a_cell_that_raises_stops_the_run_and_leaves_its_notebook_to_look_at(command, tiny, tmp_path):
    tiny(START, "from deepphenomena import datasets\ndatasets.load('mnist', n=10**9)")
    out_file = tmp_path / "run.ipynb"
    status, _, err = command("run", SLUG, "--out", out_file)
    last = err.strip().splitlines()[-1]
    assert status == 1
    assert "InputError" in last
    assert str(10**9) in last.replace(",", "").replace("_", "")
    assert "Traceback" not in err
    assert not out_file.exists()
    assert (tmp_path / "run.failed.ipynb").exists()


def test_a_notebook_that_ends_without_a_record_is_refused(command, tiny, tmp_path):
    tiny(START)
    status, _, err = command("run", SLUG, "--out", tmp_path / "run.ipynb")
    assert status == 2
    assert "run.verdict()" in err
    assert not (tmp_path / "run.ipynb").exists()


def test_ctrl_c_leaves_nothing_half_written_and_no_kernel_behind(tmp_path):
    out_file = tmp_path / "out" / "run.ipynb"
    process = subprocess.Popen(
        [sys.executable, "-c", "from deepphenomena.book.cli import main; main()", "run", SLUG, "--out", str(out_file)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        env=os.environ | {"DEEPPHENOMENA_CACHE": str(tmp_path / "cache")},
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while not list(out_file.parent.glob(".run.*.ipynb")) and time.monotonic() < deadline:
        time.sleep(0.2)
    time.sleep(4)
    os.killpg(process.pid, signal.SIGINT)
    try:
        _, err = process.communicate(timeout=240)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
    assert process.returncode == 130
    assert err.strip().splitlines()[-1].startswith("deepphenomena: interrupted")
    assert "Traceback" not in err
    assert list(out_file.parent.iterdir()) == []
    deadline = time.monotonic() + 20
    while alive(process.pid) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert not alive(process.pid), "a kernel was left behind"


def alive(group):
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def test_an_interrupt_that_nobody_heard_is_raised_again():
    program = """
import signal, time
from deepphenomena.book import cli
cli._SECONDS_TO_STOP = 1

class Deaf:
    def __del__(self):
        signal.raise_signal(signal.SIGINT)

def forever(**_):
    Deaf()
    time.sleep(60)

cli.command = forever
cli.main()
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=240)
    assert done.returncode == 130
    assert done.stderr.strip().splitlines()[-1].startswith("deepphenomena: interrupted")
