"""Starts: each takes exactly the tensors it says, on fixtures made by hand and on networks; bad pairs are refused."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from deepphenomena import nets
from deepphenomena.papers.transfusion import gabor, starts
from deepphenomena.runtime.errors import InputError

KEY = jax.random.key(0)
SHAPE = (16, 16, 3)


@functools.cache
def network(seed, name="cbr-tiny/16", halved_above=None, outputs=4):
    model = nets.network(name, SHAPE, outputs, halved_above=halved_above, key=jax.random.key(seed))
    return nets.functional(model)[1]


def tensors(parameters):
    return {starts._name(path): np.asarray(leaf) for path, leaf in jax.tree_util.tree_flatten_with_path(parameters)[0]}


def origin(start, fresh, pretrained):
    """Which tensors of a start are the pretrained ones; every other must be the fresh one, bit for bit."""
    start, fresh, pretrained = map(tensors, (start, fresh, pretrained))
    taken = {name for name in start if name in pretrained and np.array_equal(start[name], pretrained[name])}
    for name in start.keys() - taken:
        np.testing.assert_array_equal(start[name], fresh[name])
    return taken


def different(seed):
    """A network in which no tensor equals another network's, batch normalisation included."""
    return jax.tree.map(lambda leaf: leaf + 0.125 + 0.25 * seed, network(seed))


def test_transfer_takes_every_tensor_but_the_head_s():
    pretrained = different(1)
    taken = origin(starts.transfer(network(0), pretrained), network(0), pretrained)
    assert taken == {name for name in tensors(network(0)) if not name.startswith("head")}


@pytest.mark.parametrize("blocks", range(5))
def test_transfusion_takes_exactly_the_lowest_blocks(blocks):
    pretrained = different(1)
    taken = origin(starts.transfuse(network(0), pretrained, blocks=blocks), network(0), pretrained)
    expected = {name for name in tensors(network(0)) if name.startswith("blocks") and int(name.split("/")[1]) < blocks}
    assert taken == expected


def test_a_slim_hybrid_is_transfusion_into_a_network_that_is_narrower_above():
    slim, pretrained = network(2, halved_above=2), different(1)
    hybrid = starts.transfuse(slim, pretrained, blocks=2)
    assert origin(hybrid, slim, pretrained) == {
        name for name in tensors(slim) if name.startswith(("blocks/0", "blocks/1"))
    }
    with pytest.raises(InputError, match="transplant fewer blocks"):
        starts.transfuse(slim, pretrained, blocks=3)


def test_a_head_for_another_number_of_classes_does_not_matter():
    transferred = starts.transfer(network(0), network(1, outputs=10))
    assert tensors(transferred)["head/kernel"].shape == (16, 4)


def test_mean_var_init_keeps_the_first_two_moments_of_each_tensor_and_no_feature():
    pretrained = tensors(
        made := jax.tree.map(lambda leaf: 3.0 * leaf + 0.5 * jnp.sign(jnp.mean(leaf) + 0.01), network(1, "cbr-tiny/4"))
    )
    fresh = network(0, "cbr-tiny/4")
    start = tensors(starts.mean_variance(fresh, made, key=KEY))
    for name, tensor in start.items():
        if name.startswith("head"):
            np.testing.assert_array_equal(tensor, tensors(fresh)[name])
        elif (old := pretrained[name]).std() == 0:
            np.testing.assert_allclose(tensor, old, rtol=1e-6)
        else:
            error = old.std() / np.sqrt(old.size)
            assert abs(tensor.mean() - old.mean()) < 4.5 * error, name
            assert abs(tensor.std() / old.std() - 1) < 4.5 / np.sqrt(2 * old.size), name
            assert abs(np.corrcoef(tensor.ravel(), old.ravel())[0, 1]) < 4.5 / np.sqrt(old.size), name
    kernels = [start[name].ravel()[:1000] for name in start if name.startswith("blocks") and name.endswith("kernel")]
    assert abs(np.corrcoef(kernels[1], kernels[2])[0, 1]) < 0.15  # each tensor has noise of its own


def test_every_start_may_be_compiled_and_taken_for_many_members():
    fresh = jax.tree.map(lambda *leaves: jnp.stack(leaves), network(0), network(2))
    keys = jax.random.split(KEY, 2)
    source = network(1)  # it is cached, and may not be made inside a trace
    drawn = jax.jit(jax.vmap(lambda f, k: starts.mean_variance(f, source, key=k)))(fresh, keys)
    alone = tensors(starts.mean_variance(network(2), network(1), key=keys[1]))
    for name, tensor in tensors(drawn).items():
        np.testing.assert_allclose(tensor[1], alone[name], rtol=1e-5, atol=1e-6)
    assert starts.first_kernel(drawn).shape == (2, 5, 5, 3, 2)


@pytest.mark.parametrize("name", ["cbr-small/16", "resnet-18/16", "resnet-50/16"])
def test_synthetic_gabors_replace_the_first_convolution_alone_and_keep_its_scale(name):
    fresh = nets.functional(nets.network(name, SHAPE, 4, key=KEY))[1]
    start = starts.synthetic_gabor(fresh, key=jax.random.key(5))
    changed = [key for key, tensor in tensors(start).items() if not np.array_equal(tensor, tensors(fresh)[key])]
    assert len(changed) == 1
    kernel, before = starts.first_kernel(start), starts.first_kernel(fresh)
    assert float(jnp.std(kernel)) == pytest.approx(float(jnp.std(before)), rel=1e-3)
    np.testing.assert_array_equal(kernel[:, :, 0], kernel[:, :, 1])  # grey
    assert float(jnp.mean(gabor.fit(kernel))) > float(jnp.mean(gabor.fit(before)))


def test_parameters_of_another_form_are_refused():
    with pytest.raises(InputError, match="have 4 in common"):
        starts.transfuse(network(0), network(1), blocks=5)
    with pytest.raises(InputError, match="needs 'blocks' and 'head'"):
        starts.transfer({"layers": jnp.ones(2)}, network(1))
    with pytest.raises(InputError, match="no kernel of more than one pixel"):
        starts.synthetic_gabor({"blocks": [{"scale": jnp.ones(2)}], "head": jnp.ones(2)}, key=KEY)
    with pytest.raises(InputError, match="no kernel in block 0"):
        starts.first_kernel({"blocks": [{"scale": jnp.ones(2)}], "head": jnp.ones(2)})
