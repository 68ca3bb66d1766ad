"""The spectra room against closed forms, dense linear algebra in NumPy, and hand-derived kernels."""

from functools import partial
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from hypothesis import given, settings
from hypothesis import strategies as st
from jax.flatten_util import ravel_pytree

from deepphenomena.runtime.errors import InputError
from deepphenomena.spectra import (
    SpectralDensity,
    hessian_matrix,
    hessian_vector_product,
    lanczos,
    ntk_matrix,
    ntk_vector_product,
    random_vector,
    smooth,
    spectral_density,
    top_eigenvalue,
    top_hessian_eigenvalue,
    top_ntk_eigenvalue,
    trace,
)


@pytest.fixture
def double():
    with jax.enable_x64(True):
        yield


def symmetric(eigenvalues, seed=0):
    """A dense float64 matrix with these eigenvalues and Haar-random eigenvectors."""
    eigenvalues = np.asarray(eigenvalues, dtype=float)
    rotation, _ = np.linalg.qr(np.random.default_rng(seed).standard_normal((eigenvalues.size,) * 2))
    return (rotation * eigenvalues) @ rotation.T


def times(matrix):
    return lambda vector: jnp.matmul(matrix, vector, precision="highest")


def regression(samples, features, seed=0):
    """Inputs, targets and L = 1/(2m) sum (X w - y)^2."""
    generator = np.random.default_rng(seed)
    inputs, targets = generator.standard_normal((samples, features)), generator.standard_normal(samples)

    def loss(weights):
        return jnp.sum((jnp.asarray(inputs) @ weights - targets) ** 2) / (2 * samples)

    return inputs, targets, loss


def network(widths, seed=0):
    """Weights N(0, 1), as Lewkowycz et al. draw them; the factors are in `outputs`."""
    keys = jax.random.split(jax.random.key(seed), len(widths) - 1)
    return [jax.random.normal(key, shape) for key, shape in zip(keys, pairwise(widths), strict=True)]


def outputs(weights, inputs, activation=jax.nn.relu):
    hidden = inputs
    for weight in weights[:-1]:
        hidden = activation(hidden @ weight * np.sqrt(2 / weight.shape[0]))
    return hidden @ weights[-1] / np.sqrt(weights[-1].shape[0])


def relu_kernel(weights, inputs):
    """The kernel of `outputs` layer by layer, by hand, in float64: rows (sample, output), divided by the samples."""
    weights = [np.asarray(weight, dtype=np.float64) for weight in weights]
    scales = [np.sqrt((2 if layer < len(weights) - 1 else 1) / w.shape[0]) for layer, w in enumerate(weights)]
    activations = [np.asarray(inputs, dtype=np.float64)]
    for weight, scale in zip(weights[:-1], scales[:-1], strict=True):
        activations.append(np.maximum(activations[-1] @ weight * scale, 0))
    samples, targets = inputs.shape[0], weights[-1].shape[1]
    # backward[i, a] is the derivative of output a on sample i by the layer's product with its weights.
    backward = np.broadcast_to(np.eye(targets) * scales[-1], (samples, targets, targets))
    kernel = np.zeros((samples, targets, samples, targets))
    for layer in reversed(range(len(weights))):
        kernel += np.einsum(
            "ij,iah,jbh->iajb", activations[layer] @ activations[layer].T, backward, backward, optimize=True
        )
        if layer:
            gate = (activations[layer] > 0) * scales[layer - 1]
            backward = (backward @ weights[layer].T) * gate[:, None, :]
    return kernel.reshape(samples * targets, -1) / samples


# --- the operators ---


@pytest.mark.usefixtures("double")
def test_hessian_of_a_quadratic_is_its_matrix_whatever_the_tree():
    matrix = symmetric([3, 1, 0, -2, 0.5, 0.25])
    parameters = {"bias": jnp.ones(2), "weight": [jnp.zeros((2, 2))]}
    flat, unravel = ravel_pytree(parameters)

    def loss(tree):
        vector = ravel_pytree(tree)[0]
        return vector @ matrix @ vector / 2 + vector.sum()

    @jax.jit
    def columns(parameters):
        product = hessian_vector_product(loss, parameters)
        return jax.vmap(lambda unit: ravel_pytree(product(unravel(unit)))[0])(jnp.eye(flat.size))

    np.testing.assert_allclose(jax.jit(partial(hessian_matrix, loss))(parameters), matrix, atol=1e-14)
    np.testing.assert_allclose(columns(parameters), matrix, atol=1e-14)


