"""The multichannel Wiener filter of music separation, refined by expectation maximisation."""

from keras import ops
from keras.config import backend

EPSILON = 1e-10
# Roots of less have no finite gradient.
LEAST_SQUARE = 1e-36
# Spectra above it are scaled down: squares of theirs have to be summed in float32.
LARGEST_MAGNITUDE = 10.0


def wiener_filter(real, imaginary, masks, *, iterations: int = 1, window_frames: int = 300):
    """Returns the sources' spectra, by masks on the mixture's and then by what they have in common.

    Each iteration takes a source for Gaussian noise, with a power v_j for each frame and bin, the
    mean over channels of |y_j|^2, and a covariance of the channels for each bin,
    R_j = sum_t y_j y_j^H / (eps + sum_t v_j); the best estimate of it then is

        y_j = v_j R_j (sum over sources of v R + sqrt(eps) I)^-1 x.

    The covariances are those of windows of equal length, as long as `window_frames` allows. The
    inverse is that of the matrix's two eigenspaces: for mono in both channels, one of whose
    eigenvalues is 0, the usual formula divides what float32 leaves of a difference by another. It
    computes in float64, but on JAX.

    Args:
        real, imaginary: the mixture's spectrum, (batch, frames, channel, bin), float32, of one or
            two channels.
        masks: what each source has of it, 0 or more, (batch, frames, source, channel, bin).
        iterations: 0 for the masks alone.
        window_frames: 1 or more.

    Returns:
        real and imaginary parts, (batch, frames, source, channel, bin).

    Source: A. Nugraha, A. Liutkus, E. Vincent, "Multichannel audio source separation with deep
    neural networks" (2016), section II; its use in Open-Unmix (2019).

    >>> import numpy as np
    >>> spectrum = np.random.default_rng(0).standard_normal((2, 1, 20, 2, 3)).astype("float32")
    >>> masks = np.full((1, 20, 2, 2, 3), 0.5, "float32")
    >>> real, _ = wiener_filter(*spectrum, masks)
    >>> bool(np.allclose(np.sum(real, axis=2), spectrum[0], atol=1e-3))  # nothing is lost
    True
    """
    if not iterations:
        return real[:, :, None] * masks, imaginary[:, :, None] * masks
    batch, frames, sources, channels, bins = ops.shape(masks)
    windows = -(-frames // window_frames)
    length = -(-frames // windows)
    missing = windows * length - frames

    def windowed(x):
        x = ops.pad(x, ((0, 0), (0, missing), *[(0, 0)] * (len(x.shape) - 2)))
        return ops.reshape(x, (batch, windows, length, *ops.shape(x)[2:]))

    dtype, precision = real.dtype, "float32" if backend() == "jax" else "float64"
    real, imaginary, masks = (ops.cast(x, precision) for x in (real, imaginary, masks))
    # (batch, window, frame, source, channel, bin), of the mixture with one source
    mixture = [windowed(part)[:, :, :, None] for part in (real, imaginary)]
    largest = ops.max(_power(mixture), axis=(2, 3, 4, 5), keepdims=True)
    magnitude = ops.sqrt(ops.maximum(largest, LEAST_SQUARE))
    scale = ops.maximum(magnitude / LARGEST_MAGNITUDE, 1.0)
    mixture = [part / scale for part in mixture]
    masks = windowed(masks)
    estimates = [part * masks for part in mixture]
    for _ in range(iterations):
        estimates = _maximised(mixture, estimates, channels)
    shape = (batch, windows * length, sources, channels, bins)
    return tuple(
        ops.cast(ops.reshape(part * scale, shape)[:, :frames], dtype) for part in estimates
    )


def _maximised(mixture, estimates, channels: int):
    """Returns the next estimates, parts (batch, window, frame, source, channel, bin)."""
    powers = [_power(channel) for channel in _channels(estimates, channels)]
    # (batch, window, frame, source, bin)
    power = sum(powers) / channels
    weight = EPSILON + ops.sum(power, axis=2, keepdims=True)
    own = [ops.sum(p, axis=2, keepdims=True) / weight for p in powers]
    if channels == 1:
        total = ops.sum(power * own[0], axis=3, keepdims=True)
        ((x, y),) = _channels(mixture, 1)
        gain = power * own[0] / (total + EPSILON**0.5)
        return [(gain * x)[:, :, :, :, None], (gain * y)[:, :, :, :, None]]
    left, right = _channels(estimates, 2)
    product = _times(left, _conjugate(right))
    cross = [ops.sum(part, axis=2, keepdims=True) / weight for part in product]
    a, d, b_real, b_imaginary = (
        ops.sum(power * part, axis=3, keepdims=True) for part in (*own, *cross)
    )
    whitened = _inverse_times(a, d, b_real, b_imaginary, _channels(mixture, 2))
    rows = (((own[0], 0.0), cross), (_conjugate(cross), (own[1], 0.0)))
    outputs = []
    for row in rows:
        products = [_times(a, z) for a, z in zip(row, whitened, strict=True)]
        outputs.append([power * sum(parts) for parts in zip(*products, strict=True)])
    return [ops.stack(parts, axis=4) for parts in zip(*outputs, strict=True)]


def _inverse_times(a, d, b_real, b_imaginary, x):
    """Returns (H + sqrt(eps) I)^-1 x for Hermitian H = [[a, b], [b*, d]] without negative values.

    H is mean * I + radius * U with U^2 = I, so that (1 + U) / 2 and (1 - U) / 2 project onto its
    eigenspaces. Each is applied twice, which leaves less of the other one in it than rounding does.
    """
    mean, half = (a + d) / 2, (a - d) / 2
    square = half**2 + b_real**2 + b_imaginary**2
    radius = ops.sqrt(ops.maximum(square, LEAST_SQUARE))
    half = ops.where(ops.less_equal(square, LEAST_SQUARE), 1.0, half / radius)
    b = (b_real / radius, b_imaginary / radius)

    def projected(x, sign):
        left, right = x
        reflected = (
            _plus((half * left[0], half * left[1]), _times(b, right)),
            _plus(_times(_conjugate(b), left), (-half * right[0], -half * right[1])),
        )
        return [
            tuple((part + sign * other) / 2 for part, other in zip(*pair, strict=True))
            for pair in zip(x, reflected, strict=True)
        ]

    parts = []
    for sign in (1.0, -1.0):
        value = ops.maximum(mean + sign * radius, 0.0) + EPSILON**0.5
        twice = projected(projected(x, sign), sign)
        parts.append([(real / value, imaginary / value) for real, imaginary in twice])
    return [_plus(*pair) for pair in zip(*parts, strict=True)]


def _channels(parts, channels: int):
    """Returns the real and imaginary part of each channel of (..., channel, bin)."""
    return [tuple(part[..., channel, :] for part in parts) for channel in range(channels)]


def _power(x):
    return x[0] ** 2 + x[1] ** 2


def _conjugate(x):
    return x[0], -x[1]


def _plus(x, y):
    return x[0] + y[0], x[1] + y[1]


def _times(x, y):
    return x[0] * y[0] - x[1] * y[1], x[0] * y[1] + x[1] * y[0]
