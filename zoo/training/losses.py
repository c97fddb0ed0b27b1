"""Loss terms of audio super-resolution: functions of target and estimate (batch, time, 1)."""

import math

from keras import ops

from tonezoo.training.loss_terms import (
    SHORTEST_SPECTRAL_PATCH,
    SPECTRAL_RESOLUTIONS,
    TONAL_PERIOD_SAMPLES,
)

SPECTRAL_FLOOR = 1e-7


def mean_square(target, estimate):
    """Returns L_L2 = mean over samples of (target - estimate)^2.

    Source: "Adversarial Audio Super-Resolution with Unsupervised Feature Losses", section 3.

    Example:

    >>> import numpy as np
    >>> float(mean_square(np.zeros((1, 4, 1)), np.array([[[1.0], [1.0], [0.0], [0.0]]])))
    0.5
    """
    return ops.mean(ops.square(target - estimate))


def patch_rms_error(target, estimate):
    """Returns the mean over patches of sqrt(mean square + 1e-6), the loss of the audio U-net.

    Source: the published code of Kuleshov et al. 2017.

    Example:

    >>> import numpy as np
    >>> round(float(patch_rms_error(np.zeros((2, 4, 1)), np.full((2, 4, 1), 0.5))), 4)
    0.5
    """
    return ops.mean(ops.sqrt(ops.mean(ops.square(target - estimate), axis=(1, 2)) + 1e-6))


def log_spectral(target, estimate):
    """Returns the mean absolute difference of log10 power spectra over three resolutions.

    Hann windows of 512, 1024 and 2048 samples with hops of a quarter, the power floored by adding
    1e-7 (16-bit rounding noise lies near 6e-8 at 2048). This term is ours, not the paper's.

    Raises:
        ValueError: patches of 1024 samples or less, which the longest window cannot be centred on.

    Example:

    >>> import numpy as np
    >>> target = np.random.default_rng(0).standard_normal((1, 4096, 1)).astype("float32")
    >>> round(float(log_spectral(target, 0.1 * target)), 3)
    2.0
    """
    if target.shape[1] is not None and target.shape[1] < SHORTEST_SPECTRAL_PATCH:
        raise ValueError(
            f"The spectral loss needs patches of at least {SHORTEST_SPECTRAL_PATCH} samples, but "
            f"got {target.shape[1]}. Lengthen segment_samples."
        )
    differences = [
        ops.mean(ops.abs(log_power(target, size) - log_power(estimate, size)))
        for size in SPECTRAL_RESOLUTIONS
    ]
    return sum(differences) / len(differences)


def log_power(waveform, window_samples: int):
    """Returns log10 of the floored power spectrum, (batch, frames, bins), of (batch, time, 1)."""
    real, imaginary = ops.stft(
        waveform[:, :, 0],
        sequence_length=window_samples,
        sequence_stride=window_samples // 4,
        fft_length=window_samples,
    )
    power = ops.square(real) + ops.square(imaginary)
    return ops.log(power + SPECTRAL_FLOOR) / math.log(10)


def tonal(target, estimate):
    """Returns the mean over patches of the periodic part of the error, as a share of its power.

    The part of period 16: the mean over all samples n of one phase n mod 16, squared and averaged
    over the phases. Its lines lie at the multiples of rate / 16, where upsampling layers leave
    tones. Of white noise it is 16 / time. This term is ours, not the paper's.

    Args:
        target: (batch, time, 1), time a multiple of 16.
        estimate: the same shape.

    Raises:
        ValueError: time is not a multiple of 16.

    Example:

    >>> import numpy as np
    >>> tone = np.cos(np.pi / 8 * np.arange(64)).reshape(1, 64, 1)
    >>> between = np.cos(np.pi / 16 * np.arange(64)).reshape(1, 64, 1)
    >>> [round(float(tonal(np.zeros_like(x), x)), 3) for x in (tone, between)]
    [1.0, 0.0]
    """
    if target.shape[1] is not None and target.shape[1] % TONAL_PERIOD_SAMPLES:
        raise ValueError(
            f"The tonal loss needs patches of a multiple of {TONAL_PERIOD_SAMPLES} samples, but "
            f"got {target.shape[1]}. Change segment_samples."
        )
    error = estimate - target
    # (batch, time, 1) -> (batch, period, phase)
    phases = ops.reshape(error, (ops.shape(error)[0], -1, TONAL_PERIOD_SAMPLES))
    periodic = ops.mean(ops.mean(phases, axis=1) ** 2, axis=-1)
    return ops.mean(periodic / (ops.mean(error**2, axis=(1, 2)) + 1e-10))


def generator_adversarial(fake_logits):
    """Returns L_adv = mean of -log D(G(x)), from the discriminator's logits.

    Source: "Adversarial Audio Super-Resolution with Unsupervised Feature Losses", section 3.

    Example:

    >>> import numpy as np
    >>> round(float(generator_adversarial(np.zeros((2, 1)))), 4)
    0.6931
    """
    return ops.mean(ops.softplus(-fake_logits))


def discriminator_cross_entropy(real_logits, fake_logits):
    """Returns L_D = -mean[log D(x) + log(1 - D(G(x)))], from logits.

    Source: "Adversarial Audio Super-Resolution with Unsupervised Feature Losses", section 3.

    Example:

    >>> import numpy as np
    >>> round(float(discriminator_cross_entropy(np.zeros((2, 1)), np.zeros((2, 1)))), 4)
    1.3863
    """
    return ops.mean(ops.softplus(-real_logits)) + ops.mean(ops.softplus(fake_logits))
