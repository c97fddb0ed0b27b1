"""Decimation: a low-pass, and every r-th sample of it."""

import keras
from keras import ops

from tonezoo.arguments import integer, one_of
from tonezoo.audio.interpolation import GRIDS, kaiser_low_pass
from tonezoo.layers.masks import mask_per_block
from tonezoo.layers.padding import hold_ends
from tonezoo.layers.signal_layer import SignalLayer


@keras.saving.register_keras_serializable(package="tonezoo")
class Decimate1D(SignalLayer):
    """Lowers the rate by an integer factor behind a low-pass, so that little folds back.

    y[n] = sum over i of h[i] x[n * factor + i - left] with h = `kaiser_low_pass(factor, grid)`: the
    counterpart of `Interpolate1D(factor, "kaiser", grid)`, without a delay behind it. The ends of
    the signal are held, also where its length is no multiple of the factor. With a mask, an output
    sample is valid if any of the `factor` samples that it stands for is.

    Args:
        factor: integer >= 1, input samples per output sample; 1 keeps the signal as it is.
        grid: "half_pixel" (an output in the middle of `factor` inputs) or "aligned" (output n on
            input n * factor).

    Attributes:
        context: (left, right): output n depends on the samples n * factor - left ...
            n * factor + right only.

    Input shape: (batch, time, channels). Output shape: (batch, ceil(time / factor), channels).

    Raises:
        ValueError: a factor below 1, an unknown grid, an input known to have no samples.

    Source: Lee et al., "BigVGAN", 2023, section 3.2.

    >>> import numpy as np
    >>> print(np.ravel(Decimate1D(2)(np.ones((1, 5, 1)))).round(4))
    [1. 1. 1.]
    >>> fast = np.cos(np.pi * np.arange(41)).reshape(1, 41, 1)  # at half the old rate
    >>> print(abs(np.ravel(Decimate1D(2)(fast))[10]) < 1e-6)
    True
    """

    def __init__(self, factor: int, grid: str = "half_pixel", **kwargs):
        super().__init__(**kwargs)
        self.factor = integer("factor", factor)
        self.grid = one_of("grid", grid, GRIDS)
        self.taps = kaiser_low_pass(self.factor, grid)
        self.built = True  # It has no weights.

    @property
    def context(self) -> tuple[int, int]:
        delay = self.factor - 1 if self.grid == "half_pixel" else 0
        left = (len(self.taps) - 1 - delay) // 2
        return left, len(self.taps) - 1 - left

    def call(self, inputs):
        x = hold_ends(inputs, *self.context)
        # Depthwise kernels are (tap, channel, multiplier).
        kernel = ops.convert_to_tensor(self.taps[:, None, None], self.compute_dtype)
        kernel = ops.repeat(kernel, ops.shape(inputs)[-1], axis=1)
        return ops.depthwise_conv(
            x, kernel, strides=self.factor, padding="valid", data_format="channels_last"
        )

    def compute_mask(self, inputs, previous_mask):
        return mask_per_block(previous_mask, self.factor)

    def compute_output_shape(self, input_shape):
        batch, time, channels = input_shape
        return batch, None if time is None else -(-time // self.factor), channels

    def get_config(self):
        return {**super().get_config(), "factor": self.factor, "grid": self.grid}
