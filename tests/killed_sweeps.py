"""Sweeps whose workers are killed at random times, at start-up too, on a machine kept busy.

    python tests/killed_sweeps.py             20 sweeps, some 20 minutes
    python tests/killed_sweeps.py --sweeps 2

Not part of `make test`; a scheduled workflow runs it. Every sweep must end with the table of an undisturbed one and
repeat no finished run. A sweep that says that it was stopped is started again by the same command, as it asks.
"""

import argparse
import contextlib
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
from test_sweeps import MEASURE, SLUG, write_chapter

RUNS, WORKERS, KILLS = 6, 2, 3
LONGEST = 900.0  # seconds; a sweep that takes longer hangs

SWEEP = """
import sys
from pathlib import Path
from deepphenomena.book import cli, runner
notebook, slug, out, first, last, workers = sys.argv[1:]
runner.notebook_path = lambda slug: Path(notebook)
sys.argv = ["deepphenomena", "sweep", slug, "-p", f"first_seed={first}..{last}", "--workers", workers, "--out", out]
if __name__ == "__main__":
    cli.main()
"""


def workers_of(process: subprocess.Popen) -> list[psutil.Process]:
    """The worker processes of a sweep on this machine; not the kernels below them."""
    found = []
    with contextlib.suppress(psutil.Error):
        for child in psutil.Process(process.pid).children(recursive=True):
            with contextlib.suppress(psutil.Error):
                if "multiprocessing.spawn" in " ".join(child.cmdline()):
                    found.append(child)
    return found


def finished(out: Path) -> dict[str, int]:
    """When each finished run was stored."""
    return {
        file.name: file.stat().st_mtime_ns
        for file in (out / SLUG).glob("*.json")
        if not file.name.endswith(".failed.json")
    }


def sweep(command: list[str], out: Path, kills: int, chance: random.Random) -> int:
    """Run a sweep to its end, again if it asks for that, and kill workers on the way; return how many were killed."""
    seen: dict[str, int] = {}
    killed, began = 0, time.monotonic()
    for _ in range(5):
        with (out.parent / "said").open("w+") as said:
            process = subprocess.Popen(command, stdout=said, stderr=said)
            next_kill = time.monotonic() + chance.uniform(0.5, 15)  # a worker takes seconds to start
            while process.poll() is None:
                if time.monotonic() - began > LONGEST:
                    process.kill()
                    sys.exit(f"a sweep hangs after {killed} kills: {(out.parent / 'said').read_text()}")
                if killed < kills and time.monotonic() > next_kill and (workers := workers_of(process)):
                    with contextlib.suppress(psutil.Error):
                        chance.choice(workers).kill()
                        killed += 1
                    next_kill = time.monotonic() + chance.uniform(0.5, 15)
                for name, stored in finished(out).items():
                    if seen.setdefault(name, stored) != stored:
                        sys.exit(f"run {name} was repeated after it had finished")
                time.sleep(0.1)
        said = (out.parent / "said").read_text()
        if process.returncode == 0:
            return killed
        if "same command" not in said:
            sys.exit(f"a sweep ended with status {process.returncode} and no fix: {said}")
    sys.exit(f"a sweep did not end after five commands: {said}")


def main() -> None:
    parser = argparse.ArgumentParser(description="Sweeps whose workers are killed")
    parser.add_argument("--sweeps", type=int, default=20, help="how many sweeps (default 20)")
    parser.add_argument(
        "--seed", type=int, default=None, help="of the times of the kills; by default, another each time"
    )
    given = parser.parse_args()
    seed = random.randrange(10**6) if given.seed is None else given.seed
    chance = random.Random(seed)
    print(
        f"{given.sweeps} sweeps of {RUNS} runs, up to {KILLS} workers of {WORKERS} killed in each, seed {seed}",
        flush=True,
    )
    with tempfile.TemporaryDirectory() as place, contextlib.ExitStack() as stack:
        chapter = Path(place) / "tiny.ipynb"
        write_chapter(chapter, MEASURE, pause=1.0)

        def command(out: Path) -> list[str]:
            return [sys.executable, "-c", SWEEP, str(chapter), SLUG, str(out), "20", str(19 + RUNS), str(WORKERS)]

        calm = Path(place) / "calm" / "out"
        calm.parent.mkdir()
        sweep(command(calm), calm, 0, chance)
        for _ in range(2):  # two processes that keep the machine busy
            stack.callback(subprocess.Popen([sys.executable, "-c", "while True: pass"]).kill)
        for number in range(given.sweeps):
            out = Path(place) / str(number) / "out"
            out.parent.mkdir()
            began = time.monotonic()
            killed = sweep(command(out), out, KILLS, chance)
            table = f"{SLUG}.parquet"
            if (out / table).read_bytes() != (calm / table).read_bytes():
                sys.exit(f"sweep {number} has another table than an undisturbed one")
            print(
                f"sweep {number}: {killed} workers killed, {time.monotonic() - began:.0f} s, the same table", flush=True
            )


if __name__ == "__main__":
    main()