@pytest.mark.usefixtures("double")
def test_hessian_of_linear_regression_is_the_input_covariance():
    inputs, _, loss = regression(samples=7, features=4)
    covariance = inputs.T @ inputs / 7
    weights = jnp.ones(4)
    np.testing.assert_allclose(hessian_matrix(loss, weights), covariance, rtol=1e-13)
    np.testing.assert_allclose(jax.vmap(hessian_vector_product(loss, weights))(jnp.eye(4)), covariance, rtol=1e-13)


@pytest.mark.usefixtures("double")
def test_hessian_vector_product_matches_central_differences_of_the_gradient():
    weights = network([3, 5, 2])
    inputs = jnp.asarray(np.random.default_rng(1).standard_normal((6, 3)))

    def loss(weights):
        return jnp.mean(outputs(weights, inputs, jnp.tanh) ** 4)

    direction = random_vector(weights, key=jax.random.key(5))
    step = 1e-5

    @jax.jit
    def gradient(distance):
        return jax.grad(loss)(jax.tree.map(lambda w, v: w + distance * v, weights, direction))

    ahead, behind = gradient(step), gradient(-step)
    expected = jax.tree.map(lambda a, b: (a - b) / (2 * step), ahead, behind)
    product = jax.jit(lambda weights: hessian_vector_product(loss, weights)(direction))(weights)
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-6, atol=1e-8), product, expected)


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("targets", [None, 1, 3])
def test_kernel_of_linear_regression_is_the_gram_matrix_over_samples(targets):
    inputs, _, _ = regression(samples=5, features=4)
    weights = jnp.ones(4 if targets is None else (4, targets))
    expected = np.kron(inputs @ inputs.T / 5, np.eye(targets or 1))

    def model(weights):
        return jnp.asarray(inputs) @ weights

    np.testing.assert_allclose(ntk_matrix(model, weights), expected, atol=1e-13)
    product = ntk_vector_product(model, weights)
    shape = model(weights).shape
    rows = [product(unit.reshape(shape)).ravel() for unit in jnp.eye(expected.shape[0])]
    np.testing.assert_allclose(rows, expected, atol=1e-13)


@pytest.mark.usefixtures("double")
def test_kernel_of_a_relu_network_matches_the_layerwise_derivation():
    weights, inputs = network([4, 6, 5, 3]), np.random.default_rng(2).standard_normal((7, 4))
    model = partial(outputs, inputs=jnp.asarray(inputs))
    expected = relu_kernel(weights, inputs)
    np.testing.assert_allclose(jax.jit(partial(ntk_matrix, model))(weights), expected, atol=1e-13)
    vector = np.random.default_rng(3).standard_normal((7, 3))
    product = jax.jit(lambda weights: ntk_vector_product(model, weights)(vector))
    np.testing.assert_allclose(product(weights).ravel(), expected @ vector.ravel(), atol=1e-12)


