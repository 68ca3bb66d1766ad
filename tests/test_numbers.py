"""The gate for numbers: what callers pass is computed right or refused in one line, never counted as something else."""

import os

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepphenomena import infinite_width, kernels, mean_field, metrics, similarity, spectra, training
from deepphenomena.papers import maml_anil
from deepphenomena.runtime import numbers
from deepphenomena.runtime.errors import InputError
from deepphenomena.tasks import few_shot

ODD = st.one_of(
    st.none(),
    st.text(max_size=5),
    st.booleans(),
    st.floats(),
    st.integers(-(10**30), 10**30),
    st.complex_numbers(),
    st.lists(st.one_of(st.floats(), st.text(max_size=2), st.lists(st.floats(), max_size=2)), max_size=4),
)


def refusal(gate, value):
    """What the gate says against the value, or nothing. Any other exception fails the test."""
    try:
        gate("value", value)
    except InputError as problem:
        return str(problem)
    return ""


@settings(max_examples=int(os.environ.get("FUZZ_EXAMPLES", "200")), deadline=None)
@given(value=ODD)
def test_any_value_is_a_number_or_refused_in_one_line(value):
    for gate in (numbers.array, numbers.floats, numbers.whole, numbers.pair, numbers.check_variance):
        said = refusal(gate, value)
        assert "\n" not in said
        assert len(said) < 2100


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 999), scale=st.sampled_from([1e-200, 1e-60, 1.0, 1e60]), shift=st.sampled_from([0.0, 1.0]))
def test_an_area_does_not_depend_on_the_scale_of_float64_scores(seed, scale, shift):
    rng = np.random.default_rng(seed)
    scores, labels = rng.integers(0, 6, 20).astype(float), np.arange(20) % 2
    exact = np.mean([(p > n) + 0.5 * (p == n) for p in scores[labels == 1] for n in scores[labels == 0]])
    assert float(metrics.roc_auc(shift * 2.0**-20 + scores * scale, labels)) == pytest.approx(exact, abs=1e-6) or shift


@pytest.mark.parametrize("odd", [-1, 2, 0.5, np.nan, np.inf])
def test_labels_other_than_0_and_1_are_refused_and_give_nan_inside_jit(odd):
    scores, labels = np.linspace(0, 1, 5), np.array([1, 1, 0, 0, odd], float)
    with pytest.raises(InputError, match="labels are 0 or 1"):
        metrics.roc_auc(scores, labels)
    with pytest.raises(InputError, match="labels are 0 or 1"):
        metrics.auc_interval(scores, labels, key=jax.random.key(0))
    assert np.isnan(jax.jit(metrics.roc_auc)(jnp.asarray(scores), jnp.asarray(labels)))


@pytest.mark.parametrize("offset", [0.0, 1e3, 1e6, 1e9])
@pytest.mark.parametrize("measure", [similarity.cca, similarity.svcca, similarity.pwcca, similarity.linear_cka])
def test_an_offset_of_float64_activations_changes_no_similarity(measure, offset):
    x, y = np.random.default_rng(0).normal(size=(2, 300, 8))
    value = lambda *sides: float(getattr(measure(*sides), "similarity", measure(*sides)))  # noqa: E731
    assert value(x + offset, y - offset) == pytest.approx(value(x, y), abs=1e-4)


def test_a_constant_layer_has_a_finite_gradient_of_its_similarity():
    other = jax.random.normal(jax.random.key(0), (50, 4))
    for layer in (jnp.ones((50, 3)), jnp.zeros((50, 3))):
        assert jnp.isfinite(jax.grad(lambda a: similarity.linear_cka(a, other))(layer)).all()


@pytest.mark.usefixtures("unchecked_types")
def test_inputs_of_a_kernel_matrix_are_promoted_or_refused():
    images = np.random.default_rng(0).integers(0, 256, (4, 16)).astype(np.uint8)
    wanted = infinite_width.kernel_matrix(images.astype(np.float32), depth=1).ntk
    for given_ in (images, images.astype(np.int64), images.tolist(), jnp.asarray(images, jnp.bfloat16)):
        found = infinite_width.kernel_matrix(given_, np.asarray(images, np.float32), depth=np.int64(1)).ntk
        np.testing.assert_allclose(found, wanted, rtol=1e-5)
    for bad in ({"x1": images[:0]}, {"weight_variance": -1.0}, {"bias_variance": np.nan}, {"depth": 1.5}):
        with pytest.raises(InputError):
            infinite_width.kernel_matrix(**({"x1": images, "depth": 1} | bad))


def test_a_kernel_matrix_of_near_points_is_positive_and_agrees_with_itself():
    x = jnp.linspace(-31.4, 31.4, 15)[:, None]
    values = np.linalg.eigvalsh(
        np.asarray(infinite_width.kernel_matrix(x, depth=2, weight_variance=2.25, bias_variance=0.0025).ntk, float)
    )
    assert values[0] > 0
    same = jax.random.normal(jax.random.key(0), (6, 10))
    here, there = (infinite_width.kernel_matrix(same, other, depth=30).ntk for other in (None, same))
    np.testing.assert_allclose(np.diag(here), np.diag(there), rtol=1e-4)


