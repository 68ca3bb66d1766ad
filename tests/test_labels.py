"""Grids of members: their order, their labels, and the tables made of arrays over them."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

from deepphenomena.runtime.errors import InputError
from deepphenomena.training import Grid, grid

SEEDS, RATES, STARTS = range(3, 6), [0.1, 1.0], ["ours", "theirs"]


@pytest.fixture
def members() -> Grid:
    return grid(start=STARTS, seed=SEEDS, learning_rate=RATES)


def test_members_are_the_product_of_the_axes_with_the_first_slowest(members):
    expected = list(itertools.product(STARTS, SEEDS, RATES))
    assert len(members) == len(expected)
    assert list(members.labels.itertuples(index=False, name=None)) == expected
    assert list(members.labels) == ["start", "seed", "learning_rate"]
    for column, axis in enumerate(members.axes):
        np.testing.assert_array_equal(members[axis], [row[column] for row in expected])


def test_keys_come_from_the_seed_alone_and_differ_between_purposes(members):
    data = jax.random.key_data
    expected = jnp.stack([jax.random.key(seed) for seed in members["seed"]])
    np.testing.assert_array_equal(data(members.keys()), data(expected))
    drawn = {purpose: np.asarray(data(members.keys(purpose))) for purpose in (None, "test", "order")}
    for one, other in itertools.combinations(drawn.values(), 2):
        assert not (one == other).all(-1).any()
    np.testing.assert_array_equal(drawn["test"], data(members.keys("test")))
    same_seed = members.where(seed=4)
    assert len(np.unique(drawn["test"][same_seed], axis=0)) == 1


def test_stack_calls_once_for_each_distinct_combination_that_the_function_names(members):
    calls = []

    def build(seed, start):
        calls.append((seed, start))
        return {"w": np.full(2, seed), "start": np.float32(len(start))}

    stacked = members.stack(build)
    assert sorted(calls) == sorted(itertools.product(SEEDS, STARTS))
    np.testing.assert_array_equal(stacked["w"], np.stack([members["seed"]] * 2, 1))
    np.testing.assert_array_equal(stacked["start"], [len(start) for start in members["start"]])


def test_stack_holds_random_keys(members):
    keys = members.stack(lambda seed: jax.random.key(seed))
    np.testing.assert_array_equal(jax.random.key_data(keys), jax.random.key_data(members.keys()))


def test_map_gives_each_member_its_part(members):
    w = np.arange(24.0).reshape(12, 2)
    mapped = members.map(lambda p, shift: {"sum": jnp.sum(p["w"]) + shift, "w": p["w"]}, {"w": w}, members["seed"])
    np.testing.assert_allclose(mapped["sum"], w.sum(1) + members["seed"])
    np.testing.assert_array_equal(mapped["w"], w)


def test_a_frame_names_every_entry_of_an_array(members):
    values = np.random.default_rng(0).normal(size=(12, 2, 3))
    frame = members.frame("cka", values, layer=["conv", "head"], step=[0, 5, 10])
    assert list(frame) == ["start", "seed", "learning_rate", "layer", "step", "cka"]
    rows = itertools.product(itertools.product(STARTS, SEEDS, RATES), ["conv", "head"], [0, 5, 10])
    expected = [(*labels, layer, step) for labels, layer, step in rows]
    assert list(frame.drop(columns="cka").itertuples(index=False, name=None)) == expected
    np.testing.assert_array_equal(frame["cka"], values.ravel())
    one = frame.query("start == 'theirs' and seed == 5 and learning_rate == 0.1 and layer == 'head' and step == 5")
    assert one["cka"].item() == values[10, 1, 1]


def test_a_series_has_the_labels_as_its_index(members):
    values = np.arange(12.0)
    series = members.series(values)
    assert series["theirs", 4, 1.0] == values[9]
    by_seed = grid(seed=SEEDS).series([7.0, 8.0, 9.0])
    pd.testing.assert_series_equal(by_seed, pd.Series([7.0, 8.0, 9.0], pd.Index(SEEDS, name="seed")))


def test_where_and_select_find_the_same_members(members):
    chosen = members.where(start="theirs", learning_rate=[1.0, 0.1], seed=[3, 5])
    expected = [s == "theirs" and seed != 4 for s, seed, _ in itertools.product(STARTS, SEEDS, RATES)]
    assert chosen.tolist() == expected
    selected = members.select(start="theirs", seed=[3, 5])
    assert selected == grid(seed=[3, 5], learning_rate=RATES)
    assert len(members.select(start="ours", seed=3, learning_rate=1.0)) == 1


def test_a_grid_passes_through_jit_as_a_constant(members):
    assert jax.tree.leaves(members) == []
    doubled = jax.jit(lambda members, x: 2 * x * len(members))
    assert doubled(members, 1.0) == 24


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda g: grid(), ["axis"]),
        (lambda g: grid(seed=[]), ["seed", "empty"]),
        (lambda g: grid(dataset="mnist"), ["dataset", "list"]),
        (lambda g: grid(seed=3), ["seed", "list"]),
        (lambda g: grid(seed=[1, 2, 1]), ["seed", "1"]),
        (lambda g: g["sede"], ["sede", "did you mean 'seed'"]),
        (lambda g: g.where(start="mine"), ["start=mine", "ours, theirs"]),
        (lambda g: g.where(strat="ours"), ["did you mean 'start'"]),
        (lambda g: g.stack(lambda depth: depth), ["depth", "seed"]),
        (lambda g: g.frame("loss", np.zeros(11)), ["(11,)", "(12,)"]),
        (lambda g: g.frame("loss", np.zeros((12, 4)), step=range(3)), ["(12, 4)", "(12, 3)"]),
        (lambda g: g.frame("loss", np.zeros((12, 4))), ["(12, 4)", "(12,)"]),
        (lambda g: g.series(np.zeros(3)), ["(3,)", "(12,)"]),
        (lambda g: g.map(jnp.sum, np.zeros((11, 2))), ["(11,)", "(12,)"]),
        (lambda g: grid(learning_rate=[1.0]).keys(), ["seed", "learning_rate"]),
    ],
)
def test_what_does_not_fit_a_grid_is_refused_by_name(members, make, words, unchecked_types):
    with pytest.raises(InputError) as refusal:
        make(members)
    assert all(word in str(refusal.value) for word in words), str(refusal.value)


def test_values_of_a_smaller_grid_are_given_to_every_member_with_their_labels(members):
    ensemble = grid(seed=SEEDS)
    values = {"a": np.array([10.0, 20.0, 30.0]), "b": jnp.arange(6.0).reshape(3, 2)}
    spread = members.broadcast(ensemble, values)
    np.testing.assert_array_equal(spread["a"], [10.0 * (seed - 2) for seed in members["seed"]])
    assert spread["b"].shape == (len(members), 2)
    with pytest.raises(InputError, match="seed=5"):
        members.broadcast(grid(seed=range(3, 5)), np.zeros(2))
    with pytest.raises(InputError, match="width"):
        members.broadcast(grid(width=[1]), np.zeros(1))
    with pytest.raises(InputError, match="do not fit the grid"):
        members.broadcast(ensemble, np.zeros(4))