@pytest.mark.usefixtures("double")
def test_one_sample_linear_network_has_the_papers_curvature_before_and_after_a_step():
    # Lewkowycz et al. (2020), section 2.1: lambda = (|u|^2 + |v|^2)/n and its exact recursion.
    width, rate = 16, 1.3
    u, v = np.random.default_rng(0).standard_normal((2, width))

    def model(parameters):
        return (parameters["v"] @ parameters["u"] / jnp.sqrt(width))[None]

    @jax.jit
    def curvature(parameters):
        return top_ntk_eigenvalue(model, parameters, key=jax.random.key(0)).value

    before = {"u": jnp.asarray(u), "v": jnp.asarray(v)}
    f, curvature_before = u @ v / np.sqrt(width), (u @ u + v @ v) / width
    np.testing.assert_allclose(curvature(before), curvature_before, rtol=1e-13)
    gradient = jax.grad(lambda p: jnp.sum(model(p) ** 2) / 2)(before)
    after = jax.tree.map(lambda p, g: p - rate * g, before, gradient)
    expected = curvature_before + rate * f**2 / width * (rate * curvature_before - 4)
    np.testing.assert_allclose(curvature(after), expected, rtol=1e-12)


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize(("multiple", "converges"), [(1.99, True), (2.01, False)])
def test_gradient_descent_is_stable_up_to_two_over_the_kernels_top_eigenvalue(multiple, converges):
    # Ties the kernel's 1/m to the loss's 1/(2m): any other factor moves the boundary.
    inputs, _, loss = regression(samples=6, features=9)
    start = jnp.zeros(9)
    curvature = top_ntk_eigenvalue(lambda w: jnp.asarray(inputs) @ w, start, key=jax.random.key(0)).value
    rate = multiple / curvature
    end = jax.lax.fori_loop(0, 2000, lambda _, w: w - rate * jax.grad(loss)(w), start)
    assert (loss(end) < 1e-6) == converges
    assert (loss(end) > 1e6) != converges


def test_flax_module_state_is_a_tree_of_parameters():
    layer = nnx.Linear(3, 2, rngs=nnx.Rngs(0))
    graph, state = nnx.split(layer)
    inputs = jnp.asarray(np.random.default_rng(0).standard_normal((4, 3)), jnp.float32)

    @jax.jit
    def curvature(state):
        return top_ntk_eigenvalue(lambda state: nnx.merge(graph, state)(inputs), state, key=jax.random.key(0))

    top = curvature(state)
    # The bias adds one to every entry of the Gram matrix.
    assert top.value == pytest.approx(np.linalg.eigvalsh(np.asarray(inputs @ inputs.T + 1) / 4)[-1], rel=1e-5)


def test_rematerialised_chunks_of_samples_give_the_same_product():
    weights, inputs = network([4, 6, 3]), jax.random.normal(jax.random.key(1), (8, 4))
    vector = jax.random.normal(jax.random.key(2), (8, 3))

    def chunked(weights):
        return jax.lax.map(jax.checkpoint(lambda x: outputs(weights, x)), inputs, batch_size=2)

    products = jax.jit(
        lambda weights: [ntk_vector_product(m, weights)(vector) for m in (chunked, partial(outputs, inputs=inputs))]
    )
    np.testing.assert_allclose(*products(weights), rtol=1e-5, atol=1e-6)


# --- Lanczos ---

decompose = jax.jit(lambda matrix, start, steps: lanczos(times(matrix), start, steps=steps), static_argnames="steps")


@st.composite
def spectra(draw):
    """Spectra with repeated values, zeros and both signs, in one of a few sizes (each size compiles once)."""
    dimension = draw(st.sampled_from([1, 2, 5, 12]))
    values = st.one_of(st.sampled_from([-1.0, 0.0, 1.0, 1.0]), st.floats(-1, 1, allow_subnormal=False))
    return np.array(draw(st.lists(values, min_size=dimension, max_size=dimension)))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@settings(max_examples=40, deadline=None)
