"""Interpolation as a periodically time-varying filter: its taps, and signals, without Keras.

An interpolator by an integer factor r gives, from low-rate samples x[n],

    v[n r + p] = sum over j of a[p, j] x[n + offset + j],    p = 0 ... r-1.

On the aligned grid sample n sits on high-rate sample n r; on the half-pixel grid it sits in the
middle of the r samples n r ... n r + r - 1. The cubic spline is the one method of two steps: the
taps here are those of the B-spline, which acts on x filtered by `spline_prefilter()`.
"""

import math
from collections.abc import Callable

import numpy as np

from tonezoo.arguments import one_of

GRIDS = ("half_pixel", "aligned")

DEFAULT_GRIDS = {
    "nearest": "half_pixel",
    "linear": "half_pixel",
    "cubic": "aligned",
    "sinc": "aligned",
    "kaiser": "half_pixel",
    "stretch": "aligned",
    "learned": "aligned",
}

ALIGNED_ONLY = ("stretch", "learned")

# ASSUMED: no source fixes the windowed sinc. Eight zero crossings a side, and the Kaiser window
# whose stop band lies 54 dB down, the default of scipy.signal.resample_poly.
SINC_ZERO_CROSSINGS = 8
SINC_KAISER_BETA = 5.0


def _nearest(u):
    return ((u > -0.5) & (u <= 0.5)).astype(np.float64)  # a tie goes to the earlier sample


def _linear(u):
    return np.maximum(0.0, 1.0 - np.abs(u))


def _cubic_b_spline(u):
    u = np.abs(u)
    return np.where(u < 1, 2 / 3 - u**2 + u**3 / 2, np.maximum(0.0, 2.0 - u) ** 3 / 6)


def _kaiser_sinc(u):
    return _windowed_sinc(u, SINC_ZERO_CROSSINGS, SINC_KAISER_BETA)


def _alias_free(u, factor):
    """The low-pass of `kaiser_low_pass`, as a function of the distance in low-rate samples."""
    attenuation_db = 2.285 * (3 * factor - 1) * math.pi * 4 * (0.6 / factor) + 7.95
    if attenuation_db > 50:
        beta = 0.1102 * (attenuation_db - 8.7)
    else:  # a factor of 1
        beta = 0.5842 * (attenuation_db - 21) ** 0.4 + 0.07886 * (attenuation_db - 21)
    return _windowed_sinc(u, (6 * factor - 1) / (2 * factor), beta)


def _windowed_sinc(u, half_width, beta):
    inside = 1.0 - (u / half_width) ** 2
    window = np.i0(beta * np.sqrt(np.maximum(inside, 0.0))) / np.i0(beta)
    # The window does not end on 0, so that the last tap counts however it is rounded.
    values = np.where(inside > -1e-9, np.sinc(u) * window, 0.0)
    return np.where(np.abs(values) < 1e-15, 0.0, values)  # sin(pi n) is not exactly 0 in floats


def _stretch(u):
    return (u == 0).astype(np.float64)


# Basis function of the distance u, in low-rate samples, and the half-width of its support.
_BASES: dict[str, tuple[Callable, int]] = {
    "nearest": (_nearest, 1),
    "linear": (_linear, 1),
    "cubic": (_cubic_b_spline, 2),
    "sinc": (_kaiser_sinc, SINC_ZERO_CROSSINGS),
    "kaiser": (_alias_free, 3),
    "stretch": (_stretch, 1),
    "learned": (_linear, 1),  # where its weights start
}


def resolve_grid(method: str, grid: str | None) -> str:
    """Returns the grid of `method`, its default for None.

    Raises:
        ValueError: an unknown method or grid, or a method that lacks the grid.
    """
    one_of("method", method, DEFAULT_GRIDS)
    if grid is None:
        return DEFAULT_GRIDS[method]
    one_of("grid", grid, GRIDS)
    if method in ALIGNED_ONLY and grid != "aligned":
        raise ValueError(
            f"method={method!r} keeps the input samples, so it exists on the aligned grid only. "
            f"Received: grid={grid!r}; leave it out or pass grid='aligned'"
        )
    return grid


def interpolation_taps(method: str, factor: int, grid: str | None = None) -> tuple[np.ndarray, int]:
    """Returns the taps a[phase, tap] and the offset of the first, in low-rate samples.

    Taps that are zero in every phase are left out. Every phase of every method but stretch sums
    to 1; "cubic" gives the B-spline (see `spline_prefilter`), "learned" its initial taps.

    >>> taps, offset = interpolation_taps("linear", 2, "half_pixel")
    >>> print(taps, offset)
    [[0.25 0.75 0.  ]
     [0.   0.75 0.25]] -1
    """
    grid = resolve_grid(method, grid)
    basis, half_width = _BASES[method]
    phase = np.arange(factor)
    position = phase / factor if grid == "aligned" else (phase + 0.5) / factor - 0.5
    sample = np.arange(-half_width, half_width + 1)
    distance = position[:, None] - sample[None, :]
    taps = basis(distance, factor) if method == "kaiser" else basis(distance)
    if method in ("sinc", "kaiser"):
        taps /= taps.sum(axis=1, keepdims=True)
    used = np.flatnonzero(taps.any(axis=0))
    return taps[:, used[0] : used[-1] + 1], int(sample[used[0]])


