"""Regression, training in closed form, empirical kernels and linearized networks."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from deepphenomena import infinite_width as wide
from deepphenomena.infinite_width import gaussian_process
from deepphenomena.runtime.errors import InputError

RNG = np.random.default_rng(3)
X, XTEST, Y = RNG.standard_normal((12, 3)), RNG.standard_normal((5, 3)), RNG.standard_normal((12, 2))
NETWORK = wide.serial(wide.dense(400, bias_variance=0.1), wide.activation("erf"), wide.dense(1))


def rbf(a, b):
    return np.exp(-((a[:, None] - b) ** 2).sum(-1) / 2)


def test_regression_is_conditioning_of_a_joint_gaussian():
    with jax.enable_x64(True):
        fitted = wide.regression(rbf(X, X), Y, noise=0.1)
        mean, covariance = wide.predict(fitted, jnp.asarray(rbf(XTEST, X)), jnp.asarray(rbf(XTEST, XTEST)))
        _, variances = wide.predict(fitted, jnp.asarray(rbf(XTEST, X)), jnp.ones(5))
    inverse = np.linalg.inv(rbf(X, X) + 0.1 * np.eye(12))
    np.testing.assert_allclose(mean, rbf(XTEST, X) @ inverse @ Y, atol=1e-10)
    np.testing.assert_allclose(covariance, rbf(XTEST, XTEST) - rbf(XTEST, X) @ inverse @ rbf(X, XTEST), atol=1e-10)
    np.testing.assert_allclose(variances, np.diag(covariance), atol=1e-12)
    likelihood = sum(stats.multivariate_normal(np.zeros(12), rbf(X, X) + 0.1 * np.eye(12)).logpdf(y) for y in Y.T)
    np.testing.assert_allclose(fitted.log_marginal_likelihood, likelihood)


def test_conjugate_gradients_give_the_weights_of_the_factor(monkeypatch):
    with jax.enable_x64(True):
        exact = wide.regression(rbf(X, X), Y, noise=0.1)
        monkeypatch.setattr(gaussian_process, "LARGEST_FACTORED", 5)
        found = wide.regression(rbf(X, X), Y, noise=0.1)
        with pytest.raises(InputError, match="only means"):
            wide.predict(found, jnp.ones((5, 12)), jnp.ones(5))
    np.testing.assert_allclose(found.weights, exact.weights, atol=1e-4)


def test_intervals_are_calibrated_for_functions_of_the_prior():
    """Of draws from the prior, 90% lie within their 90% interval."""
    x = np.random.default_rng(0).standard_normal((60, 3))
    with jax.enable_x64(True):
        kernel = np.asarray(NETWORK.kernel(x).nngp) + 1e-6 * np.eye(60)
        draws = np.linalg.cholesky(kernel) @ np.random.default_rng(1).standard_normal((60, 400))
        fitted = wide.regression(kernel[:30, :30], draws[:30])
        mean, variance = wide.predict(fitted, jnp.asarray(kernel[30:, :30]), jnp.asarray(np.diag(kernel)[30:]))
    within = np.abs(draws[30:] - np.asarray(mean)) < stats.norm.ppf(0.95) * np.sqrt(np.asarray(variance))[:, None]
    assert 0.87 < within.mean() < 0.93


def test_gradient_descent_in_closed_form_is_that_of_a_linear_model():
    with jax.enable_x64(True):
        features = jnp.asarray(np.random.default_rng(5).standard_normal((17, 40)) / 40**0.5)
        train, test = features[:12], features[12:]
        gram = lambda a, b: wide.KernelMatrices(a @ b.T, a @ b.T)  # noqa: E731
        at = wide.trained(gram(train, train), gram(test, train), Y, learning_rate=1.0, steps=True)
        weights = jnp.zeros((40, 2))
        for step in range(51):
            if step in (0, 1, 50):
                np.testing.assert_allclose(at(step).mean, test @ weights, atol=1e-10)
            weights -= train.T @ (train @ weights - Y) / 12
        flow = wide.trained(gram(train, train), gram(test, train), Y, learning_rate=1e-3, steps=True)
        still = wide.trained(gram(train, train), gram(test, train), Y)
        np.testing.assert_allclose(flow(20_000).mean, still(20.0).mean, atol=1e-2)


def test_a_rate_just_above_the_largest_stable_one_is_refused():
    with jax.enable_x64(True):
        kernels = NETWORK.kernel(X)
        largest = wide.largest_learning_rate(kernels.ntk)
        wide.trained(kernels, kernels, Y, learning_rate=0.99 * largest, steps=True)
        with pytest.raises(InputError, match="diverges"):
            wide.trained(kernels, kernels, Y, learning_rate=1.01 * largest, steps=True)


def test_readout_training_ends_in_the_gaussian_process():
    with jax.enable_x64(True):
        train, cross, test = NETWORK.kernel(X), NETWORK.kernel(XTEST, X), NETWORK.kernel(XTEST)
        readout = [of._replace(ntk=of.nngp) for of in (train, cross, test)]
        found = wide.trained(readout[0], readout[1], Y, readout[2])(None)
        mean, covariance = wide.predict(wide.regression(train.nngp, Y), cross.nngp, test.nngp)
    np.testing.assert_allclose(found.mean, mean, atol=1e-6)
    np.testing.assert_allclose(found.covariance, covariance, atol=1e-6)


def test_empirical_kernels_are_contractions_of_jacobians():
    _, parameters = NETWORK.init(jax.random.key(0), (3,))
    jacobians = [
        np.concatenate(
            [
                np.asarray(leaf).reshape(len(x), -1)
                for leaf in jax.tree.leaves(jax.jacobian(NETWORK.apply)(parameters, x))
            ],
            1,
        )
        for x in (X.astype(np.float32), XTEST.astype(np.float32))
    ]
    for batch in (4, 100):
        found = wide.empirical_kernel(
            NETWORK.apply, parameters, X.astype(np.float32), XTEST.astype(np.float32), batch=batch
        )
        np.testing.assert_allclose(found.ntk, jacobians[0] @ jacobians[1].T, rtol=1e-4, atol=1e-5)


def test_a_linearized_network_has_the_value_and_the_gradient_of_its_start():
    _, start = NETWORK.init(jax.random.key(0), (3,))
    linear = wide.linearized(NETWORK.apply, start)
    x = X.astype(np.float32)
    np.testing.assert_allclose(linear(start, x), NETWORK.apply(start, x), rtol=1e-6)
    gradients = [jax.grad(lambda p, of=of: of(p, x).sum())(start) for of in (linear, NETWORK.apply)]
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), *gradients)
    moved = jax.tree.map(lambda leaf: leaf + 1.0, start)
    np.testing.assert_allclose(  # linear also far away
        linear(jax.tree.map(lambda leaf: leaf + 2.0, start), x) - linear(start, x),
        2 * (linear(moved, x) - linear(start, x)),
        rtol=1e-3,
        atol=1e-3,
    )


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (lambda: wide.regression(np.ones((3, 3)), np.ones((3, 1))), "smallest eigenvalue"),
        (lambda: wide.regression(np.eye(3), np.ones((4, 1))), "(n, outputs)"),
        (
            lambda: wide.regression(np.full((2, 2), np.nan), np.ones((2, 1))),
            "kernel has NaN or infinity, first at [0, 0]",
        ),
        (lambda: wide.regression(np.eye(2), np.ones((2, 1)), noise=-1.0), "noise"),
        (lambda: wide.predict(wide.regression(np.eye(2), np.ones((2, 1))), jnp.ones((2, 3))), "training inputs"),
        (
            lambda: wide.trained(*[wide.KernelMatrices(np.ones((2, 2)), np.ones((2, 2)))] * 2, np.ones((2, 1))),
            "singular",
        ),
        (lambda: wide.trained(*[wide.KernelMatrices(np.eye(3), np.eye(3))] * 2, np.ones((2, 1))), "must be (2, 2)"),
        (
            lambda: wide.trained(*[wide.KernelMatrices(np.eye(2), np.eye(2))] * 2, np.ones((2, 1)), learning_rate=0.0),
            "learning_rate",
        ),
        (lambda: wide.trained(*[wide.KernelMatrices(np.eye(2), np.eye(2))] * 2, np.ones((2, 1)))(-1.0), "time -1.0"),
    ],
)
def test_what_cannot_be_predicted_is_refused(made, words, unchecked_types):
    with pytest.raises(InputError) as refused:
        made()
    assert words in str(refused.value)
