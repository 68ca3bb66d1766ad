"""Deep Phenomena: deep-learning papers, re-run. The shared library of the book.

`start` begins a chapter's run. Every other public name is a room, a package of the library, or one of the modules
`cards` and `records`. All are imported when first used, so that `import deepphenomena` alone is fast.

    >>> from deepphenomena import datasets
    >>> datasets.load("mnist", n=10).images.shape
    (10, 28, 28, 1)
"""

import importlib
from typing import TYPE_CHECKING, Any

from deepphenomena.runtime.errors import InputError

if TYPE_CHECKING:
    from deepphenomena import (
        datasets,
        figures,
        generators,
        infinite_width,
        kernels,
        mean_field,
        metrics,
        nets,
        similarity,
        spectra,
        tasks,
        training,
    )
    from deepphenomena.book import cards, records
    from deepphenomena.book.start import start

__version__ = "0.1.0"

__all__ = [
    "InputError",
    "cards",
    "datasets",
    "figures",
    "generators",
    "infinite_width",
    "kernels",
    "mean_field",
    "metrics",
    "nets",
    "records",
    "similarity",
    "spectra",
    "start",
    "tasks",
    "training",
]

# Names that are not modules directly in this package.
_ELSEWHERE = {
    "cards": "deepphenomena.book.cards",
    "records": "deepphenomena.book.records",
    "start": "deepphenomena.book.start",
}


def __getattr__(name: str) -> Any:
    """Import a public name on first use (PEP 562)."""
    if name not in __all__:
        raise AttributeError(f"module 'deepphenomena' has no attribute '{name}'")
    module = importlib.import_module(_ELSEWHERE.get(name, f"deepphenomena.{name}"))
    value = module.start if name == "start" else module
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
