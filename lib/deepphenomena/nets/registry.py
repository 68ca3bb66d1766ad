"""Networks by name. Chapters, cards and the command line use the same names.

    name                                    network
    mlp-256, cnn-16, vit-32                 a family and its width
    cbr-small, resnet-18, resnet-50         a published architecture
    cbr-tiny/8, resnet-18/16                the same with all widths divided
    mlp-256-plain, resnet-18-plain/16       without batch normalization

`PATTERN` is the regular expression of these names, for the `pattern` of a parameter in a card. `STAGED_PATTERN` matches
the names of networks of type `staged.Staged`. `network` builds every name that matches a pattern.
"""

import functools
import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
from flax import nnx
from jaxtyping import Key

from deepphenomena.nets.cnn import cbr_block, cnn
from deepphenomena.nets.mlp import mlp
from deepphenomena.nets.resnet import resnet18_block, resnet50_block
from deepphenomena.nets.staged import staged
from deepphenomena.nets.transformer import vit
from deepphenomena.runtime.errors import InputError, unknown


class Architecture(NamedTuple):
    """A published network as blocks: the width of each block, and the function that builds one."""

    widths: tuple[int, ...]
    block: Callable


# Built as family(shape, width=..., outputs=..., key=...).
FAMILIES: dict[str, Callable] = {"mlp": mlp, "cnn": cnn, "vit": vit}
_RESNET_WIDTHS = (64, 64, 128, 256, 512)
ARCHITECTURES: dict[str, Architecture] = {
    "cbr-tiny": Architecture((32, 64, 128, 256), functools.partial(cbr_block, kernel=5)),
    "cbr-small": Architecture((32, 64, 128, 256), functools.partial(cbr_block, kernel=7)),
    "cbr-large-w": Architecture((64, 128, 256, 512), functools.partial(cbr_block, kernel=7)),
    "cbr-large-t": Architecture((32, 64, 128, 256, 512), functools.partial(cbr_block, kernel=7)),
    "resnet-18": Architecture(_RESNET_WIDTHS, resnet18_block),
    "resnet-18-plain": Architecture(_RESNET_WIDTHS, functools.partial(resnet18_block, batch_norm=False)),
    "resnet-50": Architecture(_RESNET_WIDTHS, resnet50_block),
}
DIVISORS = (2, 4, 8, 16, 32)  # each divides every width of every architecture

STAGED_PATTERN = f"({'|'.join(ARCHITECTURES)})(/({'|'.join(map(str, DIVISORS))}))?"
PATTERN = f"(mlp|cnn)-[1-9][0-9]*(-plain)?|vit-[1-9][0-9]*|{STAGED_PATTERN}"


def network(
    name: str, shape: Sequence[int], classes: int, *, halved_above: int | None = None, key: Key[jax.Array, ""]
) -> nnx.Module:
    """Return an image classifier by name.

        model = nets.network("cnn-16", (32, 32, 3), 10, key=jax.random.key(0))
        model(jnp.zeros((8, 32, 32, 3))).shape  # (8, 10)

    Args:
        name: as in the table above. A width is the number of units of a layer, or of channels of the first layer.
        shape: (height, width, channels) of an image.
        classes: outputs of the network.
        halved_above: blocks after this number have half of their channels: the slim networks of Raghu et al. 2019. None
            halves no block. Only for published architectures.
        key: random key of the initial parameters.

    Raises:
        InputError: an unknown name, or more blocks than the network has.

    Source: Nakkiran et al. 2020, "The deep bootstrap framework", for the families; Raghu et al. 2019, "Transfusion",
    for CBR; He et al. 2016 for the residual networks.

    Example:
        >>> model = nets.network("cnn-4", (8, 8, 3), 10, key=jax.random.key(0))
        >>> model(jnp.zeros((2, 8, 8, 3))).shape
        (2, 10)
    """
    if not re.fullmatch(PATTERN, name):
        raise _not_a_network(name)
    architecture, _, divisor = name.partition("/")
    if architecture in ARCHITECTURES:
        full, block = ARCHITECTURES[architecture]
        if halved_above is not None and not 0 <= halved_above <= len(full):
            raise InputError(f"halved_above {halved_above} of {name}: it has {len(full)} blocks; give 0 to {len(full)}")
        widths = [width // int(divisor or 1) for width in full]
        if halved_above is not None:
            widths = [max(1, width // 2) if i >= halved_above else width for i, width in enumerate(widths)]
        return staged(block, widths, channels=shape[-1], outputs=classes, key=key)
    if halved_above is not None:
        raise InputError(f"halved_above {halved_above} of {name}: it is for networks of blocks, such as cbr-tiny/8")
    family, width, *plain = name.split("-")
    options = {"batch_norm": False} if plain else {}
    return FAMILIES[family](shape, width=int(width), outputs=classes, **options, key=key)


def _not_a_network(name: str) -> InputError:
    """Return the error for an unknown name."""
    architecture, slash, _ = name.partition("/")
    family = re.sub(r"-\d.*", "", architecture)
    if architecture in ARCHITECTURES and slash:
        divisors = ", ".join(map(str, DIVISORS))
        return InputError(f"network '{name}': its widths can be divided by {divisors}, as {architecture}/2")
    if family in FAMILIES:
        forms = "mlp-WIDTH, cnn-WIDTH or vit-WIDTH; the first two also with -plain, for no batch normalization"
        return InputError(f"network '{name}': write {forms}")
    return unknown("network", family, {*FAMILIES, *ARCHITECTURES})
