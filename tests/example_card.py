"""A small card, and runs of it, for the tests of the book's machinery."""

import copy
import datetime
import functools

from deepphenomena.book.cards import Card
from deepphenomena.book.provenance import Provenance
from deepphenomena.book.run import Run

CONTENT = {
    "slug": "example",
    "title": "An example",
    "part": "training-dynamics",
    "summary": "For tests.",
    "paper": {
        "title": "T",
        "authors": ["A", "B"],
        "year": 2020,
        "venue": "arXiv",
        "bibtex": "a2020t",
        "arxiv": "2001.00001",
    },
    "datasets": ["mnist"],
    "parameters": {
        "seeds": {"default": 3, "type": "int", "minimum": 1, "help": "seeds"},
        "first_seed": {"default": 0, "type": "int", "minimum": 0, "help": "first seed"},
        "width": {"default": 64, "type": "int", "minimum": 8, "maximum": 512, "unit": "units", "help": "width"},
        "learning_rate": {"default": 0.1, "type": "float", "minimum": 0.0, "help": "rate"},
        "rates": {"default": [1.0, 2.0], "type": "list[float]", "minimum": 0, "help": "rates"},
        "dataset": {"default": "mnist", "type": "str", "choices": ["mnist", "cifar10"], "help": "data"},
        "network": {"default": "mlp-64", "type": "str", "pattern": r"(mlp|cnn)-\d+", "help": "network"},
        "batch_size": {"default": 32, "type": "int", "minimum": 1, "multiple_of": 2, "help": "batch"},
        "samples": {"default": 64, "type": "int", "minimum": 1, "help": "samples"},
        "augment": {"default": False, "type": "bool", "help": "augmentation"},
    },
    "rules": [{"parameter": "samples", "multiple_of": "batch_size"}],
    "presets": {
        "full": {"width": 512, "seeds": 5, "first_seed": 10},
        "larger": {"width": 512, "seeds": 3, "first_seed": 20},
        "smoke": {"seeds": 1},
    },
    "order": ["quick", "full", "larger"],
    "power": {"full": {"seeds": 5, "note": "N.", "drafts": [900, 904]}},
    "claims": [
        {
            "id": "gap",
            "claim": "The gap is positive.",
            "where": "Section 1",
            "quantity": "q",
            "basis": "direction",
            "expect": {"quick": {"at_least": 0}},
        },
        {
            "id": "size",
            "claim": "The size is four.",
            "where": "Table 2",
            "reported": "4.0",
            "paper": {"value": 4.0, "source": "Table 2"},
            "quantity": "s",
            "unit": "units",
            "basis": "number",
            "expect": {"quick": {"between": [3, 5]}, "full": {"between": [3.5, 4.5]}},
        },
        {
            "id": "ratio",
            "claim": "It is faster.",
            "where": "Table 2",
            "quantity": "r",
            "scale": "log",
            "basis": "direction",
            "unverified": True,
            "expect": {"quick": {"at_least": 1}},
        },
    ],
    "checks": [
        {
            "id": "identity",
            "check": "Two is two.",
            "quantity": "difference",
            "exact": True,
            "expect": {"quick": {"at_most": 0}},
        },
        {
            "id": "step_time",
            "check": "A step is fast.",
            "quantity": "seconds",
            "timed": True,
            "expect": {"quick": {"at_most": 1}},
        },
    ],
    "coverage": {
        "source": "The paper.",
        "complete": True,
        "items": [
            {"item": "Section 1", "shows": "a gap", "claims": ["gap"]},
            {"item": "Table 2", "shows": "sizes", "claims": ["size", "ratio"]},
            {"item": "Figure 3", "shows": "ImageNet", "not_attempted": "no data"},
        ],
    },
}
CARD = Card.model_validate(CONTENT)


def changed(path, value):
    """The card's content with one value replaced, or removed where it is None."""
    content = copy.deepcopy(CONTENT)
    *parents, last = path
    node = content
    for key in parents:
        node = node[key]
    if value is None:
        del node[last]
    else:
        node[last] = value
    return content


def run(preset="quick", card=CARD, **overrides):
    """A run of the card."""
    return Run(card, preset, card.values(preset, overrides))


@functools.cache  # what made it is asked of git and JAX
def record(preset="quick", gap=0.5, size=4.0, failing=False, day=1, **overrides):
    """The record of a run in which the gap and the size are about these, on a day of its own."""
    made = run(preset, **overrides)
    scatter = [0.01 * (k % 3 - 1) for k in range(len(made.seeds))]
    made.measure("gap", [gap + s for s in scatter])
    made.measure("size", [size + s for s in scatter])
    made.measure("identity", 1 if failing else 0)
    provenance = Provenance(
        started=datetime.datetime(2026, 1, day, tzinfo=datetime.UTC),
        wall_seconds=41.0,
        device="a <processor>",
        backend="cpu",
        device_count=1,
        cpu_count=2,
        versions={"jax": "0.12"},
        commit="0123456789abcdef",
        clean=True,
    )
    return made.record().model_copy(update={"provenance": provenance})
