"""Mel spectrograms against librosa's, at their ends, and their refusals."""

import numpy as np
import pytest
import signals

from tonezoo.layers import MelSpectrogram1D
from tonezoo.layers.mel import hz_to_mel, mel_filters, mel_to_hz

librosa = pytest.importorskip("librosa")


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"bands": 40, "sample_rate_hz": 16_000, "lowest_hz": 50.0, "highest_hz": 7600.0},
        {"bands": 20, "window_samples": 512, "hop_samples": 128},
    ],
)
def test_it_is_librosas_of_the_mirrored_signal(options):
    layer = MelSpectrogram1D(**options)
    window, hop = layer.stft.window_samples, layer.stft.hop_samples
    x = signals.noise(10 * hop, std=0.1)
    mirrored = np.pad(x, (window - hop) // 2, mode="reflect")
    expected = librosa.feature.melspectrogram(
        y=mirrored,
        sr=layer.sample_rate_hz,
        n_fft=window,
        hop_length=hop,
        center=False,
        power=1,
        n_mels=layer.bands,
        fmin=layer.lowest_hz,
        fmax=layer.highest_hz,
    )
    output = np.asarray(layer(x[None, :, None]))[0]
    assert output.shape == (10, layer.bands)
    np.testing.assert_allclose(output.T, np.log10(np.maximum(expected, 1e-5)), atol=1e-5)


def test_the_scale_is_librosas():
    frequency_hz = np.array([0.0, 60.0, 999.0, 1000.0, 1001.0, 11_025.0])
    np.testing.assert_allclose(hz_to_mel(frequency_hz), librosa.hz_to_mel(frequency_hz))
    np.testing.assert_allclose(mel_to_hz(hz_to_mel(frequency_hz)), frequency_hz, atol=1e-9)


def test_silence_is_the_least_magnitude():
    assert np.all(np.asarray(MelSpectrogram1D()(np.zeros((1, 700, 1), "float32"))) == -5)


def test_a_signal_shorter_than_the_margin_is_mirrored_again_and_again():
    x = signals.noise(1, 3, 1)
    # -2, -1, 0, 1, 2, 3 of a signal of three samples are 2, 1, 0, 1, 2, 1.
    index = 2 - np.abs(np.arange(-1024, 1280) % 4 - 2)
    longer = x[:, index]
    layer = MelSpectrogram1D()
    np.testing.assert_allclose(layer(x)[0, 0], layer(longer)[0, 4], atol=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lowest_hz": 9000.0, "highest_hz": 8000.0}, "between 0 and 11025.0 Hz"),
        ({"highest_hz": 12_000.0}, "between 0 and 11025.0 Hz"),
        (
            {"bands": 400},
            r"of 400 mel bands hold no bin.*fewer bands, or a longer window than 1024",
        ),
        ({"hop_samples": 300}, "window_samples must be hop_samples times an integer"),
        ({"bands": 0}, "bands must be an integer of at least 1"),
    ],
)
def test_options_that_do_not_fit_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        MelSpectrogram1D(**options)


def test_stereo_is_refused():
    with pytest.raises(ValueError, match=r"takes \(batch, time, 1\)"):
        MelSpectrogram1D()(np.zeros((1, 2000, 2), "float32"))


def test_filters_have_area_one_where_bins_are_close():
    filters = mel_filters(10, 4097, 16_000)
    np.testing.assert_allclose(filters.sum(axis=0) * 8000 / 4096, 1, rtol=1e-2)