def kaiser_low_pass(factor: int, grid: str = "half_pixel") -> np.ndarray:
    """Returns the low-pass for resampling by a factor, (taps,), of gain 1: a Kaiser-windowed sinc.

    In shares of the high rate, its cutoff is 0.5 / factor and half of its transition 0.6 / factor
    wide. It has 6 * factor taps where its middle lies between two of them, which is the published
    filter: on the half-pixel grid of an even factor. Where its middle is a tap it has one fewer.

    Source: Lee et al., "BigVGAN", 2023, section 3.2; Karras et al., "Alias-Free Generative
    Adversarial Networks", 2021.

    >>> taps = kaiser_low_pass(2)
    >>> print(len(taps), taps.sum().round(6), taps.round(4).tolist()[:6])
    12 1.0 [0.002, 0.0094, -0.0255, -0.0577, 0.1286, 0.4432]
    """
    one_of("grid", grid, GRIDS)
    between = grid == "half_pixel" and factor % 2 == 0
    first = 3 * factor - (0.5 if between else 1)
    taps = np.trim_zeros(_alias_free(np.arange(-first, first + 1) / factor, factor))
    return taps / taps.sum()


def spline_prefilter() -> np.ndarray:
    """Returns the symmetric filter that turns samples into cubic B-spline coefficients.

    It is the inverse of (1/6, 4/6, 1/6): sqrt(3) z^|k| with the pole z = sqrt(3) - 2, cut off
    below 1e-9 and scaled to a sum of 1, so that a constant stays what it is.

    >>> taps = spline_prefilter()
    >>> print(len(taps), taps[16:19].round(4))
    33 [ 1.7321 -0.4641  0.1244]
    """
    pole = np.sqrt(3.0) - 2.0
    reach = int(np.log(1e-9 / np.sqrt(3.0)) / np.log(-pole))
    taps = pole ** np.abs(np.arange(-reach, reach + 1))
    return taps / taps.sum()


def polyphase_indices(taps: np.ndarray, offset: int, kernel_size: int) -> tuple[np.ndarray, int]:
    """Returns where each tap of "interpolate, then convolve" comes from, at the low rate.

    With a kernel w of `kernel_size` taps, (kernel_size - 1) // 2 of them before the sample,

        y[n r + p] = sum over t of w[t] v[n r + p + t - (kernel_size - 1) // 2]
                   = sum over i and t of M[i, p, t] w[t] x[n + first + i],
        M[i, p, t] = append(taps.ravel(), 0)[index[i, p, t]].

    Returns `index` and `first`.
    """
    factor, num_taps = taps.shape
    shift = np.arange(factor)[:, None] + np.arange(kernel_size) - (kernel_size - 1) // 2
    low, phase = np.divmod(shift, factor)
    sample = np.arange(low.min() + offset, low.max() + offset + num_taps)
    tap = sample[:, None, None] - low - offset
    inside = (tap >= 0) & (tap < num_taps)
    index = np.where(inside, phase * num_taps + tap, taps.size)
    used = np.flatnonzero(np.append(taps.ravel(), 0.0)[index].any(axis=(1, 2)))
    return index[used[0] : used[-1] + 1], int(sample[used[0]])


class Interpolator:
    """What `tonezoo.layers.Interpolate1D` does on its default grid, of NumPy arrays.

    Args:
        factor: integer >= 1, high-rate samples per low-rate sample.
        method: one of the layer's but "learned".

    Attributes:
        context: (left, right), see the layer.

    Raises:
        ValueError: an unknown method.

    Example:

    >>> print(Interpolator(2, "linear")(np.array([[[0.0], [4.0], [8.0]]]))[0, :, 0])
    [0. 1. 3. 5. 7. 8.]
    """

    def __init__(self, factor: int, method: str):
        self.factor = factor
        self._taps, self._offset = interpolation_taps(method, factor)
        self._prefilter = spline_prefilter() if method == "cubic" else np.ones(1)

    @property
    def context(self) -> tuple[int, int]:
        reach = len(self._prefilter) // 2
        return reach - self._offset, reach + self._offset + self._taps.shape[1] - 1

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Returns (batch, factor * time, channels) of x (batch, time, channels), of its dtype."""
        from scipy.ndimage import correlate1d
        from scipy.signal import upfirdn

        time, later = x.shape[1], self._taps.shape[1] - 1
        held = np.pad(x, ((0, 0), (-self._offset, self._offset + later), (0, 0)), mode="edge")
        held = correlate1d(held, self._prefilter, axis=1, mode="nearest")
        # (phase, tap) -> taps at the high rate, the latest sample's first
        kernel = self._taps[:, ::-1].T.ravel().astype(x.dtype)
        high = upfirdn(kernel, held, up=self.factor, axis=1)
        return high[:, later * self.factor :][:, : time * self.factor]


def high_pass_taps(cutoff: float, ratio: int) -> np.ndarray:
    """Returns a symmetric high-pass, (taps,): 1 minus a Kaiser-windowed sinc, zero at 0 Hz.

    Its stop band is 54 dB down or more, where it is wider than the transition.

    Args:
        cutoff: its -6 dB point, relative to the Nyquist frequency.
        ratio: 40 * ratio + 1 taps: the transition is 0.15 of the low rate's band wide.
    """
    n = np.arange(-20 * ratio, 20 * ratio + 1)
    low_pass = np.sinc(cutoff * n) * np.kaiser(len(n), 5.0)
    return (n == 0) - low_pass / low_pass.sum()
