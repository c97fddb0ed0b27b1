import numpy as np
import pytest

from tonezoo.audio.resampling import LOW_PASSES, decimate, resample, resample_sharply


def gain_db(samples, bins):
    """Power between shares of the Nyquist frequency, relative to white noise of unit variance."""
    frames = samples[: len(samples) // 2048 * 2048].reshape(-1, 2048) * np.hanning(2048)
    power = (np.abs(np.fft.rfft(frames)) ** 2).mean(axis=0) / np.sum(np.hanning(2048) ** 2)
    low, high = (round(1024 * share) for share in bins)
    return 10 * np.log10(power[low:high].mean())


@pytest.mark.parametrize("from_hz", [22_050, 44_100, 48_000])
def test_sharp_resampling_fills_the_band_to_its_end(from_hz):
    noise = np.random.default_rng(0).standard_normal(10 * from_hz).astype("float32")
    output = resample_sharply(noise, from_hz, 16_000)
    assert len(output) == 160_000 and output.dtype == np.float32
    for bins in ((0.1, 0.2), (0.9, 0.95), (0.96, 0.985)):
        # What lies in a band of Hz stays; the band of a sample has another width.
        assert gain_db(output, bins) == pytest.approx(10 * np.log10(16_000 / from_hz), abs=0.3)


def test_sharp_resampling_makes_nothing_up_above_the_old_band():
    noise = np.random.default_rng(0).standard_normal(80_000).astype("float32")
    output = resample_sharply(noise, 8_000, 16_000)
    assert gain_db(output, (0.05, 0.45)) == pytest.approx(10 * np.log10(2), abs=0.3)
    assert gain_db(output, (0.52, 1)) < -75


@pytest.mark.parametrize("from_hz", [44_101, 9_999_991])
def test_odd_rates_take_no_filter_of_millions_of_taps(from_hz):
    time = np.arange(5000) / from_hz
    output = resample_sharply(np.sin(2 * np.pi * 440 * time), from_hz, 16_000)
    assert len(output) == round(5000 * 16_000 / from_hz)
    expected = np.sin(2 * np.pi * 440 * np.arange(len(output)) / 16_000)
    np.testing.assert_allclose(output[100:-100], expected[100:-100], atol=1e-3)


def test_sharp_resampling_keeps_time_and_level():
    time = np.arange(44_100) / 44_100
    output = resample_sharply(np.sin(2 * np.pi * 440 * time), 44_100, 16_000)
    expected = np.sin(2 * np.pi * 440 * np.arange(16_000) / 16_000)
    np.testing.assert_allclose(output[800:-800], expected[800:-800], atol=1e-4)


@pytest.mark.parametrize("low_pass", LOW_PASSES)
@pytest.mark.parametrize("channels", [(), (2,)])
def test_every_low_pass_decimates_without_delay(low_pass, channels):
    time = np.arange(8003)
    tone = np.sin(2 * np.pi * 0.01 * time).reshape(-1, *(1 for _ in channels))
    samples = np.broadcast_to(tone, (8003, *channels))
    low = decimate(samples, 4, low_pass)
    assert low.shape == (2001, *channels) and low.dtype == np.float32
    np.testing.assert_allclose(low[200:-200], samples[::4][200:-200], atol=8e-3)
    # What would be mirrored into the low band is gone.
    image = np.sin(2 * np.pi * 0.24 * time)
    assert np.abs(decimate(image, 4, low_pass)[200:-200]).max() < 0.01


def test_unknown_low_passes_are_named():
    with pytest.raises(ValueError, match="one of chebyshev, butterworth, fft, soxr, but is 'sinc'"):
        decimate(np.zeros(100), 4, "sinc")


@pytest.mark.parametrize("rate_hz", [0, -8000, 1e-6, np.inf, np.nan, 99, 1e9, "8000", None, True])
def test_rates_that_are_none_are_refused_at_once(rate_hz):
    for function in (resample, resample_sharply):
        with pytest.raises(ValueError, match="from 100 to 10,000,000"):
            function(np.zeros(10), rate_hz, 8000)
        with pytest.raises(ValueError, match="from 100 to 10,000,000"):
            function(np.zeros(10), 8000, rate_hz)
