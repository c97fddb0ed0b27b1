import sys

import numpy as np
import pytest

from tonezoo.analysis import layer_pictures
from tonezoo.analysis.layer_pictures import Behaviour, layers, measure, respond, save_picture
from tonezoo.analysis.spectrogram import power_frames


@pytest.fixture(scope="module")
def behaviours() -> dict[str, Behaviour]:
    return {title: measure(make) for title, make in layers().items()}


def find(behaviours, beginning):
    (title,) = (title for title in behaviours if title.startswith(beginning))
    return behaviours[title]


def test_ones_become_tones_where_the_phases_of_random_kernels_differ(behaviours):
    tonal = {title for title, b in behaviours.items() if np.isfinite(b.tones_db).any()}
    assert tonal == {
        title for title in behaviours if title.startswith(("transposed", "stretch"))
    } | {"subpixel, random start"}
    for title in tonal:
        # Independent phases: as strong as the constant part, over a cosine's two lines.
        np.testing.assert_allclose(behaviours[title].tones_db, [6, 0], atol=0.5)


def test_partial_overlap_makes_tones_of_equal_weights_too(behaviours):
    # Of 6 taps 4 apart, 2, 2, 1 and 1 meet; of 9 in a stretched signal 3, 2, 2 and 2.
    for beginning, taps in (("transposed, partial", (2, 2, 1, 1)), ("stretch", (3, 2, 2, 2))):
        lines = abs(np.fft.rfft(taps))
        expected = 20 * np.log10(np.maximum(lines[1:] * (2, 1) / lines[0], 1e-20))
        measured = find(behaviours, beginning).constant_tones_db
        audible = expected > -100
        np.testing.assert_allclose(measured[audible], expected[audible], atol=1e-3)
        assert (measured[~audible] == -np.inf).all()
    for title, behaviour in behaviours.items():
        if not title.startswith(("transposed, partial", "stretch")):
            assert (behaviour.constant_tones_db == -np.inf).all()


def test_noise_keeps_its_images_or_loses_them_to_the_interpolators_low_pass(behaviours):
    def level_db(beginning, frequency_khz):
        noise_db = find(behaviours, beginning).noise_db
        return noise_db[round(frequency_khz / 8 * (len(noise_db) - 1))]

    for beginning in ("transposed, no", "transposed, full", "transposed, partial", "stretch"):
        assert abs(level_db(beginning, 6)) < 0.5
    assert abs(level_db("subpixel, random", 6)) < 0.5
    # Droop at the input's Nyquist frequency: see the tests of the layers' responses.
    for beginning, droop_db in (("nearest", -3.7), ("subpixel, ICNR", -3.7), ("linear", -8.1)):
        assert abs(level_db(beginning, 2) - droop_db) < 0.5
    images_db = [level_db(kind, 6) for kind in ("nearest", "linear", "cubic", "sinc")]
    assert images_db == sorted(images_db, reverse=True)
    assert images_db[0] < -8 and images_db[-1] < -60


def test_the_images_of_a_sine_are_those_of_its_frequency_in_the_spectrum_for_noise(behaviours):
    for title, behaviour in behaviours.items():
        sine_khz = 4 * 32 / 127
        places_khz = [sine_khz, 4 - sine_khz, 4 + sine_khz, 8 - sine_khz]
        power = 10 ** (np.interp(places_khz, np.linspace(0, 8, 257), behaviour.noise_db) / 10)
        expected_db = 10 * np.log10(power[1:].sum() / power[0])
        # What the sinc leaves comes near to float32's rounding.
        assert abs(behaviour.aliasing_db - expected_db) < (6 if "sinc" in title else 0.2), title
    for kind, level_db in (("stretch", 4.8), ("nearest", -6.5), ("linear", -19), ("kaiser", -37.4)):
        assert abs(find(behaviours, kind).aliasing_db - level_db) < 0.5


@pytest.mark.parametrize("title", ["subpixel, random start", "linear + convolution"])
def test_the_spectrum_for_noise_is_what_noise_gives(behaviours, title, monkeypatch):
    monkeypatch.setattr(layer_pictures, "INITIALISATIONS", 256)
    layer = layers()[title]("glorot_uniform")
    noise = np.random.default_rng(0).standard_normal(8192)
    output = respond(layer, noise).T
    power = np.mean([power_frames(y, 256, 128).mean(axis=0) for y in output], axis=0)
    measured_db = 10 * np.log10(power / power[1:9].mean())
    expected_db = behaviours[title].noise_db[:: (len(behaviours[title].noise_db) - 1) // 128]
    # What leaks into the notches from beside them is left out.
    heard = expected_db > -30
    assert heard.sum() > 40
    np.testing.assert_allclose(measured_db[heard], expected_db[heard], atol=2)


def test_the_command_writes_the_picture_and_prints_the_figures(
    behaviours, tmp_path, monkeypatch, capsys
):
    image = pytest.importorskip("matplotlib.image")
    monkeypatch.setattr(layer_pictures, "layers", lambda: {title: title for title in behaviours})
    monkeypatch.setattr(layer_pictures, "measure", behaviours.get)
    monkeypatch.setattr(sys, "argv", ["layer_pictures", "--out", str(tmp_path / "deep" / "a.png")])
    layer_pictures.main()
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) == len(behaviours)
    assert printed[7].startswith("linear + convolution: no tones; noise -")
    height, width, _ = image.imread(tmp_path / "deep" / "a.png").shape
    assert width > 1200 and height > 900


def test_a_folder_in_the_way_is_explained(behaviours, tmp_path):
    pytest.importorskip("matplotlib")
    with pytest.raises(ValueError, match="is a folder"):
        save_picture(tmp_path, behaviours)
