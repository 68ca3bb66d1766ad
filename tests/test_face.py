"""The package's public names: all can be imported, and nothing heavy is imported before it is needed."""

import importlib
import json
import pkgutil
import subprocess
import sys

import pytest

import deepphenomena

HEAVY = {"jax", "pandas", "seaborn", "matplotlib", "papermill", "flax", "orbax", "pydantic", "numpy"}
COMMAND = "from deepphenomena.book.cli import main; sys.argv = ['deepphenomena', *{arguments}]; main()"


def imported_by(source: str) -> set[str]:
    """The modules that a fresh interpreter holds after running `source`, which may end it."""
    program = f"""
import json, sys
try:
    {source}
finally:
    print()
    print(json.dumps(list(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert "Traceback" not in done.stderr, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize(
    "source",
    ["import deepphenomena"]
    + [COMMAND.format(arguments=arguments) for arguments in (["--help"], ["--version"], ["rnu"], ["run", "--help"])],
)
def test_nothing_heavy_is_imported_before_it_is_needed(source):
    modules = imported_by(source)
    assert "deepphenomena" in modules
    assert modules.isdisjoint(HEAVY)


def test_a_public_name_is_imported_on_first_use():
    assert "deepphenomena.book.cards" in imported_by("import deepphenomena; deepphenomena.cards.slugs")
    assert "jax" in imported_by("from deepphenomena import spectra")


def test_every_public_name_can_be_imported_and_is_listed():
    namespace = {}
    exec("from deepphenomena import *", namespace)
    assert set(deepphenomena.__all__) <= namespace.keys()
    assert set(deepphenomena.__all__) <= set(dir(deepphenomena))
    assert callable(deepphenomena.start)
    for name, module in {"cards": "book.cards", "records": "book.records", "datasets": "datasets"}.items():
        assert namespace[name] is importlib.import_module(f"deepphenomena.{module}")


def test_every_room_for_a_library_user_is_public():
    rooms = {module.name for module in pkgutil.iter_modules(deepphenomena.__path__)}
    assert rooms - {"__main__", "book", "papers", "runtime"} <= set(deepphenomena.__all__)


def test_an_unknown_name_raises_attribute_error():
    with pytest.raises(AttributeError, match="'deepphenomena' has no attribute 'card'"):
        _ = deepphenomena.card
    with pytest.raises(ImportError, match="card"):
        exec("from deepphenomena import card")
