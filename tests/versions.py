"""The ends of the version ranges of `pyproject.toml`: the library's tests and every chapter's smoke run at each end.

    python tests/versions.py                 at the lowest and at the newest versions, each in a new environment
    python tests/versions.py lowest          at one end; or `newest`, or `locked`, the versions of the lock
    python tests/versions.py lowest --folder FOLDER   keep the environment and the logs

Prints a table, and exits with status 1 if anything failed.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).parents[1]
ENDS = {  # what uv is told
    "lowest": ["--resolution", "lowest-direct"],
    "newest": ["--resolution", "highest"],
    "locked": ["--constraint", ROOT / "requirements.lock"],  # for a Python that the lock's own tests do not use
}
EXTRAS = ("sweep", "test")
# Left out: what needs the extra `book`; what makes environments of its own; whole chapters, which follow.
NEEDS_SPHINX = re.compile(r"^(?:from|import) (?:docutils|sphinx)\b", re.MULTILINE)
PAGES = [file for file in (ROOT / "lib/deepphenomena/book").glob("*.py") if NEEDS_SPHINX.search(file.read_text())]
LEFT_OUT = [*(str(file.relative_to(ROOT)) for file in PAGES), "tests/book"]
LEFT_OUT += [f"tests/test_{name}.py" for name in ("chapters", "colab", "mutations", "new_chapter", "setup", "wheel")]


class Row(NamedTuple):
    """One line of the table."""

    end: str
    what: str
    passed: bool
    seconds: float
    note: str


def requirements() -> list[Requirement]:
    """What the package and the extras of the tests require, directly."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = [line for extra in EXTRAS for line in project["optional-dependencies"][extra]]
    return [Requirement(line) for line in (*project["dependencies"], *extras)]


def floor(requirement: Requirement) -> Version:
    """The lowest version that a requirement allows."""
    (lowest,) = [one.version for one in requirement.specifier if one.operator == ">="]
    return Version(lowest)


def above_floor(installed: dict[str, str], wanted: Iterable[Requirement]) -> list[str]:
    """The requirements whose floor is not what is installed: it cannot be had, or a dependency asks for more."""
    return [
        f"{one.name} {installed.get(one.name)} instead of {floor(one)}"
        for one in wanted
        if one.name not in installed or Version(installed[one.name]) != floor(one)
    ]


def make(end: str, folder: Path) -> Path:
    """An environment with the versions at one end of the ranges; returns its folder of programs."""
    uv, python = [sys.executable, "-m", "uv"], folder / "bin" / "python"
    base = getattr(sys, "_base_executable", sys.executable)
    subprocess.run([*uv, "venv", "--quiet", "--clear", "--python", base, folder], check=True)
    package = f"{ROOT}[{','.join(EXTRAS)}]"
    install = [*uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", python]
    subprocess.run([*install, *ENDS[end], "--editable", package], check=True)
    return folder / "bin"


def versions(programs: Path) -> dict[str, str]:
    """{distribution: version} of an environment, with names in the form of `pyproject.toml`."""
    listed = subprocess.run(
        [sys.executable, "-m", "uv", "pip", "freeze", "--python", programs / "python"],
        check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    return dict(re.findall(r"^([a-z0-9-]+)==(\S+)", listed, re.MULTILINE))


def call(end: str, what: str, command: list, log: Path, environment: dict[str, str]) -> Row:
    """Run a command with its output in a file; the note is its last line."""
    started = time.monotonic()
    with log.open("w") as output:
        done = subprocess.run(command, cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT, check=False)
    lines = [line for line in log.read_text(errors="replace").replace("\r", "\n").splitlines() if line.strip()]
    note = lines[-1].strip("= ") if lines and (done.returncode or what == "tests") else ""
    row = Row(end, what, done.returncode == 0, time.monotonic() - started, note)
    print(line(row), flush=True)
    return row


def check(end: str, folder: Path, slugs: list[str]) -> list[Row]:
    """Make the environment of one end and run everything in it."""
    programs = make(end, folder / end)
    found = versions(programs)
    print(f"{end}: " + ", ".join(f"{one.name} {found.get(one.name)}" for one in requirements()), flush=True)
    above = above_floor(found, requirements()) if end == "lowest" else []
    rows = [Row(end, "declared floors", not above, 0.0, "; ".join(above))]
    print(line(rows[0]), flush=True)
    environment = os.environ | {"DEEPPHENOMENA_CACHE": str(folder / f"{end}-cache")}
    ignored = [f"--ignore={name}" for name in LEFT_OUT]
    pytest = [programs / "pytest", "-q", "-n", "2", "--hypothesis-profile=ci", "--doctest-modules", "lib", "tests"]
    rows.append(call(end, "tests", [*pytest, *ignored], folder / f"{end}-tests.log", environment))
    for slug in slugs:
        out = folder / f"{end}-{slug}.ipynb"
        run = [programs / "deepphenomena", "run", slug, "--preset", "smoke", "--out", out]
        rows.append(call(end, slug, run, out.with_suffix(".log"), environment))
    return rows


def line(row: Row) -> str:
    """A row of the table."""
    return f"{row.end:<8}{row.what:<30}{'passed' if row.passed else 'FAILED':<8}{row.seconds:6.0f} s  {row.note}"


def main() -> int:
    """Check the ends asked for; 0 if everything passed."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("ends", nargs="*", choices=[*ENDS, []], help="lowest and newest by default")
    parser.add_argument("--folder", type=Path, help="keep environments and logs here")
    arguments = parser.parse_args()
    slugs = sorted(file.stem for file in ROOT.glob("chapters/*/*.yaml"))
    with tempfile.TemporaryDirectory() as temporary:
        folder = (arguments.folder or Path(temporary)).absolute()
        folder.mkdir(parents=True, exist_ok=True)
        rows = [row for end in arguments.ends or ("lowest", "newest") for row in check(end, folder, slugs)]
    failed = [row for row in rows if not row.passed]
    print(f"\n{len(rows) - len(failed)} passed, {len(failed)} failed", *map(line, failed), sep="\n")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
