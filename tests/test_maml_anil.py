"""The MAML and ANIL chapter: its freezing claim can fail. nbval re-runs the notebook beside these tests."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from deepphenomena import datasets, nets, training
from deepphenomena.book import cards, claims
from deepphenomena.nets.conv4 import Conv4
from deepphenomena.papers import maml_anil
from deepphenomena.runtime.errors import InputError
from deepphenomena.tasks import few_shot

SEEDS = 3
INNER = {"rate": 0.1, "steps": 3}


def table(split, shrink=1):
    loaded = datasets.load("glyphs", split)
    return few_shot.by_class(loaded.images[:, ::shrink, ::shrink], loaded.labels)


@pytest.fixture(scope="module")
def trained():
    """(scores, parameters after a short ANIL training of three seeds, tasks of scripts never seen, untrained ones)."""

    small_train = table("train", shrink=2)  # 14 x 14 for speed
    definition = nnx.graphdef(nnx.eval_shape(lambda: build(jax.random.key(0))))
    members = training.grid(seed=range(SEEDS))
    initial = jax.jit(jax.vmap(lambda key: nnx.state(build(key))))(members.keys())

    def scores(parameters, x):
        return nnx.merge(definition, parameters)(x)

    sample = functools.partial(few_shot.sample_task, ways=5, shots=1, queries=5)
    outer = maml_anil.meta_loss(loss_of(scores), mask=mask_of(initial, ["head"]), **INNER)
    after = training.train(
        outer, initial, small_train, members, optimizer=optax.adam(3e-3), steps=120,
        batch_fn=few_shot.task_batches(sample, count=4),
    )  # fmt: skip
    test_table = few_shot.unlike(table("test", shrink=2), small_train, most=0.85)
    tasks = jax.lax.map(lambda key: sample(test_table, key=key), jax.random.split(jax.random.key(9), 100))
    return scores, after.parameters, tasks, initial


def build(key):
    return Conv4((14, 14, 1), filters=8, outputs=5, key=key)


def loss_of(scores):
    def loss(parameters, examples):
        return jnp.mean(optax.softmax_cross_entropy_with_integer_labels(scores(parameters, examples.x), examples.y))

    return loss


def mask_of(parameters, adapting):
    return maml_anil.layer_mask(parameters, lambda path: path.split("/")[0] in adapting)


def accuracies(trained, adapting):
    """Test accuracy of each seed in per cent where the inner loop adapts these parts."""
    scores, parameters, tasks, _ = trained
    mask = mask_of(parameters, adapting)

    @jax.jit
    def accuracy(parameters):
        def of_task(task):
            adapted = maml_anil.adapt(loss_of(scores), parameters, task.support, mask=mask, **INNER)
            return jnp.mean(jnp.argmax(scores(adapted, task.query.x), -1) == task.query.y)

        return 100 * jnp.mean(jax.lax.map(of_task, tasks))

    return np.array([accuracy(nets.member(parameters, k)) for k in range(SEEDS)])


def test_the_freezing_claim_fails_with_a_frozen_head_and_in_an_untrained_network(trained):
    claim = cards.load("maml_anil").claim("frozen_body")
    body = ["conv1", "conv2", "conv3", "conv4"]
    scores, _, tasks, initial = trained
    untrained = (scores, initial, tasks, initial)
    free, floor = accuracies(trained, [*body, "head"]), accuracies(untrained, [*body, "head"])
    cases = {"body frozen": (trained, ["head"], True), "head frozen": (trained, body, False)}
    cases["untrained, body frozen"] = (untrained, ["head"], False)
    for name, (network, adapting, holds) in cases.items():
        kept = (accuracies(network, adapting) - floor) / (free - floor)
        judgement = claims.judge(claim, claims.Sample(values=kept.tolist()), claim.expectation("quick"))
        assert judgement.holds is holds, name


def test_classes_that_look_like_training_classes_are_left_out():
    kept = few_shot.unlike(table("test"), table("train"), most=0.85)
    assert len(kept) == 216
    assert len(few_shot.unlike(table("test"), table("train"), most=0.999)) == 395
    with pytest.raises(InputError, match="every class correlates"):
        few_shot.unlike(kept, kept, most=0.5)


def test_without_adaptation_accuracy_is_chance(trained):
    assert np.all(np.abs(accuracies(trained, []) - 20) < 12)
