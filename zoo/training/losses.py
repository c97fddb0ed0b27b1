"""Loss terms of audio super-resolution: functions of target and estimate (batch, time, 1)."""

import math

import numpy as np
from keras import ops

from tonezoo.training.loss_terms import SPECTRAL_WINDOWS

SPECTRAL_FLOOR = 1e-7
BANDS = 12
BAND_WINDOW = 256
BAND_FLOOR = 1e-6
# What is too loud costs more than what is as much too quiet.
TOO_LOUD, TOO_QUIET = 0.7, 0.3


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


def log_spectral(target, estimate, windows=SPECTRAL_WINDOWS):
    """Returns the mean absolute difference of log10 power spectra over several resolutions.

    Hann windows with hops of a quarter, the power floored by adding 1e-7 (16-bit rounding noise
    lies near 6e-8 at 2048). This term is ours, not the paper's.

    Args:
        target: (batch, time, 1).
        estimate: the same shape.
        windows: their lengths in samples. Long ones tell harmonics apart; short ones, 256 samples
            and less, see what a long one lets smear before and after an onset.

    Raises:
        ValueError: patches of half the longest window or less, which it cannot be centred on.

    Example:

    >>> import numpy as np
    >>> target = np.random.default_rng(0).standard_normal((1, 4096, 1)).astype("float32")
    >>> round(float(log_spectral(target, 0.1 * target)), 3)
    2.0
    """
    shortest = max(windows) // 2 + 1
    if target.shape[1] is not None and target.shape[1] < shortest:
        raise ValueError(
            f"The spectral loss needs patches of at least {shortest} samples, but got "
            f"{target.shape[1]}. Lengthen segment_samples."
        )
    differences = [
        ops.mean(ops.abs(log_power(target, size) - log_power(estimate, size))) for size in windows
    ]
    return sum(differences) / len(differences)


