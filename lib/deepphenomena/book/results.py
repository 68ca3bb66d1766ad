"""Results: the records in `data/results/`, one for each preset, with the results of earlier attempts."""

import json
from pathlib import Path

from deepphenomena.book.cards import QUICK, SMOKE, Card
from deepphenomena.book.records import Record, parse, seeds_of
from deepphenomena.runtime import documents, paths, text
from deepphenomena.runtime.errors import InputError


def recorded_path(slug: str, preset: str) -> Path:
    """Return the path of the recorded run of a preset: `data/results/<slug>/<preset>.json`."""
    return paths.data() / "results" / slug / f"{preset}.json"


def recorded(slug: str, preset: str) -> Record | None:
    """Return the recorded run of a chapter for a preset, or None if there is none."""
    file = recorded_path(slug, preset)
    if not file.is_file():
        return None
    record = parse(text.from_json(text.read(file, f"record {file}"), f"record {file}"), str(file))
    if (record.slug, record.preset) != (slug, preset):
        raise InputError(
            f"record {file}: it is of {record.slug}, preset {record.preset}, and its place is for {slug}, preset "
            f"{preset}; move it, or record the run again"
        )
    return record


def all_recorded(card: Card) -> dict[str, Record]:
    """Return the recorded runs of a chapter by preset, in the order of the card."""
    found = {preset: recorded(card.slug, preset) for preset in card.order}
    return {preset: record for preset, record in found.items() if record is not None}


def beside_recorded(card: Card, shown: Record) -> tuple[dict[str, Record], Record | None]:
    """Add a run to the recorded ones: return (records by preset, the run itself if it replaces none of them).

    An unmodified run replaces the recorded run of its preset. A modified run or a smoke run is shown next to them.
    """
    by_preset = all_recorded(card)
    if shown.overrides or shown.preset not in card.order:
        return by_preset, shown
    return by_preset | {shown.preset: shown}, None


def write(record: Record) -> Path:
    """Write a record to `data/results/`, atomically, with the results of earlier attempts."""
    file = recorded_path(record.slug, record.preset)
    last = recorded(record.slug, record.preset)
    if last is not None:
        if last.same_run(record):
            numbered = {"attempt": last.attempt, "attempts": last.attempts}
        else:
            earlier = [] if record.preset == QUICK else last.attempts
            numbered = {"attempt": last.attempt + 1, "attempts": [*earlier, last.as_attempt()]}
        record = record.model_copy(update=numbered)
    documents.write_whole(file, json.dumps(record.to_json(), indent=1, ensure_ascii=False, allow_nan=False) + "\n")
    return file


def check_recordable(card: Card, preset: str, *, reuse: str | None = None) -> None:
    """Raise InputError if a run of this preset cannot be recorded: it is not judged, or its seeds were used before.

    Seeds were used before if an earlier attempt at the preset, or the drafts of its plan, used them. The quick run
    keeps its seeds: it does not count and is recorded again with every change of the code.

    Args:
        card: the chapter's card.
        preset: the preset to record.
        reuse: a reason to record with seeds that were used before; it is stored in the record and shown.
    """
    if preset == SMOKE:
        raise InputError(
            "preset 'smoke' is not judged and cannot be recorded; record quick, or one of its larger presets"
        )
    if preset == QUICK or reuse:
        return
    seeds, last, plan = seeds_of(card.values(preset)), recorded(card.slug, preset), card.power.get(preset)
    seen = [(f"attempt {one.attempt}", one.seeds) for one in (*last.attempts, last)] if last else []
    if plan and plan.drafts:
        seen.append(("the drafts of its plan", range(plan.drafts[0], plan.drafts[1] + 1)))
    for what, taken in seen:
        if seeds.start < taken.stop and taken.start < seeds.stop:
            fresh = max(range_.stop for _, range_ in seen)
            raise InputError(
                f"preset '{preset}' of {card.slug} would be recorded on seeds {seeds.start} to {seeds.stop - 1}, and "
                f"{what} used {taken.start} to {taken.stop - 1}; set first_seed: {fresh} under presets: {preset} "
                "in the card, or give --reuse-seeds with the reason"
            )
