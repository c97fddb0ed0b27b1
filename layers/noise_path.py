"""What filtered zero insertion adds above the band of its input."""

import keras
from keras import ops

from tonezoo.arguments import integer, one_integer
from tonezoo.audio.interpolation import kaiser_low_pass
from tonezoo.layers.interpolated_conv import InterpolatedConv1D
from tonezoo.layers.masks import mask_per_output
from tonezoo.layers.padding import hold_ends
from tonezoo.layers.signal_layer import SignalLayer


@keras.saving.register_keras_serializable(package="tonezoo")
class NoisePath1D(SignalLayer):
    """Fills the band above an interpolation's input with images of an early layer's output.

    Zeros are put between the samples of that output x0, a convolution colours the images, and a
    high-pass leaves what lies above the band that an upsampling by `last_factor` takes:

        y = high_pass(convolve(insert_zeros(x0, factor))),    high_pass(v) = v - low_pass(v),

    with `kaiser_low_pass(last_factor, "aligned")`. Filtered zero insertion is the sum of this path
    and of `Interpolate1D(last_factor, "kaiser")` of the layer's input, mixed by a convolution of
    one tap. The zero insertion has no gain here, since a convolution follows; in the interpolation
    it has the gain `last_factor`, which keeps the level (ASSUMED: the published one has none). The
    ends are held.

    Of a constant it makes lines at the multiples of the rate of x0 above the band, whatever its
    kernel is: it is a stretch behind a high-pass.

    Args:
        filters: integer >= 1, output channels.
        factor: integer >= 2, output samples per sample of x0: the product of all upsampling
            factors from there.
        last_factor: integer >= 2, the last of these.
        kernel_size: integer >= 1, or a tuple of one, taps at the high rate.
        kernel_initializer: of the kernel (kernel_size, channels, filters). There is no bias: the
            high-pass would take it out.

    Input shape: (batch, time, channels). Output shape: (batch, time * factor, filters).

    Raises:
        ValueError: an option out of its range, an input known to have no samples.

    Source: arXiv 2512.20211.

    >>> import numpy as np
    >>> from tonezoo.layers import Interpolate1D
    >>> x0 = np.zeros((1, 10, 8))  # the first layer's output
    >>> x = np.zeros((1, 40, 4))  # upsampled by 4 since
    >>> high = NoisePath1D(4, factor=8, last_factor=2)(x0)
    >>> y = keras.layers.Conv1D(2, 1)(Interpolate1D(2, "kaiser")(x) + high)
    >>> y.shape
    TensorShape([1, 80, 2])
    """

    def __init__(
        self,
        filters: int,
        factor: int,
        last_factor: int,
        kernel_size: int = 7,
        kernel_initializer="glorot_uniform",
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.factor = integer("factor", factor, least=2)
        self.last_factor = integer("last_factor", last_factor, least=2)
        if factor % last_factor:
            raise ValueError(
                "factor must be a multiple of last_factor, which is one of those that it is the "
                f"product of. Received: factor={factor}, last_factor={last_factor}"
            )
        self.conv = InterpolatedConv1D(
            filters,
            one_integer("kernel_size", kernel_size),
            factor,
            "stretch",
            use_bias=False,
            kernel_initializer=kernel_initializer,
            dtype=self.dtype_policy,
        )
        low_pass = kaiser_low_pass(self.last_factor, "aligned")
        self.high_pass = -low_pass
        self.high_pass[len(low_pass) // 2] += 1

    def build(self, input_shape):
        self.conv.build(input_shape)
        self.fix_channels(input_shape)

    def call(self, inputs):
        reach = len(self.high_pass) // 2
        y = hold_ends(self.conv(inputs), reach, reach)
        # Depthwise kernels are (tap, channel, multiplier).
        kernel = ops.convert_to_tensor(self.high_pass[:, None, None], self.compute_dtype)
        kernel = ops.repeat(kernel, self.conv.filters, axis=1)
        return ops.depthwise_conv(y, kernel, padding="valid", data_format="channels_last")

    def compute_mask(self, inputs, previous_mask):
        return mask_per_output(previous_mask, self.factor)

    def compute_output_shape(self, input_shape):
        return self.conv.compute_output_shape(input_shape)

    def get_config(self):
        return {
            **super().get_config(),
            "filters": self.conv.filters,
            "factor": self.factor,
            "last_factor": self.last_factor,
            "kernel_size": self.conv.kernel_size[0],
            "kernel_initializer": keras.initializers.serialize(self.conv.kernel_initializer),
        }
