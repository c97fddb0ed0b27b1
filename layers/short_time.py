"""The short-time Fourier transform and its inverse, as layers without weights."""

import keras
import numpy as np
from keras import ops

from tonezoo.arguments import integer
from tonezoo.layers.masks import mask_per_block, mask_per_output
from tonezoo.layers.signal_layer import SignalLayer

# With fewer windows over each sample the sum of their squares is not constant.
LEAST_OVERLAP = 3


class _ShortTimeLayer(SignalLayer):
    """Windows, hops and their checks, which a transform and its inverse share."""

    def __init__(self, window_samples: int, hop_samples: int, **kwargs):
        super().__init__(**kwargs)
        self.window_samples = integer("window_samples", window_samples)
        self.hop_samples = integer("hop_samples", hop_samples)
        self.overlap, rest = divmod(self.window_samples, self.hop_samples)
        if rest or self.overlap < LEAST_OVERLAP or (self.window_samples - self.hop_samples) % 2:
            raise ValueError(
                f"window_samples must be hop_samples times an integer of at least {LEAST_OVERLAP}, "
                "and both even or both odd. Received: "
                f"window_samples={window_samples!r}, hop_samples={hop_samples!r}"
            )
        self.built = True  # It has no weights.

    @property
    def bins(self) -> int:
        """Frequencies from 0 to the Nyquist frequency."""
        return self.window_samples // 2 + 1

    @property
    def window(self) -> np.ndarray:
        """The periodic Hann window, (window_samples,)."""
        turns = np.arange(self.window_samples) / self.window_samples
        return 0.5 - 0.5 * np.cos(2 * np.pi * turns)

    def check_channels(self, shape, channels: int) -> None:
        if shape[-1] != channels:
            raise ValueError(
                f"{type(self).__name__} takes (batch, time, {channels}). Received an input of "
                f"shape {tuple(shape)}"
            )

    def get_config(self):
        return {
            **super().get_config(),
            "window_samples": self.window_samples,
            "hop_samples": self.hop_samples,
        }


