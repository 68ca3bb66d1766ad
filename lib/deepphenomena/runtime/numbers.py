"""The gate for numbers: what callers pass is promoted, computed in float64 first, or refused in one line.

JAX turns float64 into float32 and 64-bit integers into 32 bits without a word. Functions that would lose a result that
way take `array`, which keeps NumPy's own type, and reduce it in NumPy before JAX sees it. Values inside `jit`, `vmap`
and `grad` are not known: only their type and shape are checked.
"""

import operator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Shaped

from deepphenomena.runtime.arrays import Array
from deepphenomena.runtime.errors import InputError, shown


def known(*values: Any) -> bool:
    """Return whether the values can be looked at: none is traced by JAX."""
    return not any(isinstance(value, jax.core.Tracer) for value in values)


def array(name: str, value: Any) -> Shaped[Array, "..."]:
    """Return real numbers as an array in their own type: a JAX array as it is, anything else through NumPy.

    Raises:
        InputError: rows of different lengths, masked or missing entries, text, objects or complex numbers.

    Example:
        >>> array("scores", [1e-50, 2e-50]).dtype  # kept, where jnp.asarray gives float32 and zeros
        dtype('float64')
    """
    if isinstance(value, jax.Array):
        found = value
    else:
        if np.ma.isMaskedArray(value) and np.ma.getmaskarray(value).any():
            raise InputError(f"{name}: it has masked entries; leave those samples out, or fill them in")
        try:
            found = np.asarray(value)
        except (TypeError, ValueError):  # rows of different lengths, or no numbers
            raise InputError(f"{name} {shown(value)}: give an array of numbers, all rows of one length") from None
    if found.dtype != bool and not _is_real(found.dtype):
        raise InputError(f"{name} of type {found.dtype}: real numbers are needed; convert it, or give real parts")
    return found.astype(np.float64) if found.dtype == np.longdouble else found


def narrowed(value: Shaped[Array, "..."]) -> bool:
    """Return whether JAX would store this array with fewer bits."""
    return not isinstance(value, jax.Array) and jax.dtypes.canonicalize_dtype(value.dtype) != value.dtype


def floats(name: str, value: Any) -> Float[jax.Array, "..."]:
    """Return real numbers as a JAX array of at least float32: integers, booleans and half precision are promoted.

    Raises:
        InputError: as `array`, or a float64 value beyond the range of float32.

    Example:
        >>> floats("x", np.arange(3, dtype=np.uint8)).dtype
        dtype('float32')
    """
    found = array(name, value)
    dtype = jnp.promote_types(jax.dtypes.canonicalize_dtype(found.dtype), jnp.float32)
    with np.errstate(over="ignore"):
        promoted = jnp.asarray(found, dtype)
    if narrowed(found) and bool(np.any(np.isfinite(found) & ~np.isfinite(np.asarray(promoted)))):
        raise InputError(f"{name}: a value is beyond the range of float32, 3.4e38; rescale it or use jax.enable_x64")
    return promoted


def whole(name: str, value: Any, *, minimum: int = 0) -> int:
    """Return a whole number as an int. NumPy's integers are accepted; booleans and 2.0 are not.

    Raises:
        InputError: not a whole number, or below `minimum`.

    Example:
        >>> whole("depth", np.int64(3))
        3
    """
    try:
        number = operator.index(value)
    except TypeError:
        number = None
    if number is None or isinstance(value, bool | np.bool_) or number < minimum:
        raise InputError(f"{name} {shown(value)}: it must be a whole number, {minimum} or more")
    return number


def pair(name: str, value: Any, *, minimum: int = 1) -> tuple[int, int]:
    """Return a pair of whole numbers, given as any sequence of two.

    Raises:
        InputError: not two whole numbers of at least `minimum`.

    Example:
        >>> pair("input_shape", np.array([8, 8]))
        (8, 8)
    """
    try:
        first, second = value
        return whole(name, first, minimum=minimum), whole(name, second, minimum=minimum)
    except (TypeError, ValueError):  # InputError is a ValueError: name the whole pair
        raise InputError(
            f"{name} {shown(value)}: it must be a pair of whole numbers, each {minimum} or more; "
            f"for example ({minimum + 7}, {minimum + 7})"
        ) from None


def check_variance(name: str, value: Any) -> None:
    """Raise InputError for a variance that is negative, infinite or NaN, where its value is known.

    Example:
        >>> check_variance("weight_variance", 2.0)
    """
    if not known(value):
        return
    found = np.asarray(array(name, value), np.float64)
    if not (np.isfinite(found) & (found >= 0)).all():
        raise InputError(f"{name} {shown(value)}: a variance is finite and zero or more; change it")


def _is_real(dtype: Any) -> bool:
    return jnp.issubdtype(dtype, jnp.number) and not jnp.issubdtype(dtype, jnp.complexfloating)
