"""The errors a user is meant to read: one line each, printed by the command line without a traceback."""

from collections.abc import Iterable
from difflib import get_close_matches


class InputError(ValueError):
    """Something a person typed, wrote in a card or pointed at cannot be used.

    The message is one line: the thing, the bad value, what is allowed, and the fix.
    """


class RunError(RuntimeError):
    """A chapter's run came to a stop. The message names the cell, the reason, and where to look."""


def unknown(thing: str, name: str, allowed: Iterable[str]) -> InputError:
    """The error for a name that is not among those allowed, with the nearest one suggested."""
    names = sorted(allowed)
    near = get_close_matches(name, names, n=1)
    fix = f"did you mean '{near[0]}'?" if near else "use one of these."
    return InputError(f"unknown {thing} '{name}': there are {', '.join(names) or 'none'}; {fix}")
