"""The table of the benchmarks, and its record."""

import json
import os
import platform
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from statistics import median

from contestants import Timing, Workload
from workloads import WORKLOADS

from deepphenomena.book import provenance as runs
from deepphenomena.runtime import paths


def row(name: str, workload: Workload, timings: dict[str, Timing], left_out: dict[str, str]) -> dict:
    """One workload's medians and the paired ratio of the best peer to ours (above 1: ours is faster)."""
    forms = {
        form: {
            "median_seconds": median(timing.seconds),
            "first_call_seconds": timing.first,
            "peak_memory_bytes": timing.peak_memory,
            "versions": timing.versions,
        }
        for form, timing in timings.items()
    }
    peers = [peer for peer in workload.peers if peer in timings]
    best = min(peers, key=lambda peer: forms[peer]["median_seconds"], default=None)
    ratios = {
        form: median(theirs / ours for theirs, ours in zip(timing.seconds, timings["ours"].seconds, strict=True))
        for form, timing in timings.items()
        if form != "ours"
    }
    memory = None if best is None else forms["ours"]["peak_memory_bytes"] / forms[best]["peak_memory_bytes"]
    return {
        "workload": name,
        "forms": forms,
        "best_peer": best,
        "ratio": None if best is None else ratios[best],
        "ratios": ratios,
        "left_out": left_out,
        "memory_ratio": memory,
        "must": workload.must,
        "gigaflops": workload.operations and workload.operations / forms["ours"]["median_seconds"] / 1e9,
    }


def header() -> str:
    return f"{'workload':<28}{'ours':>10}{'ratio':>8}{'must':>6}{'memory':>8}{'GFLOP/s':>9}  others (time, over ours)"


def line(row: dict) -> str:
    ours = row["forms"]["ours"]["median_seconds"]
    others = "; ".join(
        f"{form} {_milliseconds(row['forms'][form]['median_seconds'])} ({ratio:.2f})"
        for form, ratio in row["ratios"].items()
    )
    others = "; ".join([others] * bool(others) + [f"{form} left out: {why}" for form, why in row["left_out"].items()])
    shown = [
        "-" if value is None else format(value, form)
        for value, form in (
            (row["ratio"], ".2f"),
            (row["must"], "g"),
            (row["memory_ratio"], ".2f"),
            (row["gigaflops"], ".0f"),
        )
    ]
    ratio, must, memory, gigaflops = shown
    return f"{row['workload']:<28}{_milliseconds(ours):>10}{ratio:>8}{must:>6}{memory:>8}{gigaflops:>9}  {others}"


def _milliseconds(seconds: float) -> str:
    return f"{1e3 * seconds:.4g} ms"


def write(rows: list[dict]) -> Path:
    """Write the rows with what they were measured on; rows measured before in the same surroundings stay."""
    path, made = paths.data() / "results" / "benchmarks.json", provenance()
    before = json.loads(path.read_text()) if path.is_file() else {"provenance": {}, "rows": []}
    same = all(before["provenance"].get(key) == made[key] for key in ("processor", "cores", "python", "versions"))
    kept = {row["workload"]: row for row in before["rows"]} if same else {}
    kept |= {row["workload"]: row for row in rows}
    ordered = [kept[name] for name in WORKLOADS if name in kept]
    beside = path.with_suffix(".partial")
    beside.write_text(json.dumps({"provenance": made, "rows": ordered}, indent=1) + "\n")
    os.replace(beside, path)
    return path


def provenance() -> dict:
    return {
        "written": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": runs.code_state()[0],
        "processor": runs.processor(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in ("jax", "jaxlib", "numpy", "scipy", "torch")},
    }


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
