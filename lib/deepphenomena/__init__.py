"""Deep Phenomena: deep-learning theory, re-run. The shared library of the book.

`start` begins a chapter's run; the rooms are imported by name, for example `from deepphenomena import datasets`.
"""

__version__ = "0.1.0"

from deepphenomena import cards, datasets, records
from deepphenomena.errors import InputError
from deepphenomena.run import start

__all__ = ["InputError", "cards", "datasets", "records", "start"]
