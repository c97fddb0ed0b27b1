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
