import numpy as np
import pytest
import scipy.signal
import signals

from tonezoo.training.loudness import critical_bands, loudness_disturbance

RATE_HZ = 16_000


def noise(seed=0, samples=8192):
    return signals.noise(1, samples, 1, seed=seed, std=0.05)


def tone(frequency_hz, level):
    wave = signals.sine(frequency_hz, 8192, RATE_HZ, level=level * np.sqrt(2))
    return wave.reshape(1, -1, 1).astype("float32")


def disturbance(target, estimate, rate_hz=RATE_HZ):
    return float(loudness_disturbance(target, estimate, rate_hz))


def fading(signal, end=0.05):
    return signal * np.linspace(1, end, signal.shape[1], dtype="float32")[:, None]


def naive(target, estimate):
    """The docstring's formula, frame by frame."""
    weights, threshold = critical_bands(RATE_HZ)
    window = scipy.signal.get_window("hann", 512)
    sums = []
    for signal in (target, estimate):
        padded = np.pad(signal[0, :, 0].astype("float64"), 256, mode="reflect")
        frames = np.lib.stride_tricks.sliding_window_view(padded, 512)[::256]
        spl = np.abs(np.fft.rfft(frames * window)) ** 2 * 10**10.5 / (0.375 * 512 * 256)
        sums.append(spl @ weights)
    reference, power = sums
    reference = reference * np.clip((power.mean(0) + 1e3) / (reference.mean(0) + 1e3), 0.01, 100)
    loud = [
        np.maximum((threshold / 0.5) ** 0.23 * ((0.5 + 0.5 * p / threshold) ** 0.23 - 1), 0)
        for p in (reference, power)
    ]
    heard = np.maximum(np.abs(loud[1] - loud[0]) - np.minimum(*loud) / 4, 0)
    added = ((power + 50) / (reference + 50)) ** 1.2
    added = np.where(added < 3, 0, np.minimum(added, 12))
    frames = (np.sqrt((heard**2).sum(1) / 2), (added * heard).sum(1) / 2)
    symmetric, asymmetric = (np.mean(frame**6) ** (1 / 6) for frame in frames)
    return 0.1 * symmetric + 0.0309 * asymmetric


PAIRS = {
    "the same noise a hundred times quieter": (noise(), 0.01 * noise()),
    "other noise": (noise(0), noise(1)),
    "noise fading": (noise(0), fading(noise(1))),
    "a fading to be held": (fading(noise(0)), noise(1)),
    "a tone for noise": (0.3 * noise(), tone(1000, 0.05)),
    "nothing for noise": (noise(), np.zeros_like(noise())),
}


@pytest.mark.parametrize("name", PAIRS)
def test_it_is_the_formula(name):
    # What keeps the roots' gradients finite adds 0.0013 at most.
    assert disturbance(*PAIRS[name]) == pytest.approx(naive(*PAIRS[name]), rel=2e-3, abs=1.5e-3)


@pytest.mark.parametrize("rate_hz", [4000, 8000, 16_000, 44_100, 48_000, 96_000])
def test_equal_signals_differ_by_nothing_at_any_rate(rate_hz):
    for signal in (noise(), 1e-3 * noise(), 0 * noise(), tone(440, 0.3)):
        assert disturbance(signal, signal, rate_hz) < 1.5e-3


def test_what_is_added_counts_more_than_what_is_missing():
    steady, fades = noise(), fading(noise())
    assert 2 * disturbance(steady, fades) < disturbance(fades, steady)


def test_another_level_counts_less_than_another_course_of_the_level():
    assert disturbance(noise(), 0.3 * noise()) < 0.2 * disturbance(noise(), fading(noise(), 0.3))


def test_small_differences_and_unheard_tones_do_not_count():
    target = noise()
    assert disturbance(target, fading(target, 0.9)) < 2e-3
    silence = np.zeros_like(target)
    # 105 dB SPL full scale: 0 dB SPL is under the threshold at 8 kHz, 60 dB SPL far above it.
    assert disturbance(silence, tone(7500, 10 ** (-105 / 20))) < 1.5e-3
    assert disturbance(silence, tone(7500, 10 ** (-45 / 20))) > 0.5


def test_too_short_patches_are_refused():
    short = noise(samples=256)
    with pytest.raises(ValueError, match="at least 257 samples at 16000 Hz, but got 256"):
        disturbance(short, short)


def test_every_bin_above_the_lowest_band_is_counted_once():
    weights, threshold = critical_bands(RATE_HZ)
    total = weights.sum(axis=1)
    assert np.isclose(total, 1, atol=1e-6).sum() >= 253
    assert ((total < 1e-6) | np.isclose(total, 1, atol=1e-6)).all()
    assert (weights.sum(axis=0) > 0).all()
    # Hearing is keenest between 3 and 4 kHz, where it reaches below 0 dB SPL.
    assert 10 * np.log10(threshold.min()) == pytest.approx(-5, abs=1)


def test_silence_has_a_finite_gradient():
    import tensorflow as tf

    silence = tf.zeros((1, 2048, 1))
    with tf.GradientTape() as tape:
        tape.watch(silence)
        loss = loudness_disturbance(silence, silence, RATE_HZ)
    assert np.isfinite(tape.gradient(loss, silence)).all()
