"""Errors for users: one line each, printed by the command line without a traceback."""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any

_LONGEST = 2000  # characters of a message
_LONGEST_VALUE = 120  # characters of a value in a message


class InputError(ValueError):
    """An input from a person (an argument, a card, a file) cannot be used.

    The message is one line: what is wrong, the value, what is allowed, and how to fix it.
    """

    def __init__(self, message: str):
        super().__init__(one_line(message))


class RunError(RuntimeError):
    """A chapter's run stopped. The message names the cell, the reason, and where to look."""

    def __init__(self, message: str):
        super().__init__(one_line(message))


def one_line(text: str, *, longest: int = _LONGEST) -> str:
    """Return a text on one line of printable characters. The middle of a long one is left out: the fix stands last.

    Example:
        >>> one_line("a\\nb")
        'a b'
    """
    if len(text) > longest:
        text = f"{text[: longest * 3 // 5]} ... {text[-longest * 2 // 5 :]}"
    text = "".join(c if c.isprintable() or c.isspace() else ascii(c)[1:-1] for c in text)
    return text if text.isprintable() else " ".join(text.split())


def shown(value: Any) -> str:
    """Return a value for a message, on one line and not longer than a person reads."""
    try:
        text = repr(value[:_LONGEST_VALUE] if isinstance(value, str) else value)
    except Exception:  # an object whose repr fails, or a number with too many digits, is still only an input
        text = f"a {type(value).__name__}"
    return one_line(text, longest=_LONGEST_VALUE)


def unknown(thing: str, name: str, allowed: Iterable[str]) -> InputError:
    """Make the error for a name that is not allowed, with the nearest allowed name as a suggestion."""
    names, name = sorted(allowed), one_line(name, longest=_LONGEST_VALUE)
    near = get_close_matches(name, names, n=1)
    fix = f"did you mean '{near[0]}'?" if near else "use one of these."
    return InputError(f"unknown {thing} '{name}': there are {', '.join(names) or 'none'}; {fix}")
