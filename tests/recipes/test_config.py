"""--set key=value, typed as the fields."""

import dataclasses
import json

import keras
import numpy as np
import pytest

from tonezoo.recipes.config import from_options, override
from tonezoo.recipes.super_resolution import Config, patch_samples


def test_values_take_the_type_of_their_field():
    cfg = override(
        Config(),
        [
            *("epochs=3", "learning_rate=5e-4", "deterministic=yes", "preset = l4", "dropout=0.1"),
            *("steps_per_epoch=7", "cache_dir=a=b"),
        ],
    )
    assert (cfg.epochs, cfg.learning_rate, cfg.deterministic) == (3, 5e-4, True)
    assert (cfg.preset, cfg.dropout, cfg.steps_per_epoch, cfg.cache_dir) == ("l4", 0.1, 7, "a=b")
    assert override(cfg, ["dropout=none"]).dropout is None
    assert Config().epochs == 400


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("epochs", "takes key=value"),
        ("epoch=3", r"Unknown setting 'epoch'. Available: adversarial_weight,"),
        ("epochs=3.5", "epochs must be of type int, but is '3.5'"),
        ("dropout=high", "dropout must be of type float, but is 'high'"),
        ("deterministic=2", "deterministic must be true or false"),
        ("batch_size=0", "batch_size must be at least 1, but is 0"),
        ("ratio=1", "ratio must be at least 2"),
        ("steps_per_epoch=0", "steps_per_epoch must be at least 1"),
        ("l2_weight=-1", "l2_weight must be at least 0"),
        ("gain_db=inf", "gain_db must be a finite number, but is inf"),
        ("dropout=1.5", r"dropout must be at least 0 and below 1, but is 1\.5"),
        ("beta_1=2", "beta_1 must be at least 0 and below 1"),
        ("learning_rate=0", "learning_rate must be above 0"),
        ("clip_norm=0", "clip_norm must be above 0"),
        ("least_squares_weight=1", "adversarial_weight and least_squares_weight are above 0"),
        ("feature_matching_weight=1", "where least_squares_weight is above 0"),
    ],
)
def test_wrong_settings_are_explained(setting, message):
    with pytest.raises(ValueError, match=message):
        override(Config(), [setting])


def test_gradients_of_all_variables_together_are_cut_to_the_norm():
    steps = [([30.0, 0.0], [0.0, 40.0]), ([0.1, 0.2], [0.3, 0.4])]  # of lengths 50 and 0.55
    cut = [([3.0, 0.0], [0.0, 4.0]), steps[1]]
    moved = []
    for clip_norm, gradients in ((5.0, steps), (None, cut), (None, steps)):
        variables = [keras.Variable([1.0, 1.0]) for _ in range(2)]
        optimizer = Config(clip_norm=clip_norm, learning_rate=0.1).adam()
        for step in gradients:
            optimizer.apply([keras.ops.convert_to_tensor(part) for part in step], variables)
        moved.append(np.concatenate([np.asarray(variable) for variable in variables]))
    np.testing.assert_allclose(moved[0], moved[1], rtol=1e-6)
    assert np.abs(moved[0] - moved[2]).max() > 0.002


def test_options_come_back_from_json():
    cfg = Config(steps_per_epoch=7, dropout=0.1, learning_rate=2e-4)
    options = json.loads(json.dumps(dataclasses.asdict(cfg)))
    assert from_options(Config, options) == cfg
    # Of an older run, and with a whole number for a real one.
    del options["ratio"]
    assert from_options(Config, {**options, "l2_weight": 1}) == cfg


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("epoch", 3, "Unknown setting 'epoch'. Available: adversarial_weight,"),
        ("epochs", "3", "epochs must be of type int, but is '3'"),
        ("epochs", None, "epochs must be of type int, but is None"),
        ("epochs", True, "epochs must be of type int, but is True"),
        ("epochs", 3.0, r"epochs must be of type int, but is 3\.0"),
        ("dropout", [], r"dropout must be of type float or None, but is \[\]"),
        ("deterministic", 1, "deterministic must be of type bool"),
        ("ratio", 1, "ratio must be at least 2"),
    ],
)
def test_options_that_no_run_has_are_refused(option, value, message):
    with pytest.raises(ValueError, match=message):
        from_options(Config, {**dataclasses.asdict(Config()), option: value})


@pytest.mark.parametrize(
    ("segment", "ratio", "levels", "expected"),
    [(8192, 4, 4, 8192), (8192, 6, 4, 8064), (16_384, 6, 8, 16_128), (8192, 2, 9, 8192)],
)
def test_patch_is_divided_by_the_ratio_and_every_halving(segment, ratio, levels, expected):
    cfg = dataclasses.replace(Config(), segment_samples=segment, ratio=ratio)
    assert patch_samples(cfg, levels) == expected


def test_patch_too_short_is_explained():
    with pytest.raises(ValueError, match="at least 384 at ratio 6"):
        patch_samples(Config(segment_samples=300, ratio=6), 4)
    with pytest.raises(ValueError, match="at least 1152 at ratio 4"):
        patch_samples(Config(segment_samples=1024, spectral_weight=1.0), 4)
    with pytest.raises(ValueError, match="at least 384 at ratio 4"):
        patch_samples(Config(segment_samples=256, loudness_weight=1.0), 4)
