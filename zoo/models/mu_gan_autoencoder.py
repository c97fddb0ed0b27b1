"""MU-GAN's autoencoder, whose code is the feature of the unsupervised feature loss.

Source: "Adversarial Audio Super-Resolution with Unsupervised Feature Losses", section 3.
"""

import keras
from keras import ops

from tonezoo.models.base import check_waveform, divide_widths, pad_to_multiple
from tonezoo.models.mu_gan import L4, PAPER, TINY, DownBlock, UpBlock, check_widths, final_conv
from tonezoo.registry import ModelEntry


@keras.saving.register_keras_serializable(package="tonezoo")
class MuGanAutoencoder(keras.Model):
    """The generator without stacking and additive skip; its code is the feature phi.

    Trained alone to reproduce high-rate patches (mean squared error), then frozen: the feature loss
    compares phi(target) with phi(estimate).

    Args:
        down_filters: filters of the D-blocks, multiples of 8.
        up_filters: filters of the U-blocks, as many.
        dropout: dropout rate of the U-blocks.

    Input: (batch, time, 1), high rate, any time of at least 1. Output: the same shape.
    `features(x)` gives phi, (batch, ceil(time / 2 ** L), 2 * last filters).

    Source: "Adversarial Audio Super-Resolution with Unsupervised Feature Losses", section 3.

    Example:

    >>> import numpy as np
    >>> autoencoder = MuGanAutoencoder(down_filters=(8, 8), up_filters=(16, 8))
    >>> autoencoder.features(np.zeros((1, 64, 1), "float32")).shape
    TensorShape([1, 16, 16])
    """

    def __init__(
        self,
        *,
        down_filters: tuple[int, ...],
        up_filters: tuple[int, ...],
        dropout: float = 0.2,
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_widths(down_filters, up_filters)
        self.down_filters = tuple(down_filters)
        self.up_filters = tuple(up_filters)
        self.dropout = dropout
        dtype = self.dtype_policy
        self.down_blocks = [DownBlock(n, dtype=dtype) for n in down_filters]
        self.up_blocks = [UpBlock(n, dropout, dtype=dtype) for n in up_filters]
        self.final_conv = final_conv(dtype=dtype)

    def build(self, input_shape):
        if self.built:
            return
        shape = (input_shape[0], None, 1)
        for block in (*self.down_blocks, *self.up_blocks):
            block.build(shape)
            shape = block.compute_output_shape(shape)
        self.final_conv.build(shape)
        self.built = True

    def features(self, waveform):
        x = pad_to_multiple(ops.cast(waveform, self.compute_dtype), 2 ** len(self.down_blocks))
        for block in self.down_blocks:
            x = block(x)
        return x

    def call(self, waveform, training=False):
        check_waveform(self, waveform.shape)
        x = self.features(waveform)
        for block in self.up_blocks:
            x = block(x, training=training)
        return ops.cast(self.final_conv(x)[:, : ops.shape(waveform)[1]], self.variable_dtype)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {
            **super().get_config(),
            "down_filters": self.down_filters,
            "up_filters": self.up_filters,
            "dropout": self.dropout,
        }


PRESETS = {
    "full": L4,
    "half": divide_widths(2, **L4),
    "quarter": divide_widths(4, **L4),
    "tiny": TINY,
}

ENTRY = ModelEntry(
    name="mu_gan_autoencoder",
    model=MuGanAutoencoder,
    presets=PRESETS,
    parameters={"full": 12_393_409, "half": 3_100_129, "quarter": 775_921, "tiny": 16_601},
    paper_presets=("full",),
    sample_rate_hz=16_000,
    source=PAPER,
)