@given(spectrum=spectra(), exponent=st.integers(-25, 25), seed=st.integers(0, 100))
def test_as_many_steps_as_dimensions_give_the_whole_spectrum_with_multiplicities(dtype, spectrum, exponent, seed):
    with jax.enable_x64(dtype == "float64"):
        scale = 10.0**exponent
        matrix = symmetric(spectrum, seed)
        start = jax.random.normal(jax.random.key(seed), (spectrum.size,), dtype)
        found = decompose(jnp.asarray(matrix * scale, dtype), start, spectrum.size)
        tolerance = 200 * np.finfo(dtype).eps
        assert found.diagonal.dtype == dtype
        basis, tridiagonal = np.asarray(found.basis, float), np.asarray(found.tridiagonal, float) / scale
        np.testing.assert_allclose(basis @ basis.T, np.eye(spectrum.size), atol=tolerance)
        np.testing.assert_allclose(basis @ matrix @ basis.T, tridiagonal, atol=tolerance)
        np.testing.assert_allclose(np.linalg.eigvalsh(tridiagonal), np.sort(spectrum), atol=tolerance)
        assert found.remainder <= tolerance * scale


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_truncated_decomposition_satisfies_the_lanczos_relation(dtype):
    with jax.enable_x64(dtype == "float64"):
        # A geometric spectrum: without reorthogonalisation the basis would be lost within these steps.
        matrix = jnp.asarray(symmetric(0.6 ** np.arange(60)), dtype)
        found = decompose(matrix, jnp.ones(60, dtype), 30)
        basis, tolerance = np.asarray(found.basis), 50 * np.finfo(dtype).eps
        np.testing.assert_allclose(basis @ basis.T, np.eye(30), atol=tolerance)
        leftover = np.asarray(matrix) @ basis.T - basis.T @ np.asarray(found.tridiagonal)
        np.testing.assert_allclose(leftover[:, :-1], 0, atol=tolerance)
        np.testing.assert_allclose(np.linalg.norm(leftover[:, -1]), found.remainder, atol=tolerance)


@pytest.mark.usefixtures("double")
def test_an_exhausted_krylov_space_goes_on_and_finds_what_the_start_cannot_see():
    # The start is an eigenvector of the smallest eigenvalue: the top one is outside its Krylov space.
    found = top_eigenvalue(times(jnp.diag(jnp.array([1.0, 2.0, 5.0]))), jnp.array([1.0, 0.0, 0.0]), steps=3)
    np.testing.assert_allclose(found.value, 5, rtol=1e-14)
    # A projection on the start: what is left of its image is rounding, and is not taken for a direction.
    direction = jnp.asarray(np.random.default_rng(0).standard_normal(50))
    outer = lanczos(lambda v: direction * (direction @ v), direction, steps=2)
    assert outer.off_diagonal[0] == 0
    np.testing.assert_allclose(outer.diagonal, [direction @ direction, 0], rtol=1e-13, atol=1e-12)
    negative = top_eigenvalue(times(-jnp.eye(4)), jnp.ones(4), steps=3)
    np.testing.assert_allclose(negative.value, -1, rtol=1e-14)


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("steps", [1, 2, 4, 8])
def test_residual_is_that_of_the_returned_vector_and_bounds_the_distance_to_an_eigenvalue(steps):
    spectrum = np.linspace(-3, 2, 20)
    matrix = jnp.asarray(symmetric(spectrum))
    start = random_vector({"a": jnp.zeros(15), "b": jnp.zeros(5)}, key=jax.random.key(4))
    unravel = ravel_pytree(start)[1]
    found = top_eigenvalue(lambda tree: unravel(matrix @ ravel_pytree(tree)[0]), start, steps=steps)
    vector = ravel_pytree(found.vector)[0]
    np.testing.assert_allclose(jnp.linalg.norm(vector), 1, rtol=1e-13)
    residual = np.linalg.norm(matrix @ vector - found.value * vector)
    ritz = np.linalg.eigvalsh(lanczos(times(matrix), ravel_pytree(start)[0], steps=steps).tridiagonal)
    np.testing.assert_allclose(found.residual, residual / np.abs(ritz).max(), rtol=1e-10)
    assert found.residual > 1e-4  # not yet converged, or the next line would say nothing
    assert np.abs(spectrum - found.value).min() <= residual
    assert found.value <= spectrum.max()


def test_top_eigenvalue_does_not_depend_on_the_start():
    matrix = jnp.asarray(symmetric(np.r_[2.0, 1.9, np.linspace(-4, 1, 38)]), jnp.float32)
    keys = jax.random.split(jax.random.key(0), 20)

    def top(key):
        return top_eigenvalue(times(matrix), jax.random.normal(key, (40,)), steps=30).value

    np.testing.assert_allclose(jax.jit(jax.vmap(top))(keys), 2.0, rtol=3e-6)


def test_zero_operator_and_single_number_are_exact():
    zero = top_eigenvalue(jax.tree.map(jnp.zeros_like, jnp.ones(5)).__mul__, jnp.ones(5), steps=3)
    assert (zero.value, zero.residual) == (0, 0)
    single = top_eigenvalue(lambda x: -7 * x, jnp.float32(0.3), steps=10)
    assert single.value == -7
    assert single.residual == 0


