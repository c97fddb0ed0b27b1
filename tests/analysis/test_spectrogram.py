import struct
import sys

import numpy as np
import pytest

from tonezoo.analysis.spectrogram import power_frames, save_spectrograms, spectrogram_db

RATE_HZ = 8000


def sine(frequency_hz, samples=4096):
    return np.sin(2 * np.pi * frequency_hz * np.arange(samples) / RATE_HZ)


def test_frames_start_at_multiples_of_the_hop_and_drop_the_tail():
    x = np.random.default_rng(0).standard_normal(25)
    frames = power_frames(x, n_fft=8, hop=6)
    window = np.sin(np.pi * np.arange(8) / 8) ** 2
    expected = [np.abs(np.fft.rfft(x[s : s + 8] * window)) ** 2 for s in (0, 6, 12)]
    np.testing.assert_allclose(frames, expected, atol=1e-12)


def test_levels_are_relative_to_a_full_scale_sine():
    loud, quiet = sine(1000), 0.01 * sine(1000)
    peak_bin = 1000 * 1024 // RATE_HZ
    for signal, level in [(loud, 0), (quiet, -40)]:
        picture = spectrogram_db(signal)
        assert picture.shape == (513, 13)
        np.testing.assert_allclose(picture[peak_bin], level, atol=1e-3)
        assert (picture.argmax(axis=0) == peak_bin).all()
    assert (spectrogram_db(np.zeros(2000)) == -100).all()


def test_a_single_sample_is_drawn_and_none_is_refused():
    assert spectrogram_db(np.ones(1)).shape == (513, 1)
    for empty in (np.ones(0), np.ones((10, 2))):
        with pytest.raises(ValueError, match=r"\(time,\) of at least one sample"):
            spectrogram_db(empty)


def test_picture_has_a_panel_for_each_signal(tmp_path):
    image = pytest.importorskip("matplotlib.image")
    high, low = sine(3000, 16_000), sine(500, 16_000)
    save_spectrograms(tmp_path / "deep" / "both.png", {"high": high, "low": low}, RATE_HZ)
    pixels = image.imread(tmp_path / "deep" / "both.png")[:, :, :3].sum(axis=2)
    height, width = pixels.shape
    # The tone is the brightest row inside a panel: high in the left one, low in the right one.
    inside = slice(int(0.12 * height), int(0.8 * height))
    left = pixels[inside, int(0.25 * width)].argmax()
    right = pixels[inside, int(0.65 * width)].argmax()
    assert left < right
    save_spectrograms(tmp_path / "one.png", {"high": high}, RATE_HZ)
    header = (tmp_path / "one.png").read_bytes()[:24]
    assert header[:4] == b"\x89PNG"
    assert struct.unpack(">I", header[16:20])[0] < width


def test_nothing_to_draw_and_missing_matplotlib_are_explained(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="`signals` is empty"):
        save_spectrograms(tmp_path / "a.png", {}, RATE_HZ)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r"tonezoo\[eval\]"):
        save_spectrograms(tmp_path / "a.png", {"tone": sine(500)}, RATE_HZ)
    assert not list(tmp_path.iterdir())
