"""Combs of lines in audio alone."""

import numpy as np
import pytest
import soundfile
from signals import noise

from tonezoo.analysis.artifacts.combs import find_combs, implied_product
from tonezoo.audio.reader import read_audio
from tonezoo.recipes.corpus.songs import procedural_stems
from tonezoo.recipes.corpus.speech import procedural_corpus

RATE_HZ = 16_000


def with_comb(samples, period, level_dbfs):
    """Adds lines of that level at all multiples of 1 / period, the sign changing from each to
    the next."""
    pulses = np.zeros(len(samples))
    pulses[:: 2 * period] = 1
    pulses[period :: 2 * period] = 1
    # Every line of a train of pulses 1 / period high has the amplitude 2 / period.
    return samples + 10 ** (level_dbfs / 20) * period / 2 * pulses


@pytest.fixture(scope="module")
def programmes():
    """Returns a song, speech and noise, each 8 s, (time,)."""
    (stems,) = procedural_stems(seed=5, tracks=1, track_s=8.0, sample_rate_hz=RATE_HZ).values()
    speech = procedural_corpus(seed=5, clips=1, segment_s=8.0)["speech_000"]
    return {"song": sum(stems.values()).mean(axis=1), "speech": speech, "noise": noise(8 * RATE_HZ)}


@pytest.mark.parametrize("name", ["song", "speech", "noise"])
@pytest.mark.parametrize("period", [4, 16, 60, 256])
def test_a_comb_is_found_in_a_programme_that_has_none(programmes, name, period):
    samples = programmes[name]
    assert find_combs(samples, RATE_HZ) == ()
    # One line, in the midst of the programme, has to be louder than many.
    level_dbfs = -38 if name == "noise" or period == 4 else -58
    found = find_combs(with_comb(samples, period, level_dbfs), RATE_HZ)
    assert implied_product(found) == period
    finest = found[-1]
    assert finest.spacing_hz == RATE_HZ / period
    if name == "noise":
        assert finest.level_dbfs == pytest.approx(level_dbfs, abs=1)


def test_the_lines_of_a_coarser_comb_are_not_taken_for_finer_ones():
    samples = noise(2**17, std=1e-3)
    for cycles in (1 / 8, 3 / 8):
        samples = samples + 1e-3 * np.cos(2 * np.pi * cycles * np.arange(2**17))
    assert [(comb.period, comb.lines) for comb in find_combs(samples, RATE_HZ)] == [(8, 2)]


def test_notes_are_not_combs():
    time_s = np.arange(2**17) / RATE_HZ
    for note_hz in (110.0, 440.0, 1001.0):
        samples = sum(0.1 / k * np.cos(2 * np.pi * k * note_hz * time_s) for k in range(1, 8))
        assert find_combs(samples + noise(2**17, std=1e-4), RATE_HZ) == ()


def test_too_little_audio_is_told():
    with pytest.raises(ValueError, match="at least 12288 samples, but there are 100"):
        find_combs(np.zeros(100), RATE_HZ)
    assert find_combs(np.zeros(12288), RATE_HZ) == ()


@pytest.mark.slow
def test_no_false_alarm_on_real_speech_music_and_noise(shared_audio):
    """On some 120 clips of speech, 80 of music and 20 of noise."""
    rng = np.random.default_rng(0)
    alarms, measured = [], 0
    for folder, count in (("speech", 100), ("vctk", 40), ("music", 80)):
        paths = sorted(p for p in (shared_audio / folder).rglob("*") if is_long(p))
        for path in rng.permutation(np.array(paths, object))[:count]:
            samples, rate_hz = read_audio(path)
            measured += 1
            if find_combs(samples[: 20 * rate_hz].mean(axis=1), rate_hz):
                alarms.append(path.name)
    for seed in range(20):
        measured += 1
        alarms += [seed] if find_combs(noise(2**16, seed=seed), RATE_HZ) else []
    # bd_klub.flac does have a line at half its rate, 35 dB above what is around it.
    assert set(alarms) <= {"bd_klub.flac"}
    assert measured >= 200


def is_long(path) -> bool:
    if path.suffix not in {".flac", ".wav", ".ogg"}:
        return False
    return soundfile.info(path).frames >= 12288
