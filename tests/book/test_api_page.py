"""The API reference: every public function and class has an entry, an example, and a legible signature."""

import importlib
import inspect
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULES = re.findall(r"automodule:: (\S+)", (ROOT / "guide" / "api.md").read_text(encoding="utf-8"))


def public(module_name: str) -> dict[str, object]:
    """The public functions and classes of a module, by name: those in `__all__`, else those defined in it."""
    module = importlib.import_module(module_name)
    listed = getattr(module, "__all__", None)
    names = listed or [name for name in dir(module) if not name.startswith("_")]
    found = {name: getattr(module, name) for name in names}
    return {
        name: value
        for name, value in found.items()
        if (inspect.isfunction(value) or inspect.isclass(value)) and (listed or value.__module__ == module_name)
    }


def test_the_page_has_a_section_for_every_package_that_the_library_offers():
    import deepphenomena

    offered = {f"deepphenomena.{name}" for name in deepphenomena.__all__}
    elsewhere = {f"deepphenomena.{name}" for name in ("InputError", "cards", "records", "start")}
    assert offered - elsewhere - {"deepphenomena.tasks"} <= set(MODULES)
    assert "deepphenomena.tasks.few_shot" in MODULES


@pytest.mark.parametrize("module", MODULES)
def test_every_public_function_and_class_has_an_example(module):
    without = [name for name, value in public(module).items() if ">>>" not in (inspect.getdoc(value) or "")]
    assert not without


@pytest.mark.parametrize("module", MODULES)
def test_the_page_documents_every_public_function_and_class(module, pages):
    page = (pages / "guide" / "api.html").read_text(encoding="utf-8")
    missing = [name for name in public(module) if f'id="{module}.{name}"' not in page]
    assert not missing


def test_signatures_show_array_shapes(pages):
    page = (pages / "guide" / "api.html").read_text(encoding="utf-8")
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", page)).replace("&#39;", "'")
    assert "x: Float[Array, '*batch height width channels']" in text
    assert "jaxtyping.Float" not in text
    assert not re.search(r"Array[^|]{0,40}\| \w*\[?ndarray", text)  # either kind of array is one type in print
