import sys

import numpy as np
import pytest
from signals import sine

from tonezoo.analysis.spectrogram import import_matplotlib, power_frames, spectrogram_db

RATE_HZ = 8000


def test_frames_start_at_multiples_of_the_hop_and_drop_the_tail():
    x = np.random.default_rng(0).standard_normal(25)
    frames = power_frames(x, n_fft=8, hop=6)
    window = np.sin(np.pi * np.arange(8) / 8) ** 2
    expected = [np.abs(np.fft.rfft(x[s : s + 8] * window)) ** 2 for s in (0, 6, 12)]
    np.testing.assert_allclose(frames, expected, atol=1e-12)


def test_levels_are_relative_to_a_full_scale_sine():
    loud, quiet = (sine(1000, 4096, RATE_HZ, level=level) for level in (1, 0.01))
    peak_bin = 1000 * 1024 // RATE_HZ
    for signal, level in [(loud, 0), (quiet, -40)]:
        picture = spectrogram_db(signal)
        assert picture.shape == (513, 13)
        np.testing.assert_allclose(picture[peak_bin], level, atol=1e-3)
        assert (picture.argmax(axis=0) == peak_bin).all()
    assert (spectrogram_db(np.zeros(2000)) == -100).all()


def test_a_single_sample_is_enough_and_none_is_refused():
    assert spectrogram_db(np.ones(1)).shape == (513, 1)
    for empty in (np.ones(0), np.ones((10, 2))):
        with pytest.raises(ValueError, match=r"\(time,\) of at least one sample"):
            spectrogram_db(empty)


def test_missing_matplotlib_is_explained(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r"tonezoo\[eval\]"):
        import_matplotlib()
