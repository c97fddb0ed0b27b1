"""A ConvNeXt network on the short-time spectrum that makes up the band above its input's.

Ours: the blocks and the ending of Vocos, on the task of AP-BWE, added to an interpolation as MU-GAN
is. All of it works at the rate of the frames, so that a step of training costs a fraction of what a
U-net on the waveform costs.
"""

import keras
from keras import layers, ops

from tonezoo.layers import STFT1D, InverseSTFT1D
from tonezoo.layers.signal_layer import convolve
from tonezoo.models.base import SuperResolutionModel
from tonezoo.models.conv_next import KERNEL_SIZE, ConvNextBlock, layer_norm
from tonezoo.registry import ModelEntry

OVERLAP = 4
# Frames over which the level is taken that everything is relative to.
LEVEL_FRAMES = 9
# Added to powers, which it keeps from 0: -200 dB.
LEAST_POWER = 1e-20
MAGNITUDE_FLOOR = 1e-3
LARGEST_LOG_MAGNITUDE = 4.0
# Far below the level, so that an untrained model adds little.
FIRST_LOG_MAGNITUDE = -3.0
# A steep low-pass leaves a hundredth and less of what lies close to its end.
GAIN_SCALE = 8.0
# Bins that reach into the kept band, where the high-pass of the residual has its slope.
SHARE_OF_KEPT_BAND = 0.9


