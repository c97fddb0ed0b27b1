"""The periodic shuffle between channels and time."""

from keras import ops


def channels_to_time(x, factor: int):
    """Returns (batch, time, phase * F) as (batch, time * phase, F)."""
    batch, time, channels = ops.shape(x)
    return ops.reshape(x, (batch, time * factor, channels // factor))


def time_to_channels(x, factor: int):
    """Returns (batch, time, channels) as (batch, ceil(time / factor), phase * channels).

    A time axis that is no multiple of the factor is padded with zeros at its end.
    """
    batch, time, channels = ops.shape(x)
    # Rounded up without negative numbers, which ONNX divides otherwise.
    blocks = (time + factor - 1) // factor
    if x.shape[1] is None or x.shape[1] % factor:
        x = ops.pad(x, ((0, 0), (0, factor - 1), (0, 0)))[:, : blocks * factor]
    # (batch, block * phase, channels) -> (batch, block, phase * channels)
    return ops.reshape(x, (batch, blocks, factor * channels))
