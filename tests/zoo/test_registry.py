"""Names, presets, options and parameter counts of the models."""

import keras
import numpy as np
import pytest

import tonezoo
from tonezoo.registry import list_models, model_entry

PRESETS = [(name, preset) for name in list_models() for preset in model_entry(name).presets]


@pytest.mark.parametrize(("name", "preset"), PRESETS)
def test_stored_parameter_count_is_the_models(name, preset):
    assert tonezoo.count_parameters(name, preset) == model_entry(name).parameters[preset]


@pytest.mark.parametrize(
    ("name", "preset", "millions"),
    [
        ("mu_gan", "l8", 56.34),
        ("mu_gan", "l4", 18.59),
        ("mu_gan", "l8_half", 14.09),
        ("mu_gan", "l4_half", 4.65),
        ("mu_gan", "l8_quarter", 3.52),
        ("mu_gan", "l4_quarter", 1.16),
        ("mu_gan_autoencoder", "full", 12.39),
        ("mu_gan_autoencoder", "half", 3.10),
        ("mu_gan_autoencoder", "quarter", 0.78),
    ],
)
def test_parameter_counts_computed_by_hand(name, preset, millions):
    assert round(model_entry(name).parameters[preset] / 1e6, 2) == millions


def test_audio_unet_counts_of_the_published_code():
    unet = model_entry("audio_unet").parameters
    assert (unet["l4"], unet["l8"]) == (56_411_394, 103_603_458)


@pytest.mark.parametrize("name", list_models())
def test_an_entry_fits_its_file(name):
    entry = model_entry(name)
    assert entry.name == name
    assert list(entry.presets) == list(entry.parameters)
    assert issubclass(entry.model, keras.Model)


@pytest.mark.parametrize("name", list_models())
def test_models_come_built_and_stay_so(name):
    model = tonezoo.create_model(name, preset="tiny")
    assert model.built
    assert model.count_params() == model_entry(name).parameters["tiny"]
    model.build((None, 4096, getattr(model, "channels", 1)))
    assert model.count_params() == model_entry(name).parameters["tiny"]


def test_options_that_a_class_inherits_are_accepted():
    unet = tonezoo.create_model("audio_unet", preset="tiny", interpolation="sinc", keep_below=0.5)
    assert (unet.interpolation, unet.keep_below) == ("sinc", 0.5)
    # What the class sets itself is none of its options.
    with pytest.raises(ValueError, match="'levels'"):
        tonezoo.create_model("audio_unet", preset="tiny", levels=3)


def test_strided_variant_has_twice_the_filters_in_its_down_blocks():
    superpixel = tonezoo.create_model("mu_gan", preset="l4_quarter")
    strided = tonezoo.create_model("mu_gan", preset="l4_quarter", downsampling="strided")
    for plain, doubled in zip(superpixel.down_blocks, strided.down_blocks, strict=True):
        assert doubled.conv.filters == 2 * plain.conv.filters


def test_unknown_names_list_the_valid_ones():
    with pytest.raises(ValueError, match=r"'mugan'.*Available models: audio_unet,"):
        tonezoo.create_model("mugan")
    with pytest.raises(ValueError, match=r"'huge'.*Available presets: l8, l8_half"):
        tonezoo.create_model("mu_gan", preset="huge")
    with pytest.raises(ValueError, match=r"'drop'.*Available options:.*dropout"):
        tonezoo.create_model("mu_gan", preset="tiny", drop=0.1)


def test_discriminator_refuses_another_length():
    model = tonezoo.create_model("mu_gan_discriminator", preset="tiny", segment_samples=64)
    with pytest.raises(ValueError, match=r"patches \(batch, 64, 1\), but got \(1, 65, 1\)"):
        model(np.zeros((1, 65, 1), "float32"))
    with pytest.raises(ValueError, match="multiple of 4"):
        tonezoo.create_model("mu_gan_discriminator", preset="tiny", segment_samples=62)
