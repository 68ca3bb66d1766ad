"""For all tests: checks of annotated types and shapes, and the names that the docstrings' examples use."""

import importlib

import jaxtyping
import pytest
from _pytest.doctest import DoctestItem

ROOMS = ("datasets", "generators", "infinite_width", "kernels", "mean_field", "metrics", "nets", "spectra", "training")
# The packages whose annotations are checked; the others are still to come.
CHECKED = ("mean_field", "metrics")

# Every call of a checked package compares its arguments and result with their annotations. Packages imported before
# this line would not be checked.
jaxtyping.install_import_hook([f"deepphenomena.{name}" for name in CHECKED], "beartype.beartype")


@pytest.fixture
def unchecked_types():
    """Switch the checks off, for a test of the errors that the library itself raises."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture(autouse=True)
def _names_in_examples(request, doctest_namespace):
    if isinstance(request.node, DoctestItem):
        doctest_namespace |= {
            "jax": importlib.import_module("jax"),
            "jnp": importlib.import_module("jax.numpy"),
            "np": importlib.import_module("numpy"),
            **{name: importlib.import_module(f"deepphenomena.{name}") for name in ROOMS},
        }
