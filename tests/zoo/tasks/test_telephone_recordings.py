"""What telephones record, through the model that `tonezoo enhance` picks for 8 kHz."""

import numpy as np
import pytest
import soundfile
from signals import write_audio

from tonezoo.audio.resampling import decimate
from tonezoo.recipes.corpus.speech import procedural_corpus
from tonezoo.tasks.super_resolution.files import enhance_files

RATE_HZ = 8000


@pytest.fixture(scope="module")
def speech():
    """Two seconds of made-up speech at 8 kHz, half a second of digital silence in its middle."""
    (clip,) = procedural_corpus(seed=5, clips=1, segment_s=2.0).values()
    low = decimate(clip, 2).astype("float32")
    low *= 0.5 / np.abs(low).max()
    low[6000:10_000] = 0
    return low


@pytest.fixture
def enhanced(tmp_path):
    """enhanced(samples, **options): what was read of an 8 kHz WAV, and what became of it."""

    def run(samples, **options):
        source = write_audio(tmp_path / "phone.wav", samples, RATE_HZ, **options)
        (result,) = enhance_files([source], tmp_path / "out")
        assert result.error is None and result.notice is None
        output, rate_hz = soundfile.read(result.output, always_2d=True)
        given, _ = soundfile.read(source, always_2d=True)
        assert rate_hz == 2 * RATE_HZ and len(output) == 2 * len(given)
        return given, output

    return run


def rms_dbfs(samples):
    return 10 * np.log10(np.mean(np.square(samples)) + 1e-20)


def band_dbfs(samples, lowest_hz, highest_hz, rate_hz=2 * RATE_HZ):
    """The level of a band of a signal (time,)."""
    spectrum = np.fft.rfft(samples)
    frequency_hz = np.linspace(0, rate_hz / 2, len(spectrum))
    spectrum[(frequency_hz < lowest_hz) | (frequency_hz > highest_hz)] = 0
    return rms_dbfs(np.fft.irfft(spectrum, len(samples)))


@pytest.mark.parametrize("subtype", ["ALAW", "ULAW", "GSM610"])
def test_telephone_codings_are_read_and_gain_a_band(speech, enhanced, subtype):
    given, output = enhanced(speech, subtype=subtype)
    assert output.shape[1] == 1
    voiced = output[: 2 * 5000, 0]
    assert rms_dbfs(voiced) - 50 < band_dbfs(voiced, 4500, 7500) < rms_dbfs(voiced) - 6
    # The given band stays as it was.
    change = decimate(output[:, 0], 2) - given[:, 0]
    assert band_dbfs(change, 200, 2500, RATE_HZ) < rms_dbfs(given) - 30


def test_an_offset_stays_and_clipping_adds_nothing_wild(speech, enhanced):
    given, output = enhanced(np.clip(4 * speech, -0.7, 0.7) + 0.1)
    middle = slice(2000, -2000)
    assert output[middle].mean() == pytest.approx(given[1000:-1000].mean(), abs=0.01)
    assert band_dbfs(output[middle, 0], 4500, 7500) < rms_dbfs(speech) - 3
    # Digital silence under an offset is silence in the band above.
    assert band_dbfs(output[2 * 7000 : 2 * 9000, 0] - output[2 * 8000, 0], 4500, 7500) < -75


def test_the_parties_of_a_call_stay_on_their_channels(speech, enhanced):
    quiet = np.zeros_like(speech)
    _, output = enhanced(np.stack([speech, quiet], axis=1))
    assert output.shape[1] == 2
    assert np.abs(output[:, 1]).max() < 1e-9 and rms_dbfs(output[:, 0]) > -40
    _, alone = enhanced(speech)
    np.testing.assert_allclose(output[:, :1], alone, atol=2e-4)


@pytest.mark.parametrize("noise_dbfs", [None, -90.0])
def test_between_words_there_is_no_hiss(speech, enhanced, noise_dbfs):
    """After 64 ms, which the model sees of what was before, and of what comes."""
    low = speech.copy()
    if noise_dbfs is not None:
        low += np.random.default_rng(0).normal(0, 10 ** (noise_dbfs / 20), len(low))
    _, output = enhanced(low, subtype="FLOAT")
    pause = output[2 * (6000 + 800) : 2 * (10_000 - 800), 0]
    assert band_dbfs(pause, 4000, 8000) < -75
