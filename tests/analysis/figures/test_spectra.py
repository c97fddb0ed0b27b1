"""The short-time transform of the figures against a naive one, and what is read off it."""

import numpy as np
import pytest
from signals import noise

from tonezoo.analysis.figures.spectra import Spectrum, levels_db, magnitudes, reference


def naive(frame):
    window = np.sin(np.pi * np.arange(2048) / 2048) ** 2
    return abs(np.fft.rfft(frame * window))


def test_frames_begin_in_the_signal_or_are_centred_on_their_time():
    x = noise(5000)
    inside, centred = magnitudes(x), magnitudes(x, center=True)
    assert inside.shape == (1025, 1 + (5000 - 2048) // 512) and centred.shape == (1025, 10)
    np.testing.assert_allclose(inside[:, 2], naive(x[1024:3072]), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(centred[:, 4], naive(x[1024:3072]), rtol=1e-4, atol=1e-4)
    zeros_before = np.concatenate([np.zeros(1024), x[:1024]])
    np.testing.assert_allclose(centred[:, 0], naive(zeros_before), rtol=1e-4, atol=1e-4)
    assert reference(x) == centred.max()


@pytest.mark.parametrize("level_db", [-20, -60])
def test_a_tone_and_a_notch_are_found_where_they_are(level_db):
    time = np.arange(32_768) / 32_000
    x = noise(len(time), std=1e-3)
    spectrum = np.fft.rfft(x)
    frequency_hz = np.fft.rfftfreq(len(x), 1 / 32_000)
    spectrum[abs(frequency_hz - 12_000) < 100] = 0
    tone = 2 * 10 ** (level_db / 20) * np.cos(2 * np.pi * 4000 * time)
    found = Spectrum(levels_db(np.fft.irfft(spectrum) + tone, 1024.0), 32_000)
    assert found.at_db(4000) == pytest.approx(level_db, abs=0.5)
    assert found.tones_hz(floor_db=-110) == [4000]
    assert found.stands_out_db(4000) == pytest.approx(level_db - found.median_db, abs=2)
    assert found.stands_out_db(12_000) < -30
    assert found.band_db(5000, 9000) == pytest.approx(found.median_db, abs=0.5)
