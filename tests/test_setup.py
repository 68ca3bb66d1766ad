"""From a clone to a run with two commands: the Makefile, the lock, and nothing of one machine in the repository."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
MAKEFILE = (ROOT / "Makefile").read_text()
LOCK = (ROOT / "requirements.lock").read_text()
PINS = dict(re.findall(r"^([a-z0-9-]+)==([^ ]+)", LOCK, re.MULTILINE))

sys.path.insert(0, str(ROOT / "tests" / "book"))
import chromium  # noqa: E402


@pytest.fixture
def clone(tmp_path) -> Path:
    """A folder with the files of the set-up."""
    for name in ("Makefile", "pyproject.toml", "requirements.lock"):
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path


def make(folder: Path, *arguments: str, path: str | None = None) -> subprocess.CompletedProcess:
    """Run make in a folder, with only `path` to find programs on where it is given."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    environment["PATH"] = path or environment["PATH"]
    command = [shutil.which("make"), "--no-print-directory", *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


@pytest.mark.parametrize("arguments", [[], ["help"]])
def test_make_alone_lists_every_command(arguments, clone):
    done = make(clone, *arguments)
    listed = re.findall(r"^  make ([\w-]+) +\w", done.stdout, re.MULTILINE)
    declared = re.search(r"^\.PHONY: (.*)", MAKEFILE, re.MULTILINE).group(1).split()
    assert sorted(listed) == sorted(set(declared) - {"browser", "stage"})  # steps of others, not for a person


def test_where_only_an_older_python_is_found_one_line_says_what_to_install(clone):
    programs = clone / "programs"
    programs.mkdir()
    for name in ("python3", "python3.12"):
        (programs / name).write_text("#!/bin/sh\nexit 1\n")  # what any older Python answers to the Makefile's question
        (programs / name).chmod(0o755)
    done = make(clone, "book", path=str(programs))
    assert done.returncode != 0
    lines = [line for line in (done.stdout + done.stderr).splitlines() if not line.startswith("make")]
    assert len(lines) == 1
    assert re.search(r"Python 3\.12 or newer.*install", lines[0])
    assert not (clone / ".venv").exists()


@pytest.mark.parametrize("target", ["reproduce", "test", "book", "lint", "run", "record"])
def test_a_second_call_does_no_set_up(target, clone):
    (clone / ".venv").mkdir()
    first = make(clone, "--dry-run", target, "CHAPTER=any").stdout
    (clone / ".venv" / "ready").touch()
    second = make(clone, "--dry-run", target, "CHAPTER=any").stdout
    assert "-m venv" in first
    assert "-m venv" not in second
    assert "pip" not in second


@pytest.mark.parametrize("target", ["run", "record"])
def test_a_run_without_a_chapter_says_how_to_name_one(target, clone):
    done = make(clone, "--dry-run", target)
    assert done.returncode != 0
    assert "CHAPTER=<slug>" in done.stderr


def test_ci_runs_exactly_what_a_newcomer_is_told_to_run():
    assert (ROOT / ".ci" / "run").read_text().rstrip().endswith("exec make test")


def test_every_dependency_is_locked_to_a_version_that_the_package_allows():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wanted = [*project["project"]["dependencies"], *project["build-system"]["requires"]]
    extras = project["project"]["optional-dependencies"]
    for name in extras.keys() - {"bench"}:  # PyTorch is for `make bench` alone, from wherever the machine has it
        wanted += extras[name]
    for requirement in map(Requirement, wanted):
        assert requirement.specifier.contains(PINS[canonicalize_name(requirement.name)]), requirement
    assert "torch" not in PINS


def test_the_lock_pins_hashes_and_names_no_place():
    entries = re.split(r"\n(?=[a-z])", re.sub(r"^#.*\n", "", LOCK, flags=re.MULTILINE).strip())
    assert len(entries) == len(PINS)
    assert all("--hash=sha256:" in entry for entry in entries)
    assert not re.search(r"://|^-|[ =]/", LOCK, re.MULTILINE)


def test_no_file_of_the_repository_names_a_path_of_one_machine_or_a_registrys_host():
    machine = re.compile(r"(?<![\w.*])/(?:work|root|home|Users|opt|tmp/\w)/\w")
    registry = re.compile(r"pypi\.org|pythonhosted\.org|npmjs\.org|debian\.org")
    tracked = subprocess.run(["git", "-C", ROOT, "ls-files", "-z"], capture_output=True, text=True, check=True).stdout
    for name in filter(None, tracked.split("\0")):
        try:
            text = (ROOT / name).read_text(encoding="utf-8")
        except (UnicodeDecodeError, FileNotFoundError):
            continue
        for pattern in (machine, registry):
            found = pattern.search(text)
            assert not found, f"{name}: {text[max(found.start() - 40, 0) : found.end() + 40]!r}"


def test_where_no_browser_can_be_had_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setattr(chromium, "executable", lambda: None)
    monkeypatch.setattr(chromium, "_succeeds", lambda command: False)
    with pytest.raises(SystemExit, match="install the package chromium") as leaving:
        chromium.install()
    assert "\n" not in str(leaving.value)
