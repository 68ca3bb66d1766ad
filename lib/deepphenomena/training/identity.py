"""What a compiled program computes, as a digest: the same in every process, and another for any other computation.

The code of a function does not tell: it calls others and holds values. The program that JAX traces from it does, with
every operation, literal and captured array.
"""

import hashlib
import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend import core

# Where an object lies in memory differs from process to process.
_ADDRESS = re.compile(r"0x[0-9a-f]{4,}")


class Described(NamedTuple):
    """The shapes and types of the leaves of a pytree, and its form. They hold no array."""

    leaves: list[jax.ShapeDtypeStruct]
    form: jax.tree_util.PyTreeDef


def described(arguments: Any) -> Described:
    """Return the shapes and types of a pytree, which are the same for a new and for a restored state.

    Example:
        >>> described([np.zeros(3, np.float32)]).leaves
        [ShapeDtypeStruct(shape=(3,), dtype=float32)]
    """
    leaves, form = jax.tree.flatten(arguments)
    return Described([jax.ShapeDtypeStruct(jnp.shape(leaf), jnp.result_type(leaf)) for leaf in leaves], form)


def program_digest(function: Callable, arguments: Described) -> str:
    """Return the sha256 of the traced program of a function at the shapes and types of its arguments.

    Example:
        >>> at = described((1.0,))
        >>> program_digest(lambda x: x + 1, at) == program_digest(lambda x: 1 + x, at)
        False
    """
    traced = jax.make_jaxpr(lambda *leaves: function(*jax.tree.unflatten(arguments.form, leaves)))(*arguments.leaves)
    digest = hashlib.sha256(_ADDRESS.sub("", str(traced)).encode())
    for value in _values(traced):
        if jax.dtypes.issubdtype(getattr(value, "dtype", None), jax.dtypes.extended):
            value = jax.random.key_data(value)
        array = np.asarray(value)
        digest.update(f"{array.dtype} {array.shape}".encode() + np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _values(program: core.ClosedJaxpr | core.Jaxpr) -> Iterator[Any]:
    """Yield the captured arrays and literals of a program and of the programs inside it, in their order."""
    if isinstance(program, core.ClosedJaxpr):
        yield from program.consts
        program = program.jaxpr
    for equation in program.eqns:
        yield from (variable.val for variable in equation.invars if isinstance(variable, core.Literal))
        for parameter in equation.params.values():
            yield from _inside(parameter)


def _inside(parameter: Any) -> Iterator[Any]:
    if isinstance(parameter, core.ClosedJaxpr | core.Jaxpr):
        yield from _values(parameter)
    elif isinstance(parameter, tuple | list):
        for part in parameter:
            yield from _inside(part)
