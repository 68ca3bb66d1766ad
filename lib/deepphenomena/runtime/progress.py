"""Progress bars that appear for a person and leave nothing in a stored notebook."""

import contextlib
import os
import sys
import warnings
from collections.abc import Iterator

from tqdm.std import tqdm

# Set by the runner: the terminal that a notebook's kernel, which has none of its own, may draw its bars on.
TERMINAL_VARIABLE = "DEEPPHENOMENA_TERMINAL"

# Set by the front ends in which a person runs cells; papermill and nbval set none of them.
_FRONT_END_VARIABLES = ("JPY_SESSION_NAME", "COLAB_RELEASE_TAG", "VSCODE_PID")

_STEADY = 0.05  # weight of the latest steps in the rate; tqdm's 0.3 makes the time left jump


@contextlib.contextmanager
def bar(total: int, description: str | None, unit: str = "step") -> Iterator[tqdm]:
    """Show a bar with the rate and the remaining time: in the terminal, in a live notebook, or nowhere if nobody
    watches.

    Without a description there is no bar. Use this for short work that repeats often.
    """
    with contextlib.ExitStack() as stack:
        kind, options = tqdm, {}
        if description is None:
            options = {"disable": True}
        elif terminal := os.environ.get(TERMINAL_VARIABLE):
            try:
                # One line below the runner's own bar over the cells.
                options = {"file": stack.enter_context(open(terminal, "w", encoding="utf-8")), "position": 1}
            except OSError:  # the terminal has gone; the run goes on
                options = {"disable": True}
        elif not sys.stderr.isatty():
            watched = "ipykernel" in sys.modules and any(name in os.environ for name in _FRONT_END_VARIABLES)
            kind, options = (_notebook_bar(), {}) if watched else (tqdm, {"disable": True})
        look = {"desc": description, "unit": unit, "leave": False, "smoothing": _STEADY}
        yield stack.enter_context(kind(total=total, **look, **options))


def _notebook_bar() -> type[tqdm]:
    """Return the widget if ipywidgets is installed, a line of text otherwise. The import may warn."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from tqdm.autonotebook import tqdm as notebook_bar
    return notebook_bar
