"""The chapter's measurements: on invented curves and weights each claim holds, and on their opposite it fails."""

import types

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pytest

from deepphenomena import figures, nets
from deepphenomena.book import cards, results, runner
from deepphenomena.book.claims import Sample, judge
from deepphenomena.papers.transfusion import gabor, starts
from deepphenomena.runtime.errors import InputError

CHAPTER = "transfusion"

# How steeply an invented learning curve rises from each start, where it ends, and which network's weights are replaced.
PAPER = {
    "rates": {
        "random": 3, "Mean Var": 5, "1 block": 7, "2 blocks": 9, "synthetic Gabor": 7, "transfer": 10, "slim": 10,
    },
    "ends": lambda start, few, wide: 0.9 + 0.03 * (few and wide and start == "transfer"),
    "moved": lambda wide: not wide,
}  # fmt: skip
OPPOSITE = {
    "rates": {
        "random": 9, "Mean Var": 5, "1 block": 7, "2 blocks": 1.2, "synthetic Gabor": 3, "transfer": 2, "slim": 2,
    },
    "ends": lambda start, few, wide: 0.8 + sum([
        0.1 * (wide and not few),
        -0.1 * (start == "slim"),
        0.05 * (start == "transfer") * (-1 if few and wide else 1),
    ]),
    "moved": lambda wide: wide,
}  # fmt: skip


def invented(world, space):
    """A `fine_tune` that trains nothing: curves and final weights are as the world has them."""

    def fine_tune(name, target, k, begin, *, few=False, slim=False):
        wide, made = name == space["wide"], {}
        time = np.arange(space["records"] + 1) / 4
        for start, before in begin.items():
            scatter = 1e-4 * k * len(start)  # seeds differ, and not alike for all starts
            end = world["ends"](start, few, wide) + 0.001 * k + scatter * (1 + wide)
            curve = 0.5 + (end - 0.5) * (1 - np.exp(-world["rates"][start] * (1 + 10 * scatter) * time))
            curve[-1], after = end, before
            if world["moved"](wide):  # above the first block, to weights that all transferred networks share
                key = jax.random.key(100 if start == "transfer" else 200 + k)
                after = jax.tree.map(lambda leaf, key=key: jax.random.normal(key, leaf.shape), before)
                after = starts.transfuse(after, before, blocks=1)
            made[start] = space["Tuned"](curve, before, after)
        return made

    return fine_tune


def untrained(loss, parameters, data, **options):
    return types.SimpleNamespace(parameters=parameters, metrics={"auc": [0.5]})


def verdicts(world, monkeypatch, *, leak):
    """The verdicts of the chapter's own cells, at small sizes and with three seeds, on an invented fine-tuning."""
    monkeypatch.setattr(figures, "show", lambda figure, *, alt: plt.close(figure))
    sizes = cards.load(CHAPTER).presets["smoke"] | {"seeds": 3, "steps": 32, "records": 8}
    space = {}
    for cell in nbformat.read(runner.notebook_path(CHAPTER), as_version=4).cells:
        if cell.cell_type != "code" or cell.id in ("install", "verdict", "summary", "auc_check", "targets_figure"):
            continue
        exec(compile(cell.source, cell.id, "exec"), space)
        if cell.id == "parameters":
            space.update(sizes)
        if cell.id == "splits" and leak:
            space["medical"] = lambda name, seed, honest=space["medical"]: (honest(name, seed)[0],) * 2
        if cell.id == "program":
            space["training"] = types.SimpleNamespace(train=untrained)
        if cell.id == "fine_tune":
            space["fine_tune"] = invented(world, space)
    card, handed = cards.load(CHAPTER), space["run"].record()
    # A failing check voids a run; here each claim is looked at by itself.
    samples = {measured.id: handed.outcome(measured.id).sample for measured in card.measured}
    return {one.id: judge(one, samples[one.id], one.expectation("quick")).holds for one in card.measured}


# An invented training does not decide these: they are taken from scores and filters of the weights themselves.
SCORES, FILTERS = "mixed_over_pathologies", "no_gabors_from_scratch"


def test_a_world_as_the_paper_s_reproduces_every_claim(monkeypatch):
    made = verdicts(PAPER, monkeypatch, leak=False)
    assert {made[claim] for claim in made.keys() - {SCORES, FILTERS}} == {True}, made


def test_the_opposite_world_fails_every_claim(monkeypatch):
    # Its narrow networks stay where they began, the transferred ones together, so that pair has nothing to fail on.
    made = verdicts(OPPOSITE, monkeypatch, leak=True)
    judged = made.keys() - {SCORES, FILTERS, "starts_end_apart"}
    assert {made[claim] for claim in judged} == {False}, made


def test_first_filters_that_become_gabor_functions_fail_the_claim():
    claim = cards.load(CHAPTER).claim(FILTERS)
    rises = []
    for seed in range(3):
        model = nets.network("cbr-tiny/8", (16, 16, 3), 2, key=jax.random.key(seed))
        fresh = nets.functional(model)[1]
        made = starts.synthetic_gabor(fresh, key=jax.random.key(seed))
        after, before = (float(jnp.mean(gabor.fit(starts.first_kernel(p)))) for p in (made, fresh))
        rises.append(after - before)
    assert judge(claim, Sample(values=rises), claim.expectation("quick")).holds is False
    assert judge(claim, Sample(values=[0.0, 0.001, -0.001]), claim.expectation("quick")).holds


def test_unknown_targets_are_refused_before_any_compute():
    with pytest.raises(InputError, match="fundus"):
        cards.load(CHAPTER).values(overrides={"targets": ["retina"]})


def test_the_recorded_full_run_is_of_real_images():
    made = results.recorded(CHAPTER, "full")
    assert {"chest_xray_64", "brain_mri_64", "malaria_cells_50"} <= {use.name for use in made.datasets}
    assert all(np.isfinite(made.series["table"][column]).all() for column in ("auc", "low", "high"))
