"""Names, presets, options and parameter counts of the models."""

import numpy as np
import pytest

import tonezoo
from tonezoo.registry import MODELS

PRESETS = [(entry.name, preset) for entry in MODELS.values() for preset in entry.parameters]


@pytest.mark.parametrize(("name", "preset"), PRESETS)
def test_stored_parameter_count_is_the_models(name, preset):
    assert tonezoo.count_parameters(name, preset) == MODELS[name].parameters[preset]


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
    assert round(MODELS[name].parameters[preset] / 1e6, 2) == millions


def test_audio_unet_counts_of_the_published_code():
    unet = MODELS["audio_unet"].parameters
    assert (unet["l4"], unet["l8"]) == (56_411_394, 103_603_458)


@pytest.mark.parametrize("entry", MODELS.values(), ids=MODELS)
def test_registry_lists_the_presets_that_the_model_has(entry):
    model_class, presets = entry.load()
    assert list(presets) == list(entry.parameters)
    assert isinstance(model_class, type)


def test_strided_variant_has_twice_the_filters_in_its_down_blocks():
    superpixel = tonezoo.create_model("mu_gan", preset="l4")
    strided = tonezoo.create_model("mu_gan", preset="l4_strided")
    for plain, doubled in zip(superpixel.down_blocks, strided.down_blocks, strict=True):
        assert doubled.conv.filters == 2 * plain.conv.filters


def test_unknown_names_list_the_valid_ones():
    with pytest.raises(ValueError, match=r"'mugan'.*Available models: mu_gan,"):
        tonezoo.create_model("mugan")
    with pytest.raises(ValueError, match=r"'huge'.*Available presets: l8, l8_half"):
        tonezoo.create_model("mu_gan", preset="huge")
    with pytest.raises(ValueError, match=r"'drop'.*Available options:.*dropout"):
        tonezoo.create_model("mu_gan", preset="tiny", drop=0.1)


def test_discriminator_refuses_another_length():

    model = tonezoo.create_model("mu_gan_discriminator", preset="tiny", segment_samples=64)
    with pytest.raises(ValueError, match=r"patches \(batch, 64, 1\), but got \(1, 65, 1\)"):
        model(np.zeros((1, 65, 1), "float32"))
    with pytest.raises(ValueError, match="multiple of 16"):
        tonezoo.create_model("mu_gan_discriminator", preset="tiny", segment_samples=60)
