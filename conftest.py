"""Names that the docstrings' examples use without importing them."""

import importlib

import pytest
from _pytest.doctest import DoctestItem

ROOMS = ("datasets", "generators", "infinite_width", "kernels", "mean_field", "metrics", "nets", "spectra", "training")


@pytest.fixture(autouse=True)
def _names_in_examples(request, doctest_namespace):
    if isinstance(request.node, DoctestItem):
        doctest_namespace |= {
            "jax": importlib.import_module("jax"),
            "jnp": importlib.import_module("jax.numpy"),
            "np": importlib.import_module("numpy"),
            **{room: importlib.import_module(f"deepphenomena.{room}") for room in ROOMS},
        }
