"""Errors for users: one line each, printed by the command line without a traceback."""

from collections.abc import Iterable
from difflib import get_close_matches


class InputError(ValueError):
    """An input from a person (an argument, a card, a file) cannot be used.

    The message is one line: what is wrong, the value, what is allowed, and how to fix it.
    """


class RunError(RuntimeError):
    """A chapter's run stopped. The message names the cell, the reason, and where to look."""


def unknown(thing: str, name: str, allowed: Iterable[str]) -> InputError:
    """Make the error for a name that is not allowed, with the nearest allowed name as a suggestion."""
    names = sorted(allowed)
    near = get_close_matches(name, names, n=1)
    fix = f"did you mean '{near[0]}'?" if near else "use one of these."
    return InputError(f"unknown {thing} '{name}': there are {', '.join(names) or 'none'}; {fix}")
