"""Activations by the name of a layer, over a stream and at chosen steps of a training."""

import jax
import numpy as np
import optax
import pytest
from flax import nnx
from jax import numpy as jnp

from deepphenomena import nets, training
from deepphenomena.nets.conv4 import Conv4
from deepphenomena.nets.mlp import mlp
from deepphenomena.runtime.errors import InputError
from deepphenomena.training import activations, objectives
from deepphenomena.training.stages import stages

X = np.random.default_rng(0).normal(size=(12, 4, 4, 1)).astype(np.float32)


def perceptron(key):
    return mlp((4, 4, 1), width=5, outputs=3, batch_norm=False, key=key)


def test_layers_have_the_names_of_their_places():
    names = activations.layer_names(perceptron(jax.random.key(0)))
    assert [name for name in names if name != "layers"] == [f"layers.{k}" for k in range(8)]
    conv4 = Conv4((8, 8, 1), filters=2, outputs=2, key=jax.random.key(0))
    assert {"conv1", "conv1.convolution", "conv4.normalisation", "head"} <= set(activations.layer_names(conv4))


def test_outputs_are_those_of_the_layers():
    model = perceptron(jax.random.key(0))
    network, parameters = nets.functional(model)
    seen = activations.watch(model, ["layers.1", "layers.2", "layers.7"])(parameters, X)
    first = X.reshape(12, -1) @ model.layers[1].kernel[...] + model.layers[1].bias[...]
    np.testing.assert_allclose(seen["layers.1"], first, rtol=1e-5)
    np.testing.assert_allclose(seen["layers.2"], jax.nn.relu(first), rtol=1e-5)
    np.testing.assert_allclose(seen["layers.7"], network(parameters, X), rtol=1e-6)


def test_modules_that_call_modules():
    model = Conv4((8, 8, 1), filters=2, outputs=2, key=jax.random.key(0))
    network, parameters = nets.functional(model, method="layers")
    x = jnp.asarray(np.random.default_rng(0).normal(size=(3, 8, 8, 1)), jnp.float32)
    seen = jax.jit(activations.watch(model, ["conv2", "conv2.convolution"]))(parameters, x)
    np.testing.assert_allclose(seen["conv2"], network(parameters, x)[1], rtol=1e-5)
    normal = model.conv2.normalisation(seen["conv2.convolution"])
    np.testing.assert_allclose(seen["conv2"], jax.nn.relu(normal), rtol=1e-4, atol=1e-6)
    assert type(model.conv2).__call__ is type(model.conv3).__call__  # the model itself is as it was


def test_a_layer_can_be_replaced_and_gradients_pass():
    model = perceptron(jax.random.key(0))
    network, parameters = nets.functional(model)
    edited = activations.edit(model)
    np.testing.assert_allclose(edited(parameters, X, {"layers.4": lambda a: a}), network(parameters, X), rtol=1e-6)
    bias = model.layers[7].bias[...] + jax.nn.relu(model.layers[5].bias[...]) @ model.layers[7].kernel[...]
    np.testing.assert_allclose(edited(parameters, X, {"layers.4": jnp.zeros_like}), np.tile(bias, (12, 1)), rtol=1e-6)
    both = edited(parameters, X, {"layers.4": jnp.ones_like, "layers.6": lambda a: 2 * a})
    above = jax.nn.relu(jnp.ones((12, 5)) @ model.layers[5].kernel[...] + model.layers[5].bias[...])
    expected = 2 * above @ model.layers[7].kernel[...] + model.layers[7].bias[...]
    np.testing.assert_allclose(both, expected, rtol=1e-5, atol=1e-6)
    slope = jax.grad(lambda scale: edited(parameters, X, {"layers.4": lambda a: scale * a}).sum())(1.0)
    step = 1e-3
    up, down = (edited(parameters, X, {"layers.4": lambda a, s=s: s * a}).sum() for s in (1 + step, 1 - step))
    np.testing.assert_allclose(slope, (up - down) / (2 * step), rtol=1e-2)


def test_a_stream_gives_what_all_data_give_at_once_for_every_member():
    _, parameters = nets.ensemble(perceptron, jax.random.split(jax.random.key(0), 3))
    seen = activations.watch(perceptron(jax.random.key(0)), ["layers.0", "layers.4"])
    of_members = activations.collect(seen, parameters, [X[:5], X[5:]], members=True)
    assert of_members["layers.4"].shape == (3, 12, 5)
    for k in range(3):
        alone = activations.collect(seen, nets.member(parameters, k), [X])
        np.testing.assert_allclose(of_members["layers.4"][k], alone["layers.4"], rtol=1e-5, atol=1e-6)
    pure = activations.collect(lambda parameters, x: {"mean": x.mean((1, 2)) * parameters}, jnp.float32(2), [X])
    np.testing.assert_allclose(pure["mean"], 2 * X.mean((1, 2)), rtol=1e-5)


def test_unknown_layers_and_layers_called_twice_or_never_are_refused():
    class Twice(nnx.Module):
        def __init__(self):
            self.shared, self.idle = (nnx.Linear(2, 2, rngs=nnx.Rngs(0)) for _ in range(2))

        def __call__(self, x):
            return self.shared(self.shared(x))

    model = Twice()
    _, parameters = nets.functional(model)
    for layer, times in (("shared", 2), ("idle", 0)):
        with pytest.raises(InputError, match=f"'{layer}' is called {times} times"):
            activations.watch(model, [layer])(parameters, jnp.ones((1, 2)))
    with pytest.raises(InputError, match=r"unknown layer 'sharde'.*did you mean 'shared'"):
        activations.watch(model, ["sharde"])
    with pytest.raises(InputError, match="unknown layer"):
        activations.edit(model)(parameters, jnp.ones((1, 2)), {"head": jnp.zeros_like})
    with pytest.raises(InputError, match="no batch"):
        activations.collect(activations.watch(model, ["shared"]), parameters, [])


@pytest.mark.parametrize("alone", [True, False])
def test_stages_are_those_of_the_training(alone):
    y = np.arange(12) % 3
    data, loss_of = {"x": X, "y": y}, objectives.cross_entropy
    members = training.grid(seed=[3, 4], learning_rate=[0.1, 1.0])
    network, initial = nets.ensemble(perceptron, members.keys())
    loss = objectives.of(network, loss_of)
    options = {"batch_fn": training.Epochs(4)}
    if alone:
        initial, members = nets.member(initial, 0), None
        options |= {"optimizer": optax.sgd(0.1, momentum=0.9), "key": jax.random.key(7)}
    else:
        options |= {"optimizer": training.tunable(optax.sgd, learning_rate=members["learning_rate"])}
    found = {}
    for step, parameters in stages(loss, initial, data, members, at=[0, 4, 10], description=None, **options):
        found[step] = parameters
    assert list(found) == [0, 4, 10]
    jax.tree.map(lambda a, b: np.testing.assert_array_equal(a, b), found[0], initial)
    for steps in (4, 10):
        trained = training.train(loss, initial, data, members, steps=steps, description=None, **options)
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6), found[steps], trained.parameters
        )


@pytest.mark.parametrize("at", [[], [3, 3], [4, 2], [-1, 2]])
def test_steps_that_do_not_ascend_are_refused(at):
    with pytest.raises(InputError, match="ascending"):
        next(stages(lambda w, _: w**2, jnp.float32(1), optimizer=optax.sgd(0.1), at=at, description=None))
