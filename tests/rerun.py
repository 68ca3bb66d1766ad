"""Re-run chapters by nbval against their stored outputs: the changed ones, longest waiting first, within a time budget.

    python tests/rerun.py             the changed ones that fit into 15 minutes
    python tests/rerun.py --all       every chapter
    python tests/rerun.py --chapter SLUG

A chapter is changed where the fingerprint of its stored outputs differs from that of its files. The others run at smoke
scale in `test_chapters.py`. The summary names what was re-run and what was not.
"""

import argparse
import os
import subprocess
import sys
from typing import NamedTuple

from deepphenomena.book import cards, records, runner

BUDGET = 900.0  # seconds
SLOWER = 1.5  # how much longer than recorded a run may take here
MEMORY_EACH = 6e9  # bytes of one chapter's run


class Chapter(NamedTuple):
    """A chapter that may be re-run: what changed, when its outputs were stored, the seconds they took."""

    slug: str
    reasons: list[str]
    stored: float
    seconds: float


def chapters() -> list[Chapter]:
    """Every chapter, those whose outputs are oldest first."""
    found = []
    for slug in cards.slugs():
        provenance = records.read(runner.notebook_path(slug)).provenance
        found.append(Chapter(slug, runner.changed(slug), provenance.started.timestamp(), provenance.wall_seconds))
    return sorted(found, key=lambda chapter: chapter.stored)


def plan(waiting: list[Chapter], budget: float) -> tuple[list[Chapter], list[Chapter]]:
    """(those to run, those left): in their order, each that still fits; the first one runs even if it does not."""
    chosen, left, spent = [], [], 0.0
    for chapter in waiting:
        cost = SLOWER * chapter.seconds
        if not chosen or spent + cost <= budget:
            chosen.append(chapter)
            spent += cost
        else:
            left.append(chapter)
    return chosen, left


def side_by_side() -> int:
    """How many runs fit into the free memory, at most two."""
    free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return 2 if free > 2 * MEMORY_EACH else 1


def main() -> int:
    """Re-run what was asked for; the exit status of pytest."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--all", action="store_true", help="every chapter, changed or not, whatever it takes")
    parser.add_argument("--chapter", choices=cards.slugs(), help="this chapter alone")
    parser.add_argument("--budget", type=float, default=BUDGET, help="seconds (default: %(default)s)")
    arguments = parser.parse_args()
    every = chapters()
    if arguments.chapter:
        chosen, left = [chapter for chapter in every if chapter.slug == arguments.chapter], []
    elif arguments.all:
        chosen, left = every, []
    else:
        chosen, left = plan([chapter for chapter in every if chapter.reasons], arguments.budget)
    status = 0
    if chosen:
        notebooks = [str(runner.notebook_path(chapter.slug)) for chapter in chosen]
        workers = ["-n", "2", "--dist", "loadfile"] if side_by_side() == 2 and len(chosen) > 1 else []
        pytest = [sys.executable, "-m", "pytest", "-q", "--nbval", "--nbval-current-env", *workers, *notebooks]
        status = subprocess.run(pytest, check=False).returncode
    for chapter in chosen:
        print(f"re-run: {chapter.slug} ({', '.join(chapter.reasons) or 'unchanged'})")
    for chapter in left:
        print(f"left for a later run: {chapter.slug} ({', '.join(chapter.reasons)} changed)")
    unchanged = [chapter.slug for chapter in every if chapter not in chosen and chapter not in left]
    print(f"unchanged, not re-run: {', '.join(unchanged) or 'none'}")
    return status


if __name__ == "__main__":
    sys.exit(main())
