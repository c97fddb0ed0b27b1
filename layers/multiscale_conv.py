"""Parallel convolutions of several kernel lengths."""

import keras
from keras import initializers, ops

from tonezoo.layers.checks import integer, not_empty
from tonezoo.layers.folded_conv import FoldedConv1D


@keras.saving.register_keras_serializable(package="tonezoo")
class MultiscaleConv1D(keras.layers.Layer):
    """Convolves with several kernel lengths in parallel and concatenates the outputs.

    Branch i is a "same" convolution with kernel_sizes[i] taps and
    filters * split[i] / sum(split) filters, a `FoldedConv1D` where the stride is 1.

    Args:
        filters: integer >= 1, output channels of all branches together; a multiple of sum(split).
        kernel_sizes: taps of the branches.
        split: relative numbers of filters of the branches.
        strides: integer >= 1, decimation factor.
        use_bias: whether to add a bias per filter.
        kernel_initializer: initializer of each branch's kernel.
        bias_initializer: initializer of each branch's bias.

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
        filters,
        kernel_sizes=(3, 9, 27, 81),
        split=(3, 3, 1, 1),
        strides=1,
        use_bias=True,
        kernel_initializer="glorot_uniform",
        bias_initializer="zeros",
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.filters = integer("filters", filters)
        self.kernel_sizes = tuple(integer("kernel_sizes", size) for size in kernel_sizes)
        self.split = tuple(integer("split", share) for share in split)
        self.strides = integer("strides", strides)
        self.use_bias = use_bias
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self._check_split()
        self.branches = [
            _branch(
                self.filters * share // sum(self.split),
                size,
                self.strides,
                use_bias=use_bias,
                kernel_initializer=_copy(self.kernel_initializer),
                bias_initializer=_copy(self.bias_initializer),
                dtype=self.dtype_policy,
                name=f"conv_{size}",
            )
            for size, share in zip(self.kernel_sizes, self.split, strict=True)
        ]
        self.input_spec = keras.layers.InputSpec(ndim=3)

    def build(self, input_shape):
        not_empty(self, input_shape)
        for branch in self.branches:
            branch.build(input_shape)

    def call(self, inputs):
        return ops.concatenate([branch(inputs) for branch in self.branches], axis=-1)

    def compute_output_shape(self, input_shape):
        batch, time, _ = input_shape
        return batch, None if time is None else -(-time // self.strides), self.filters

    def get_config(self):
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel_sizes": self.kernel_sizes,
            "split": self.split,
            "strides": self.strides,
            "use_bias": self.use_bias,
            "kernel_initializer": initializers.serialize(self.kernel_initializer),
            "bias_initializer": initializers.serialize(self.bias_initializer),
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
    return keras.layers.Conv1D(filters, kernel_size, strides=strides, padding="same", **options)


def _copy(initializer):
    # An instance without a seed draws the same numbers at every call: branches would start alike.
    return initializer.clone() if isinstance(initializer, initializers.Initializer) else initializer
