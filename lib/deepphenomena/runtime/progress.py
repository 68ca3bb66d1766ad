"""Progress bars that show where a person is watching and leave nothing in a stored notebook."""

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


@contextlib.contextmanager
def bar(total: int, description: str | None, unit: str = "step") -> Iterator[tqdm]:
    """A bar with the rate and the time left: on the terminal, in a live notebook, or nowhere if nobody is watching.

    Without a description there is none: for what is over in a moment, again and again.
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
        yield stack.enter_context(kind(total=total, desc=description, unit=unit, leave=False, **options))


def _notebook_bar() -> type[tqdm]:
    """The widget where ipywidgets is installed, a line of text where it is not; imported late, for it warns of that."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from tqdm.autonotebook import tqdm as notebook_bar
    return notebook_bar
