"""Progress bars: drawn where a person watches, absent everywhere else."""

import io
import sys

import pytest

from deepphenomena.runtime import progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


def take_steps(description="training"):
    with progress.bar(10, description) as bar:
        for _ in range(10):
            bar.update()
            bar.refresh()


@pytest.fixture
def terminal(tmp_path, monkeypatch):
    """The terminal that the runner tells a kernel of."""
    path = tmp_path / "terminal"
    monkeypatch.setenv(progress.TERMINAL_VARIABLE, str(path))
    return path


def test_a_bar_shows_its_name_the_rate_and_the_time_left(terminal):
    take_steps()
    shown = terminal.read_text().replace("\r", "\n")
    for part in ("training", "10/10", "step/s", "<00:00"):
        assert part in shown


def test_a_bar_without_a_name_is_none(terminal):
    take_steps(description=None)
    assert not terminal.exists()


def test_a_terminal_that_has_gone_stops_nothing(terminal):
    terminal.mkdir()
    take_steps()


@pytest.mark.parametrize(("kind", "shows"), [(Terminal, True), (io.StringIO, False)])
def test_without_a_runner_it_is_drawn_on_a_terminal_alone(kind, shows, monkeypatch):
    monkeypatch.delenv(progress.TERMINAL_VARIABLE, raising=False)
    monkeypatch.setattr("sys.stderr", kind())
    take_steps()
    assert ("training" in sys.stderr.getvalue()) == shows