@keras.saving.register_keras_serializable(package="tonezoo")
class BandExtender(SuperResolutionModel):
    """ConvNeXt network on the short-time spectrum that makes up the band above its input's.

    Of the interpolated input the spectrum of the given band, relative to its level over 9 frames:
    real and imaginary parts and logarithms of the magnitudes. A convolution of 7 frames, layer
    norm, the blocks, layer norm; then for each bin above the given band a magnitude, exp(.) times
    the level, and a phase; where the two bands meet, and the low-pass of the low rate falls off,
    also a complex gain of what is there; the inverse transform; the interpolation added. As
    everything is relative to the level, the output is proportional to the input, and silence stays
    silence.

    Args:
        width: channels of the network.
        blocks: number of ConvNeXt blocks.
        expansion: see `ConvNextBlock`.
        window_samples: length of the transform's window at the high rate, 4 hops, a power of 2.
        ratio: upsampling ratio R, 2 or more.
        dropout: dropout rate in the blocks.
        sample_rate_hz, interpolation, keep_below: see `SuperResolutionModel`.

    Inputs: `waveform` (batch, time, 1), low rate, any time of at least 1; optional `lengths`
    (batch,). Output: (batch, ratio * time, 1).

    Raises:
        ValueError: a window that is no power of 2 of at least 8.

    Source: ours, after H. Siuzdak, "Vocos: Closing the gap between time-domain and Fourier-based
    neural vocoders" (2023), and Y.-X. Lu et al., "Towards High-Quality and Efficient Speech
    Bandwidth Extension with Parallel Amplitude and Phase Prediction" (2024).

    Example:

    >>> import numpy as np
    >>> extender = BandExtender(width=8, blocks=1, window_samples=32, ratio=2)
    >>> extender(np.zeros((1, 33, 1), "float32")).shape
    TensorShape([1, 66, 1])
    """

    def __init__(
        self,
        *,
        width: int = 192,
        blocks: int = 8,
        expansion: int = 3,
        window_samples: int = 512,
        ratio: int = 4,
        dropout: float = 0.0,
        sample_rate_hz: int = 16_000,
        interpolation: str = "sinc",
        keep_below: float = 0.8,
        **kwargs,
    ):
        hop_samples = window_samples // OVERLAP
        if window_samples < 8 or window_samples & (window_samples - 1):
            raise ValueError(
                f"window_samples must be a power of 2 of at least 8, but is {window_samples!r}."
            )
        super().__init__(
            hop_samples.bit_length() - 1,
            ratio=ratio,
            sample_rate_hz=sample_rate_hz,
            interpolation=interpolation,
            keep_below=keep_below,
            **kwargs,
        )
        self.width = width
        self.expansion = expansion
        self.window_samples = window_samples
        self.hop_samples = hop_samples
        self.dropout_rate = dropout
        dtype = self.dtype_policy
        # Levels range over more than float16 holds.
        audio_dtype = self.variable_dtype
        self.stft = STFT1D(window_samples, hop_samples, dtype=audio_dtype)
        self.inverse_stft = InverseSTFT1D(window_samples, hop_samples, dtype=audio_dtype)
        nyquist = window_samples // 2
        self.low_bins = min(nyquist // ratio + 2, nyquist + 1)
        self.first_made_up = int(SHARE_OF_KEPT_BAND * keep_below * nyquist / ratio)
        made_up = self.stft.bins - self.first_made_up
        self.first = layers.Conv1D(
            width, KERNEL_SIZE, padding="same", data_format="channels_last", dtype=dtype
        )
        self.first_norm = layer_norm(dtype)
        self.blocks = [ConvNextBlock(expansion, dropout, dtype=dtype) for _ in range(blocks)]
        self.last_norm = layer_norm(dtype)
        self.magnitudes = layers.Dense(
            made_up,
            kernel_initializer=keras.initializers.RandomNormal(stddev=1e-2),
            bias_initializer=keras.initializers.Constant(FIRST_LOG_MAGNITUDE),
            dtype=audio_dtype,
        )
        self.phases = layers.Dense(made_up, dtype=audio_dtype)
        self.gains = layers.Dense(
            2 * (self.low_bins - self.first_made_up),
            kernel_initializer="zeros",
            dtype=audio_dtype,
        )

    @property
    def span_samples(self) -> int:
        convolutions = (len(self.blocks) + 1) * (KERNEL_SIZE - 1)
        frames = convolutions + LEVEL_FRAMES - 1
        return frames * self.hop_samples + 2 * self.window_samples

    def build_residual(self, shape):
        self.first.build((shape[0], None, 3 * self.low_bins))
        shape = (shape[0], None, self.width)
        ends = (self.magnitudes, self.phases, self.gains)
        for layer in (self.first_norm, *self.blocks, self.last_norm, *ends):
            layer.build(shape)

    def residual(self, x, mask, training):
        def zeroed(frames):
            return mask.zero_padding(frames, spacing=self.hop_samples)

        spectrum = zeroed(self.stft(x))
        real = spectrum[:, :, : self.low_bins]
        imaginary = spectrum[:, :, self.stft.bins : self.stft.bins + self.low_bins]
        power = ops.square(real) + ops.square(imaginary)
        level = level_of(power)
        magnitude = ops.sqrt(power + LEAST_POWER) / level
        y = ops.concatenate(
            [real / level, imaginary / level, ops.log(magnitude + MAGNITUDE_FLOOR)], axis=-1
        )
        y = self.first_norm(self.first(zeroed(y)))
        for block in self.blocks:
            y = block(zeroed(y), training=training)
        y = self.last_norm(y)
        magnitude = level * ops.exp(ops.minimum(self.magnitudes(y), LARGEST_LOG_MAGNITUDE))
        phase = self.phases(y)
        gain = ops.split(GAIN_SCALE * self.gains(y), 2, axis=-1)
        meeting = gain[0].shape[-1]
        given = [part[:, :, self.first_made_up :] for part in (real, imaginary)]
        restored = (
            given[0] * gain[0] - given[1] * gain[1],
            given[1] * gain[0] + given[0] * gain[1],
        )
        parts = []
        for made_up, part in zip((ops.cos(phase), ops.sin(phase)), restored, strict=True):
            above = magnitude.shape[-1] - meeting
            part = magnitude * made_up + ops.pad(part, ((0, 0), (0, 0), (0, above)))
            parts.append(ops.pad(part, ((0, 0), (0, 0), (self.first_made_up, 0))))
        return self.inverse_stft(zeroed(ops.concatenate(parts, axis=-1)))

    def get_config(self):
        return {
            **super().get_config(),
            "width": self.width,
            "blocks": len(self.blocks),
            "expansion": self.expansion,
            "window_samples": self.window_samples,
            "dropout": self.dropout_rate,
        }


def level_of(power):
    """Returns the root of the mean power over bins and 9 frames, (batch, frames, 1)."""
    kernel = ops.full((LEVEL_FRAMES, 1, 1), 1 / LEVEL_FRAMES, power.dtype)
    mean = convolve(ops.mean(power, axis=-1, keepdims=True), kernel, padding="same")
    return ops.sqrt(mean + LEAST_POWER)


PRESETS = {
    "small": {},
    "tiny": {"width": 8, "blocks": 2, "window_samples": 64},
}

ENTRY = ModelEntry(
    name="band_extender",
    model=BandExtender,
    presets=PRESETS,
    parameters={"small": 2_148_750, "tiny": 3_322},
    sample_rate_hz=16_000,
    ratios=(2, 4, 6),
    source="ours, after Vocos and AP-BWE",
)
