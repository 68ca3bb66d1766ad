"""The start of a chapter's run: its parameters, read from the notebook and checked before any compute."""

import ast
from typing import Any

from deepphenomena.book import cards
from deepphenomena.book.cards import QUICK
from deepphenomena.book.run import Run
from deepphenomena.runtime import compilation
from deepphenomena.runtime.errors import InputError, unknown


def start(slug: str, namespace: dict[str, Any]) -> Run:
    """Begin a chapter's run: check every parameter against the card, before any compute.

    Args:
        slug: the chapter.
        namespace: the notebook's `globals()`, which hold `preset` and every parameter of the card. A parameter that is
            left at the card's default takes the preset's value; the values that the run uses are written back.

    Raises:
        InputError: an unknown chapter, preset or parameter (those that papermill injected too), a parameter that the
            notebook lacks, a wrong type, a value out of bounds, values that break a rule of the card.

    Example:
        >>> run = start("maml_anil", globals())  # doctest: +SKIP
    """
    card = cards.load(slug)
    injected = _injected_by_papermill()
    for name in injected:
        if name not in {"preset", *card.parameters}:
            raise unknown(f"parameter of {slug}", name, ["preset", *card.parameters])
    missing = [name for name in ("preset", *card.parameters) if name not in namespace]
    if missing:
        raise InputError(
            f"the notebook of {slug} lacks the parameter '{missing[0]}' of its card; "
            f"write its parameters cell again: deepphenomena parameters {slug}"
        )
    preset = namespace["preset"]
    if preset not in (QUICK, *card.presets):
        raise unknown(f"preset of {slug}", str(preset), [QUICK, *card.presets])
    given = {
        name: namespace[name]
        for name, parameter in card.parameters.items()
        if name in injected or namespace[name] != parameter.default
    }
    values = card.values(preset, given)
    namespace.update(values)
    compilation.use_persistent_cache()
    return Run(card, preset, values)


def _injected_by_papermill() -> list[str]:
    """The names assigned in the cell that papermill adds to a notebook.

    papermill only warns of a misspelt name and runs on; reading its cell lets `start` refuse it.
    """
    try:
        from IPython import get_ipython
    except ImportError:
        return []
    shell = get_ipython()
    executed = shell.user_ns.get("In", []) if shell is not None else []
    for source in executed:
        if source.startswith("# Parameters\n"):
            return [
                target.id
                for statement in ast.parse(source).body
                if isinstance(statement, ast.Assign)
                for target in statement.targets
                if isinstance(target, ast.Name)
            ]
    return []
