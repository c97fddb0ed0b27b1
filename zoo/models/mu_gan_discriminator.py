"""MU-GAN's discriminator, which tells real patches from super-resolved ones.

Source: "Adversarial Audio Super-Resolution with Unsupervised Feature Losses", section 3; its widths
are ASSUMED.
"""

import keras
from keras import layers

from tonezoo.layers import Superpixel1D
from tonezoo.models.base import divide_widths
from tonezoo.models.mu_gan import PAPER, multiscale
from tonezoo.registry import ModelEntry


@keras.saving.register_keras_serializable(package="tonezoo")
class MuGanDiscriminator(keras.Model):
    """Tells real high-rate patches of one fixed length from super-resolved ones; gives the logit.

    A multiscale stem with LeakyReLU and no batch norm, seven blocks of multiscale convolution,
    batch norm, dropout, LeakyReLU and superpixel, then two fully connected layers. The paper ends
    in a sigmoid: apply `keras.ops.sigmoid` for the probability; training takes the logit, whose
    cross-entropy is numerically safe.

    Args:
        segment_samples: patch length, a multiple of 2 ** number of blocks.
        stem_filters: filters of the stem, a multiple of 8.
        block_filters: filters of the blocks, multiples of 8.
        dense_units: units of the fully connected layer.
        dropout: dropout rate.
        synchronized: True to take batch-norm statistics over all replicas of a distribution
            strategy, without which training on several devices differs from one. On the JAX
            backend they are global anyway.

    Input: (batch, segment_samples, 1). Output: (batch, 1).

    Raises:
        ValueError: a patch of another length, or one that the blocks cannot halve.

    Source: "Adversarial Audio Super-Resolution with Unsupervised Feature Losses", section 3.

    Example:

    >>> import numpy as np
    >>> discriminator = MuGanDiscriminator(
    ...     segment_samples=64, stem_filters=8, block_filters=(8, 8), dense_units=4
    ... )
    >>> discriminator(np.zeros((2, 64, 1), "float32")).shape
    TensorShape([2, 1])
    """

    def __init__(
        self,
        *,
        segment_samples: int = 8192,
        stem_filters: int = 64,
        block_filters: tuple[int, ...] = (64, 64, 128, 128, 256, 256, 256),
        dense_units: int = 128,
        dropout: float = 0.2,
        synchronized: bool = True,
        **kwargs,
    ):
        super().__init__(**kwargs)
        multiple = 2 ** len(block_filters)
        if segment_samples < multiple or segment_samples % multiple:
            raise ValueError(
                f"segment_samples must be a multiple of {multiple} (2 to the number of blocks), "
                f"but is {segment_samples}."
            )
        self.segment_samples = segment_samples
        self.stem_filters = stem_filters
        self.block_filters = tuple(block_filters)
        self.dense_units = dense_units
        self.dropout = dropout
        self.synchronized = synchronized
        dtype = self.dtype_policy
        self.stem = keras.Sequential(
            [multiscale(stem_filters, dtype=dtype), layers.LeakyReLU(0.2, dtype=dtype)]
        )
        self.blocks = [self._block(filters, dtype) for filters in block_filters]
        self.head = keras.Sequential(
            [
                layers.Flatten(data_format="channels_last", dtype=dtype),
                layers.Dense(dense_units, dtype=dtype),
                layers.Dropout(dropout, dtype=dtype),
                layers.LeakyReLU(0.2, dtype=dtype),
                layers.Dense(1, dtype=self.variable_dtype),
            ]
        )

    def _block(self, filters: int, dtype) -> keras.Sequential:
        synchronized = self.synchronized and keras.backend.backend() == "tensorflow"
        return keras.Sequential(
            [
                multiscale(filters, dtype=dtype),
                layers.BatchNormalization(synchronized=synchronized, dtype=dtype),
                layers.Dropout(self.dropout, dtype=dtype),
                layers.LeakyReLU(0.2, dtype=dtype),
                Superpixel1D(2, dtype=dtype),
            ]
        )

    def build(self, input_shape):
        if self.built:
            return
        shape = (input_shape[0], self.segment_samples, 1)
        for part in (self.stem, *self.blocks, self.head):
            part.build(shape)
            shape = part.compute_output_shape(shape)
        self.built = True

    def call(self, waveform, training=False):
        if tuple(waveform.shape[1:]) != (self.segment_samples, 1):
            raise ValueError(
                f"This discriminator takes patches (batch, {self.segment_samples}, 1), but got "
                f"{tuple(waveform.shape)}. Crop the patch, or build one with another "
                "segment_samples."
            )
        x = waveform
        for part in (self.stem, *self.blocks, self.head):
            x = part(x, training=training)
        return x

    def compute_output_shape(self, input_shape):
        return (input_shape[0], 1)

    def get_config(self):
        return {
            **super().get_config(),
            "segment_samples": self.segment_samples,
            "stem_filters": self.stem_filters,
            "block_filters": self.block_filters,
            "dense_units": self.dense_units,
            "dropout": self.dropout,
            "synchronized": self.synchronized,
        }


FULL = {
    "stem_filters": 64,
    "block_filters": (64, 64, 128, 128, 256, 256, 256),
    "dense_units": 128,
}

PRESETS = {
    "full": FULL,
    "half": divide_widths(2, **FULL),
    "quarter": divide_widths(4, **FULL),
    "tiny": {"stem_filters": 8, "block_filters": (8, 16), "dense_units": 4},
}

ENTRY = ModelEntry(
    name="mu_gan_discriminator",
    model=MuGanDiscriminator,
    presets=PRESETS,
    parameters={"full": 11_205_697, "half": 2_803_233, "quarter": 701_713, "tiny": 268_185},
    paper_presets=("full",),
    sample_rate_hz=16_000,
    source=PAPER,
)
