"""The start of a run: read the parameters from the notebook and check them before any computation."""

import ast
from typing import Any

from deepphenomena.book import cards
from deepphenomena.book.cards import QUICK
from deepphenomena.book.run import Run
from deepphenomena.runtime import compilation
from deepphenomena.runtime.errors import InputError, unknown


def start(slug: str, namespace: dict[str, Any]) -> Run:
    """Start the run of a chapter: check every parameter against the card before any computation.

    Args:
        slug: the chapter.
        namespace: the `globals()` of the notebook, with `preset` and every parameter of the card. A parameter with the
            default value of the card takes the value of the preset. The values of the run are written back.

    Raises:
        InputError: an unknown chapter, preset or parameter (also if injected by papermill), a parameter that the
            notebook lacks, a wrong type, a value out of bounds, or values that violate a rule of the card.

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
    """Return the names assigned in the cell that papermill adds to a notebook.

    papermill only warns of a misspelled name and continues; `start` reads the cell to refuse it.
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
