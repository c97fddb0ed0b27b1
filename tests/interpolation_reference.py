"""Slow definitions of interpolation and convolution in NumPy, shared by the tests of the layers."""

import numpy as np
from scipy.interpolate import make_interp_spline
from scipy.special import i0

METHOD_GRIDS = [
    ("nearest", "half_pixel"),
    ("nearest", "aligned"),
    ("linear", "half_pixel"),
    ("linear", "aligned"),
    ("cubic", "half_pixel"),
    ("cubic", "aligned"),
    ("sinc", "half_pixel"),
    ("sinc", "aligned"),
    ("kaiser", "half_pixel"),
    ("kaiser", "aligned"),
    ("stretch", "aligned"),
    ("learned", "aligned"),
]

HELD = 60  # samples by which the ends are held; a spline forgets its border by 0.27 per sample


def interpolate(x, factor, method, grid, earlier=None, beyond=0):
    """Interpolates x (time,) with its ends held, `beyond` high-rate samples over each end.

    `earlier` are the factor - 1 weights of the earlier sample of "learned"; None: linear.
    """
    time = len(x)
    held = np.concatenate([np.full(HELD, x[0]), x, np.full(HELD, x[-1])])
    index = np.arange(-beyond, time * factor + beyond)
    position = index / factor if grid == "aligned" else (index + 0.5) / factor - 0.5
    low = np.arange(len(held)) - HELD
    if method == "nearest":
        return held[np.ceil(position - 0.5).astype(int) + HELD]
    if method == "linear":
        return np.interp(position, low, held)
    if method == "cubic":
        return make_interp_spline(low, held, k=3)(position)
    if method == "sinc":
        return np.array([_windowed_sinc(held, at + HELD) for at in position])
    if method == "kaiser":
        return np.array([_alias_free(held, at + HELD, factor) for at in position])
    n, phase = np.divmod(index, factor)
    if method == "stretch":
        return np.where(phase == 0, held[n + HELD], 0.0)
    weights = 1 - np.arange(factor) / factor if earlier is None else np.append(1.0, earlier)
    return weights[phase] * held[n + HELD] + (1 - weights[phase]) * held[n + 1 + HELD]


def _windowed_sinc(held, at):
    samples = np.arange(int(np.ceil(at - 8)), int(np.floor(at + 8)) + 1)
    distance = at - samples
    weights = np.sinc(distance) * i0(5.0 * np.sqrt(1 - (distance / 8) ** 2)) / i0(5.0)
    return held[samples] @ weights / weights.sum()


def _alias_free(held, at, factor):
    """Weights of the published attenuation, and of its window over 6 * factor high-rate taps."""
    attenuation_db = 2.285 * (3 * factor - 1) * np.pi * 4 * 0.6 / factor + 7.95
    assert attenuation_db > 50 or factor == 1  # which gives the sample itself
    beta = 0.1102 * (attenuation_db - 8.7)
    distance = np.round(at * 2 * factor - 2 * factor * np.arange(len(held)))  # half high-rate taps
    weights = np.zeros(len(held))
    near = abs(distance) <= 6 * factor - 1
    inside = 1 - (distance[near] / (6 * factor - 1)) ** 2
    weights[near] = np.sinc(distance[near] / (2 * factor)) * i0(beta * np.sqrt(inside))
    return held @ weights / weights.sum()


def convolve(v, kernel, time):
    """Convolves v (time + taps - 1, channels) with kernel (taps, channels, filters), "valid"."""
    return np.stack([np.einsum("tc,tcf->f", v[m : m + len(kernel)], kernel) for m in range(time)])


def interpolated_conv(x, kernel, factor, method, grid, earlier=None):
    """Interpolates x (time, channels), its ends held, then convolves, (taps - 1) // 2 before."""
    taps = len(kernel)
    v = np.stack(
        [
            interpolate(
                x[:, c], factor, method, grid, None if earlier is None else earlier[:, c], taps
            )
            for c in range(x.shape[1])
        ],
        axis=-1,
    )
    return convolve(v[taps - (taps - 1) // 2 :], kernel, len(x) * factor)
