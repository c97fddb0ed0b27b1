"""Bias of a convolution."""

from keras import ops


def add_bias(y, bias):
    """Return y (batch, time, filters) + bias (filters,).

    Through `ops.add` and this shape TensorFlow fuses the bias into the convolution before it; the
    operator + would be a pass of its own over the output.
    """
    return ops.add(y, ops.reshape(bias, (1, 1, -1)))
