import numpy as np
import pytest

from tonezoo.recipes.data.telephone import band_pass, telephone, through_codec


def test_the_band_reaches_from_about_300_to_3400_hz():
    frequencies = np.arange(0, 4001, 10) / 4000
    for seed in range(20):
        response = band_pass(frequencies, np.random.default_rng(seed))
        assert response[0] == 0 and response[:10].max() < 0.5
        passed = np.flatnonzero(response > np.sqrt(0.5)) * 10
        assert 190 <= passed[0] <= 370 and 3300 <= passed[-1] <= 3610
        assert response.max() <= 1


@pytest.mark.parametrize(
    ("codec", "least_db", "most_db"), [("ALAW", 34, 42), ("ULAW", 34, 42), ("GSM610", 8, 32)]
)
def test_codecs_keep_length_and_place_and_differ(codec, least_db, most_db):
    samples = tone()
    coded = through_codec(samples, codec)
    assert coded.shape == samples.shape
    error = coded - samples
    snr_db = 10 * np.log10((samples @ samples) / (error @ error))
    assert least_db < snr_db < most_db


def tone():
    time_s = np.arange(8_001) / 8_000
    return 0.3 * np.sin(2 * np.pi * 440 * time_s) * np.hanning(len(time_s))


def test_what_is_too_loud_is_clipped_not_wrapped():
    coded = through_codec(4 * tone(), "ULAW")
    assert np.abs(coded - np.clip(4 * tone(), -1, 1)).max() < 0.05


def test_a_telephone_depends_on_its_generator_alone_and_takes_silence():
    lines = [telephone(tone(), np.random.default_rng(seed)) for seed in (1, 1, 2)]
    np.testing.assert_array_equal(lines[0], lines[1])
    assert np.abs(lines[0] - lines[2]).max() > 0.01
    for seed in range(20):
        silence = telephone(np.zeros(500), np.random.default_rng(seed))
        assert silence.shape == (500,) and np.abs(silence).max() < 0.05
