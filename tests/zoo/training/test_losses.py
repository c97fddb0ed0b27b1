"""Loss terms against plain NumPy."""

import numpy as np
import pytest

from tonezoo.training import losses
from tonezoo.training.loss_terms import SHORT_SPECTRAL_WINDOWS, SPECTRAL_WINDOWS


def signals():
    random = np.random.default_rng(0)
    return random.standard_normal((2, 2, 4096, 1)).astype("float32")


def power_spectrum(signal, size, hop):
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / size)
    padded = np.pad(signal[:, :, 0], ((0, 0), (size // 2, size // 2)), mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, size, axis=1)
    return np.abs(np.fft.rfft(frames[:, ::hop] * window)) ** 2


@pytest.mark.parametrize("windows", [SPECTRAL_WINDOWS, SHORT_SPECTRAL_WINDOWS])
def test_log_spectral_equals_numpy(windows):
    both = signals()
    expected = []
    for size in windows:
        target, estimate = (np.log10(power_spectrum(x, size, size // 4) + 1e-7) for x in both)
        expected.append(np.abs(target - estimate).mean())
    found = float(losses.log_spectral(*both, windows))
    assert found == pytest.approx(np.mean(expected), rel=1e-4)


@pytest.mark.parametrize(
    ("windows", "shortest"), [(SPECTRAL_WINDOWS, 1025), (SHORT_SPECTRAL_WINDOWS, 129)]
)
def test_log_spectral_explains_short_patches(windows, shortest):
    short = np.zeros((1, shortest - 1, 1))
    with pytest.raises(ValueError, match=f"at least {shortest} samples, but got {shortest - 1}"):
        losses.log_spectral(short, short, windows)


@pytest.mark.parametrize("ratio", [2, 3, 4])
def test_band_level_equals_numpy(ratio):
    both = signals()
    both[1] *= np.linspace(0.5, 2, 4096, dtype="float32")[:, None]
    # Every bin from the old Nyquist frequency to the new one in one of 12 bands of equal ratio.
    band = np.floor(12 * np.log(np.arange(1, 129) * ratio / 128) / np.log(ratio) + 1e-9)
    band[-1] = 11
    levels = []
    for signal in both:
        power = power_spectrum(signal, 256, 128)[:, :, 1:]
        energies = [power[:, :, band == k].sum(axis=2) for k in range(12)]
        levels.append(np.log10(np.array(energies) + 1e-6))
    excess = levels[1] - levels[0]
    expected = np.where(excess > 0, 0.7 * excess, -0.3 * excess).mean()
    assert float(losses.band_level(*both, ratio)) == pytest.approx(expected, rel=1e-4)


def test_band_level_hears_nothing_of_the_band_that_is_given():
    tone = np.sin(2 * np.pi / 32 * np.arange(4096)).reshape(1, 4096, 1)  # half the low Nyquist
    white = 0.1 * signals()[0][:1]
    assert float(losses.band_level(white + tone, white - tone, 4)) < 0.02
    assert float(losses.band_level(white, np.zeros_like(white), 4)) > 1


def test_tonal_explains_patches_of_no_whole_periods():
    with pytest.raises(ValueError, match="a multiple of 16 samples, but got 24"):
        losses.tonal(np.zeros((1, 24, 1)), np.zeros((1, 24, 1)))


def test_log_spectral_of_silence_is_finite_with_a_finite_gradient():
    import tensorflow as tf

    silence = tf.zeros((1, 2048, 1))
    with tf.GradientTape() as tape:
        tape.watch(silence)
        loss = losses.log_spectral(tf.zeros((1, 2048, 1)), silence)
    assert float(loss) == 0.0
    assert np.isfinite(tape.gradient(loss, silence)).all()


def test_patch_rms_is_the_mean_over_patches_of_the_root():
    target, estimate = signals()
    roots = np.sqrt(((target - estimate) ** 2).mean(axis=(1, 2)) + 1e-6)
    assert float(losses.patch_rms_error(target, estimate)) == pytest.approx(roots.mean(), rel=1e-5)


def test_adversarial_terms_are_the_papers_logarithms():
    real, fake = np.array([[2.0], [-1.0]]), np.array([[0.5], [-3.0]])
    probability = {"real": 1 / (1 + np.exp(-real)), "fake": 1 / (1 + np.exp(-fake))}
    expected = -np.log(probability["real"]).mean() - np.log(1 - probability["fake"]).mean()
    assert float(losses.discriminator_cross_entropy(real, fake)) == pytest.approx(expected)
    expected = -np.log(probability["fake"]).mean()
    assert float(losses.generator_adversarial(fake)) == pytest.approx(expected)


def test_adversarial_terms_stay_finite_for_a_certain_discriminator():
    certain = np.array([[300.0]], "float32")
    assert np.isfinite(float(losses.generator_adversarial(-certain)))
    assert np.isfinite(float(losses.discriminator_cross_entropy(-certain, certain)))


def test_tonal_is_the_share_of_the_error_that_repeats_every_16_samples():
    random = np.random.default_rng(0)
    target = random.standard_normal((3, 4096, 1))
    pattern = random.standard_normal(16)
    error = np.tile(pattern, 256).reshape(1, -1, 1)
    assert float(losses.tonal(target, target + error)) == pytest.approx(1, rel=1e-4)
    # Turned round half-way, it cancels in the mean.
    shifted = np.concatenate([error[:, :2048], -error[:, 2048:]], axis=1)
    assert float(losses.tonal(target, target + shifted)) < 1e-6
    assert float(losses.tonal(target, target + error, 32)) == pytest.approx(1, rel=1e-4)
    assert float(losses.tonal(target, target + error, 8)) < 0.9
    noise = random.standard_normal((200, 4096, 1))
    assert float(losses.tonal(0 * noise, noise)) == pytest.approx(16 / 4096, rel=0.1)