def test_jit_vmap_scan_and_the_plain_call_agree():
    inputs = jax.random.normal(jax.random.key(3), (6, 4))
    seeds = [network([4, 5, 2], seed) for seed in range(3)]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *seeds)
    expected = [np.linalg.eigvalsh(relu_kernel(weights, np.asarray(inputs)))[-1] for weights in seeds]

    def curvature(weights):
        return top_ntk_eigenvalue(partial(outputs, inputs=inputs), weights, key=jax.random.key(1)).value

    compiled = jax.jit(curvature)
    np.testing.assert_allclose(curvature(seeds[0]), expected[0], rtol=1e-5)
    np.testing.assert_allclose([compiled(weights) for weights in seeds], expected, rtol=1e-5)
    np.testing.assert_allclose(jax.jit(jax.vmap(curvature))(stacked), expected, rtol=1e-5)
    np.testing.assert_allclose(jax.jit(partial(jax.lax.map, curvature))(stacked), expected, rtol=1e-5)


def test_a_start_known_inside_jit_is_accepted():
    start = jnp.ones(3)
    assert jax.jit(lambda scale: top_eigenvalue(lambda v: scale * v, start, steps=2).value)(2.0) == pytest.approx(2)


def test_divergence_gives_nan_not_a_number_that_looks_right():
    weights = [jnp.full((3, 2), jnp.inf)]
    assert jnp.isnan(top_ntk_eigenvalue(lambda w: w[0].sum(0) ** 2, weights, key=jax.random.key(0)).value)


def test_half_precision_parameters_are_iterated_in_float32():
    matrix = jnp.diag(jnp.array([1.0, 2.0, 4.0, 8.0], jnp.bfloat16))
    found = lanczos(times(matrix), jnp.ones(4, jnp.bfloat16), steps=4)
    assert found.basis.dtype == jnp.float32
    assert top_eigenvalue(times(matrix), jnp.ones(4, jnp.bfloat16), steps=4).value == pytest.approx(8, rel=1e-2)


# --- the networks' curvature ---


@pytest.mark.usefixtures("double")
def test_top_kernel_eigenvalue_is_the_top_gauss_newton_eigenvalue_and_the_hessians_at_zero_error():
    weights, inputs = network([3, 6, 2]), jnp.asarray(np.random.default_rng(5).standard_normal((5, 3)))
    model = partial(outputs, inputs=inputs, activation=jnp.tanh)
    flat, unravel = ravel_pytree(weights)
    jacobian = np.asarray(jax.jit(jax.jacfwd(lambda vector: model(unravel(vector)).ravel()))(flat))
    gauss_newton = np.linalg.eigvalsh(jacobian.T @ jacobian / 5)[-1]
    kernel = jax.jit(lambda weights: top_ntk_eigenvalue(model, weights, key=jax.random.key(0)).value)
    np.testing.assert_allclose(kernel(weights), gauss_newton, rtol=1e-10)

    def loss(weights, targets):
        return jnp.sum((model(weights) - targets) ** 2) / (2 * 5)

    @jax.jit
    def both(weights, targets):
        at_targets = partial(loss, targets=targets)
        found = top_hessian_eigenvalue(at_targets, weights, key=jax.random.key(0)).value
        return found, jnp.linalg.eigvalsh(hessian_matrix(at_targets, weights))[-1]

    np.testing.assert_allclose(both(weights, model(weights)), gauss_newton, rtol=1e-10)
    found, exact = both(weights, model(weights) + 1)
    np.testing.assert_allclose(found, exact, rtol=1e-8)
    assert abs(exact / gauss_newton - 1) > 1e-3  # away from zero error the two differ, so the line above says something


