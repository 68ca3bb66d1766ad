"""Meta-learning: tasks are what they say, adaptation moves what it may, and gradients go through it."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from hypothesis import given, settings
from hypothesis import strategies as st

from deepphenomena import nets, training
from deepphenomena.nets.conv4 import Conv4
from deepphenomena.papers.maml_anil import adapt, cosine_classifier, image_batches, layer_mask, meta_loss
from deepphenomena.runtime.errors import InputError
from deepphenomena.tasks import few_shot
from deepphenomena.tasks.few_shot import Examples, Task, by_class, sample_sinusoid, sample_task, task_batches

CLASSES, EXAMPLES = 7, 6
# Pixel (class, example) of every image is known from its value.
TABLE = jnp.arange(CLASSES * EXAMPLES, dtype=jnp.float32).reshape(CLASSES, EXAMPLES, 1, 1, 1) * jnp.ones(
    (1, 1, 2, 2, 1)
)


class Perceptron(nnx.Module):
    """Two smooth layers and a head, on images of 8 x 8."""

    def __init__(self, rngs):
        self.first = nnx.Linear(64, 6, rngs=rngs)
        self.second = nnx.Linear(6, 5, rngs=rngs)
        self.head = nnx.Linear(5, 3, rngs=rngs)

    def __call__(self, x):
        return self.head(jnp.tanh(self.second(jnp.tanh(self.first(x.reshape(len(x), -1))))))


def conv4():
    model = Conv4((8, 8, 1), filters=3, outputs=3, key=jax.random.key(0))
    # A head at zero hides the body's first inner gradient.
    model.head.kernel.set_value(jax.random.normal(jax.random.key(1), model.head.kernel[...].shape))
    return model


def pure(model):
    """(loss, parameters) of a model, in the dtype of the moment."""
    network, parameters = nets.functional(model)

    def loss(parameters, examples):
        scores = network(parameters, examples.x)
        return jnp.mean(optax.softmax_cross_entropy_with_integer_labels(scores, examples.y))

    return loss, jax.tree.map(lambda leaf: leaf.astype(jnp.result_type(float)), parameters)


def small():
    return pure(Perceptron(nnx.Rngs(0)))


def tasks(count, key=5):
    """Tasks of three classes on 8 x 8 noise, one support image of each and two queries."""
    one, two = jax.random.split(jax.random.key(key))
    # XLA takes seconds to compile random numbers of five axes, and no time for those of one.
    support = jax.random.normal(one, (count * 192,)).reshape(count, 3, 8, 8, 1)
    query = jax.random.normal(two, (count * 384,)).reshape(count, 6, 8, 8, 1)
    labels = jnp.tile(jnp.arange(3), (count, 1))
    return Task(Examples(support, labels), Examples(query, jnp.tile(labels, 2)))


def whole(parameters):
    return layer_mask(parameters, lambda path: True)


def head(parameters):
    return layer_mask(parameters, lambda path: path.startswith("head"))


# Tasks


@settings(max_examples=8, deadline=None)
@given(ways=st.integers(1, CLASSES), shots=st.integers(1, 3), queries=st.integers(1, 3), seed=st.integers(0, 2**31 - 1))
def test_a_task_has_different_classes_and_no_image_twice(ways, shots, queries, seed):
    task = sample_task(TABLE, ways=ways, shots=shots, queries=queries, key=jax.random.key(seed))
    drawn = [np.asarray(part.x[:, 0, 0, 0], int) for part in task]
    assert [len(part) for part in drawn] == [ways * shots, ways * queries]
    everything = np.concatenate(drawn)
    assert len(set(everything)) == len(everything)
    classes = everything // EXAMPLES
    labels = np.concatenate([np.asarray(part.y) for part in task])
    assert len(set(classes)) == ways
    assert len(set(zip(classes.tolist(), labels.tolist(), strict=True))) == ways  # one number for each class
    assert set(labels.tolist()) == set(range(ways))


def test_a_key_fixes_the_task_also_inside_jit():
    draw = functools.partial(sample_task, TABLE, ways=3, shots=1, queries=2)
    first, again, other = draw(key=jax.random.key(1)), jax.jit(draw)(key=jax.random.key(1)), draw(key=jax.random.key(2))
    assert jax.tree.all(jax.tree.map(np.array_equal, first, again))
    assert not np.array_equal(first.support.x, other.support.x)


def test_every_class_and_number_come_equally_often():
    keys = jax.random.split(jax.random.key(0), 2000)
    drawn = jax.vmap(lambda key: sample_task(TABLE, ways=3, shots=1, queries=1, key=key).support.x[:, 0, 0, 0])(keys)
    counts = np.stack([np.bincount(column // EXAMPLES, minlength=CLASSES) for column in np.asarray(drawn, int).T])
    expected = 2000 / CLASSES
    assert np.all(np.abs(counts - expected) < 5 * np.sqrt(expected))


def test_quarter_turns_turn_a_class_as_one():
    image = jnp.array([[1.0, 2.0], [4.0, 3.0]])[None, None, ..., None] * jnp.ones((4, 5, 1, 1, 1))
    seen = set()
    for seed in range(10):
        task = sample_task(image, ways=2, shots=2, queries=1, key=jax.random.key(seed), quarter_turns=True)
        corners = np.concatenate([np.asarray(part.x[:, 0, 0, 0], int).reshape(-1, 2) for part in task])
        assert np.all(corners == corners[0])  # alike within a class
        seen |= set(corners[0].tolist())
    assert seen == {1, 2, 3, 4}


@pytest.mark.parametrize("sizes", [(8, 1, 1), (0, 1, 1), (2, 0, 1), (2, 1, 0), (2, 4, 3)])
def test_a_task_that_the_table_cannot_give_is_refused(sizes):
    ways, shots, queries = sizes
    with pytest.raises(InputError, match=f"a task of {ways} ways, {shots} shots and {queries} queries"):
        sample_task(TABLE, ways=ways, shots=shots, queries=queries, key=jax.random.key(0))


def test_a_table_puts_images_in_rows_by_label():
    images, labels = np.arange(6.0)[:, None], np.array([2, 0, 1, 1, 0, 2])
    assert np.array_equal(by_class(images, labels)[..., 0], [[1, 4], [2, 3], [0, 5]])
    with pytest.raises(InputError, match="same number of each class"):
        by_class(images, np.array([0, 0, 0, 1, 1, 2]))


def test_sinusoids_are_one_curve_of_support_and_query():
    task = sample_sinusoid(shots=10, queries=30, key=jax.random.key(3))
    x, y = (np.concatenate([np.asarray(getattr(part, name))[:, 0] for part in task]) for name in "xy")
    design = np.stack([np.sin(x), np.cos(x)], 1)
    weights, *_ = np.linalg.lstsq(design, y)
    assert np.abs(design @ weights - y).max() < 1e-4
    assert 0.1 <= np.linalg.norm(weights) <= 5
    assert np.abs(x).max() <= 5


def test_a_batch_gives_its_tasks_one_by_one():
    batch = tasks(3)
    for k, task in enumerate(few_shot.one_by_one(batch)):
        assert jax.tree.all(jax.tree.map(lambda a, b, k=k: np.array_equal(a[k], b), batch, task))
    assert len(few_shot.one_by_one(batch)) == 3


def test_batches_of_images_carry_the_label_of_their_class():
    drawn = image_batches(count=200)(jax.random.key(0), 0, TABLE)
    assert np.array_equal(np.asarray(drawn.x[:, 0, 0, 0], int) // EXAMPLES, drawn.y)
    assert set(np.asarray(drawn.y).tolist()) == set(range(CLASSES))


def test_a_turned_image_has_a_label_of_its_own():
    corners = jnp.array([[1.0, 2.0], [4.0, 3.0]])[None, None, ..., None] * jnp.ones((2, 5, 1, 1, 1))
    drawn = image_batches(count=200, quarter_turns=True)(jax.random.key(0), 0, corners)
    assert set(np.asarray(drawn.y).tolist()) == set(range(8))
    assert np.array_equal(np.asarray(drawn.x[:, 0, 0, 0], int) - 1, drawn.y % 4)


# Adaptation


def test_adaptation_moves_what_the_mask_allows_and_nothing_else():
    loss, parameters = small()
    support = jax.tree.map(lambda leaf: leaf[0], tasks(1)).support
    for names in (["head"], ["first", "head"], ["second"], []):
        mask = layer_mask(parameters, lambda path, names=names: path.split("/")[0] in names)
        adapted = adapt(loss, parameters, support, mask=mask, rate=0.1, steps=2)
        for part in ("first", "second", "head"):
            same = jax.tree.map(np.array_equal, parameters[part], adapted[part])
            assert jax.tree.all(same) == (part not in names), part


def test_adaptation_is_gradient_descent_step_by_step():
    loss, parameters = small()
    support = jax.tree.map(lambda leaf: leaf[0], tasks(1)).support
    slow = parameters
    for _ in range(3):
        slow = jax.tree.map(lambda p, g: p - 0.2 * g, slow, jax.grad(loss)(slow, support))
    quick = adapt(loss, parameters, support, mask=whole(parameters), rate=0.2, steps=3)
    assert jax.tree.all(jax.tree.map(lambda a, b: np.allclose(a, b, atol=1e-5), slow, quick))


def test_an_array_of_masks_does_what_fixed_masks_do():
    loss, parameters = small()
    support = jax.tree.map(lambda leaf: leaf[0], tasks(1)).support
    masks = [whole(parameters), head(parameters), layer_mask(parameters, lambda path: False)]
    stacked = jax.tree.map(lambda *marks: jnp.array(marks), *masks)
    several = jax.lax.map(lambda mask: adapt(loss, parameters, support, mask=mask, rate=0.1, steps=2), stacked)
    for k, mask in enumerate(masks):
        single = adapt(loss, parameters, support, mask=mask, rate=0.1, steps=2)
        close = jax.tree.map(lambda a, b: np.allclose(a, b, atol=1e-6), nets.member(several, k), single)
        assert jax.tree.all(close)


def test_a_mask_of_another_structure_and_negative_steps_are_refused(unchecked_types):
    loss, parameters = small()
    with pytest.raises(InputError, match="structure of the parameters"):
        adapt(loss, parameters, None, mask={"head": True}, rate=0.1, steps=1)
    with pytest.raises(InputError, match="adaptation -1: it must be a whole number"):
        adapt(loss, parameters, None, mask=whole(parameters), rate=0.1, steps=-1)


# Gradients through adaptation


@pytest.mark.parametrize(
    ("build", "mask_of"),
    [(lambda: Perceptron(nnx.Rngs(0)), whole), (lambda: Perceptron(nnx.Rngs(0)), head), (conv4, whole)],
    ids=["MAML, perceptron", "ANIL, perceptron", "MAML, conv4"],
)
def test_meta_gradients_agree_with_finite_differences(build, mask_of):
    with jax.enable_x64(True):
        loss, parameters = pure(build())
        batch = tasks(2)
        outer = jax.jit(jax.value_and_grad(meta_loss(loss, mask=mask_of(parameters), rate=0.1, steps=3)))
        _, gradient = outer(parameters, batch)
        for seed in range(3):
            keys = iter(jax.random.split(jax.random.key(seed), 100))
            direction = jax.tree.map(
                lambda p, keys=keys: jax.random.normal(next(keys), (p.size,)).reshape(p.shape), parameters
            )
            along = sum(jax.tree.leaves(jax.tree.map(jnp.vdot, gradient, direction)))
            # A step too short to cross a ReLU's kink, long enough for rounding.
            there, back = (
                outer(jax.tree.map(lambda p, d, t=t: p + t * d, parameters, direction), batch)[0] for t in (1e-6, -1e-6)
            )
            assert abs((there - back) / 2e-6 / along - 1) <= 1e-5


def test_first_order_gradients_are_others():
    loss, parameters = small()
    batch, mask = tasks(2), whole(parameters)
    second, first = (
        jax.grad(meta_loss(loss, mask=mask, rate=0.1, steps=3, first_order=order))(parameters, batch)
        for order in (False, True)
    )
    # What first order means: the query's gradient at the adapted point.
    expected = jax.tree.map(jnp.zeros_like, parameters)
    for i in range(2):
        task = jax.tree.map(lambda leaf, i=i: leaf[i], batch)
        adapted = adapt(loss, parameters, task.support, mask=mask, rate=0.1, steps=3)
        expected = jax.tree.map(lambda e, g: e + g / 2, expected, jax.grad(loss)(adapted, task.query))
    norm = lambda tree: float(optax.tree.norm(tree))  # noqa: E731
    difference = functools.partial(jax.tree.map, jnp.subtract)
    assert norm(difference(first, expected)) < 1e-4 * norm(expected)
    assert norm(difference(first, second)) > 0.01 * norm(second)


def test_the_outer_loss_is_the_mean_however_tasks_are_grouped():
    loss, parameters = small()
    batch, mask = tasks(4), whole(parameters)
    results = [
        jax.value_and_grad(meta_loss(loss, mask=mask, rate=0.1, steps=2, together=together))(parameters, batch)
        for together in (1, 2)
    ]
    for value, gradient in results[1:]:
        assert np.isclose(value, results[0][0], rtol=1e-5)
        close = jax.tree.map(lambda a, b: np.allclose(a, b, atol=2e-5), gradient, results[0][1])
        assert jax.tree.all(close)
    with pytest.raises(InputError, match="4 tasks in groups of 3"):
        meta_loss(loss, mask=mask, rate=0.1, steps=2, together=3)(parameters, batch)


def test_meta_training_on_the_shared_loop_learns_the_family():
    # y = w x with w of a family around 3: the best start is the family's mean, from which one step adapts.
    def loss(w, examples):
        return jnp.mean((w * examples.x - examples.y) ** 2)

    def sample(key):
        slope_key, x_key = jax.random.split(key)
        slope, x = 3 + 0.1 * jax.random.normal(slope_key), jax.random.normal(x_key, (6, 1))
        return Task(Examples(x[:3], slope * x[:3]), Examples(x[3:], slope * x[3:]))

    trained = training.train(
        meta_loss(loss, mask=True, rate=0.1, steps=1, together=4), jnp.array(0.0), None,
        optimizer=optax.adam(0.05), steps=300, key=jax.random.key(0), batch_fn=task_batches(sample, count=4),
    )  # fmt: skip
    assert abs(float(trained.parameters) - 3) < 0.1
    assert trained.losses[-50:].mean() < 0.01 * trained.losses[:5].mean()


# NIL


def test_the_cosine_classifier_is_the_formula_and_knows_no_lengths():
    generator = np.random.default_rng(0)
    support, query, labels = generator.normal(size=(6, 4)), generator.normal(size=(5, 4)), np.array([0, 1, 2, 0, 1, 2])
    scores = cosine_classifier(jnp.array(support), jnp.array(labels), jnp.array(query), ways=3)
    for i, h in enumerate(query):
        weights = np.exp([h @ s / np.linalg.norm(h) / np.linalg.norm(s) for s in support])
        expected = [weights[labels == c].sum() / weights.sum() for c in range(3)]
        assert np.allclose(scores[i], expected, atol=1e-6)
    longer = cosine_classifier(jnp.array(3 * support), jnp.array(labels), jnp.array(query), ways=3)
    assert np.allclose(scores, longer, atol=1e-6)
    assert np.isfinite(cosine_classifier(jnp.zeros((2, 3)), jnp.array([0, 1]), jnp.zeros((1, 3)), ways=2)).all()


# The network


@pytest.mark.parametrize(("halving", "left"), [("stride", 2), ("pool", 1)])
def test_conv4_halves_four_times_and_starts_without_an_opinion(halving, left):
    model = Conv4((28, 28, 1), filters=6, outputs=5, halving=halving, key=jax.random.key(0))
    x = jax.random.normal(jax.random.key(1), (4, 28, 28, 1))
    given = model.layers(x)
    assert [layer.shape[1] for layer in given[:4]] == ([14, 7, 4, 2] if halving == "stride" else [14, 7, 3, 1])
    assert given[3].shape == (4, left, left, 6)
    assert model.features(x).shape == (4, left * left * 6)
    assert np.all(model(x) == 0)
    layers, parameters = nets.functional(model, method="layers")
    assert all(np.array_equal(one, other) for one, other in zip(layers(parameters, x), given, strict=True))
    with pytest.raises(InputError, match="halving"):
        Conv4((28, 28, 1), filters=6, outputs=5, halving="none", key=jax.random.key(0))
