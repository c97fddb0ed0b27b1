"""Parallel convolutions of several kernel lengths."""

from collections.abc import Sequence

import keras
from keras import activations, ops

from tonezoo.arguments import integer, one_integer
from tonezoo.layers.folded_conv import FoldedConv1D
from tonezoo.layers.initializers import fresh
from tonezoo.layers.masks import mask_per_block
from tonezoo.layers.signal_layer import SignalLayer

BRANCH_OPTIONS = (
    "use_bias",
    "kernel_initializer",
    "bias_initializer",
    "kernel_regularizer",
    "bias_regularizer",
    "kernel_constraint",
    "bias_constraint",
)


@keras.saving.register_keras_serializable(package="tonezoo")
class MultiscaleConv1D(SignalLayer):
    """Convolves with several kernel lengths in parallel and concatenates the outputs.

    Branch i is a "same" convolution with kernel_sizes[i] taps and
    filters * split[i] / sum(split) filters, a `FoldedConv1D` where the stride is 1.

    Args:
        filters: integer >= 1, output channels of all branches together; a multiple of sum(split).
        kernel_sizes: taps of the branches.
        split: relative numbers of filters of the branches.
        strides: integer >= 1, or a tuple of one, decimation factor. With a mask, an output sample
            is valid if any of the `strides` samples from n * strides on is.
        activation: of the concatenated outputs.
        **kwargs: of `keras.layers.Conv1D`, for every branch: use_bias, initializers, regularizers
            and constraints.

    Input shape: (batch, time, channels). Output shape: (batch, ceil(time / strides), filters).

    Raises:
        ValueError: filters is no multiple of sum(split); kernel_sizes and split differ in length
            or are empty; a number below 1; an input known to have no samples.

    Source: kernel lengths: "Adversarial Audio Super-Resolution with Unsupervised Feature Losses",
    multiscale convolution; the split 3:3:1:1 is taken from re-implementations of it.

    >>> import numpy as np
    >>> layer = MultiscaleConv1D(16)
    >>> print(layer(np.zeros((1, 5, 2))).shape, [conv.filters for conv in layer.branches])
    (1, 5, 16) [6, 6, 2, 2]
    """

    def __init__(
        self,
        filters: int,
        kernel_sizes: Sequence[int] = (3, 9, 27, 81),
        split: Sequence[int] = (3, 3, 1, 1),
        strides: int | Sequence[int] = 1,
        activation=None,
        **kwargs,
    ):
        options = {name: kwargs.pop(name) for name in BRANCH_OPTIONS if name in kwargs}
        super().__init__(**kwargs)
        self.filters = integer("filters", filters)
        self.kernel_sizes = tuple(integer("kernel_sizes", size) for size in kernel_sizes)
        self.split = tuple(integer("split", share) for share in split)
        self.strides = one_integer("strides", strides)
        self.activation = activations.get(activation)
        self._check_split()
        self.branches = [
            _branch(
                self.filters * share // sum(self.split),
                size,
                self.strides,
                dtype=self.dtype_policy,
                name=f"conv_{size}",
                **{name: fresh(option) for name, option in options.items()},
            )
            for size, share in zip(self.kernel_sizes, self.split, strict=True)
        ]

    def build(self, input_shape):
        self.fix_channels(input_shape)
        for branch in self.branches:
            branch.build(input_shape)

    def call(self, inputs):
        y = ops.concatenate([branch(inputs) for branch in self.branches], axis=-1)
        return y if self.activation is None else self.activation(y)

    def compute_mask(self, inputs, previous_mask):
        return mask_per_block(previous_mask, self.strides)

    def compute_output_shape(self, input_shape):
        batch, time, _ = input_shape
        return batch, None if time is None else -(-time // self.strides), self.filters

    def get_config(self):
        branch = self.branches[0].get_config()
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel_sizes": self.kernel_sizes,
            "split": self.split,
            "strides": self.strides,
            "activation": activations.serialize(self.activation),
            **{name: branch[name] for name in BRANCH_OPTIONS},
        }

    def _check_split(self):
        if not self.split or len(self.split) != len(self.kernel_sizes):
            raise ValueError(
                "kernel_sizes and split need one entry per branch, and at least one branch. "
                f"Received: kernel_sizes={self.kernel_sizes}, split={self.split}"
            )
        if self.filters % sum(self.split):
            raise ValueError(
                f"filters must be a multiple of sum(split)={sum(self.split)}, so that the branches "
                f"share them exactly. Received: filters={self.filters}, split={self.split}"
            )


def _branch(filters, kernel_size, strides, **options):
    if strides == 1:
        return FoldedConv1D(filters, kernel_size, **options)
    conv = keras.layers.Conv1D(
        filters,
        kernel_size,
        strides=strides,
        padding="same",
        data_format="channels_last",
        **options,
    )
    conv.supports_masking = True  # Without it Keras warns of the mask that all branches share.
    return conv
