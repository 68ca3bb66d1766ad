"""The queue of the runs that want a GPU: its list, its pieces, and the records that come back."""

import sys
import time

import pytest

from deepphenomena.book import cards, gpu_queue, results
from deepphenomena.book.gpu_queue import Entry
from deepphenomena.runtime.errors import InputError, RunError

ENTRY = Entry("some_chapter", "paper", None)

# Like a run: it counts to four, half a second each, and saves every count in its cache; interrupted, it ends.
COUNTING = """
import os, pathlib, sys, time
cache, out = pathlib.Path(os.environ["DEEPPHENOMENA_CACHE"]), pathlib.Path(sys.argv[1])
run = cache / "checkpoints" / "run"
for count in range(4):
    saved = run / str(count)
    if saved.exists():
        continue
    time.sleep(0.5)
    saved.mkdir(parents=True)
    (saved / "checkpoint").touch()
out.write_text("{}")
"""


@pytest.fixture
def pieces(tmp_path, monkeypatch):
    """Run pieces of a second, of a program in place of the command: [(done, reports)]."""
    monkeypatch.setattr(gpu_queue, "SECONDS_TO_STOP", 0.2)

    def call(program, seconds):
        monkeypatch.setattr(gpu_queue, "_command", lambda entry, out, _: [sys.executable, "-c", program, str(out)])
        reports = []
        return gpu_queue.run(tmp_path, [ENTRY], seconds=seconds, report=reports.append), reports

    return call


def test_the_queue_names_every_preset_that_wants_a_gpu_those_without_a_record_first():
    found = gpu_queue.entries()
    assert sorted(entry.slug for entry in found) == [s for s in cards.slugs() if "paper" in cards.load(s).presets]
    states = [entry.recorded is not None for entry in found]
    assert states == sorted(states)


@pytest.mark.parametrize(
    ("preset", "slugs", "said"),
    [
        ("papr", (), "unknown preset of the book 'papr'"),
        ("papr", ("maml_anil",), "unknown preset of maml_anil 'papr'"),
        ("paper", ("mamel_anil",), "mamel_anil"),
    ],
)
def test_what_no_chapter_has_is_refused(preset, slugs, said):
    with pytest.raises(InputError, match=said):
        gpu_queue.entries(preset, slugs)


def test_a_run_goes_on_in_the_next_piece_and_is_done_once(pieces, tmp_path):
    done, reports = pieces(COUNTING, seconds=1.7)
    assert not done
    assert "stopped" in reports[0]
    saved = len(list(tmp_path.glob("cache/checkpoints/run/*")))
    assert 1 <= saved < 4
    started = time.monotonic()
    assert pieces(COUNTING, seconds=30)[0]
    assert time.monotonic() - started < 0.5 * (4 - saved) + 2, "it did not begin at the start"
    done, reports = pieces("raise SystemExit(1)", seconds=1)
    assert done
    assert reports == ["some_chapter: finished before"]


def test_a_program_that_does_not_hear_is_killed_at_the_end_of_its_piece(pieces):
    deaf = "import signal, time; signal.signal(signal.SIGINT, signal.SIG_IGN); time.sleep(60)"
    started = time.monotonic()
    assert not pieces(deaf, seconds=1)[0]
    assert time.monotonic() - started < 10


def test_a_run_that_fails_stops_the_queue(pieces):
    with pytest.raises(RunError, match="some_chapter failed"):
        pieces("raise SystemExit(1)", seconds=10)


def test_a_pack_is_made_of_committed_code_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(gpu_queue.provenance, "code_state", lambda: ("abc", False))
    with pytest.raises(InputError, match="commit them first"):
        gpu_queue.pack(tmp_path / "pack", python="3.12", platform="linux")


def test_no_folder_that_is_not_a_pack_is_replaced(tmp_path, monkeypatch):
    monkeypatch.setattr(gpu_queue.provenance, "code_state", lambda: ("abc", True))
    (tmp_path / "mine").touch()
    with pytest.raises(InputError, match="not a pack"):
        gpu_queue.pack(tmp_path, python="3.12", platform="linux")
    assert (tmp_path / "mine").exists()


def test_a_folder_belongs_to_one_commit(pieces, tmp_path, monkeypatch):
    pack = tmp_path / "pack"
    pack.mkdir()
    (pack / "COMMIT").write_text("abc\n")
    monkeypatch.setattr(gpu_queue.paths, "repository", lambda: pack)
    assert pieces(COUNTING, seconds=30)[0]
    assert (tmp_path / "COMMIT").read_text() == "abc\n"
    (pack / "COMMIT").write_text("def\n")
    with pytest.raises(InputError, match="holds the work of commit abc"):
        pieces(COUNTING, seconds=30)


def test_a_record_that_comes_back_names_the_commit_of_its_pack(tmp_path, monkeypatch):
    slug = "maml_anil"
    made = results.recorded(slug, "quick")
    nameless = made.model_copy(
        update={"provenance": made.provenance.model_copy(update={"commit": None, "clean": None})}
    )
    written = []
    monkeypatch.setattr(gpu_queue.records, "read", lambda _: nameless)
    monkeypatch.setattr(gpu_queue.results, "write", lambda record: written.append(record) or tmp_path)
    (tmp_path / f"{slug}-quick.ipynb").touch()
    (tmp_path / "COMMIT").write_text("abc\n")
    assert gpu_queue.keep(tmp_path) == [tmp_path]
    assert (written[0].provenance.commit, written[0].provenance.clean) == ("abc", True)
