"""For all tests: checks of annotated types and shapes, and the names that the docstrings' examples use."""

import importlib

import jaxtyping
import pytest
from _pytest.doctest import DoctestItem

ROOMS = (
    "datasets",
    "generators",
    "infinite_width",
    "kernels",
    "mean_field",
    "metrics",
    "nets",
    "similarity",
    "spectra",
    "training",
)
# The packages whose annotations are checked; figures and the book's own machinery are still to come.
CHECKED = (*ROOMS, "papers", "runtime", "tasks")

# Every call of a checked package compares its arguments and result with their annotations. Packages imported before
# this line would not be checked. PEP 484's tower: an int will do for a float.
BEARTYPE = "beartype.beartype(conf=beartype.BeartypeConf(is_pep484_tower=True))"
jaxtyping.install_import_hook([f"deepphenomena.{name}" for name in CHECKED], BEARTYPE)


@pytest.fixture(autouse=True, scope="module")
def _release_compiled_programs():
    """Drop the compiled programs of each module at its end.

    Every program maps some memory, and Linux allows a process 65,530 maps: a worker that kept the programs of all
    tests would die of a segmentation fault near the end.
    """
    yield
    importlib.import_module("jax").clear_caches()


@pytest.fixture
def unchecked_types():
    """Switch the checks off, for a test of the errors that the library itself raises."""
    before = jaxtyping.config.jaxtyping_disable
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", before)


@pytest.fixture(autouse=True)
def _names_in_examples(request, doctest_namespace):
    if isinstance(request.node, DoctestItem):
        doctest_namespace |= {
            "jax": importlib.import_module("jax"),
            "jnp": importlib.import_module("jax.numpy"),
            "np": importlib.import_module("numpy"),
            "optax": importlib.import_module("optax"),
            "activations": importlib.import_module("deepphenomena.training.activations"),
            "curvature": importlib.import_module("deepphenomena.mean_field.curvature"),
            "curves": importlib.import_module("deepphenomena.mean_field.curves"),
            "length_process": importlib.import_module("deepphenomena.mean_field.length_process"),
            "trajectories": importlib.import_module("deepphenomena.mean_field.trajectories"),
            "few_shot": importlib.import_module("deepphenomena.tasks.few_shot"),
            "objectives": importlib.import_module("deepphenomena.training.objectives"),
            **{name: importlib.import_module(f"deepphenomena.{name}") for name in ROOMS},
        }
