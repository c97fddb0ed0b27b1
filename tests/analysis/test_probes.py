"""Silence and noise through models whose artifacts are known."""

import numpy as np
import pytest

from tonezoo.analysis.probes import probe


def answers(enhance):
    return probe(enhance, ratio=2, sample_rate_hz=16_000)


def upsampled(low):
    """Zeros between the samples: white noise stays white."""
    high = np.zeros(2 * len(low))
    high[::2] = low
    return high


def test_white_noise_has_no_lines_and_silence_stays_silent():
    probes = answers(upsampled)
    assert probes.silence_dbfs == -200
    assert max(probes.lines_db.values()) < 3


@pytest.mark.parametrize("frequency_hz", [125, 1000, 4000, 8000])
def test_a_tone_is_found_where_it_is(frequency_hz):
    def enhance(low):
        high = upsampled(low)
        tone = np.cos(2 * np.pi * frequency_hz / 16_000 * np.arange(len(high)))
        return high + 1e-4 * tone

    probes = answers(enhance)
    strongest = max(probes.lines_db, key=probes.lines_db.get)
    assert strongest == frequency_hz
    # A Hann periodogram of 4096 points gathers a tone's power as 4096 / 3 bins of noise;
    # the zeros between its samples halve the power of the noise. At the ends of the band all of a
    # cosine's power is real: 6 dB more there.
    at_the_end = 6 if frequency_hz == 8000 else 0
    expected = 10 * np.log10(1e-8 / 2 / 0.5e-6 * 4096 / 3) + at_the_end
    assert probes.lines_db[strongest] == pytest.approx(expected, abs=2.5)
    assert probes.silence_dbfs == pytest.approx(-80, abs=0.01)
    assert f"at {frequency_hz} Hz" in probes.sentences[1]


@pytest.mark.filterwarnings("error")
def test_a_silent_model_has_no_lines():
    probes = answers(lambda low: np.zeros(2 * len(low)))
    assert probes.silence_dbfs == -200 and set(probes.lines_db.values()) == {0}
    assert "0.0 dB above" in probes.sentences[1]


def test_the_floor_is_white_noise_of_minus_200_dbfs():
    tone = np.sqrt(2) * np.cos(np.pi / 2 * np.arange(16 * 16_000))
    noise = np.random.default_rng(0).standard_normal(len(tone))
    lines = [
        answers(lambda low, level=level: level * (noise + tone)[: 2 * len(low)]).lines_db[4000]
        for level in (1e-12, 1e-11, 1e-9)
    ]
    # A tone gathers 4096 / 3 bins of noise of the same RMS, 31.3 dB, and the first two are 40 and
    # 20 dB below the floor.
    np.testing.assert_allclose(lines, [0, 11.3, 31.3], atol=1)


@pytest.mark.parametrize("loudest", [0.0, 0.1])
def test_the_signal_that_a_model_fails_on_is_named(loudest):
    name = "white noise of -60 dBFS" if loudest else "digital silence"

    def failing(answer):
        return lambda low: answer(low) if (np.abs(low).max() > 0) == (loudest > 0) else ok(low)

    def ok(low):
        return upsampled(low)

    def out_of_memory(low):
        raise ValueError("out of memory")

    with pytest.raises(ValueError, match=f"Probe, {name}: .* NaN or infinite samples"):
        answers(failing(lambda low: np.where(low > 1e-3, np.inf, np.nan).repeat(2)))
    with pytest.raises(ValueError, match=rf"Probe, {name}: .*\((16000|128000),\) for"):
        answers(failing(lambda low: low))
    with pytest.raises(ValueError, match=f"Probe, {name}: out of memory"):
        answers(failing(out_of_memory))
