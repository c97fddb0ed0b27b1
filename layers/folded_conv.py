"""A long convolution computed at a lower rate, on samples folded into channels."""

from collections.abc import Sequence

import keras
import numpy as np
from keras import ops

from tonezoo.arguments import integer
from tonezoo.layers.shuffle import channels_to_time, time_to_channels
from tonezoo.layers.signal_layer import SignalConvolution, convolve


@keras.saving.register_keras_serializable(package="tonezoo")
class FoldedConv1D(SignalConvolution, keras.layers.Conv1D):
    """The function of a "same" `keras.layers.Conv1D`, computed on blocks of samples.

    `fold` successive samples become one with `fold` times the channels (superpixel), a kernel of
    ceil((K - 1) / 2 / fold) + ceil(K // 2 / fold) + 1 taps is arranged from the K taps, and the
    output is shuffled back: the polyphase identity of the upsampling layers with equal rates. The
    operation count grows by about fold / K, but few filters with many taps become a matrix product
    of a useful width: on a CPU convolutions of 81 taps to few filters are several times faster
    (benchmarks/mu_gan.py times the generator with and without).

    Args:
        filters: integer >= 1, output channels.
        kernel_size: integer >= 1, or a tuple of one, taps K.
        fold: integer >= 1, samples of a block; None for the one measured fastest: 8 from 64 taps
            on, 4 from 16 taps on, else 1, which is the plain convolution.
        **kwargs: of `keras.layers.Conv1D`: activation, use_bias, initializers, regularizers and
            constraints; strides, dilation_rate and groups must stay 1 and padding "same".

    Input shape: (batch, time, channels). Output shape: (batch, time, filters).

    Raises:
        ValueError: strides, dilation, groups or padding that folding does not offer; filters,
            kernel_size or fold below 1; an input known to have no samples.

    >>> import numpy as np
    >>> x = np.ones((1, 10, 1), "float32")
    >>> layer = FoldedConv1D(1, 5, fold=4, kernel_initializer="ones")
    >>> print(np.ravel(layer(x)))
    [3. 4. 5. 5. 5. 5. 5. 5. 4. 3.]
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int | Sequence[int],
        fold: int | None = None,
        **kwargs,
    ):
        super().__init__(filters, kernel_size, **kwargs)
        (taps,) = self.kernel_size
        self.fold = default_fold(taps) if fold is None else integer("fold", fold)
        self.before = -(-((taps - 1) // 2) // self.fold)
        self.after = -(-(taps // 2) // self.fold)

    def call(self, inputs):
        if self.fold == 1:
            return super().call(inputs)
        blocks = time_to_channels(inputs, self.fold)
        blocks = ops.pad(blocks, ((0, 0), (self.before, self.after), (0, 0)))
        bias = ops.tile(self.bias, (self.fold,)) if self.use_bias else None
        outputs = convolve(blocks, self._folded(self.kernel), bias)
        # The last block may reach beyond the signal.
        outputs = channels_to_time(outputs, self.fold)[:, : ops.shape(inputs)[1]]
        return outputs if self.activation is None else self.activation(outputs)

    def _folded(self, kernel):
        """Returns the kernel on blocks, (tap, fold * channels, fold * filters)."""
        taps, channels, filters = kernel.shape
        tap = np.arange(self.before + self.after + 1)[:, None, None] - self.before
        sample, phase = np.arange(self.fold)[:, None], np.arange(self.fold)
        index = tap * self.fold + sample - phase + (taps - 1) // 2
        # Where a block reaches beyond the kernel, it takes the zeros that are put at its end.
        index = np.where((index >= 0) & (index < taps), index, taps)
        kernel = ops.pad(kernel, ((0, 1), (0, 0), (0, 0)))
        # (tap, sample, phase, channel, filter) -> (tap, sample * channel, phase * filter)
        folded = ops.transpose(ops.take(kernel, index, axis=0), (0, 1, 3, 2, 4))
        return ops.reshape(folded, (len(tap), self.fold * channels, self.fold * filters))

    def get_config(self):
        return {**super().get_config(), "fold": self.fold}


def default_fold(taps: int) -> int:
    """Returns the block length that `FoldedConv1D` uses for a kernel of `taps` taps."""
    return 8 if taps >= 64 else 4 if taps >= 16 else 1