def test_default_steps_find_the_top_kernel_eigenvalue_of_a_wide_network_in_float32():
    @jax.jit
    def curvature(weights, inputs, key):
        return top_ntk_eigenvalue(partial(outputs, inputs=inputs), weights, key=key)

    for seed in (0, 1):
        weights = network([784, 512, 512, 10], seed)
        inputs = np.abs(np.random.default_rng(seed).standard_normal((48, 784))).astype(np.float32)
        inputs *= 28 / np.linalg.norm(inputs, axis=1, keepdims=True)
        found = curvature(weights, inputs, jax.random.key(seed))
        expected = np.linalg.eigvalsh(relu_kernel(weights, inputs))[-1]
        assert found.value == pytest.approx(expected, rel=1e-5)
        assert found.residual < 1e-3
        assert found.vector.shape == (48, 10)


# --- densities and traces ---


@pytest.mark.usefixtures("double")
def test_each_probe_integrates_polynomials_to_degree_twice_the_steps_minus_one_exactly():
    matrix = symmetric(np.linspace(-1, 1, 30))
    key = jax.random.key(0)
    density = spectral_density(times(jnp.asarray(matrix)), jnp.zeros(30), key=key, steps=4, probes=3)
    for index, probe_key in enumerate(jax.random.split(key, 3)):
        probe = random_vector(jnp.zeros(30), key=probe_key)
        probe /= jnp.linalg.norm(probe)
        moments = [jnp.sum(density.weights[index] * density.nodes[index] ** order) for order in range(9)]
        exact = [probe @ np.linalg.matrix_power(matrix, order) @ probe for order in range(9)]
        np.testing.assert_allclose(moments[:8], exact[:8], atol=1e-12)
        assert abs(moments[8] - exact[8]) > 1e-6


@pytest.mark.usefixtures("double")
def test_moments_over_probes_match_the_traces_of_powers():
    matrix = symmetric(np.r_[np.zeros(15), np.linspace(-1, 3, 15)])
    density = spectral_density(times(jnp.asarray(matrix)), jnp.zeros(30), key=jax.random.key(1), steps=10, probes=200)
    for order in (1, 2, 3):
        samples = jnp.sum(density.weights * density.nodes**order, axis=1)
        error = samples.std(ddof=1) / np.sqrt(200)
        assert abs(samples.mean() - np.trace(np.linalg.matrix_power(matrix, order)) / 30) < 3 * error
        assert error < 0.1 * np.trace(np.linalg.matrix_power(matrix, order)) / 30


def test_density_of_a_projection_has_its_rank_at_one_and_the_rest_at_zero():
    matrix = jnp.asarray(symmetric(np.r_[np.ones(5), np.zeros(15)]), jnp.float32)
    density = spectral_density(times(matrix), jnp.zeros(20), key=jax.random.key(0), steps=6, probes=100)
    np.testing.assert_allclose(jnp.minimum(jnp.abs(density.nodes), jnp.abs(density.nodes - 1)), 0, atol=1e-5)
    np.testing.assert_allclose(density.weights.sum(1), 1, rtol=1e-5)
    assert jnp.sum(density.weights * (density.nodes > 0.5)) / 100 == pytest.approx(0.25, abs=0.03)


def test_hessian_density_of_random_regression_follows_marchenko_and_pastur():
    samples, features = 600, 200
    _, _, loss = regression(samples, features)
    weights = jnp.zeros(features)
    density = jax.jit(
        lambda key: spectral_density(hessian_vector_product(loss, weights), weights, key=key, steps=20, probes=40)
    )(jax.random.key(0))
    ratio = features / samples
    low, high = (1 - np.sqrt(ratio)) ** 2, (1 + np.sqrt(ratio)) ** 2
    fine = np.linspace(low, high, 4001)
    law = np.sqrt((high - fine) * (fine - low)) / (2 * np.pi * ratio * fine)
    grid, width = np.linspace(-0.5, 3.5, 401), 0.15
    blurred = smooth(
        SpectralDensity(jnp.asarray(fine)[None], jnp.asarray(law * (fine[1] - fine[0]))[None]), grid, width=width
    )
    found = smooth(density, jnp.asarray(grid), width=width)
    np.testing.assert_allclose(np.trapezoid(found, grid), 1, atol=1e-3)
    np.testing.assert_allclose(found, blurred, atol=0.05 * blurred.max())


