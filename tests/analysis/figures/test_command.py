"""`tonezoo figures`, and what it puts into pictures of recordings and of models."""

import json

import numpy as np
import pytest
from signals import noise, sine, write_audio

from tonezoo.analysis import figures
from tonezoo.analysis.figures import FIGURES, Material, chosen_figures
from tonezoo.analysis.figures.material import MUSIC_S, loudest_stretch


def test_all_figures_of_both_papers_are_there():
    names = [*map(str, range(1, 11)), "mu_gan_1", "mu_gan_5", "mu_gan_6"]
    assert [*FIGURES] == names == list(chosen_figures(None))


def test_the_chosen_figures_are_drawn_and_told(cli, tmp_path):
    code, out, err = cli("figures", "--out", tmp_path, "--only", "4, 2")
    assert code == 0, err
    second, fourth = out.splitlines()
    assert second.startswith(f"{tmp_path}/figure_2.png: Output: 0.2, 0.3, -0.01,")
    assert "Output: 1, 2, 3, 3, 2, 1" in fourth
    assert len(list(tmp_path.iterdir())) == 6
    assert json.loads((tmp_path / "figure_4.json").read_text())["numbers"]["border_samples"] == 4


@pytest.mark.parametrize(
    "options, message",
    [
        (["--only", "5,77,x"], "There is no figure '77', 'x'. There are 1, 2, 3"),
        (["--only", ""], "There is no figure ''."),
        (["--input", "nothing.wav"], "nothing.wav"),
        (["--model", "nothing"], "There is no model at nothing"),
        (["--model", "demucs_small_music", "--only", "mu_gan_1"], "`tonezoo separate` takes it"),
    ],
)
def test_what_is_wrong_is_told_before_anything_is_drawn(cli, tmp_path, options, message):
    code, out, err = cli("figures", "--out", tmp_path / "out", *options)
    assert code == 1 and message in err and not out
    assert not (tmp_path / "out").exists()


def test_a_recording_takes_the_place_of_the_procedural_clips(tmp_path):
    quiet, loud = noise(5 * 16_000, std=1e-3), noise(3 * 16_000, seed=1, std=0.1)
    path = write_audio(tmp_path / "song.wav", np.concatenate([quiet, loud, quiet]), 16_000)
    stretch, rate_hz = loudest_stretch(path, MUSIC_S)
    assert rate_hz == 16_000
    np.testing.assert_allclose(stretch, loud, atol=1e-4)
    material = Material(recording=path)
    assert len(material.music(4000)) == 12_000
    assert [len(x) for x in material.speech(16_000, 4)] == [64_000, 16_000]
    figure = FIGURES["6"](material)
    assert "song.wav" in figure.set_up and "procedural" not in figure.set_up


@pytest.mark.parametrize(
    "rate_hz, seconds, message", [(16_000, 0.5, "at least 1 s"), (8000, 2, "of that rate or above")]
)
def test_an_unusable_recording_is_explained(tmp_path, rate_hz, seconds, message):
    samples = sine(440, round(seconds * rate_hz), rate_hz)
    path = write_audio(tmp_path / "a.wav", samples, rate_hz)
    with pytest.raises(ValueError, match=message):
        Material(recording=path).speech(16_000, 2)


def test_shipped_models_are_called_what_they_are():
    first, fifth = FIGURES["mu_gan_1"](), FIGURES["mu_gan_5"]()
    assert "mu_gan_speech_x4, a MU-GAN4" in first.caption
    assert "without a discriminator" in first.caption
    assert "band_extender_speech_x2, no MU-GAN" in fifth.caption
    assert [len(row) for row in fifth.rows] == [3, 3]
    assert "ratio 2" in fifth.rows[0][2].title and "ratio 4" in fifth.rows[1][2].title
    for figure in (first, fifth):
        assert all(panel.sample_rate_hz == 16_000 for row in figure.rows for panel in row)
    # Nothing is above the band of the low rate; what the models add is.
    assert first.rows[0][1].level_db[257:].max() < -140
    four = fifth.numbers["ratio 4"]
    assert four["spline"]["above_the_low_band_db"] < -20
    assert four["mu_gan_speech_x4"]["above_the_low_band_db"] > -18
    assert abs(fifth.numbers["ratio 2"]["band_extender_speech_x2"]["above_the_low_band_db"]) < 3


def test_models_of_a_user_take_the_place_of_the_shipped_ones(tiny_run):
    figure = FIGURES["mu_gan_5"](Material(models=(str(tiny_run), "mu_gan_speech_x4")))
    assert [len(row) for row in figure.rows] == [4]
    assert str(tiny_run) in figure.caption and "no MU-GAN" not in figure.caption


@pytest.mark.slow
def test_the_receptive_field_of_the_shipped_model_is_a_small_part_of_the_possible_one(monkeypatch):
    monkeypatch.setattr(figures.receptive_fields, "PATCHES", 16)
    figure = FIGURES["mu_gan_6"]()
    (found,) = figure.numbers.values()
    # About 100 samples or less, says the paper; within two standard deviations ours are 155.
    assert found["untrained_two_sigma_samples"] < found["two_sigma_samples"] < 110
    assert found["theoretical_samples"] > 3000
    assert figure.rows[0][0].xlim == (-200, 200)
