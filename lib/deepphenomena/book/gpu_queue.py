"""The queue of runs that want a GPU: pack a folder, run it in pieces on a machine without internet, keep the records.

A pack has the library, the chapters, the embedded data, and the packages that such a machine lacks, ready to import. A
piece ends at its time limit. The next one goes on from the checkpoints of the trainings.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterable
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

from deepphenomena.book import cards, provenance, records, results
from deepphenomena.book.records import Record
from deepphenomena.runtime import paths
from deepphenomena.runtime.errors import InputError, RunError, unknown

PRESET = "paper"  # the preset that wants a GPU
PIECE_SECONDS = 540
SECONDS_TO_STOP = 15  # of a piece: an interrupted kernel needs some, the copy of the folder too
# What the GPU machine has. Everything else that the library needs comes with the pack.
ON_THE_MACHINE = ("jax", "numpy", "scipy", "optax", "flax", "orbax-checkpoint", "pandas", "seaborn")
PACKED = ("_toc.yml", "chapters", "data/datasets.yaml", "data/embedded", "data/results", "lib", "LICENSE")
_NOT_NEEDED = ("debugpy==",)  # only a debugger's, and large
_COMMIT = "COMMIT"
_LAUNCHER = """#!/bin/sh
# Run a piece of the queue: ./run FOLDER [--chapter SLUG] [--seconds 540]. Status 0: done; 75: call it again.
here=$(cd "$(dirname "$0")" && pwd)
export PYTHONPATH="$here/lib:$here/site" DEEPPHENOMENA_MIRROR="${DEEPPHENOMENA_MIRROR:-$here/mirror}"
exec "${PYTHON:-python3}" -c 'from deepphenomena.book.cli import main; main()' gpu run "$@"
"""


class Entry(NamedTuple):
    """A run of the queue: `recorded` is the record of its preset, if there is one."""

    slug: str
    preset: str
    recorded: Record | None


def entries(preset: str = PRESET, slugs: Iterable[str] = ()) -> list[Entry]:
    """Return these chapters, or all that have the preset, those without a record first.

    Raises:
        InputError: an unknown chapter, or one that lacks the preset.
    """
    chosen = [cards.load(slug) for slug in slugs or cards.slugs()]
    lacking = [card for card in chosen if preset not in card.order]
    if lacking and (slugs or len(lacking) == len(chosen)):
        have = dict.fromkeys(name for card in lacking for name in card.order)
        raise unknown(f"preset of {lacking[0].slug if slugs else 'the book'}", preset, have)
    found = [Entry(card.slug, preset, results.recorded(card.slug, preset)) for card in chosen if preset in card.order]
    return sorted(found, key=lambda entry: entry.recorded is not None)


def pack(folder: Path, *, python: str, platform: str) -> None:
    """Write a folder for a machine without internet. Needs a clone without changes, and internet.

    Args:
        folder: new, or an earlier pack, which is replaced.
        python: the machine's version, for example "3.12".
        platform: the machine's platform in uv's words, for example "x86_64-manylinux_2_28".

    Raises:
        InputError: no clone, changed code, or a folder that is something else.
        RunError: packages that cannot be had.
    """
    root = paths.repository()
    commit, clean = provenance.code_state()
    if root is None or commit is None or not clean:
        raise InputError("a pack is made from a clone without changes: its records name the commit; commit them first")
    if folder.exists() and any(folder.iterdir()) and not (folder / _COMMIT).is_file():
        raise InputError(f"folder {folder}: is not empty and not a pack; choose another")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    content = subprocess.run(["git", "-C", root, "archive", commit, *PACKED], capture_output=True, check=True).stdout
    with tarfile.open(fileobj=BytesIO(content)) as archive:
        archive.extractall(folder, filter="data")
    missing = sorted(_closure(root, python, None) - _closure(root, python, ON_THE_MACHINE))
    missing = [line for line in missing if not line.startswith(_NOT_NEEDED)]
    lines = [f"{line}\n" for line in (*missing, *_pins(root, "typing-extensions"))]  # the machine's may be too old
    _uv(
        "pip", "install", "--no-deps", "--target", folder / "site", "--python-version", python,
        "--python-platform", platform, "--only-binary", ":all:", "--requirements", "-", given="".join(lines),
    )  # fmt: skip
    (folder / "run").write_text(_LAUNCHER)
    (folder / "run").chmod(0o755)
    (folder / _COMMIT).write_text(f"{commit}\n")


def run(
    folder: Path,
    wanted: Iterable[Entry],
    *,
    seconds: float = PIECE_SECONDS,
    options: Iterable[str] = (),
    report: Callable[[str], None] = print,
) -> bool:
    """Run what fits into a piece; return whether everything wanted is done. Checkpoints and results are in `folder`.

    Raises:
        InputError: the folder holds the work of another pack.
        RunError: a run failed.
    """
    ends = time.monotonic() + seconds - SECONDS_TO_STOP
    folder = folder.absolute()
    cache = folder / "cache"
    cache.mkdir(parents=True, exist_ok=True)
    _name_the_commit(folder)
    for entry in wanted:
        out = folder / f"{entry.slug}-{entry.preset}.ipynb"
        if out.is_file():
            report(f"{entry.slug}: finished before")
            continue
        started, before = time.monotonic(), _saved(cache)
        status = _run_until(ends, _command(entry, out, options), cache)
        spent = f"{time.monotonic() - started:.0f} s"
        if status is not None and status != 0:
            raise RunError(f"{entry.slug} failed after {spent}; see the message above")
        if status == 0:
            report(f"{entry.slug}: finished, {spent} in this piece")
            continue
        report(f"{entry.slug}: stopped after {spent}, {len(_saved(cache) - before)} trainings saved in this piece")
        return False
    return True


def keep(folder: Path) -> list[Path]:
    """Write the records of a folder that came back to `data/results/`; return their paths.

    A machine without git cannot name the commit. It is taken from the pack that wrote the folder.
    """
    kept = []
    commit = (folder / _COMMIT).read_text().strip() if (folder / _COMMIT).is_file() else None
    for file in sorted(folder.glob("*-*.ipynb")):
        made = records.read(file)
        card = cards.load(made.slug)
        if made.overrides:
            raise InputError(f"{file}: was run with other parameters than its preset's and cannot be recorded")
        if made.provenance.commit is None and commit:
            state = made.provenance.model_copy(update={"commit": commit, "clean": True})
            made = made.model_copy(update={"provenance": state})
        last = results.recorded(made.slug, made.preset)
        if last is None or not last.same_run(made):
            results.check_recordable(card, made.preset)
        kept.append(results.write(made))
    return kept


def _name_the_commit(folder: Path) -> None:
    """Copy the name of the commit from the pack, if this is one. Refuse a folder with the work of another commit."""
    here, there = (paths.repository() or folder) / _COMMIT, folder / _COMMIT
    if here.is_file() and not there.is_file():
        shutil.copy(here, there)
    elif here.is_file() and here.read_text() != there.read_text():
        raise InputError(
            f"folder {folder}: holds the work of commit {there.read_text().strip()[:10]}, and this pack is "
            f"{here.read_text().strip()[:10]}; choose another folder"
        )


def _command(entry: Entry, out: Path, options: Iterable[str]) -> list[str]:
    program = "from deepphenomena.book.cli import main; main()"
    given = [word for option in options for word in ("-p", option)]
    return [sys.executable, "-c", program, "run", entry.slug, "--preset", entry.preset, "--out", str(out), *given]


def _run_until(ends: float, command: list[str], cache: Path) -> int | None:
    """Return the status of a command, or None if it had to be stopped at the end of the piece."""
    left = ends - time.monotonic()
    if left <= 0:
        return None
    with subprocess.Popen(
        command, start_new_session=True, env=os.environ | {"DEEPPHENOMENA_CACHE": str(cache)}
    ) as process:
        try:
            return process.wait(left)
        except subprocess.TimeoutExpired:
            _stop(process)
            return None
        except BaseException:
            _stop(process)
            raise


def _stop(process: subprocess.Popen) -> None:
    """Interrupt the command and its kernel, then kill what is left. Checkpoints are written atomically."""
    for sent, seconds in ((signal.SIGINT, SECONDS_TO_STOP * 2 / 3), (signal.SIGKILL, None)):
        try:
            os.killpg(process.pid, sent)
            process.wait(seconds)
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue


def _saved(cache: Path) -> set[tuple[str, int]]:
    """Return the checkpoints of all trainings: (folder, time)."""
    finished = cache.glob("checkpoints/*/*/checkpoint")
    return {(str(file.parent), file.stat().st_mtime_ns) for file in finished}


def _closure(root: Path, python: str, names: tuple[str, ...] | None) -> set[str]:
    """Return "name==version" of what these packages need, or this library, at the versions of the lock."""
    source = ["-"] if names else [root / "pyproject.toml"]
    lines = _uv(
        "pip", "compile", "--constraint", root / "requirements.lock", "--python-version", python, "--no-annotate",
        "--no-header", *source, given="\n".join(names or ()),
    )  # fmt: skip
    return set(re.findall(r"^[a-z0-9-]+==[^\s;]+", lines, re.MULTILINE))


def _pins(root: Path, name: str) -> list[str]:
    return re.findall(rf"^{name}==[^\s;]+", (root / "requirements.lock").read_text(), re.MULTILINE)


def _uv(*arguments: object, given: str = "") -> str:
    done = subprocess.run(
        [sys.executable, "-m", "uv", *map(str, arguments), "--quiet"], input=given, capture_output=True, text=True
    )
    if done.returncode:
        raise RunError(f"uv {arguments[0]} {arguments[1]}: {' '.join(done.stderr.split()) or 'failed'}")
    return done.stdout