def log_power(waveform, window_samples: int):
    """Returns log10 of the floored power spectrum, (batch, frames, bins), of (batch, time, 1)."""
    power = power_spectrum(waveform, window_samples, window_samples // 4)
    return ops.log(power + SPECTRAL_FLOOR) / math.log(10)


def power_spectrum(waveform, window_samples: int, hop_samples: int):
    """Returns the power spectrum, (batch, frames, bins), of (batch, time, 1), Hann windows."""
    real, imaginary = ops.stft(
        waveform[:, :, 0],
        sequence_length=window_samples,
        sequence_stride=hop_samples,
        fft_length=window_samples,
    )
    return ops.square(real) + ops.square(imaginary)


def band_level(target, estimate, ratio: int):
    """Returns how far the levels above the input's band are off, what is too loud counting more.

    The pinball loss of d = estimate - target, log10 energies + 1e-6 in 12 bands and in frames of
    256 samples, half over each other: the mean of 0.7 d where d > 0 and of -0.3 d elsewhere. The
    bands lie between the Nyquist frequencies of the low and the high rate, each as much wider than
    the one below. Listeners, and PESQ, hear a band that is too loud as hiss, one that is too quiet
    hardly at all. This term is ours, not the paper's.

    Args:
        target: (batch, time, 1), time at least 129.
        estimate: the same shape.
        ratio: high rate over low rate.

    Example:

    >>> import numpy as np
    >>> target = np.random.default_rng(0).standard_normal((1, 4096, 1)).astype("float32")
    >>> [round(float(band_level(target, gain * target, 4)), 3) for gain in (10**0.5, 10**-0.5)]
    [0.7, 0.3]
    """
    excess = log_band_energies(estimate, ratio) - log_band_energies(target, ratio)
    return ops.mean(ops.maximum(TOO_LOUD * excess, -TOO_QUIET * excess))


def log_band_energies(waveform, ratio: int):
    """Returns log10 of the energies + 1e-6, (batch, frames, bands), of (batch, time, 1)."""
    power = power_spectrum(waveform, BAND_WINDOW, BAND_WINDOW // 2)
    return ops.log(ops.matmul(power, bands(ratio)) + BAND_FLOOR) / math.log(10)


def bands(ratio: int) -> np.ndarray:
    """Returns which bins of `BAND_WINDOW` belong to which of `BANDS`, zeros and ones (bins, bands).

    Example:

    >>> bands(4).sum(axis=0).astype(int).tolist()
    [4, 5, 5, 5, 7, 6, 8, 9, 10, 11, 13, 14]
    """
    top = BAND_WINDOW // 2
    # Rounded, lest a bin on an edge fall on either side of it.
    edges = np.round(top / ratio * ratio ** (np.arange(BANDS + 1) / BANDS), 6)
    edges[-1] += 1
    bins = np.arange(top + 1)[:, None]
    return ((bins >= edges[:-1]) & (bins < edges[1:])).astype("float32")


def tonal(target, estimate, period_samples: int = 16):
    """Returns the mean over patches of the periodic part of the error, as a share of its power.

    The part of period P: the mean over all samples n of one phase n mod P, squared and averaged
    over the phases. Its lines lie at the multiples of rate / P, where upsampling layers, or the
    frames of an inverse transform, leave tones. Of white noise it is P / time. This term is ours,
    not the paper's.

    Args:
        target: (batch, time, 1), time a multiple of the period.
        estimate: the same shape.
        period_samples: P, a generator's `grid_samples`: 16 for MU-GAN4.

    Raises:
        ValueError: time is not a multiple of the period.

    Example:

    >>> import numpy as np
    >>> tone = np.cos(np.pi / 8 * np.arange(64)).reshape(1, 64, 1)
    >>> between = np.cos(np.pi / 16 * np.arange(64)).reshape(1, 64, 1)
    >>> [round(float(tonal(np.zeros_like(x), x)), 3) for x in (tone, between)]
    [1.0, 0.0]
    """
    if target.shape[1] is not None and target.shape[1] % period_samples:
        raise ValueError(
            f"The tonal loss needs patches of a multiple of {period_samples} samples, but "
            f"got {target.shape[1]}. Change segment_samples."
        )
    error = estimate - target
    # (batch, time, 1) -> (batch, period, phase)
    phases = ops.reshape(error, (ops.shape(error)[0], -1, period_samples))
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


def generator_least_squares(fake):
    """Returns the mean over the discriminator's stacks of the mean of (D(G(x)) - 1)^2.

    Args:
        fake: what each stack makes of the estimate, see `SpeechDiscriminator.activations`.

    Source: J. Kong et al., "HiFi-GAN" (2020), section 2.4.

    Example:

    >>> import numpy as np
    >>> float(generator_least_squares([[np.array([0.0, 1.0])], [np.array([1.0])]]))
    0.25
    """
    return mean_over_stacks(fake, lambda logits: ops.mean(ops.square(logits - 1)))


def discriminator_least_squares(real, fake):
    """Returns the mean over stacks of the means of (D(x) - 1)^2 and of D(G(x))^2, added.

    Args:
        real, fake: what each stack makes of the target and of the estimate.

    Source: J. Kong et al., "HiFi-GAN" (2020), section 2.4.

    Example:

    >>> import numpy as np
    >>> float(discriminator_least_squares([[np.array([0.0])]], [[np.array([0.5])]]))
    1.25
    """
    return generator_least_squares(real) + mean_over_stacks(
        fake, lambda logits: ops.mean(ops.square(logits))
    )


def generator_hinge(fake):
    """Returns the mean over the discriminator's stacks of the mean of -D(G(x)).

    Args:
        fake: what each stack makes of the estimate, see `MelGanDiscriminator.activations`.

    Source: K. Kumar et al., "MelGAN" (2019), section 2.3, divided by the number of scales.

    Example:

    >>> import numpy as np
    >>> float(generator_hinge([[np.array([0.0, 1.0])], [np.array([1.0])]]))
    -0.75
    """
    return mean_over_stacks(fake, lambda logits: -ops.mean(logits))


def discriminator_hinge(real, fake):
    """Returns the mean over stacks of the means of max(0, 1 - D(x)) and max(0, 1 + D(G(x))), added.

    Args:
        real, fake: what each stack makes of the target and of the estimate.

    Source: K. Kumar et al., "MelGAN" (2019), section 2.3, divided by the number of scales.

    Example:

    >>> import numpy as np
    >>> float(discriminator_hinge([[np.array([0.5, 2.0])]], [[np.array([-0.5, -2.0])]]))
    0.5
    """
    return mean_over_stacks(real, lambda logits: ops.mean(ops.relu(1 - logits))) + mean_over_stacks(
        fake, lambda logits: ops.mean(ops.relu(1 + logits))
    )


def feature_matching(real, fake):
    """Returns the mean over all layers but the logits of mean |D_i(x) - D_i(G(x))|.

    Args:
        real, fake: what each stack makes of the target and of the estimate.

    Source: K. Kumar et al., "MelGAN" (2019), section 2.4.

    Example:

    >>> import numpy as np
    >>> layers = [np.array([0.0, 2.0]), np.array([9.0])]
    >>> float(feature_matching([layers], [[np.array([1.0, 2.0]), np.array([0.0])]]))
    0.5
    """
    differences = [
        ops.mean(ops.abs(ops.cast(one, "float32") - ops.cast(other, "float32")))
        for ones, others in zip(real, fake, strict=True)
        for one, other in zip(ones[:-1], others[:-1], strict=True)
    ]
    return sum(differences) / len(differences)


def mean_over_stacks(activations, function):
    """Returns the mean of a function of each stack's logits, in float32."""
    values = [function(ops.cast(stack[-1], "float32")) for stack in activations]
    return sum(values) / len(values)
