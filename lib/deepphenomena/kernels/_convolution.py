"""Two-dimensional convolution that stays fast on a CPU: in loops, under vmap and in derivatives of any order."""

import jax
import numpy as np
from jax import lax
from jax import numpy as jnp
from jaxtyping import Float

from deepphenomena.kernels._convolution_faces import Geometry, bind
from deepphenomena.runtime import numbers
from deepphenomena.runtime.arrays import Array
from deepphenomena.runtime.errors import InputError, shown, unknown

PADDINGS = ("SAME", "VALID", "CIRCULAR")


def convolution(
    x: Float[Array, "*batch height width channels"],
    w: Float[Array, "kernel_height kernel_width channels features"],
    *,
    stride: int | tuple[int, int] = 1,
    padding: str = "SAME",
) -> Float[Array, "*batch new_height new_width features"]:
    """Convolve images with weights: `y[o] = Σᵢ x[stride·o + i − low] w[i]`, over both spatial axes and the channels.

    Args:
        x: images, with any number of batch axes, including none.
        w: weights.
        stride: pixels between outputs, one number or (rows, columns).
        padding: "SAME" (zeros; the output size is the input size divided by the stride, rounded up), "VALID" (none) or
            "CIRCULAR" (the image wraps around; same size as "SAME").

    Returns:
        The convolved images, in the common dtype of x and w. Equal to `convolution_reference` up to rounding.
        Derivatives of every order work in forward and reverse mode, and `vmap` works over x, w or both.

    Raises:
        InputError: for a wrong rank, different numbers of channels, integers, an unknown padding, a stride below 1, or
            a kernel larger than a "VALID" image.

    Example:
        >>> images, weights = jnp.ones((2, 8, 8, 3)), jnp.ones((3, 3, 3, 4))
        >>> kernels.convolution(images, weights, stride=2).shape
        (2, 4, 4, 4)
    """
    x, w, stride = _checked(x, w, stride, padding)
    batch = x.shape[:-3]
    x = x.reshape(-1, *x.shape[-3:])
    if padding == "CIRCULAR":
        x, padding = wrap(x, w.shape[:2]), "VALID"
    axes = [_axis(*axis, padding) for axis in zip(x.shape[1:3], w.shape[:2], stride, strict=True)]
    geometry = Geometry(*zip(*axes, strict=True))
    y = bind("forward", *_varying_alike(x, w), geometry)
    return y.reshape(*batch, *y.shape[1:])


def convolution_reference(x, w, *, stride=1, padding="SAME"):
    """Compute the same function with `lax.conv_general_dilated`. Tests compare `convolution` with it.

    Example:
        >>> kernels.convolution_reference(jnp.ones((8, 8, 3)), jnp.ones((3, 3, 3, 4)), padding="VALID").shape
        (6, 6, 4)
    """
    x, w, stride = _checked(x, w, stride, padding)
    batch = x.shape[:-3]
    x = x.reshape(-1, *x.shape[-3:])
    if padding == "CIRCULAR":
        x, padding = wrap(x, w.shape[:2]), "VALID"
    y = lax.conv_general_dilated(x, w, stride, padding, dimension_numbers=("NHWC", "HWIO", "NHWC"))
    return y.reshape(*batch, *y.shape[1:])


def wrap(x: Float[Array, "n height width channels"], kernel: tuple[int, int]):
    """Continue images periodically so that a "VALID" convolution of them is the circular one."""
    edges = [((size - 1) // 2, size // 2) for size in kernel]
    return jnp.pad(x, ((0, 0), *edges, (0, 0)), mode="wrap")


def _axis(image: int, kernel: int, stride: int, padding: str) -> tuple[int, int, int, int, int]:
    if padding == "VALID":
        return image, kernel, (image - kernel) // stride + 1, stride, 0
    output = -(-image // stride)
    return image, kernel, output, stride, max((output - 1) * stride + kernel - image, 0) // 2


def _varying_alike(x, w):
    """Inside `shard_map`, make both operands vary over the same mesh axes, as JAX's own operations do."""
    varying = [_varying(operand) for operand in (x, w)]
    if varying[0] == varying[1]:
        return x, w
    missing = [tuple((varying[0] | varying[1]) - mine) for mine in varying]
    return tuple(lax.pcast(a, axes, to="varying") if axes else a for a, axes in zip((x, w), missing, strict=True))


def _varying(operand) -> frozenset:
    kind = jax.typeof(operand)  # JAX 0.12 calls it mat.varying, earlier releases vma
    return kind.mat.varying if hasattr(kind, "mat") else getattr(kind, "vma", frozenset())


def check_convolution(*, stride: int | tuple[int, int] = 1, padding: str = "SAME") -> tuple[int, int]:
    """Raise InputError unless `convolution` accepts these options. Returns the stride as a pair.

    Example:
        >>> kernels.check_convolution(stride=2)
        (2, 2)
    """
    if padding not in PADDINGS:
        raise unknown("padding", str(padding), PADDINGS)
    try:
        return numbers.pair("stride", (stride, stride) if np.ndim(stride) == 0 else stride)
    except ValueError:
        raise InputError(
            f"stride {shown(stride)} of a convolution: give one whole number of at least 1, or a pair of them."
        ) from None


def _checked(x, w, stride, padding):
    stride = check_convolution(stride=stride, padding=padding)
    x, w = jnp.asarray(numbers.array("x", x)), jnp.asarray(numbers.array("w", w))
    shapes = f"convolution of x {x.shape} with w {w.shape}"
    if x.ndim < 3 or w.ndim != 4:
        raise InputError(
            f"{shapes}: x is (..., height, width, channels) and w (height, width, channels, features); "
            "add the missing axes."
        )
    if x.shape[-1] != w.shape[2]:
        raise InputError(
            f"{shapes}: x has {x.shape[-1]} channels and w takes {w.shape[2]}; "
            "the last axis of x must equal the third of w."
        )
    image, kernel = x.shape[-3:-1], w.shape[:2]
    if 0 in image or 0 in kernel or (padding == "VALID" and (kernel[0] > image[0] or kernel[1] > image[1])):
        raise InputError(
            f"{shapes} and padding {padding!r}: image and kernel must not be empty, nor the kernel larger than a "
            "'VALID' image; use a smaller kernel or padding 'SAME'."
        )
    dtype = jnp.result_type(x.dtype, w.dtype)
    if not jnp.issubdtype(dtype, jnp.floating):
        raise InputError(f"convolution in {dtype}: floating-point numbers are needed; cast x or w with astype.")
    return x.astype(dtype), w.astype(dtype), stride
