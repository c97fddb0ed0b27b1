"""Masks (batch, time) at the rate of a layer's output: valid is what a signal alone would give.

All take and give None for no mask, and work on Keras's symbolic tensors of unknown length.
"""

from keras import ops


def mask_per_output(mask, factor: int):
    """Returns the mask (batch, time * factor) of outputs, `factor` for each sample."""
    return None if mask is None else ops.repeat(mask, factor, axis=1)


def mask_per_block(mask, factor: int):
    """Returns the mask (batch, ceil(time / factor)) of blocks, valid if any sample in them is."""
    return None if mask is None else _any_in_window(mask, 0, factor - 1, factor, factor)


def mask_extended(mask, samples: int):
    """Returns the mask (batch, time + samples), valid up to `samples` behind a valid sample.

    Below 0 the last ones are left out.
    """
    if mask is None or samples == 0:
        return mask
    if samples < 0:
        return mask[:, :samples]
    return _any_in_window(mask, samples, samples, samples + 1, 1)


def _any_in_window(mask, before, after, window, step):
    signal = ops.pad(ops.cast(mask, "float32"), ((0, 0), (before, after)))[:, :, None]
    pooled = ops.max_pool(signal, window, step, padding="valid", data_format="channels_last")
    return ops.greater(pooled[:, :, 0], 0)
