"""The chapter's tasks, tables, representations and pictures; its claims turn in `transfusion.mutations.yml`."""

import hashlib
import json

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

from deepphenomena import datasets, generators, metrics, nets
from deepphenomena.book import cards, results
from deepphenomena.book.claims import Sample, judge
from deepphenomena.papers.transfusion import gabor, pictures, representations, sources, starts, tables, tasks
from deepphenomena.runtime.errors import InputError

CHAPTER = "transfusion"


def eyes(n, seed=0):
    return tasks.simulated(n, seed=seed, pixels=16, enlargement=2.5)


def test_a_number_of_simulated_eyes_begins_the_seed_s_sequence():
    task = eyes(101)
    assert task["x"].shape == (101, 16, 16, 3)
    assert -1 <= float(task["x"].min()) < 0 < float(task["x"].max()) <= 1
    np.testing.assert_array_equal(task["x"][:3], eyes(3)["x"])
    drawn = generators.fundus(16, enlargement=2.5)(jnp.arange(101), key=jax.random.key(0))
    np.testing.assert_array_equal(jnp.sum(task["y"], 1), drawn.labels)  # as many questions answered yes as the grade is


def collection(classes):
    rng = np.random.default_rng(0)
    images = rng.random((12, 20, 20, 1), np.float32)
    return datasets.Dataset(
        name="invented", split="train", images=images, labels=np.arange(12, dtype=np.int32) % classes, sha256="",
        provenance="embedded", licence="", source="", canonical=True, class_names=tuple("abcd"[:classes]),
    )  # fmt: skip


def test_a_collection_is_drawn_in_an_order_of_the_seed_with_its_own_answers():
    dataset = collection(3)
    one, again, other = (tasks.collected(dataset, n=9, seed=seed, pixels=20) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one["x"], again["x"])
    assert not np.array_equal(one["x"], other["x"])
    assert one["x"].shape == (9, 20, 20, 3)
    assert one["y"].shape == (9, 3)
    for image, answer in zip(one["x"], one["y"], strict=True):
        apart = np.abs(2 * dataset.images - 1 - np.asarray(image)[None, ..., :1]).max((1, 2, 3))
        assert apart.min() < 1e-6
        assert dataset.labels[apart.argmin()] == np.argmax(answer)


def test_of_two_classes_the_second_is_the_only_question():
    dataset = collection(2)
    rows = np.random.default_rng(5).permutation(12)
    answers = tasks.collected(dataset, n=12, seed=5, pixels=16)["y"]
    np.testing.assert_array_equal(answers[:, 0], dataset.labels[rows])
    assert [len(tasks.questions(name)) for name in ("fundus", "chest_xray_64", "malaria_cells_50")] == [4, 3, 1]


def test_padding_repeats_images_and_asks_nothing_more():
    task = eyes(3)
    full = tasks.padded(task, rows=7, columns=6)
    np.testing.assert_array_equal(full["x"], jnp.concatenate([task["x"]] * 3)[:7])
    np.testing.assert_array_equal(full["y"][3:6, :4], task["y"])
    assert np.isnan(full["y"][:, 4:]).all()
    assert tasks.padded(task, columns=4)["x"].shape == task["x"].shape


def test_shared_images_are_counted_once():
    one, other = eyes(5, seed=0), eyes(5, seed=1)
    assert tasks.shared_images(one, other) == 0
    mixed = {"x": jnp.concatenate([other["x"], one["x"][:2], one["x"][:1]])}
    assert tasks.shared_images(one, mixed) == 2


def test_examples_of_the_simulation_show_every_grade_and_of_a_collection_its_first_images():
    task = eyes(15)
    assert tasks.examples("fundus", task, seed=0, enlargement=2.5).shape == (3, 5, 96, 96, 3)
    shown = tasks.examples("malaria_cells_50", task, seed=0, enlargement=2.5)
    np.testing.assert_allclose(2 * shown[2, 4] - 1, task["x"][14], atol=1e-6)


def test_a_network_is_as_its_own_copy_and_not_as_a_fresh_one():
    model, other = (nets.network("cbr-tiny/16", (16, 16, 3), 4, key=jax.random.key(seed)) for seed in (0, 1))
    observe = representations.observer(model, channels=20)
    images = eyes(20)["x"]
    one, fresh = (observe(nets.functional(network)[1], images) for network in (model, other))
    assert one.shape == (4, 20, 20)
    same = representations.similarities(one, one)
    assert list(same.index) == [1, 2, 3, 4]
    np.testing.assert_allclose(same, 1, atol=1e-4)
    assert (representations.similarities(one, fresh) < 0.999).any()


def test_networks_of_two_widths_are_compared_by_name():
    models = {name: nets.network(name, (16, 16, 3), 4, key=jax.random.key(0)) for name in ("cbr-tiny/16", "cbr-tiny/8")}
    alike, images = representations.comparer(models), eyes(20)["x"]
    for name, model in models.items():
        _, parameters = nets.functional(model)
        np.testing.assert_allclose(alike(name, parameters, parameters, images), 1, atol=1e-4)


