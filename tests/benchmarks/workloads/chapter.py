"""A chapter's smoke run by the command, start of Python and of the kernel included: again, and for the first time."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

CHAPTER = "large_learning_rate_phase"


def _run(folder: str, cache: str) -> None:
    command = [Path(sys.executable).with_name("deepphenomena"), "run", CHAPTER, "--preset", "smoke"]
    subprocess.run(
        [*command, "--out", Path(folder) / "out.ipynb"],
        check=True,
        env=os.environ | {"DEEPPHENOMENA_CACHE": cache},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def _again():
    folder = tempfile.TemporaryDirectory()

    def run():
        _run(folder.name, str(Path(folder.name) / "cache"))

    return run


def _first():
    def run():
        with tempfile.TemporaryDirectory() as folder:
            _run(folder, str(Path(folder) / "cache"))

    return run


FORMS = {"ours": _again, "first run": _first}
