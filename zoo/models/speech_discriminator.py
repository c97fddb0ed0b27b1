"""Discriminators of today's vocoders: periods of the waveform, and spectra at three resolutions.

Narrower than the published ones, and without their weight norm: for speech models of a million
parameters on processors.
"""

import keras
from keras import layers, ops

from tonezoo.layers import STFT1D
from tonezoo.models.base import divide_widths, pad_to_multiple
from tonezoo.registry import ModelEntry

SLOPE = 0.1
OVERLAP = 4
SMALLEST_POWER = 1e-9


@keras.saving.register_keras_serializable(package="tonezoo")
class SpeechDiscriminator(keras.Model):
    """Tells real waveforms from made-up ones, by their periods and by their spectra.

    For each period p the waveform is folded to (time / p, p), zeros at its end, and five
    convolutions of (5, 1), of which the first four have strides of 3, and one of (3, 1) look along
    the time. For each window the magnitudes of the short-time spectrum, hops of a quarter, go
    through five convolutions, the middle three of which halve the bins, and one of (3, 3). All are
    followed by LeakyReLU(0.1) but the last, whose outputs are the logits.

    Args:
        periods: in samples, primes.
        period_filters: of the five convolutions of each period.
        windows: in samples, multiples of 4.
        spectral_filters: of each convolution of a spectrum.

    Input: (batch, time, 1). Output: the mean logit of each period and window, (batch, periods +
    windows); `activations` gives the logits themselves and what lies before them.

    Source: J. Kong et al., "HiFi-GAN" (2020), section 2.3, at a part of its width; W. Jang et al.,
    "UnivNet" (2021), section 2.2.

    Example:

    >>> import numpy as np
    >>> discriminator = SpeechDiscriminator(
    ...     periods=(2, 3), period_filters=(2, 2, 4, 4, 4), windows=(64,), spectral_filters=2
    ... )
    >>> activations = discriminator.activations(np.zeros((2, 162, 1), "float32"))
    >>> len(activations), len(activations[0]), activations[0][-1].shape
    (3, 6, TensorShape([2, 1, 2, 1]))
    """

    def __init__(
        self,
        *,
        periods: tuple[int, ...] = (2, 3, 5, 7, 11),
        period_filters: tuple[int, ...] = (32, 128, 512, 1024, 1024),
        windows: tuple[int, ...] = (512, 1024, 2048),
        spectral_filters: int = 32,
        **kwargs,
    ):
        # The spectra stay in float32.
        super().__init__(autocast=False, **kwargs)
        self.periods = tuple(periods)
        self.period_filters = tuple(period_filters)
        self.windows = tuple(windows)
        self.spectral_filters = spectral_filters
        self.transforms = [
            STFT1D(size, size // OVERLAP, dtype=self.variable_dtype) for size in windows
        ]
        self.period_stacks = [self._period_stack() for _ in periods]
        self.spectral_stacks = [self._spectral_stack() for _ in windows]

    def _period_stack(self) -> list[layers.Conv2D]:
        strides = [3] * (len(self.period_filters) - 1) + [1]
        convolutions = [
            self._conv(filters, (5, 1), (stride, 1))
            for filters, stride in zip(self.period_filters, strides, strict=True)
        ]
        return [*convolutions, self._conv(1, (3, 1), (1, 1))]

    def _spectral_stack(self) -> list[layers.Conv2D]:
        filters = self.spectral_filters
        halving = [self._conv(filters, (3, 9), (1, 2)) for _ in range(3)]
        return [
            self._conv(filters, (3, 9), (1, 1)),
            *halving,
            self._conv(filters, (3, 3), (1, 1)),
            self._conv(1, (3, 3), (1, 1)),
        ]

    def _conv(self, filters, kernel_size, strides) -> layers.Conv2D:
        return layers.Conv2D(
            filters,
            kernel_size,
            strides,
            padding="same",
            data_format="channels_last",
            dtype=self.dtype_policy,
        )

    def build(self, input_shape):
        if self.built:
            return
        for stack in (*self.period_stacks, *self.spectral_stacks):
            channels = 1
            for layer in stack:
                layer.build((input_shape[0], None, None, channels))
                channels = layer.filters
        self.built = True

    def activations(self, waveform, training=False) -> list[list]:
        """Returns what each stack makes of (batch, time, 1), layer by layer, the logits last."""
        if len(waveform.shape) != 3 or waveform.shape[2] != 1 or waveform.shape[1] == 0:
            raise ValueError(
                "SpeechDiscriminator takes (batch, time, 1) with at least one sample, but got "
                f"{tuple(waveform.shape)}."
            )
        waveform = ops.cast(waveform, self.variable_dtype)
        batch = ops.shape(waveform)[0]
        pictures = []
        for period in self.periods:
            padded = pad_to_multiple(waveform, period)
            pictures.append(ops.reshape(padded, (batch, -1, period, 1)))
        for transform in self.transforms:
            power = transform.power(waveform[:, :, 0])
            pictures.append(ops.sqrt(power + SMALLEST_POWER)[:, :, :, None])
        stacks = (*self.period_stacks, *self.spectral_stacks)
        return [_through(stack, x) for stack, x in zip(stacks, pictures, strict=True)]

    def call(self, waveform, training=False):
        logits = [stack[-1] for stack in self.activations(waveform)]
        means = [ops.mean(ops.cast(part, self.variable_dtype), axis=(1, 2, 3)) for part in logits]
        return ops.stack(means, axis=1)

    def compute_output_shape(self, input_shape):
        return (input_shape[0], len(self.periods) + len(self.windows))

    def get_config(self):
        return {
            **super().get_config(),
            "periods": self.periods,
            "period_filters": self.period_filters,
            "windows": self.windows,
            "spectral_filters": self.spectral_filters,
        }


def _through(stack: list, x) -> list:
    activations = []
    for layer in stack[:-1]:
        x = ops.leaky_relu(layer(x), SLOPE)
        activations.append(x)
    return [*activations, stack[-1](x)]


FULL = {"period_filters": (32, 128, 512, 1024, 1024), "spectral_filters": 32}

PRESETS = {
    "full": FULL,
    "quarter": divide_widths(4, **FULL),
    "eighth": {**divide_widths(8, **FULL), "spectral_filters": 8},
    "tiny": {
        "periods": (2, 3),
        "period_filters": (2, 2, 4, 4, 4),
        "windows": (64,),
        "spectral_filters": 2,
    },
}

ENTRY = ModelEntry(
    name="speech_discriminator",
    model=SpeechDiscriminator,
    presets=PRESETS,
    parameters={"full": 41_372_584, "quarter": 2_592_112, "eighth": 663_592, "tiny": 961},
    paper_presets=("full",),
    sample_rate_hz=16_000,
    source="Kong et al. 2020, HiFi-GAN; Jang et al. 2021, UnivNet",
)
