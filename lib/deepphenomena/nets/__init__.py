"""The papers' architectures in Flax NNX, and the functional form in which the rest of the library takes them."""

from deepphenomena.nets.functional import ensemble, functional, member
from deepphenomena.nets.ntk_parameterized import convolutional, fully_connected
from deepphenomena.nets.registry import network

__all__ = ["convolutional", "ensemble", "fully_connected", "functional", "member", "network"]
