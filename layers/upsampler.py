"""Upsampling layers by name, for models that swap them."""

from collections.abc import Sequence

import keras

from tonezoo.arguments import one_of
from tonezoo.audio.interpolation import DEFAULT_GRIDS
from tonezoo.layers.interpolated_conv import InterpolatedConv1D
from tonezoo.layers.subpixel_conv import SubpixelConv1D
from tonezoo.layers.transposed_conv import TransposedConv1D

UPSAMPLER_KINDS = ("transposed", *DEFAULT_GRIDS, "subpixel")


def upsampler(
    kind: str, filters: int, kernel_size: int | Sequence[int], factor: int, **options
) -> keras.layers.Layer:
    """Returns the upsampling layer of that kind, from T to T * factor samples.

    Args:
        kind: "transposed" (TransposedConv1D, "same"), "subpixel" (SubpixelConv1D), or one of the
            methods of InterpolatedConv1D: "nearest", "linear", "cubic", "sinc", "kaiser",
            "stretch", "learned".
        filters: integer >= 1, output channels.
        kernel_size: integer >= 1, or a tuple of one, taps: at the low rate for "subpixel", else
            at the high rate.
        factor: integer >= 1, upsampling factor.
        **options: passed on to the layer: its other arguments, `name`, `dtype`.

    Raises:
        ValueError: an unknown kind; what the layer raises.

    >>> upsampler("linear", 8, 9, 4).compute_output_shape((1, 100, 2))
    (1, 400, 8)
    """
    one_of("kind", kind, UPSAMPLER_KINDS)
    if kind == "transposed":
        return TransposedConv1D(filters, kernel_size, factor, **options)
    if kind == "subpixel":
        return SubpixelConv1D(filters, kernel_size, factor, **options)
    return InterpolatedConv1D(filters, kernel_size, factor, method=kind, **options)
