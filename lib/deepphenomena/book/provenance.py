"""Provenance: the machine, versions, code and data of a run."""

import datetime
import functools
import importlib.metadata
import json
import os
import platform
import subprocess
from pathlib import Path

import pydantic

from deepphenomena.runtime import paths

_PACKAGES = ("deepphenomena", "jax", "jaxlib", "flax", "optax", "numpy")


class _Recorded(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class DatasetUse(_Recorded):
    """A dataset of a run, with its checksum and its source."""

    name: str
    split: str
    n: int
    sha256: str
    provenance: str
    licence: str


class Provenance(_Recorded):
    """The machine and the software of a run. `clean` is False if code, a card or a notebook's code differed from the
    commit.
    """

    started: datetime.datetime
    wall_seconds: float
    device: str
    backend: str
    device_count: int
    cpu_count: int
    versions: dict[str, str]
    commit: str | None
    clean: bool | None


def provenance(started: datetime.datetime) -> Provenance:
    """Return the provenance of a run that started at `started` (UTC) and ends now."""
    import jax  # cards and scorecards do not need JAX

    device = jax.devices()[0]
    commit, clean = code_state()
    return Provenance(
        started=started,
        wall_seconds=round((datetime.datetime.now(datetime.UTC) - started).total_seconds(), 2),
        device=processor() if device.platform == "cpu" else device.device_kind,
        backend=device.platform,
        device_count=jax.device_count(),
        cpu_count=os.cpu_count() or 1,
        versions={"python": platform.python_version(), **{name: package_version(name) for name in _PACKAGES}},
        commit=commit,
        clean=clean,
    )


def code_state() -> tuple[str | None, bool | None]:
    """Return (commit, clean) of the clone, or the commit of the installed package, or (None, None)."""
    root = paths.repository()
    if root is not None:
        top = _git(root, "rev-parse", "--show-toplevel")
        if top is None or Path(top).resolve() != root.resolve():
            return None, None  # an unpacked archive; the repository around it is another
        return _git(root, "rev-parse", "HEAD"), _clean(root)
    try:
        origin = json.loads(importlib.metadata.distribution("deepphenomena").read_text("direct_url.json") or "{}")
    except (importlib.metadata.PackageNotFoundError, json.JSONDecodeError):
        return None, None
    return origin.get("vcs_info", {}).get("commit_id"), None


def _clean(root: Path) -> bool | None:
    """Return whether code, cards and the code of notebooks are those of the commit, or None if git does not say."""
    arguments = ("--porcelain", "-z", "--no-renames", "--untracked-files=all", "--", "lib", "chapters")
    changed = _git(root, "status", *arguments)
    if changed is None:
        return None
    for line in filter(None, changed.split("\0")):
        file = line[3:]  # after two letters for the kind of change
        if "__pycache__" in file:
            continue
        if file.startswith("chapters/") and file.endswith(".ipynb"):
            if _cells(root, file) != _cells_of((root / file).read_bytes() if (root / file).is_file() else b""):
                return False
        elif file.startswith("lib/") or file.endswith(".yaml"):
            return False
    return True


def _cells(root: Path, file: str) -> list[str] | None:
    committed = _git(root, "show", f"HEAD:{file}")
    return None if committed is None else _cells_of(committed.encode())


def _cells_of(notebook: bytes) -> list[str] | None:
    """Return the code of a notebook. A recorded run rewrites its outputs, which do not make it another experiment."""
    try:
        cells = json.loads(notebook)["cells"]
        return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    except (ValueError, KeyError, TypeError):
        return None


def _git(root: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.removesuffix("\n") if done.returncode == 0 else None


def package_version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "absent"


@functools.cache
def processor() -> str:
    """Return the name of the processor of this machine, from Linux if available."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
