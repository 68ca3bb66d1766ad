"""Activations of any Flax NNX model by the name of a layer: to record over a stream of data, or to replace.

    seen = activations.watch(model, ["layers.3", "layers.5"])  # seen(parameters, x) returns {name: activations}
    of_layers = activations.collect(seen, parameters, batches)  # over a stream, as NumPy arrays

Parameters are those of `nets.functional` or `nets.ensemble`. With `stages`, activations are recorded during a training
without holding its checkpoints. A pure function that returns a mapping takes the place of `watch` for other models.
"""

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence

import jax
import numpy as np
from flax import nnx
from jaxtyping import PyTree, Shaped

from deepphenomena.runtime.arrays import Array
from deepphenomena.runtime.errors import InputError, unknown

Watch = Callable[[PyTree, Array], Mapping[str, Array]]
Edited = Callable[..., Array]


def layer_names(model: nnx.Module) -> list[str]:
    """Return the names of all layers of a model: its modules, and the functions in its lists, such as activations.

    A name is the path of attributes and places in lists, joined by dots.

    Example:
        >>> activations.layer_names(nets.fully_connected([4, 8, 2], activation="relu", key=jax.random.key(0)))
        ['layers.0', 'layers.1', 'layers.2']
    """
    names = []
    for path, module in nnx.iter_graph(model):
        if isinstance(module, nnx.List):
            names += [(*path, place) for place, part in enumerate(module) if _is_function(part)]
        elif path and isinstance(module, nnx.Module):
            names.append(path)
    return [".".join(map(str, path)) for path in sorted(names, key=lambda path: [str(part).zfill(6) for part in path])]


def watch(model: nnx.Module, layers: Sequence[str]) -> Watch:
    """Return a pure function `seen(parameters, x)` with the outputs of the named layers of the model on x.

    Args:
        model: one of the architecture; its own parameters play no part.
        layers: names among `layer_names(model)`.

    Raises:
        InputError: an unknown layer; and, when the function is called, a layer that the model calls never or more than
            once, whose output is not defined.

    Example:
        >>> model = nets.fully_connected([4, 8, 2], activation="relu", key=jax.random.key(0))
        >>> network, parameters = nets.functional(model)
        >>> {name: a.shape for name, a in activations.watch(model, ["layers.1"])(parameters, jnp.ones((3, 4))).items()}
        {'layers.1': (3, 8)}
    """
    _check_names(model, layers)
    definition, _ = nnx.split(model)

    def seen(parameters: PyTree, x: Array) -> dict[str, Array]:
        found: dict[str, list[Array]] = {name: [] for name in layers}

        def keep(name, output):
            found[name].append(output)
            return output

        _tapped(nnx.merge(definition, parameters), {name: functools.partial(keep, name) for name in layers})(x)
        for name, outputs in found.items():
            if len(outputs) != 1:
                raise InputError(f"layer '{name}' is called {len(outputs)} times: watch one that is called once.")
        return {name: output for name, (output,) in found.items()}

    return seen


def edit(model: nnx.Module) -> Edited:
    """Return a pure function `edited(parameters, x, changes)`: the model's outputs if named layers give other outputs.

    `changes` maps names among `layer_names(model)` to functions of the layer's output. A layer sees what the changed
    layers below it give. An unknown name raises InputError when the function is called.

    Args:
        model: one of the architecture; its own parameters play no part.

    Example:
        >>> model = nets.fully_connected([4, 8, 2], activation="relu", key=jax.random.key(0))
        >>> edited, (_, parameters) = activations.edit(model), nets.functional(model)
        >>> edited(parameters, jnp.ones((1, 4)), {"layers.1": jnp.zeros_like}).tolist()
        [[0.0, 0.0]]
    """
    definition, _ = nnx.split(model)

    def edited(parameters: PyTree, x: Array, changes: Mapping[str, Callable[[Array], Array]]) -> Array:
        _check_names(model, list(changes))
        return _tapped(nnx.merge(definition, parameters), changes)(x)

    return edited


def collect(
    watched: Watch, parameters: PyTree, batches: Iterable[Array], *, members: bool = False
) -> dict[str, Shaped[np.ndarray, "..."]]:
    """Return the activations of every watched layer over a stream of inputs, as NumPy arrays.

    The axes after the samples are flattened. Take a mean over pixels in `watched` to do otherwise.

    Args:
        watched: from `watch`, or any pure function of parameters and inputs that returns a mapping to arrays with a
            leading axis of samples. Pass the same object again: a new one is compiled again.
        parameters: of one model, or with a leading axis of members.
        batches: inputs, each with a leading axis of samples; a list of one array for data that fit at once.
        members: whether the parameters have an axis of members. The arrays then have it too, before the samples.

    Raises:
        InputError: no batch.

    Example:
        >>> model = nets.fully_connected([4, 8, 2], activation="relu", key=jax.random.key(0))
        >>> seen, (_, parameters) = activations.watch(model, ["layers.1"]), nets.functional(model)
        >>> activations.collect(seen, parameters, [jnp.ones((3, 4)), jnp.ones((2, 4))])["layers.1"].shape
        (5, 8)
    """
    kept = [{name: np.asarray(a) for name, a in _compiled(watched, members)(parameters, x).items()} for x in batches]
    if not kept:
        raise InputError("there is no batch: give one or more.")
    joined = {name: np.concatenate([part[name] for part in kept], int(members)) for name in kept[0]}
    return {name: a.reshape(*a.shape[: 1 + members], -1) for name, a in joined.items()}


@functools.lru_cache(maxsize=64)
def _compiled(watched: Watch, members: bool):
    return jax.jit(jax.vmap(watched, (0, None)) if members else watched)


def _check_names(model: nnx.Module, layers: Sequence[str]) -> None:
    names = layer_names(model)
    for layer in layers:
        if layer not in names:
            raise unknown("layer", str(layer), names)


def _tapped(model: nnx.Module, taps: Mapping[str, Callable[[Array], Array]]) -> nnx.Module:
    """Make the named layers of a model, which is changed, return tap(output)."""
    for name, tap in taps.items():
        *parents, last = name.split(".")
        parent = functools.reduce(_part, parents, model)
        layer = _part(parent, last)
        if isinstance(layer, nnx.Module):
            # A module keeps its attributes and its type; only its call changes.
            object.__setattr__(layer, "__class__", _with_tap(type(layer)))
            object.__setattr__(layer, "_tap", tap)
        else:
            parent[int(last)] = _followed(layer, tap)
    return model


def _part(parent, name: str):
    return parent[int(name)] if isinstance(parent, nnx.List) else getattr(parent, name)


@functools.cache  # one for each class of layers
def _with_tap(kind: type) -> type:
    def call(self, *arguments, **options):
        return self._tap(kind.__call__(self, *arguments, **options))

    return type(kind)(kind.__name__, (kind,), {"__call__": call})


def _followed(function, tap):
    return lambda *arguments, **options: tap(function(*arguments, **options))


def _is_function(part) -> bool:
    return callable(part) and not isinstance(part, nnx.Module)
