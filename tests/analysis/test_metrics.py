import math
from functools import partial

import numpy as np
import pytest
import signals
import soundfile

from tonezoo.analysis.metrics import lsd, lsd_hop512, lsd_kuleshov, snr_db
from tonezoo.audio.resampling import decimate, upsample_spline

DISTANCES = [lsd, lsd_hop512, lsd_kuleshov]


noise = partial(signals.noise, std=1.0)


def test_snr_by_hand():
    assert snr_db([1.0, -1.0], [1.1, -1.1]) == pytest.approx(20)
    assert snr_db([3.0, 4.0], [3.0, 4.0]) == math.inf
    assert snr_db([0.0, 0.0], [0.1, 0.0]) == -math.inf
    assert math.isnan(snr_db([0.0], [0.0]))


@pytest.mark.parametrize(
    ("distance", "decade"), [(lsd, 1), (lsd_hop512, 1), (lsd_kuleshov, math.log(10))]
)
def test_power_ratio_is_logarithmic_in_each_metrics_own_base(distance, decade):
    x = noise(10_000)
    assert distance(x, x) == 0
    assert distance(x, math.sqrt(1000) * x) == pytest.approx(3 * decade, rel=1e-6)


def naive_log_powers(x, starts, log_power):
    """One row a frame, by the DFT's definition at three bins."""
    n = np.arange(2048)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * n / 2048)
    bins = np.exp(-2j * np.pi * np.outer(n, np.arange(1025)) / 2048)
    return np.array([log_power(np.abs((x[s : s + 2048] * window) @ bins) ** 2) for s in starts])


def clamped(power):
    return np.log10(np.maximum(power, 1e-8))


def test_definitions_against_the_written_out_transform():
    rng = np.random.default_rng(0)
    # Faint enough for the floor to matter, and with a tail of less than a frame.
    x = rng.standard_normal(2 * 2048 + 700) * 1e-5
    y = np.convolve(x, [0.5, 0.3], mode="same")
    a, b = (naive_log_powers(s, [0, 2048], clamped) for s in (x, y))
    assert np.any(a == -8)
    assert lsd(x, y) == pytest.approx(np.sqrt(((a - b) ** 2).mean(1)).mean(), rel=1e-9)

    centred = [np.pad(s, 1024, mode="reflect") for s in (x, y)]
    starts = range(0, len(x) + 1, 512)
    a, b = (naive_log_powers(s, starts, clamped) for s in centred)
    assert lsd_hop512(x, y) == pytest.approx(np.sqrt(((a - b) ** 2).mean(1)).mean(), rel=1e-9)

    a, b = (naive_log_powers(s, starts, lambda p: np.log(p + 1e-8)) for s in centred)
    assert lsd_kuleshov(x, y) == pytest.approx(np.sqrt(((a - b) ** 2).mean(0)).mean(), rel=1e-9)


@pytest.mark.parametrize("distance", DISTANCES)
def test_clips_shorter_than_a_frame_are_padded_with_zeros(distance):
    x, y = noise(300), noise(300, seed=1)
    padding = (0, 2048 - 300)
    assert distance(x, y) == distance(np.pad(x, padding), np.pad(y, padding)) > 0
    assert math.isfinite(distance(x[:1], y[:1]))


@pytest.mark.parametrize("distance", DISTANCES)
def test_silence_gives_a_finite_distance(distance):
    assert distance(np.zeros(4096), np.zeros(4096)) == 0
    assert math.isfinite(distance(noise(4096), np.zeros(4096)))


def test_noise_lowers_the_distance_of_a_signal_that_lost_its_upper_band():
    x = noise(16_384) * 0.1
    spectrum = np.fft.rfft(x)
    spectrum[2048:] = 0
    dull = np.fft.irfft(spectrum)
    assert lsd(x, dull + 1e-3 * noise(16_384, seed=1)) < 0.7 * lsd(x, dull)


@pytest.mark.parametrize("metric", [snr_db, *DISTANCES])
def test_unusable_signals_are_refused(metric):
    with pytest.raises(ValueError, match=r"\(5,\) \(reference\) and \(4,\) \(estimate\)"):
        metric(np.ones(5), np.ones(4))
    with pytest.raises(ValueError, match="mono"):
        metric(np.ones((5, 2)), np.ones((5, 2)))
    with pytest.raises(ValueError, match="at least one sample"):
        metric([], [])
    with pytest.raises(ValueError, match="estimate has NaN"):
        metric(np.ones(2), [1.0, math.nan])


@pytest.mark.slow
def test_published_check_values_on_real_speech(shared_audio):
    pytest.importorskip("pesq")
    from tonezoo.analysis.super_resolution_evaluation import measure

    options = {"ratio": 4, "sample_rate_hz": 16_000, "keys": ("snr_db", "lsd", "mos_lqo_wb")}
    noise_dbfs = (-np.inf, -72, -60)
    random = np.random.default_rng(0)
    scores = []
    for path in sorted((shared_audio / "vctk/p228").iterdir()):
        samples = soundfile.read(path)[0]
        reference = samples[: len(samples) // 4 * 4]
        spline = upsample_spline(decimate(reference, 4), 4)
        noise = random.standard_normal(len(spline))
        rows = [spline + 10 ** (level / 20) * noise for level in noise_dbfs]
        scores.append([measure(reference, row, **options) for row in rows])
    spline, *noisy = np.mean(scores, axis=0)
    np.testing.assert_allclose(spline, (15.85, 3.95, 3.03), atol=0.006)
    # The noise of the check values was another.
    np.testing.assert_allclose(noisy, [(15.84, 2.14, 2.88), (15.83, 1.54, 2.37)], atol=0.02)
