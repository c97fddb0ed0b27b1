"""Recipes of vocoding: options that cannot be, patch lengths, networks."""

import dataclasses

import pytest
import signals

from tonezoo.recipes import load_recipe
from tonezoo.recipes.preview import VocoderPreview
from tonezoo.recipes.vocoding import Config


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"highest_hz": 20_000.0}, "at most 11025, half the rate, but is 20000"),
        ({"highest_hz": -5.0}, "above lowest_hz"),
        ({"lowest_hz": 12_000.0}, "above lowest_hz"),
        ({"lowest_hz": -1.0}, "lowest_hz must be at least 0"),
        ({"least_squares_weight": 1.0}, "least_squares_weight and hinge_weight are above 0"),
        ({"hinge_weight": 0.0}, "where least_squares_weight or hinge_weight is above 0"),
        ({"mel_weight": -1.0}, "mel_weight must be at least 0"),
    ],
)
def test_options_that_cannot_be_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Config(**options)


@pytest.mark.parametrize(
    ("options", "samples"),
    [
        ({"segment_samples": 8200}, 8192),
        ({"segment_samples": 300}, 256),
        ({"segment_samples": 1200, "spectral_weight": 1.0}, 1024 + 128),
        ({"segment_samples": 300, "short_spectral_weight": 1.0}, 256),
    ],
)
def test_patches_are_whole_frames(options, samples):
    assert Config(**options).patch_samples(128) == samples // 128 * 128


def test_patches_are_as_long_as_the_losses_need():
    for weights in ({"spectral_weight": 1.0}, {"short_spectral_weight": 1.0}):
        with pytest.raises(ValueError, match="segment_samples must be at least"):
            Config(segment_samples=64, **weights).patch_samples(16)
    Config(segment_samples=64).patch_samples(16)


def test_options_reach_the_networks():
    cfg = dataclasses.replace(
        load_recipe("melgan_tiny").config,
        upsampler="nearest",
        use_bias=False,
        filtered_activations=True,
        highest_hz=8000.0,
    )
    model = cfg.new_model()
    assert (model.upsampler, model.use_bias, model.filtered_activations) == ("nearest", False, True)
    assert model.highest_hz == 8000.0
    assert type(cfg.new_critic()).__name__ == "MelGanDiscriminator"
    without = dataclasses.replace(cfg, hinge_weight=0.0, feature_matching_weight=0.0)
    assert without.new_critic() is None


def test_a_preview_writes_pictures_and_audio(tmp_path):
    import tensorflow as tf

    model = load_recipe("melgan_tiny").config.new_model()
    preview = VocoderPreview({"clip": signals.noise(5000)}, sample_rate_hz=22_050)
    with tf.summary.create_file_writer(str(tmp_path)).as_default():
        preview(model, step=3)
    (events,) = tmp_path.iterdir()
    tags = [
        value.tag
        for event in tf.compat.v1.train.summary_iterator(str(events))
        for value in event.summary.value
    ]
    assert any("clip (output, target)" in tag for tag in tags)
    assert any("clip output" in tag for tag in tags) and any("clip target" in tag for tag in tags)
