"""`flax.nnx.Conv` with the convolution of this library, which is faster on a CPU."""

from collections.abc import Sequence

import jax
from flax import nnx
from flax.nnx import initializers
from jax import numpy as jnp
from jaxtyping import DTypeLike, Float

from deepphenomena.kernels import check_convolution, convolution
from deepphenomena.runtime.arrays import Array
from deepphenomena.runtime.errors import InputError


class Conv(nnx.Conv):
    """A drop-in for a two-dimensional `flax.nnx.Conv`: same arguments, parameters, initial values and results.

    It uses `deepphenomena.kernels.convolution`, which stays fast on a CPU inside a scan and with batched weights.
    The states of the two classes are interchangeable.

    Args:
        in_features: channels of the input.
        out_features: channels of the output.
        kernel_size: (rows, columns) of the kernel.
        strides: pixels between outputs, one number or (rows, columns).
        padding: "SAME", "VALID" or "CIRCULAR".
        use_bias: whether to add one number for each output channel.
        dtype: the dtype of the computation; by default the promoted dtype of the input and the parameters.
        param_dtype: the dtype of the parameters.
        kernel_init, bias_init: initializers, as in Flax.
        rngs: the random streams of Flax; uses `params`.

    Raises:
        InputError: a kernel that is not two-dimensional, or paddings, strides or inputs that
            `deepphenomena.kernels.convolution` does not support.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        kernel_size: Sequence[int],
        strides: int | Sequence[int] | None = 1,
        *,
        padding: str = "SAME",
        use_bias: bool = True,
        dtype: DTypeLike | None = None,
        param_dtype: DTypeLike = jnp.float32,
        kernel_init: jax.nn.initializers.Initializer = initializers.lecun_normal(),  # noqa: B008
        bias_init: jax.nn.initializers.Initializer = initializers.zeros_init(),  # noqa: B008
        rngs: nnx.Rngs,
    ):
        if isinstance(kernel_size, int) or len(kernel_size) != 2:
            raise InputError(
                f"kernel_size {kernel_size!r} of Conv: it must be a pair (rows, columns), such as (3, 3); "
                "use flax.nnx.Conv for one or three dimensions."
            )
        strides = 1 if strides is None else strides
        check_convolution(stride=strides, padding=padding)
        super().__init__(
            in_features,
            out_features,
            kernel_size,
            strides,
            padding=padding,
            use_bias=use_bias,
            dtype=dtype,
            param_dtype=param_dtype,
            kernel_init=kernel_init,
            bias_init=bias_init,
            rngs=rngs,
        )

    def __call__(
        self, inputs: Float[Array, "*batch height width in_features"]
    ) -> Float[Array, "*batch new_height new_width out_features"]:
        """Convolve images, with any number of batch axes, and add the bias."""
        kernel = self.kernel[...]
        bias = None if self.bias is None else self.bias[...]
        dtype = self.dtype or jnp.result_type(*(a for a in (inputs, kernel, bias) if a is not None))
        y = convolution(inputs.astype(dtype), kernel.astype(dtype), stride=self.strides, padding=self.padding)
        return y if bias is None else y + bias.astype(dtype)
