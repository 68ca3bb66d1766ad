"""How long `make test` takes with many chapters: a temporary clone, copies of one chapter, and its `make test`.

    python tests/copies.py                            67 copies; the better part of an hour
    python tests/copies.py --copies 2 -k copy_0       two, and only the tests that name one of them

Not part of `make test`. The clone has the last commit; its environment is this one, with the clone's library first.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from deepphenomena.book import cards

ROOT = Path(__file__).parents[1]
SLUG = "maml_anil"  # a small one


def copy(clone: Path, slug: str, name: str) -> None:
    """Add a copy of a chapter under another name: card, notebook, mutations, records, and its place in the contents."""
    card = clone / cards.path(slug).relative_to(ROOT)
    for suffix in (".yaml", ".ipynb", ".mutations.yml"):
        text = card.with_suffix(suffix).read_text(encoding="utf-8")
        text = re.sub(rf'(slug"?: "?){slug}\b', rf"\g<1>{name}", text)
        text = re.sub(rf'(start\(\\?"){slug}\b', rf"\g<1>{name}", text)
        card.with_name(name).with_suffix(suffix).write_text(text, encoding="utf-8")
    kept = clone / "data" / "results" / name
    shutil.copytree(clone / "data" / "results" / slug, kept)
    for file in kept.glob("*.json"):
        file.write_text(file.read_text().replace(f'"slug": "{slug}"', f'"slug": "{name}"'))
    contents = clone / "_toc.yml"
    line = next(line for line in contents.read_text().splitlines() if line.endswith(f"/{slug}"))
    new = line.removesuffix(slug) + name
    contents.write_text(contents.read_text().replace(line, f"{line}\n{new}"))


def borrow_environment(folder: Path) -> None:
    """Make this environment that of the clone. A folder of links: what clears it leaves this one alone."""
    folder.mkdir()
    for name in ("bin", "lib"):
        (folder / name).symlink_to(Path(sys.prefix) / name)
    shutil.copy(Path(sys.prefix) / "pyvenv.cfg", folder)
    (folder / "ready").touch()  # newer than the clone's lock


STAMP = """
import nbformat, sys
from deepphenomena.book import cards, fingerprint, runner
for slug in sys.argv[1:]:
    notebook = nbformat.read(runner.notebook_path(slug), as_version=4)
    fingerprint.stamp(notebook, cards.load(slug))
    nbformat.write(notebook, runner.notebook_path(slug))
"""


def main() -> int:
    """Make the clone, run its tests, print the seconds; the exit status of the tests."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--copies", type=int, default=67, help="default: %(default)s")
    parser.add_argument("--chapter", choices=cards.slugs(), default=SLUG, help="default: %(default)s")
    parser.add_argument(
        "-k", dest="wanted", help="only the tests that pytest's -k selects, without the rest of make test"
    )
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        clone = Path(temporary) / "clone"
        subprocess.run(["git", "clone", "--quiet", ROOT, clone], check=True)
        names = [f"copy_{number}" for number in range(arguments.copies)]
        for name in names:
            copy(clone, arguments.chapter, name)
        environment = os.environ | {"PYTHONPATH": str(clone / "lib")}
        subprocess.run([sys.executable, "-c", STAMP, *names], check=True, env=environment)
        borrow_environment(clone / ".venv")
        command = ["make", "test"]
        if arguments.wanted:
            options = ["-q", "-n", "2", "--dist", "loadgroup", "--durations=10", "-k", arguments.wanted]
            command = [sys.executable, "-m", "pytest", *options, "tests"]
        started = time.monotonic()
        status = subprocess.run(command, cwd=clone, env=environment, check=False).returncode
    chapters = len(cards.slugs()) + arguments.copies
    print(f"{chapters} chapters: {' '.join(map(str, command))} took {(time.monotonic() - started) / 60:.1f} minutes")
    return status


if __name__ == "__main__":
    sys.exit(main())
