"""The shares that sources have of a mixture's spectrum."""

import keras
from keras import ops

from tonezoo.layers import STFT1D, InverseSTFT1D
from tonezoo.models.wiener import LEAST_SQUARE

# Added to each magnitude of an estimate: of what none of them has, shares are equal.
SILENCE = 1e-6
WINDOW_HOPS = 4
# A window is centred on its hop: both have to be even.
WINDOW_MULTIPLE = 2 * WINDOW_HOPS


class MixtureShares(keras.layers.Layer):
    """Gives each source a share of the mixture's spectrum: that of its estimate's magnitude.

    y_j = inverse STFT of X |E_j| / sum over sources of |E|, with X the mixture and E_j the estimate
    of source j. The sources sum to the mixture, with its phases, and where it is silent so are
    they: no tone that an upsampling layer writes into silence is left.

    Args:
        window_samples: of the transform, a multiple of 8; its hop is a quarter.

    Inputs: the mixture (batch, time, channel); estimates (batch, time, source, channel). Output: of
    the estimates' shape. Beyond both ends there are zeros.

    Raises:
        ValueError: a window that is no multiple of 8.

    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> mixture = rng.standard_normal((1, 50, 2)).astype("float32")
    >>> estimates = rng.standard_normal((1, 50, 3, 2)).astype("float32")
    >>> shares = np.array(MixtureShares(16)(mixture, estimates))
    >>> bool(np.abs(shares.sum(axis=2) - mixture).max() < 1e-5)
    True
    """

    def __init__(self, window_samples: int, **kwargs):
        super().__init__(**kwargs)
        if window_samples % WINDOW_MULTIPLE:
            raise ValueError(
                f"The window in which sources share the mixture must be a multiple of "
                f"{WINDOW_MULTIPLE} samples, but is {window_samples!r}."
            )
        hop_samples = window_samples // WINDOW_HOPS
        options = {"dtype": self.dtype_policy}
        self.stft = STFT1D(window_samples, hop_samples, **options)
        self.inverse_stft = InverseSTFT1D(window_samples, hop_samples, **options)
        self.built = True  # It has no weights.

    @property
    def hop_samples(self) -> int:
        return self.stft.hop_samples

    @property
    def context_samples(self) -> int:
        """Samples on each side of a sample that reach its share."""
        return self.stft.window_samples

    def call(self, mixture, estimates):
        batch, time, sources, channels = ops.shape(estimates)
        # At both ends of what the inverse transform gives fewer windows overlap.
        margin = self.stft.window_samples - self.hop_samples

        def parts(x):
            # (batch, time, signal, channel) -> (batch, signal, channel, frames, bin), twice
            signals = ops.shape(x)[2]
            x = ops.reshape(ops.transpose(x, (0, 2, 3, 1)), (batch * signals * channels, time))
            y = self.stft.parts(ops.pad(x, ((0, 0), (margin, margin))))
            shape = (batch, signals, channels, ops.shape(y[0])[1], self.stft.bins)
            return [ops.reshape(part, shape) for part in y]

        real, imaginary = parts(estimates)
        levels = ops.sqrt(ops.maximum(real**2 + imaginary**2, LEAST_SQUARE)) + SILENCE
        shares = levels / ops.sum(levels, axis=1, keepdims=True)
        shape = (batch * sources * channels, ops.shape(shares)[3], self.stft.bins)
        shared = [ops.reshape(part * shares, shape) for part in parts(mixture[:, :, None])]
        y = self.inverse_stft(ops.concatenate(shared, axis=-1))
        y = ops.slice(y, (0, margin, 0), (batch * sources * channels, time, 1))
        y = ops.reshape(y, (batch, sources, channels, time))
        return ops.transpose(y, (0, 3, 1, 2))

    def compute_output_shape(self, input_shape, estimates_shape):
        return estimates_shape
