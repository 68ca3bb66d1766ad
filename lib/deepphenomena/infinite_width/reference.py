"""Reference implementations of the kernel recursions, on whole matrices. Tests compare the tiled forms with them."""

import numpy as np
from jax import numpy as jnp


def kernel_matrix_reference(x1, x2=None, *, depth, activation="relu", weight_variance=2.0, bias_variance=0.0):
    """Compute `kernel_matrix` by the plain recursion. Returns (NNGP, NTK).

    Example:
        >>> nngp, ntk = infinite_width.kernel_matrix_reference(jnp.eye(3), depth=1)
        >>> ntk.shape
        (3, 3)
    """
    x2 = x1 if x2 is None else x2
    squares = [jnp.sum(x * x, axis=1) / x.shape[1] for x in (x1, x2)]
    pair = x1 @ x2.T / x1.shape[1], 0.0
    for _ in range(depth):
        kernels = _affine(*pair, weight_variance, bias_variance)
        q1, q2 = (weight_variance * square + bias_variance for square in squares)
        pair = _nonlinear(*kernels, q1[:, None], q2[None, :], activation)
        squares = [_square(q, activation) for q in (q1, q2)]
    return _affine(*pair, weight_variance, bias_variance)


def convolutional_kernel_matrix_reference(
    x1,
    x2=None,
    *,
    depth,
    readout="flatten",
    kernel_size=3,
    padding="CIRCULAR",
    activation="relu",
    weight_variance=2.0,
    bias_variance=0.0,
):
    """Compute `convolutional_kernel_matrix` over all pairs of pixels, for either readout. Returns (NNGP, NTK).

    Example:
        >>> nngp, ntk = infinite_width.convolutional_kernel_matrix_reference(jnp.ones((2, 4, 4, 3)), depth=1)
        >>> ntk.shape
        (2, 2)
    """
    x2 = x1 if x2 is None else x2

    def mean(field, *pairs):
        for axes in pairs:
            edges = [(kernel_size // 2,) * 2 if axis in axes else (0, 0) for axis in range(field.ndim)]
            wide = jnp.pad(field, edges, mode="wrap" if padding == "CIRCULAR" else "constant")
            # The shifts of both axes together: the window slides along the diagonal of (p, p').
            field = sum(
                wide[tuple(slice(s, s + n) if axis in axes else slice(None) for axis, n in enumerate(field.shape))]
                for s in range(kernel_size)
            )
        return field / kernel_size**2

    pixels = x1.shape[1] * x1.shape[2]
    squares = [jnp.sum(x * x, axis=-1) / x.shape[-1] for x in (x1, x2)]
    pair = jnp.einsum("nhwc,mgvc->nmhgwv", x1, x2) / x1.shape[-1], jnp.zeros(())
    for _ in range(depth):
        means = [mean(field, (2, 3), (4, 5)) if field.ndim else field for field in pair]
        q1, q2 = (weight_variance * mean(square, (1,), (2,)) + bias_variance for square in squares)
        kernels = _affine(*means, weight_variance, bias_variance)
        pair = _nonlinear(*kernels, q1[:, None, :, None, :, None], q2[None, :, None, :, None, :], activation)
        squares = [_square(q, activation) for q in (q1, q2)]
    form, count = ("nmhhww->nm", pixels) if readout == "flatten" else ("nmhgwv->nm", pixels**2)
    means = [jnp.einsum(form, field) / count if jnp.ndim(field) else field for field in pair]
    return _affine(*means, weight_variance, bias_variance)


def _affine(activations, tangents, weight_variance, bias_variance):
    covariance = weight_variance * activations + bias_variance
    return covariance, covariance + weight_variance * tangents


def _nonlinear(k, tangent, q1, q2, activation):
    if activation == "identity":
        return k, tangent
    if activation == "relu":
        norm = jnp.sqrt(q1 * q2)
        cosine = jnp.clip(k / jnp.where(norm > 0, norm, 1.0), -1, 1)
        angle = jnp.arccos(cosine)
        activations = norm * (jnp.sin(angle) + (np.pi - angle) * cosine) / (2 * np.pi)
        return activations, (np.pi - angle) / (2 * np.pi) * tangent
    whole = (1 + 2 * q1) * (1 + 2 * q2)
    return 2 / np.pi * jnp.arcsin(2 * k / jnp.sqrt(whole)), 4 / np.pi / jnp.sqrt(whole - 4 * k**2) * tangent


def _square(q, activation):
    """Compute E[φ²], which is E[φφ] at equal inputs. There the general formula's derivative would be 0/0."""
    if activation == "identity":
        return q
    return q / 2 if activation == "relu" else 2 / np.pi * jnp.arcsin(2 * q / (1 + 2 * q))
