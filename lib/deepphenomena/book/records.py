"""Records: what one run of a chapter leaves, carried inside the executed notebook and lifted into `data/results/`."""

import contextlib
import datetime
import functools
import importlib.metadata
import json
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

import pydantic

from deepphenomena.book import cards
from deepphenomena.book.claims import Claim, Estimate, Expectation, Verdict, estimate, judge
from deepphenomena.runtime import documents, paths
from deepphenomena.runtime.errors import InputError

MIME = "application/vnd.deepphenomena.record+json"
VERSION = 1  # of the record's own form

_PACKAGES = ("deepphenomena", "jax", "jaxlib", "flax", "optax", "numpy")


class _Recorded(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)


class Outcome(_Recorded):
    """One claim's measurement: one value per seed (None where it was not finite), expectation and verdict."""

    id: str
    values: list[float | None]
    estimate: Estimate
    expectation: Expectation
    verdict: Verdict


class DatasetUse(_Recorded):
    """A dataset that a run used, by checksum, and what served it."""

    name: str
    split: str
    n: int
    sha256: str
    provenance: str
    licence: str


class Provenance(_Recorded):
    """Where and with what a run was made. `clean` is False where tracked code differed from the commit."""

    started: datetime.datetime
    wall_seconds: float
    device: str
    backend: str
    device_count: int
    cpu_count: int
    versions: dict[str, str]
    commit: str | None
    clean: bool | None


class Record(_Recorded):
    """What one run leaves. `overrides` are the parameters that differ from the preset; `series` the figures' data.

    In `data/results/`, `replaces` is the record that lay there before, without its series and its own predecessor.
    """

    version: int = VERSION
    slug: str
    preset: str
    overrides: dict[str, cards.Value]
    parameters: dict[str, cards.Value]
    outcomes: list[Outcome]
    series: dict[str, dict[str, list[Any]]]
    datasets: list[DatasetUse]
    provenance: Provenance
    replaces: "Record | None" = None

    def outcome(self, claim_id: str) -> Outcome | None:
        """The outcome of a claim, or None where this record has none (it is older than the claim)."""
        return next((outcome for outcome in self.outcomes if outcome.id == claim_id), None)

    def same_run(self, other: "Record") -> bool:
        """Whether both are records of one and the same run."""
        return (self.slug, self.preset, self.provenance) == (other.slug, other.preset, other.provenance)

    def to_json(self) -> dict[str, Any]:
        return self.model_dump(mode="json")


def outcome(claim: Claim, values: list[float], preset: str) -> Outcome:
    """The outcome of a claim from its measured values, one per seed."""
    measured = estimate(values)
    expectation = claim.expectation(preset)
    kept = [float(value) if abs(value) < float("inf") else None for value in values]
    return Outcome(
        id=claim.id, values=kept, estimate=measured, expectation=expectation, verdict=judge(values, expectation)
    )


def provenance(started: datetime.datetime) -> Provenance:
    """Where and with what a run that began at `started` (UTC) is being made, now that it ends."""
    import jax  # a card or a scorecard is read without starting JAX

    device = jax.devices()[0]
    commit, clean = code_state()
    return Provenance(
        started=started,
        wall_seconds=round((datetime.datetime.now(datetime.UTC) - started).total_seconds(), 2),
        device=processor() if device.platform == "cpu" else device.device_kind,
        backend=device.platform,
        device_count=jax.device_count(),
        cpu_count=os.cpu_count() or 1,
        versions={"python": platform.python_version(), **{name: _version(name) for name in _PACKAGES}},
        commit=commit,
        clean=clean,
    )


def code_state() -> tuple[str | None, bool | None]:
    """(commit, clean) of the clone this library runs from; of the commit it was installed from; or (None, None)."""
    root = paths.repository()
    if root is not None:
        commit = _git(root, "rev-parse", "HEAD")
        # A recorded run rewrites notebooks and results; only a change of code or of a card makes it another experiment.
        changed = _git(root, "status", "--porcelain", "--untracked-files=no", "--", "lib", "chapters/**/*.yaml")
        return commit, (None if changed is None else changed == "")
    try:
        origin = json.loads(importlib.metadata.distribution("deepphenomena").read_text("direct_url.json") or "{}")
    except (importlib.metadata.PackageNotFoundError, json.JSONDecodeError):
        return None, None
    return origin.get("vcs_info", {}).get("commit_id"), None


def _git(root: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "absent"


@functools.cache
def processor() -> str:
    """The name of this machine's processor, as its maker gives it where Linux tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def read(executed_notebook: str | os.PathLike) -> Record:
    """The record that an executed notebook carries (the last, where it has several).

    InputError where the file is no notebook, holds no record, or holds one that is not well formed.
    """
    file = Path(executed_notebook)
    try:
        notebook = json.loads(file.read_text(encoding="utf-8"))
        outputs = [output for cell in notebook["cells"] for output in cell.get("outputs", [])]
    except OSError as error:
        raise InputError(f"notebook {file}: cannot be read ({error.strerror}); give an executed .ipynb file") from None
    except (ValueError, KeyError, TypeError):
        raise InputError(f"notebook {file}: not a notebook of format 4; give an executed .ipynb file") from None
    found = [output["data"][MIME] for output in outputs if MIME in output.get("data", {})]
    if not found:
        raise InputError(f"notebook {file}: holds no record; run it to its last cell, run.verdict()")
    return parse(found[-1], str(file))


def parse(content: Any, source: str) -> Record:
    """The record in decoded JSON; InputError names the source and the fault."""
    try:
        return Record.model_validate(content)
    except pydantic.ValidationError as error:
        raise InputError(f"record in {source}: {documents.explain(error, Record)}; run the chapter again") from None


def recorded_path(slug: str, preset: str) -> Path:
    """Where the recorded run of a preset lies: `data/results/<slug>/<preset>.json`."""
    return paths.data() / "results" / slug / f"{preset}.json"


def recorded(slug: str, preset: str) -> Record | None:
    """The recorded run of a chapter under a preset, or None where none was recorded."""
    file = recorded_path(slug, preset)
    if not file.is_file():
        return None
    try:
        return parse(json.loads(file.read_text(encoding="utf-8")), str(file))
    except ValueError as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"record {file}: not valid JSON; record the run again") from None


def write(record: Record) -> Path:
    """Lift a record into `data/results/`, whole or not at all. It keeps the one it replaces: what moved can be told."""
    file = recorded_path(record.slug, record.preset)
    with contextlib.suppress(InputError):  # a record that can no longer be read is one to replace
        last = recorded(record.slug, record.preset)
        if last is not None:
            before = (
                last.replaces if last.same_run(record) else last.model_copy(update={"series": {}, "replaces": None})
            )
            record = record.model_copy(update={"replaces": before})
    documents.write_whole(file, json.dumps(record.to_json(), indent=1, ensure_ascii=False, allow_nan=False) + "\n")
    return file