@pytest.mark.usefixtures("unchecked_types")
def test_numpy_integers_are_whole_numbers():
    w = jnp.ones((3, 3, 1, 1))
    assert float(spectra.top_singular_value_of_convolution(w, tuple(np.array([4, 4])))) == pytest.approx(9)
    assert kernels.convolution(jnp.ones((1, 4, 4, 1)), w, stride=np.int64(2)).shape == (1, 2, 2, 1)


@pytest.mark.usefixtures("unchecked_types")
@pytest.mark.parametrize("size", [8, 8.0, (8,), (8, 0), (8, "8"), None, (True, 8)])
def test_an_impossible_image_size_is_refused(size):
    with pytest.raises(InputError, match="input_shape"):
        spectra.top_singular_value_of_convolution(jnp.ones((3, 3, 1, 1)), size)


@pytest.mark.parametrize("shape", [(3, 3, 3, 3), (3, 3, 2, 4), (3, 3, 4, 2)])
@pytest.mark.parametrize("alike", [True, False])
def test_the_gradient_of_the_projection_is_that_of_finite_differences(shape, alike):
    """With equal singular values too, where the derivative of singular vectors does not exist."""
    with jax.enable_x64(True):
        eye = jnp.zeros(shape).at[1, 1].set(jnp.eye(*shape[2:]))
        w = 3.0 * eye if alike else jax.random.normal(jax.random.key(0), shape)
        direction, weights = jax.random.normal(jax.random.key(1), (2, *shape))
        moved = lambda t: jnp.sum(  # noqa: E731
            weights * spectra.project_to_operator_norm_ball(w + t * direction, (4, 4), 1.0, iterations=3)
        )
        slope = jax.grad(lambda w: jnp.sum(weights * spectra.project_to_operator_norm_ball(w, (4, 4), 1.0)))(w)
        assert jnp.isfinite(slope).all()
        if not alike:  # with equal values the final scaling has a kink
            assert float(jax.grad(moved)(0.0)) == pytest.approx(float((moved(1e-5) - moved(-1e-5)) / 2e-5), rel=1e-4)
        inside = jax.grad(lambda w: jnp.sum(spectra.project_to_operator_norm_ball(w, (4, 4), 100.0)))(w)
        assert jnp.allclose(inside, 1)


@settings(max_examples=20, deadline=None)
@given(c=st.floats(-1, 1, width=32), variance=st.sampled_from([0.5, 1.0, 2.0, 3.0]))
def test_relu_maps_correlations_whatever_its_variance(c, variance):
    exact = (np.sqrt(1 - c**2) + c * (np.pi - np.arccos(c))) / np.pi
    assert float(mean_field.correlation_map("relu", variance, 0.0, c)) == pytest.approx(exact, abs=1e-3)
    assert float(mean_field.fixed_point("relu", variance, 0.0).correlation) == 1


@pytest.mark.parametrize("given_", [(-1.0, 0.0, 0.5), (1.0, np.inf, 0.5), (1.0, 0.1, 1.5), (1.0, 0.1, np.nan)])
def test_an_impossible_variance_or_correlation_is_refused(given_):
    with pytest.raises(InputError):
        mean_field.correlation_map("tanh", *given_)


@pytest.mark.parametrize("rate", [np.float64(0.1), jnp.float32(0.1), 0.1])
@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float32])
@pytest.mark.parametrize("wide", [True, False])
def test_adapted_parameters_keep_their_type(rate, dtype, wide):
    loss = lambda w, examples: jnp.mean((examples.x @ w - examples.y).astype(jnp.float32) ** 2)  # noqa: E731
    examples = few_shot.Examples(jnp.ones((4, 3)), jnp.zeros(4))
    with jax.enable_x64(wide):
        adapted = maml_anil.adapt(loss, jnp.ones(3, dtype), examples, mask=True, rate=rate, steps=2)
    assert adapted.dtype == dtype


def test_a_deep_scan_takes_parameters_wider_than_its_input():
    with jax.enable_x64(True):
        found = kernels.deep_scan(lambda w, x: w * x, jnp.full(9, 2.0, jnp.float64), jnp.float32(1), block=4)
    assert found.dtype == np.float64
    assert np.asarray(found) == 2.0**9


@pytest.mark.parametrize("labels", [50, 65])
def test_images_and_labels_of_different_numbers_are_refused(labels):
    loss = lambda w, batch: jnp.mean((batch[0] @ w - batch[1]) ** 2)  # noqa: E731
    data = np.ones((64, 5), np.float32), np.ones(labels, np.float32)
    with pytest.raises(InputError, match="64"):
        training.train(
            loss, jnp.zeros(5), data, optimizer=optax.sgd(0.1), steps=2, key=jax.random.key(0),
            batch_fn=training.Epochs(16), description=None,
        )  # fmt: skip