def test_smoothing_one_atom_gives_the_gaussian():
    atom = SpectralDensity(jnp.array([[2.0]]), jnp.array([[1.0]]))
    grid = np.linspace(0, 4, 9)
    expected = np.exp(-((grid - 2) ** 2) / (2 * 0.5**2)) / (0.5 * np.sqrt(2 * np.pi))
    np.testing.assert_allclose(smooth(atom, grid, width=0.5), expected, rtol=1e-5)


@pytest.mark.usefixtures("double")
def test_trace_is_exact_for_a_diagonal_matrix_on_any_tree():
    diagonal = {"a": jnp.arange(4.0), "b": -jnp.ones((2, 3))}
    found = trace(lambda v: jax.tree.map(jnp.multiply, diagonal, v), diagonal, key=jax.random.key(0), probes=2)
    np.testing.assert_allclose(found.value, 0.0, atol=1e-14)
    np.testing.assert_allclose(found.standard_error, 0.0, atol=1e-14)


@pytest.mark.usefixtures("double")
def test_trace_lies_within_its_standard_error_which_is_hutchinsons():
    matrix = symmetric(np.linspace(0, 2, 40))
    found = trace(times(jnp.asarray(matrix)), jnp.zeros(40), key=jax.random.key(3), probes=2000)
    predicted = np.sqrt(2 * (np.sum(matrix**2) - np.sum(np.diag(matrix) ** 2)) / 2000)
    np.testing.assert_allclose(found.standard_error, predicted, rtol=0.1)
    assert abs(found.value - 40) < 3 * predicted


# --- what is refused ---


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: hessian_vector_product(lambda w: w**2, jnp.ones(3)), r"the loss is float32\[3\]"),
        (lambda: hessian_matrix(lambda w: (w.sum(), w), jnp.ones(3)), "the loss returned a tuple"),
        (lambda: hessian_vector_product(jnp.sum, jnp.ones(3, int)), "parameters has dtype int32"),
        (lambda: hessian_vector_product(jnp.sum, {"w": {"steps": 3}}), r"parameters\['w'\]\['steps'\] has dtype int32"),
        (lambda: hessian_matrix(lambda w: jnp.float32(0), []), "parameters hold no numbers"),
        (lambda: ntk_vector_product(lambda w: w, jnp.ones((2, 3, 4))), r"outputs are float32\[2, 3, 4\]"),
        (lambda: ntk_matrix(jnp.sum, jnp.ones(3)), r"outputs are float32\[\]"),
        (lambda: ntk_matrix(lambda w: w[:0], jnp.ones(3)), r"outputs are float32\[0\]"),
        (lambda: ntk_vector_product(lambda w: [w], jnp.ones(3)), "the model returned a list"),
        (lambda: top_ntk_eigenvalue(lambda w: w > 0, jnp.ones(3), key=jax.random.key(0)), r"outputs are bool\[3\]"),
        (lambda: lanczos(lambda v: v, jnp.ones(3), steps=0), "steps is 0"),
        (lambda: lanczos(lambda v: v, jnp.ones(3), steps=2.0), "steps is 2.0"),
        (lambda: lanczos(lambda v: v, jnp.array([1.0, jnp.nan]), steps=1), "zero or not finite"),
        (lambda: lanczos(lambda v: v, jnp.zeros(2), steps=1), "zero or not finite"),
        (lambda: lanczos(lambda v: v[:1], jnp.ones(2), steps=1), "maps 2 numbers to 1"),
        (lambda: spectral_density(lambda v: v, jnp.ones(2), key=jax.random.key(0), probes=0), "probes is 0"),
        (lambda: trace(lambda v: v, jnp.ones(2), key=jax.random.key(0), probes=True), "probes is True"),
        (lambda: smooth(SpectralDensity(jnp.ones((1, 1)), jnp.ones((1, 1))), jnp.ones(2), width=0.0), "width is 0.0"),
    ],
)
def test_bad_input_is_named_in_one_line(call, message, unchecked_types):
    with pytest.raises(InputError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_more_steps_than_dimensions_are_cut():
    assert lanczos(lambda v: v, jnp.ones(3), steps=50).diagonal.shape == (3,)
