"""Periodic shuffle: channels to time."""

import keras

from tonezoo.arguments import integer
from tonezoo.layers.masks import mask_per_output
from tonezoo.layers.shuffle import channels_to_time
from tonezoo.layers.signal_layer import SignalLayer


@keras.saving.register_keras_serializable(package="tonezoo")
class Subpixel1D(SignalLayer):
    """Periodic shuffle: turns groups of channels into consecutive samples.

    y[n * factor + p, f] = x[n, p * F + f], with F = channels / factor: phase-major, so that the
    shuffle is a plain reshape.

    Args:
        factor: integer >= 1, output samples per input sample.

    Input shape: (batch, time, channels). Output shape:
    (batch, time * factor, channels / factor).

    Raises:
        ValueError: the channels are no multiple of the factor; factor below 1; an input known to
            have no samples.

    Source: Shi et al., "Real-time single image and video super-resolution using an efficient
    sub-pixel convolutional neural network", 2016, section 3.2.

    >>> import numpy as np
    >>> x = np.array([[[1, 2, 10, 20], [3, 4, 30, 40]]])
    >>> print(np.array(Subpixel1D(2)(x))[0].astype(int).tolist())
    [[1, 2], [10, 20], [3, 4], [30, 40]]
    """

    def __init__(self, factor: int, **kwargs):
        super().__init__(**kwargs)
        self.factor = integer("factor", factor)
        self.built = True  # It has no weights.

    def call(self, inputs):
        self._output_channels(inputs.shape[-1])
        return channels_to_time(inputs, self.factor)

    def compute_mask(self, inputs, previous_mask):
        return mask_per_output(previous_mask, self.factor)

    def compute_output_shape(self, input_shape):
        batch, time, channels = input_shape
        time = None if time is None else time * self.factor
        return batch, time, self._output_channels(channels)

    def get_config(self):
        return {**super().get_config(), "factor": self.factor}

    def _output_channels(self, channels):
        if channels % self.factor:
            raise ValueError(
                f"Subpixel1D(factor={self.factor}) needs a number of channels that is a multiple "
                f"of its factor. Received: {channels} channels; give the layer before it "
                f"factor * F filters"
            )
        return channels // self.factor
