"""`deepphenomena new`: the chapter it writes holds together, runs and keeps its promises from the first minute."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from deepphenomena.book import new_chapter
from deepphenomena.runtime import paths
from deepphenomena.runtime.errors import InputError

ROOT = Path(__file__).parents[1]


@pytest.fixture
def clone(tmp_path, monkeypatch):
    """A repository with the library, the data and no chapter."""
    shutil.copytree(ROOT / "lib", tmp_path / "lib", ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("_toc.yml", "references.bib"):
        shutil.copy(ROOT / file, tmp_path)
    (tmp_path / "chapters").mkdir()
    (tmp_path / "data").mkdir()
    for name in ("embedded", "datasets.yaml"):
        (tmp_path / "data" / name).symlink_to(ROOT / "data" / name)
    monkeypatch.setattr(paths, "repository", lambda: tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"slug": "My Paper"}, "small letters"),
        ({"slug": "../escape"}, "small letters"),
        ({"part": "../x"}, "joined by hyphens"),
        ({"paper": "10.1000/182"}, "arXiv number"),
        ({"paper": "arXiv:1834.00001"}, "no month 34"),
        ({"paper": "arXiv:2001.0001"}, "5 digits"),
    ],
)
def test_what_cannot_be_a_chapter_is_refused_and_nothing_written(clone, arguments, words):
    before = sorted(clone.rglob("*"))
    with pytest.raises(InputError, match=words):
        new_chapter.write(**{"slug": "my_paper", "paper": "arXiv:2001.00001", "part": "training-dynamics"} | arguments)
    assert sorted(clone.rglob("*")) == before


def test_a_name_is_taken_once(clone):
    new_chapter.write("my_paper", paper="2001.00001", part="feature-learning")
    with pytest.raises(InputError, match="already exists"):
        new_chapter.write("my_paper", paper="arXiv:2001.00001", part="feature-learning")


@pytest.mark.parametrize("part", ["training-dynamics", "feature-learning"])
def test_it_has_its_place_in_the_book(clone, part):
    before = yaml.safe_load((clone / "_toc.yml").read_text())["parts"]
    new_chapter.write("my_paper", paper="arXiv:2001.00001", part=part)
    after = yaml.safe_load((clone / "_toc.yml").read_text())["parts"]
    caption = part.replace("-", " ").capitalize()
    (place,) = [entry for entry in after if entry["caption"] == caption]
    assert place["chapters"][-1] == {"file": f"chapters/{part}/my_paper"}
    assert sum(len(entry["chapters"]) for entry in after) == 1 + sum(len(entry["chapters"]) for entry in before)
    assert [entry["caption"] for entry in after][-1] == before[-1]["caption"] == "The book"
    assert "@misc{my_paper," in (clone / "references.bib").read_text()


def test_the_command_runs_and_records_it(clone, tmp_path):
    environment = os.environ | {"PYTHONPATH": str(clone / "lib"), "DEEPPHENOMENA_CACHE": str(tmp_path / "cache")}
    command = [sys.executable, "-c", "from deepphenomena.book import cli; cli.main()"]
    author = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
    for words in (["init", "-q"], ["add", "lib"], [*author, "commit", "-qm", "the library"]):
        subprocess.run(["git", *words], cwd=clone, check=True)
    done = subprocess.run(
        [*command, "new", "my_paper", "--paper", "arXiv:2001.00001"], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert [file.name for file in (clone / "data" / "results" / "my_paper").iterdir()] == ["quick.json"]
    scorecard = subprocess.run([*command, "scorecard"], env=environment, capture_output=True, text=True).stdout
    assert scorecard.startswith("no claim has a recorded run"), "a template counts for nothing"
    assert "a draft, which does not count" in scorecard
    for name in ("tests", "conftest.py", "pyproject.toml"):
        (clone / name).symlink_to(ROOT / name)
    contracts = ["tests/test_chapters.py", "tests/test_mutations.py"]
    pytest_ = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", *contracts]
    done = subprocess.run(pytest_, cwd=clone, env=environment | {"ALL": "1"}, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
