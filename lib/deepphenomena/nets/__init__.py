"""The architectures of the papers in Flax NNX, and their functional form for the rest of the library."""

from deepphenomena.nets.functional import ensemble, functional, member
from deepphenomena.nets.ntk_parameterized import convolutional, fully_connected
from deepphenomena.nets.registry import network

__all__ = ["convolutional", "ensemble", "fully_connected", "functional", "member", "network"]