@keras.saving.register_keras_serializable(package="tonezoo")
class STFT1D(_ShortTimeLayer):
    """Short-time Fourier transform of a signal: real parts, then imaginary parts, as channels.

    y[n, k] = 4 / N * sum over m of w[m] x[n * hop + m - (N - hop) / 2] exp(-2 pi i k m / N), with N
    the window's length and w a periodic Hann window: a sine of amplitude 1 in the middle of a bin
    has magnitude 1. Frame n is centred on the n-th hop, so that ceil(T / hop) frames come out;
    beyond both ends there are zeros. `InverseSTFT1D` takes them back. It computes in float32 at
    least. With a mask, a frame is valid if any sample of its hop is.

    Args:
        window_samples: N, an integer multiple of the hop, 3 hops or more; as even or odd as it.
        hop_samples: samples from a frame to the next.

    Input shape: (batch, time, 1). Output shape:
    (batch, ceil(time / hop_samples), 2 * (window_samples // 2 + 1)).

    Raises:
        ValueError: a window that is no multiple of the hop; an input known to have no samples, or
            more than one channel.

    >>> import numpy as np
    >>> x = np.cos(2 * np.pi / 8 * np.arange(64)).reshape(1, 64, 1)
    >>> y = np.array(STFT1D(16, 4)(x))[0, 8]
    >>> print(np.hypot(y[:9], y[9:]).round(2).tolist())
    [0.0, 0.5, 1.0, 0.5, 0.0, 0.0, 0.0, 0.0, 0.0]
    """

    def call(self, inputs):
        self.check_channels(inputs.shape, 1)
        spectrum = ops.concatenate(self.parts(inputs[:, :, 0]), axis=-1)
        return ops.cast(spectrum, self.compute_dtype)

    def parts(self, signals):
        """Returns real and imaginary parts apart, each (batch, frames, bins), float32 at least.

        Args:
            signals: (batch, time).
        """
        batch, time, hop = ops.shape(signals)[0], ops.shape(signals)[1], self.hop_samples
        x = ops.cast(signals, keras.backend.result_type(signals.dtype, "float32"))
        count = -(-time // hop)
        before = (self.window_samples - hop) // 2
        after = (self.overlap - 1) * hop - before + count * hop - time
        padded = ops.pad(x, ((0, 0), (before, after)))
        blocks = ops.reshape(padded, (batch, count + self.overlap - 1, hop))
        # Not x[:, i : j], whose gradient takes several times as long on TensorFlow's CPUs.
        shape = (batch, count, hop)
        shifted = [ops.slice(blocks, (0, i, 0), shape) for i in range(self.overlap)]
        frames = ops.concatenate(shifted, axis=-1)
        window = ops.convert_to_tensor(4 / self.window_samples * self.window, x.dtype)
        return _rfft(frames * window)

    def power(self, signals):
        """Returns the squared magnitudes, (batch, frames, bins), of signals (batch, time)."""
        real, imaginary = self.parts(signals)
        return real**2 + imaginary**2

    def compute_mask(self, inputs, previous_mask):
        return mask_per_block(previous_mask, self.hop_samples)

    def compute_output_shape(self, input_shape):
        batch, time, _ = input_shape
        frames = None if time is None else -(-time // self.hop_samples)
        return batch, frames, 2 * self.bins


@keras.saving.register_keras_serializable(package="tonezoo")
class InverseSTFT1D(_ShortTimeLayer):
    """Inverse of `STFT1D`: frames of a spectrum, transformed, windowed, added where they overlap.

    The sum is divided by that of the squared windows far from the ends: what `STFT1D` took apart
    comes back, but for the first and last (N - hop) / 2 samples, where fewer windows overlap and
    the output fades. A network that ends in it (Vocos) upsamples by the hop without an upsampling
    layer. It computes in float32 at least.

    Args:
        window_samples, hop_samples: those of `STFT1D`.

    Input shape: (batch, frames, 2 * (window_samples // 2 + 1)), real parts, then imaginary parts;
    the imaginary parts at 0 and at the Nyquist frequency are ignored. Output shape:
    (batch, frames * hop_samples, 1).

    Raises:
        ValueError: a window that is no multiple of the hop; an input known to have no frames, or
            another number of channels.

    Source: H. Siuzdak, "Vocos: Closing the gap between time-domain and Fourier-based neural
    vocoders" (2023), section 3.2.

    >>> import numpy as np
    >>> x = np.random.default_rng(0).standard_normal((1, 64, 1)).astype("float32")
    >>> y = np.array(InverseSTFT1D(16, 4)(STFT1D(16, 4)(x)))
    >>> bool(np.abs(y - x)[:, 12:-12].max() < 1e-5)
    True
    """

    def call(self, inputs):
        self.check_channels(inputs.shape, 2 * self.bins)
        batch, count, hop = ops.shape(inputs)[0], ops.shape(inputs)[1], self.hop_samples
        spectrum = ops.cast(inputs, keras.backend.result_type(inputs.dtype, "float32"))
        frames = _irfft(*ops.split(spectrum, 2, axis=-1), self.window_samples)
        # The sum of the squared windows is 3 / 8 for each window over a sample.
        window = self.window * self.window_samples / 4 / (0.375 * self.overlap)
        frames = frames * ops.convert_to_tensor(window, spectrum.dtype)
        last = self.overlap - 1
        added = sum(
            ops.pad(block, ((0, 0), (i, last - i), (0, 0)))
            for i, block in enumerate(ops.split(frames, self.overlap, axis=-1))
        )
        before = (self.window_samples - hop) // 2
        added = ops.reshape(added, (batch, (count + last) * hop))
        signal = ops.slice(added, (0, before), (batch, count * hop))[:, :, None]
        return ops.cast(signal, self.compute_dtype)

    def compute_mask(self, inputs, previous_mask):
        return mask_per_output(previous_mask, self.hop_samples)

    def compute_output_shape(self, input_shape):
        batch, frames, _ = input_shape
        return batch, None if frames is None else frames * self.hop_samples, 1


def _rfft(frames):
    """Returns the parts of a spectrum, whose gradient is one transform back.

    That of TensorFlow goes over complex arrays several times.
    """
    if keras.backend.backend() != "tensorflow":
        return ops.rfft(frames)
    samples = frames.shape[-1]

    @ops.custom_gradient
    def transform(frames):
        def gradient(real, imaginary):
            weights = samples / _multiplicity(samples, real.dtype)
            return ops.irfft((real * weights, imaginary * weights), fft_length=samples)

        return ops.rfft(frames), gradient

    return transform(frames)


def _irfft(real, imaginary, samples: int):
    """Returns frames of so many samples, whose gradient is one transform forth, see `_rfft`."""
    if keras.backend.backend() != "tensorflow":
        return ops.irfft((real, imaginary), fft_length=samples)

    @ops.custom_gradient
    def transform(real, imaginary):
        def gradient(upstream):
            weights = _multiplicity(samples, upstream.dtype) / samples
            return tuple(part * weights for part in ops.rfft(upstream))

        return ops.irfft((real, imaginary), fft_length=samples), gradient

    return transform(real, imaginary)


def _multiplicity(samples: int, dtype):
    """Returns how many frequencies of a whole spectrum each bin of its half stands for: 1 or 2."""
    bins = np.arange(samples // 2 + 1)
    return ops.convert_to_tensor(1.0 + (bins % (samples / 2) > 0), dtype)
