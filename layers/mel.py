"""The mel spectrogram that vocoders start from, as a layer."""

import keras
import numpy as np
from keras import ops

from tonezoo.arguments import integer
from tonezoo.layers.masks import mask_per_block
from tonezoo.layers.padding import reflect_ends
from tonezoo.layers.short_time import STFT1D
from tonezoo.layers.signal_layer import SignalLayer

# Slaney's scale: linear up to 1000 Hz, 15 mel; logarithmic above, 27 mel for a factor of 6.4.
LINEAR_HZ_PER_MEL = 200 / 3
LOGARITHMIC_FROM_HZ = 1000.0
LOGARITHMIC_FROM_MEL = LOGARITHMIC_FROM_HZ / LINEAR_HZ_PER_MEL
LOG_PER_MEL = np.log(6.4) / 27
LEAST_MAGNITUDE = 1e-5
# Of a bin: far below that of a band, and of a root whose gradient is finite.
LEAST_POWER = 1e-16


@keras.saving.register_keras_serializable(package="tonezoo")
class MelSpectrogram1D(SignalLayer):
    """Logarithm of the magnitudes of a signal in mel bands: log10(max(1e-5, M |STFT|)).

    A periodic Hann window, without scale; triangles M on Slaney's mel scale, each of area 1, as
    librosa's default. Frame n is centred on the n-th hop, so that ceil(T / hop) frames come out;
    beyond both ends the signal is mirrored. It computes in float32 at least. With a mask, a frame
    is valid if any sample of its hop is.

    Args:
        bands: number of mel bands.
        window_samples: of the transform, an integer multiple of the hop, 3 hops or more.
        hop_samples: samples from a frame to the next.
        sample_rate_hz: rate of the signal.
        lowest_hz, highest_hz: edges of the lowest and the highest band; None for half the rate.

    Input shape: (batch, time, 1). Output shape: (batch, ceil(time / hop_samples), bands).

    Raises:
        ValueError: a window that is no multiple of the hop; edges out of order, or above half the
            rate; so many bands that one of them holds no bin; an input known to have no samples, or
            more than one channel.

    Source: Kumar et al., "MelGAN", 2019, whose published code these defaults are of.

    >>> import numpy as np
    >>> x = np.sin(2 * np.pi * 440 / 22_050 * np.arange(4096)).reshape(1, -1, 1)
    >>> mel = np.array(MelSpectrogram1D()(x))
    >>> print(mel.shape, mel[0, 8].argmax())
    (1, 16, 80) 10
    """

    def __init__(
        self,
        bands: int = 80,
        window_samples: int = 1024,
        hop_samples: int = 256,
        sample_rate_hz: int = 22_050,
        lowest_hz: float = 0.0,
        highest_hz: float | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.bands = integer("bands", bands)
        self.sample_rate_hz = integer("sample_rate_hz", sample_rate_hz)
        self.lowest_hz, self.highest_hz = lowest_hz, highest_hz
        self.stft = STFT1D(window_samples, hop_samples, dtype=self.variable_dtype)
        self.filters = mel_filters(
            bands, self.stft.bins, self.sample_rate_hz, lowest_hz, highest_hz
        )
        self.built = True  # It has no weights.

    def call(self, inputs):
        x = ops.cast(inputs, keras.backend.result_type(inputs.dtype, "float32"))
        self.stft.check_channels(x.shape, 1)
        hop, window = self.stft.hop_samples, self.stft.window_samples
        # Whole hops, and as many of the mirrored signal as the windows reach into.
        beyond = -(-(window - hop) // 2 // hop)
        missing = -ops.shape(x)[1] % hop
        x = reflect_ends(x, beyond * hop, beyond * hop + missing)
        frames = ops.shape(x)[1] // hop - 2 * beyond
        power = self.stft.power(x[:, :, 0])[:, beyond : beyond + frames] * (window / 4) ** 2
        magnitudes = ops.sqrt(ops.maximum(power, LEAST_POWER))
        mel = ops.matmul(magnitudes, ops.convert_to_tensor(self.filters, magnitudes.dtype))
        return ops.cast(ops.log10(ops.maximum(mel, LEAST_MAGNITUDE)), self.compute_dtype)

    def compute_mask(self, inputs, previous_mask):
        return mask_per_block(previous_mask, self.stft.hop_samples)

    def compute_output_shape(self, input_shape):
        batch, time, _ = input_shape
        frames = None if time is None else -(-time // self.stft.hop_samples)
        return batch, frames, self.bands

    def get_config(self):
        return {
            **super().get_config(),
            "bands": self.bands,
            "window_samples": self.stft.window_samples,
            "hop_samples": self.stft.hop_samples,
            "sample_rate_hz": self.sample_rate_hz,
            "lowest_hz": self.lowest_hz,
            "highest_hz": self.highest_hz,
        }


def mel_filters(
    bands: int,
    bins: int,
    sample_rate_hz: int,
    lowest_hz: float = 0.0,
    highest_hz: float | None = None,
) -> np.ndarray:
    """Returns triangles of area 1 Hz over equal steps of Slaney's mel scale, (bin, band).

    Raises:
        ValueError: edges out of order, or above half the rate; a band that holds no bin.

    >>> mel_filters(2, 5, 8000).round(5).T.tolist()
    [[0.0, 0.00088, 0.0, 0.0, 0.0], [0.0, 0.00014, 0.00056, 0.00028, 0.0]]
    """
    nyquist_hz = sample_rate_hz / 2
    highest_hz = nyquist_hz if highest_hz is None else highest_hz
    if not 0 <= lowest_hz < highest_hz <= nyquist_hz:
        raise ValueError(
            f"Bands must lie between 0 and {nyquist_hz} Hz, half the rate. Received: "
            f"lowest_hz={lowest_hz}, highest_hz={highest_hz}"
        )
    edges_hz = mel_to_hz(np.linspace(hz_to_mel(lowest_hz), hz_to_mel(highest_hz), bands + 2))
    frequency_hz = np.linspace(0, nyquist_hz, bins)[:, None]
    low, middle, high = edges_hz[:-2], edges_hz[1:-1], edges_hz[2:]
    rising = (frequency_hz - low) / (middle - low)
    falling = (high - frequency_hz) / (high - middle)
    filters = np.maximum(0, np.minimum(rising, falling)) * 2 / (high - low)
    empty = np.flatnonzero(~filters.any(axis=0))
    if len(empty):
        raise ValueError(
            f"{len(empty)} of {bands} mel bands hold no bin, number {empty[0]} for one. Take fewer "
            f"bands, or a longer window than {2 * (bins - 1)} samples."
        )
    return filters


def hz_to_mel(frequency_hz):
    """Returns frequencies on Slaney's mel scale."""
    frequency_hz = np.asarray(frequency_hz, "float64")
    above = np.maximum(frequency_hz, LOGARITHMIC_FROM_HZ) / LOGARITHMIC_FROM_HZ
    linear = np.minimum(frequency_hz, LOGARITHMIC_FROM_HZ) / LINEAR_HZ_PER_MEL
    return linear + np.log(above) / LOG_PER_MEL


def mel_to_hz(mel):
    """Returns frequencies from Slaney's mel scale.

    >>> mel_to_hz(hz_to_mel([440.0, 4000.0])).round(6).tolist()
    [440.0, 4000.0]
    """
    mel = np.asarray(mel, "float64")
    linear = np.minimum(mel, LOGARITHMIC_FROM_MEL) * LINEAR_HZ_PER_MEL
    return linear * np.exp(np.maximum(mel - LOGARITHMIC_FROM_MEL, 0) * LOG_PER_MEL)
