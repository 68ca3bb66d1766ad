"""The wheel: all that a lone notebook needs, for a student in Colab who has no clone."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from deepphenomena.book import cards, records, runner

ROOT = Path(__file__).parents[1]
SLUG = "large_learning_rate_phase"


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A folder with the wheel's content, to be put first on the path of another Python."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    done = subprocess.run(build, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def python(installed, folder, *arguments):
    environment = os.environ | {"PYTHONPATH": str(installed)}
    return subprocess.run([sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True)


def test_it_holds_cards_types_and_embedded_data_and_no_notebook(installed):
    package = installed / "deepphenomena"
    names = {str(file.relative_to(package)) for file in package.rglob("*") if file.is_file()}
    assert {f"chapters/{cards.load(slug).part}/{slug}.yaml" for slug in cards.slugs()} <= names
    assert "data/datasets.yaml" in names
    assert "py.typed" in names  # type checkers read the library's annotations only where it lies
    assert not any(name.endswith(".ipynb") for name in names)
    assert 0 < sum(file.stat().st_size for file in (package / "data" / "embedded").iterdir()) < 24_000_000


def test_without_a_clone_the_command_says_where_the_notebooks_are(installed, tmp_path):
    done = python(installed, tmp_path, "-c", "from deepphenomena.book.cli import main; main()", "run", SLUG)
    assert done.returncode == 2
    assert "clone the repository" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_lone_notebook_runs_from_it(installed, tmp_path):
    shutil.copy(runner.notebook_path(SLUG), tmp_path / "lone.ipynb")
    arguments = ["lone.ipynb", "out.ipynb", "-p", "preset", "smoke", "-k", "python3", "--no-progress-bar"]
    done = python(installed, tmp_path, "-m", "papermill", *arguments)
    assert done.returncode == 0, done.stderr
    made = records.read(tmp_path / "out.ipynb")
    assert made.preset == "smoke"
    assert made.overrides == {}
    assert {use.provenance for use in made.datasets} == {"embedded"}
    assert made.provenance.clean is None  # no clone here
