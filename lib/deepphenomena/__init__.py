"""Deep Phenomena: deep-learning papers, re-run. The shared library of the book.

`start` begins a chapter's run; the rooms are imported by name, for example `from deepphenomena import datasets`.
"""

__version__ = "0.1.0"

from deepphenomena import datasets
from deepphenomena.book import cards, records
from deepphenomena.book.start import start
from deepphenomena.runtime.errors import InputError

__all__ = ["InputError", "cards", "datasets", "records", "start"]
