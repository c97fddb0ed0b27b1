import itertools

import numpy as np
import pytest
import soundfile

from tonezoo.recipes.corpus.speech import procedural_corpus, write_corpus


@pytest.fixture(scope="module")
def corpus():
    return procedural_corpus(clips=16, segment_s=2.0)


def power(samples, low_hz, high_hz, sample_rate_hz=16_000):
    """Power between two frequencies in each Hann-windowed frame of 32 ms."""
    frames = np.lib.stride_tricks.sliding_window_view(samples, 512)[::256]
    spectrum = np.abs(np.fft.rfft(frames * np.hanning(512))) ** 2
    frequency_hz = np.fft.rfftfreq(512, 1 / sample_rate_hz)
    return spectrum[:, (frequency_hz >= low_hz) & (frequency_hz < high_hz)].sum(axis=1)


def test_the_same_seed_gives_the_same_bits_and_another_seed_does_not(corpus):
    again = procedural_corpus(clips=16, segment_s=2.0)
    other = procedural_corpus(clips=1, segment_s=2.0, seed=1)
    assert list(again) == list(corpus)
    for name, samples in corpus.items():
        np.testing.assert_array_equal(samples, again[name])
    assert not np.array_equal(other["speech_000"], corpus["speech_000"])


def test_a_clip_does_not_depend_on_how_many_there_are(corpus):
    fewer = procedural_corpus(clips=5, segment_s=2.0)
    assert list(fewer) == ["speech_000", "speech_001", "speech_002", "strings_003", "speech_004"]
    for name, samples in fewer.items():
        np.testing.assert_array_equal(samples, corpus[name])


def test_clips_are_float32_of_the_duration_asked_for_and_do_not_clip(corpus):
    for samples in corpus.values():
        assert samples.dtype == np.float32
        assert samples.shape == (32_000,)
        assert 0.79 < np.max(np.abs(samples)) < 0.81
        assert abs(np.mean(samples)) < 0.01


def test_the_spectrum_falls_like_that_of_speech_and_reaches_8_khz(corpus):
    samples = np.concatenate([corpus[name] for name in corpus if name.startswith("speech")])
    total = power(samples, 0, 8001).sum()
    share_db = {
        band: 10 * np.log10(power(samples, *band).sum() / total)
        for band in ((0, 2000), (2000, 4000), (4000, 6000), (6000, 8001))
    }
    assert share_db[0, 2000] > -3
    assert -18 < share_db[2000, 4000] < -6
    assert -26 < share_db[4000, 6000] < -12
    assert -32 < share_db[6000, 8001] < -18


def log_powers(clips, edges):
    """Log powers (frames, bands) between successive edges in Hz, of the frames of all clips."""
    bands = list(itertools.pairwise(edges))
    return np.log10([np.concatenate([power(x, *band) for x in clips]) + 1e-3 for band in bands]).T


def test_speech_above_2_khz_can_be_predicted_from_the_band_below(corpus):
    """A quadratic regression fitted on half the clips explains the variance on the other half."""

    def features(clips):
        low = log_powers(clips, np.arange(0, 2001, 250))
        return np.hstack([low, low**2, np.ones((len(low), 1))]), log_powers(
            clips, (2000, 4000, 8000)
        )

    clips = [samples for name, samples in corpus.items() if name.startswith("speech")]
    x, y = features(clips[:6])
    weights = np.linalg.lstsq(x, y, rcond=None)[0]
    x, y = features(clips[6:])
    explained = 1 - np.var(y - x @ weights, axis=0) / np.var(y, axis=0)
    assert np.all(explained > 0.6), explained


def test_strings_above_2_khz_swell_and_decay_with_the_band_below(corpus):
    for name in corpus:
        if name.startswith("strings"):
            middle, high, highest = log_powers([corpus[name]], (1000, 2000, 4000, 8000)).T
            assert np.corrcoef(middle, high)[0, 1] > 0.4
            assert np.corrcoef(middle, highest)[0, 1] > 0.4


def test_speech_has_voiced_unvoiced_and_silent_stretches(corpus):
    samples = np.concatenate([corpus[name] for name in corpus if name.startswith("speech")])
    low, high = power(samples, 0, 2000), power(samples, 2000, 8001)
    loud = low + high > 1.0
    assert np.mean(high[loud] > 2 * low[loud]) > 0.05  # fricatives
    assert np.mean(high[loud] < 0.2 * low[loud]) > 0.3  # vowels
    assert 0.02 < np.mean(low + high < 0.01) < 0.5  # pauses, with the noise of a room


@pytest.mark.parametrize("sample_rate_hz", [8_000, 22_050, 44_100])
def test_other_sample_rates(sample_rate_hz):
    for samples in procedural_corpus(
        clips=4, segment_s=0.25, sample_rate_hz=sample_rate_hz
    ).values():
        assert len(samples) == round(0.25 * sample_rate_hz)
        assert np.all(np.isfinite(samples))


def test_written_files_hold_the_clips_exactly(tmp_path):
    paths = write_corpus(tmp_path / "new", clips=4, segment_s=0.5, seed=3)
    corpus = procedural_corpus(clips=4, segment_s=0.5, seed=3)
    assert [path.stem for path in paths] == list(corpus)
    for path in paths:
        samples, sample_rate_hz = soundfile.read(path, dtype="float32")
        assert sample_rate_hz == 16_000
        np.testing.assert_array_equal(samples, corpus[path.stem])


@pytest.mark.parametrize(
    "wrong", [{"seed": -1}, {"clips": 0}, {"segment_s": 0.0}, {"sample_rate_hz": 4000}]
)
def test_arguments_out_of_range(wrong):
    with pytest.raises(ValueError, match=f"{next(iter(wrong))}=.*at least"):
        procedural_corpus(**wrong)
