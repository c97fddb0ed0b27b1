"""Loudness loss: the differences in loudness between estimate and target, in critical bands.

It follows the perceptual model of PESQ (ITU-T P.862, 2001, sections 10.2.4 to 10.2.9) in a form
that has gradients: loudness in critical bands, a change of timbre that lasts made up for,
differences below a quarter of the loudness unheard, what is added counted again, the worst frames
counting most. This term is ours, not MU-GAN's.
"""

import functools

import numpy as np
from keras import ops

WINDOW_S = 0.032
BAND_BARK = 0.5
LOWEST_HZ, HIGHEST_HZ = 100.0, 16_000.0
EXPONENT = 0.23
# Full scale, as RMS, in dB SPL: active speech at the usual -26 dBFS is then heard at 79 dB SPL.
FULL_SCALE_DB_SPL = 105.0
# The mean power in a band to which listeners adapt, re 0 dB SPL, and how far they do.
ADAPTED_POWER, MOST_ADAPTED = 1000.0, 100.0
SYMMETRIC, ADDED = 0.1, 0.0309
FRAME_POWER = 6


def loudness_disturbance(target, estimate, sample_rate_hz: int):
    """Returns the mean over patches of the disturbance, at most 0.0015 for equal signals.

    Frames of 32 ms, Hann window, hop a half; powers P in half-Bark bands up to 16 kHz, re 0 dB SPL.
    The target's P_ref is first multiplied in each band by (mean P_est + 1000) / (mean P_ref + 1000)
    over the patch's frames, between 1/100 and 100: a filter is heard less than a wrong moment.
    Then, with S the loudness, 0 below the threshold of hearing,
    D = max(|S_est - S_ref| - min(S_est, S_ref) / 4, 0); the frame's disturbance is
    0.1 sqrt(sum D^2 / 2) + 0.0309 sum h D / 2, where h = ((P_est + 50) / (P_ref + 50))^1.2, at most
    12, and 0 below 3, counts what was added. Over the frames of a patch the two sums are joined by
    their norms of order 6.

    Args:
        target: (batch, time, 1), full scale 1, longer than 16 ms.
        estimate: the same shape.
        sample_rate_hz: their rate.

    Raises:
        ValueError: the signals are too short for a frame.

    Source: ITU-T P.862, with bands on Schroeder's Bark scale z = 6 asinh(f / 600), the threshold of
    hearing of Terhardt 1979, and no alignment of time or level.

    Example: noise at the wrong moment counts, and counts more than noise that is missing.

    >>> import numpy as np
    >>> noise = 0.1 * np.random.default_rng(0).standard_normal((1, 4096, 1)).astype("float32")
    >>> fading = noise * np.linspace(1, 0.05, 4096, dtype="float32")[:, None]
    >>> added = float(loudness_disturbance(fading, noise, 16_000))
    >>> missing = float(loudness_disturbance(noise, fading, 16_000))
    >>> float(loudness_disturbance(noise, noise, 16_000)) < 0.01 < missing < added
    True
    """
    shortest = shortest_patch(sample_rate_hz)
    if target.shape[1] is not None and target.shape[1] < shortest:
        raise ValueError(
            f"The loudness loss needs patches of at least {shortest} samples at {sample_rate_hz} "
            f"Hz, but got {target.shape[1]}. Take longer patches."
        )
    bands, threshold = critical_bands(sample_rate_hz)
    reference = band_powers(target, bands, sample_rate_hz)
    power = band_powers(estimate, bands, sample_rate_hz)
    reference = reference * timbre(reference, power)
    loud_reference, loud = loudness(reference, threshold), loudness(power, threshold)
    masked = 0.25 * ops.minimum(loud, loud_reference)
    heard = ops.relu(ops.abs(loud - loud_reference) - masked)
    ratio = ((power + 50) / (reference + 50)) ** 1.2
    # Its own gradient would only double that of the loudness, and jump at 3.
    added = ops.stop_gradient(ops.where(ratio < 3, ops.zeros_like(ratio), ops.minimum(ratio, 12)))
    symmetric = ops.sqrt(BAND_BARK * ops.sum(heard**2, axis=-1) + 1e-6)
    asymmetric = BAND_BARK * ops.sum(added * heard, axis=-1)
    return SYMMETRIC * worst(symmetric) + ADDED * worst(asymmetric)


def shortest_patch(sample_rate_hz: int) -> int:
    """Returns the least samples that a frame can be centred on."""
    return window_samples(sample_rate_hz) // 2 + 1


def timbre(reference, power):
    """Returns the gains (batch, 1, bands) that give the reference the estimate's mean spectrum."""
    means = [
        ops.mean(powers, axis=1, keepdims=True) + ADAPTED_POWER for powers in (power, reference)
    ]
    return ops.clip(means[0] / means[1], 1 / MOST_ADAPTED, MOST_ADAPTED)


def worst(frames):
    """Returns the mean over the batch of the norm of order 6 over (batch, frames)."""
    norms = (ops.mean(frames**FRAME_POWER, axis=-1) + 1e-12) ** (1 / FRAME_POWER)
    return ops.mean(norms)


def band_powers(waveform, bands, sample_rate_hz: int):
    """Returns the power in each band in units of 0 dB SPL, (batch, frames, bands)."""
    window = window_samples(sample_rate_hz)
    real, imaginary = ops.stft(
        waveform[:, :, 0],
        sequence_length=window,
        sequence_stride=window // 2,
        fft_length=window,
    )
    # A Hann window keeps 3/8 of the power, which Parseval spreads over window / 2 bins.
    full_scale = 0.375 * window * window / 2
    power = (real**2 + imaginary**2) * (10 ** (FULL_SCALE_DB_SPL / 10) / full_scale)
    return ops.matmul(power, ops.convert_to_tensor(bands, power.dtype))


def loudness(power, threshold):
    """Returns Zwicker's loudness of band powers, up to a factor; 0 for unheard ones."""
    scale = ops.convert_to_tensor((threshold / 0.5) ** EXPONENT, power.dtype)
    return scale * ops.relu((0.5 + 0.5 * power / threshold) ** EXPONENT - 1)


def window_samples(sample_rate_hz: int) -> int:
    """Returns the power of two whose duration is nearest to 32 ms."""
    return 2 ** round(np.log2(WINDOW_S * sample_rate_hz))


@functools.lru_cache(maxsize=8)
def critical_bands(sample_rate_hz: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns weights (bins, bands) and each band's threshold of hearing, power re 0 dB SPL."""
    window = window_samples(sample_rate_hz)
    bark = 6 * np.arcsinh(np.arange(window // 2 + 1) * sample_rate_hz / window / 600)
    lowest = 6 * np.arcsinh(LOWEST_HZ / 600)
    highest = min(bark[-1], 6 * np.arcsinh(HIGHEST_HZ / 600))
    count = int((highest - lowest) / BAND_BARK)
    width = (highest - lowest) / count
    centres = lowest + width * (np.arange(count) + 0.5)
    weights = np.clip(1.5 - np.abs(bark[:, None] - centres) / width, 0, 1)
    # Each bin's power goes to its bands once; below the lowest band nothing is heard.
    weights /= np.maximum(weights.sum(axis=1, keepdims=True), 1e-9)
    khz = 600 * np.sinh(centres / 6) / 1000
    threshold_db = 3.64 * khz**-0.8 - 6.5 * np.exp(-0.6 * (khz - 3.3) ** 2) + 1e-3 * khz**4
    return weights.astype("float32"), (10 ** (threshold_db / 10)).astype("float32")
