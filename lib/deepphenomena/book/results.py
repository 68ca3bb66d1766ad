"""Results: the records in `data/results/`, one for each preset, with what earlier attempts at it said."""

import json
from pathlib import Path

from deepphenomena.book.cards import QUICK, SMOKE, Card
from deepphenomena.book.records import Record, parse, seeds_of
from deepphenomena.runtime import documents, paths
from deepphenomena.runtime.errors import InputError


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


def all_recorded(card: Card) -> dict[str, Record]:
    """The recorded runs of a chapter by preset, in the card's order."""
    found = {preset: recorded(card.slug, preset) for preset in card.order}
    return {preset: record for preset, record in found.items() if record is not None}


def beside_recorded(card: Card, shown: Record) -> tuple[dict[str, Record], Record | None]:
    """A run among the recorded ones: (records by preset, the run itself where it takes the place of none).

    An unmodified run takes the place of the recorded run of its preset; a modified or smoke run stands beside them.
    """
    by_preset = all_recorded(card)
    if shown.overrides or shown.preset not in card.order:
        return by_preset, shown
    return by_preset | {shown.preset: shown}, None


def write(record: Record) -> Path:
    """Lift a record into `data/results/`, whole or not at all, with what earlier attempts said."""
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
    """InputError where a run of this preset may not be recorded: nothing is judged in it, or its seeds were seen.

    Seeds are seen where an earlier attempt at the preset, or the drafts of its plan, used them. The quick run, which
    counts for nothing and is recorded again with every change of the code, keeps its seeds.

    Args:
        card: the chapter's card.
        preset: the preset to record.
        reuse: a reason to record on seeds that were seen; it is kept in the record and shown.
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
