"""Deep Phenomena: deep-learning theory, re-run. The shared library of the book."""

__version__ = "0.1.0"
