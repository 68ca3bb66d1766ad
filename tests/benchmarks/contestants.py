"""Processes that each hold one form of a workload and run it when told."""

import importlib
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

# Thread pools (OpenMP's, OpenBLAS's) go on spinning after their work, some 0.2 s, on cores that the next form needs.
SETTLE = 0.5  # seconds
RUNS = 3  # of a form in its turn; their median counts


class Unavailable(Exception):
    """A form cannot run here; the message says why."""


class Workload(NamedTuple):
    """Forms of one computation, by name; `ours` is ours. Each is a function that sets up and returns what to time, or,
    for another library's, the name of one in `peers`, whose files import neither JAX nor this library.

    Attributes:
        forms: where they are: a module of `workloads` with a dictionary FORMS, or module.DICTIONARY.
        peers: the forms that the ratio is taken against; the fastest counts.
        must: the ratio asked for, the best peer's time over ours.
        operations: floating-point operations of one run as a direct sum would need them, or None.
        long: a run takes many seconds, so that once a turn, and three turns, must do.
    """

    forms: str
    peers: tuple[str, ...]
    must: float | None = None
    operations: float | None = None
    long: bool = False

    def load(self) -> dict[str, Callable | str]:
        module, _, name = self.forms.partition(".")
        return getattr(importlib.import_module(f"workloads.{module}"), name or "FORMS")


class Timing(NamedTuple):
    """What one form's runs showed: seconds of each run, the first call's seconds, peak memory in bytes; what ran it."""

    seconds: list[float]
    first: float
    peak_memory: int
    versions: dict[str, str]


class _Contestant:
    def __init__(self, workload: Workload, form: str, interpreter: str):
        peer = workload.load()[form]
        where = f"peers.{peer}" if isinstance(peer, str) else workload.forms
        try:
            self.process = subprocess.Popen(
                [interpreter, __file__, where, form, str(1 if workload.long else RUNS)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=os.environ | _variables(form),
            )  # fmt: skip
        except OSError as problem:
            raise Unavailable(f"its interpreter: {problem.strerror}") from None
        try:
            self.ready = self._answer()
        except Unavailable:
            self.close()
            raise

    def _answer(self) -> dict[str, Any]:
        line = self.process.stdout.readline()
        if not line:
            raise Unavailable(f"the process ended with code {self.process.wait()}")
        answer = json.loads(line)
        if "unavailable" in answer:
            raise Unavailable(answer["unavailable"])
        return answer

    def run(self) -> dict[str, Any]:
        self.process.stdin.write("run\n")
        self.process.stdin.flush()
        return self._answer()

    def close(self) -> None:
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()


def alternate(
    workload: Workload, repeats: int, interpreters: Mapping[str, str]
) -> tuple[dict[str, Timing], dict[str, str]]:
    """Run the forms of a workload in turn, `repeats` times each: (timings, why a form that cannot run is left out).

    `interpreters` gives another Python for a form by name: "PyTorch" also serves "PyTorch, loop".
    """
    contestants: dict[str, _Contestant] = {}
    left_out: dict[str, str] = {}
    try:
        for form in workload.load():
            try:
                contestants[form] = _Contestant(workload, form, _python(form, interpreters))
            except Unavailable as problem:
                if form == "ours":
                    raise
                left_out[form] = str(problem)
        answers = {form: [] for form in contestants}
        for _ in range(min(repeats, 3) if workload.long else repeats):
            for form, contestant in contestants.items():
                time.sleep(SETTLE)
                answers[form].append(contestant.run())
    finally:
        for contestant in contestants.values():
            contestant.close()
    timings = {}
    for form, runs in answers.items():
        ready = contestants[form].ready
        seconds = [answer["seconds"] for answer in runs]
        timings[form] = Timing(seconds, ready["first"], runs[-1]["peak_memory"], ready["versions"])
    return timings, left_out


def _python(form: str, interpreters: Mapping[str, str]) -> str:
    return interpreters.get(form) or interpreters.get(form.partition(",")[0], sys.executable)


def _variables(form: str) -> dict[str, str]:
    from deepphenomena.runtime import environment  # here, because another Python's contestant may not have it

    variables = environment.for_speed()
    if form != "ours":  # the allocator's setting helps every form; that of OpenBLAS would slow NumPy's large products
        variables.pop("OPENBLAS_NUM_THREADS", None)
    return variables


def _find(where: str, form: str) -> Callable:
    """The function that sets a form up: `where` is the function's name in `peers`, or a workload's forms."""
    if where.startswith("peers."):
        module, _, name = where.rpartition(".")
        return getattr(importlib.import_module(module), name)
    return Workload(where, ()).load()[form]


def _versions() -> dict[str, str]:
    """This Python's version, and those of what it has loaded and can be compared with."""
    found = {"python": platform.python_version()}
    for module in ("jax", "neural_tangents", "numpy", "torch"):
        if module in sys.modules:
            found[module] = getattr(sys.modules[module], "__version__", "unknown")
    return found


def _serve(where: str, form: str, runs: str) -> None:
    def answer(**values):
        print(json.dumps(values), flush=True)

    try:
        run = _find(where, form)()
    except ImportError as problem:
        answer(unavailable=f"{problem} (Python {platform.python_version()})")
        return
    answer(first=_timed(run), versions=_versions())
    for _ in sys.stdin:
        if int(runs) > 1:
            run()  # untimed: what idleness has cooled (caches, pages, clocks) is warm again, as in a training loop
        seconds = statistics.median(_timed(run) for _ in range(int(runs)))
        answer(seconds=seconds, peak_memory=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)


def _timed(run: Callable[[], Any]) -> float:
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


if __name__ == "__main__":
    _serve(*sys.argv[1:])