def test_the_gabor_fit_of_parameters_is_the_mean_over_their_first_filters():
    _, parameters = nets.functional(sources.many_filters(3, 2, key=jax.random.key(0)))
    expected = float(jnp.mean(gabor.fit(starts.first_kernel(parameters))))
    assert starts.gabor_fit(parameters) == pytest.approx(expected)


def test_curves_become_a_row_for_each_fine_tuning():
    curve = pd.DataFrame({"seed": 7, "start": ["a", "a", "b", "b"], "step": [0, 5, 0, 5], "auc": [0.5, 0.6, 0.7, 0.8]})
    found = tables.by_step({("net", "eyes", 7): tables.Tuned(curve, {}, {})})
    assert found.loc["net", "eyes", "a", 7].tolist() == [0.5, 0.6]
    assert found[5].loc["net", "eyes", "b", 7] == 0.8


def test_filters_stand_in_rows_with_white_between_them():
    kernel = jax.random.normal(jax.random.key(0), (5, 5, 3, 4))
    sheet = pictures.filters(kernel, kernel + 1, number=3)
    assert sheet.shape == (14, 21, 3)
    assert (sheet[0] == 1).all()
    np.testing.assert_allclose(sheet[:7], sheet[7:], atol=1e-5)  # brightness is no part of a filter


def test_first_filters_that_become_gabor_functions_fail_the_claim():
    claim = cards.load(CHAPTER).claim("no_gabors_from_scratch")
    rises = []
    for seed in range(3):
        fresh = nets.functional(sources.many_filters(3, 2, key=jax.random.key(seed)))[1]
        made = starts.synthetic_gabor(fresh, key=jax.random.key(seed))
        assert starts.first_kernel(fresh).shape == (7, 7, 3, 64)
        after, before = (float(jnp.mean(gabor.fit(starts.first_kernel(p)))) for p in (made, fresh))
        rises.append(after - before)
    as_much = [rise / 2 - rise for rise in rises]  # medical images raise the fit as photographs do
    assert judge(claim, Sample(values=as_much), claim.expectation("quick")).holds is False
    assert judge(claim, Sample(values=[rise / 2 for rise in rises]), claim.expectation("quick")).holds


@pytest.mark.parametrize("name", sorted(sources.SHA256))
def test_shipped_weights_are_those_of_their_provenance_and_sort_photographs(name):
    made = json.loads((sources.FOLDER / "sources.json").read_text())[name]
    assert made["sha256"] == sources.SHA256[name]
    build = sources.many_filters if name == sources.FILTERS else None
    key = jax.random.key(0)
    model = build(3, 10, key=key) if build else nets.network(name, (32, 32, 3), 10, key=key)
    network, fresh = nets.functional(model)
    test = tasks.photographs(datasets.load("cifar10", "test", n=500), pixels=32)
    areas = [
        float(jnp.mean(metrics.roc_auc(jax.jit(network)(parameters, test["x"]), test["y"] == 1)))
        for parameters in (sources.shipped(name, fresh), fresh)
    ]
    assert abs(areas[0] - made["test"]["auc"]) < 0.02
    assert areas[1] < 0.7


def test_weights_of_another_name_shape_or_content_are_refused(tmp_path, monkeypatch):
    _, fresh = nets.functional(nets.network("cbr-tiny/8", (16, 16, 3), 10, key=jax.random.key(0)))
    _, other = nets.functional(nets.network("cbr-tiny/4", (16, 16, 3), 10, key=jax.random.key(0)))
    with pytest.raises(InputError, match=r"cbr-tiny/16.*the book ships those of"):
        sources.shipped("cbr-tiny/16", fresh)
    with pytest.raises(InputError, match="the given weights have"):
        sources.shipped("cbr-tiny/8", other)
    (tmp_path / "cbr-tiny-8.npz").write_bytes(b"cut off")
    monkeypatch.setattr(sources, "FOLDER", tmp_path)
    with pytest.raises(InputError, match="damaged"):
        sources.shipped("cbr-tiny/8", fresh)


def test_packed_weights_come_back_in_half_precision(tmp_path, monkeypatch):
    _, fresh = nets.functional(nets.network("cbr-tiny/16", (16, 16, 3), 4, key=jax.random.key(0)))
    content = sources.packed(fresh)
    (tmp_path / "net.npz").write_bytes(content)
    monkeypatch.setattr(sources, "FOLDER", tmp_path)
    monkeypatch.setattr(sources, "SHA256", {"net": hashlib.sha256(content).hexdigest()})
    for one, other in zip(*map(jax.tree.leaves, (fresh, sources.shipped("net", fresh))), strict=True):
        assert other.dtype == jnp.float32
        np.testing.assert_allclose(one, other, atol=1e-3)


def test_unknown_targets_are_refused_before_any_compute():
    with pytest.raises(InputError, match="fundus"):
        cards.load(CHAPTER).values(overrides={"targets": ["retina"]})


def test_the_recorded_full_run_is_of_real_images():
    made = results.recorded(CHAPTER, "full")
    assert {"chest_xray_64", "brain_mri_64", "malaria_cells_50"} <= {use.name for use in made.datasets}
    assert all(np.isfinite(made.series["table"][column]).all() for column in ("auc", "low", "high"))
