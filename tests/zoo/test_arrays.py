"""Running models on arrays in one call: what is accepted, and which model is run."""

import shutil

import keras
import numpy as np
import pytest
from signals import noise
from untrained_export import export_untrained

import tonezoo
from tonezoo import pretrained

VERBS = {"super_resolution": tonezoo.enhance, "separation": tonezoo.separate}
both = pytest.mark.parametrize("task", VERBS)


@pytest.fixture(scope="module")
def models(untrained):
    return {task: untrained(task).folder for task in VERBS}


def outputs(result):
    return list(result.values()) if isinstance(result, dict) else [result]


@both
@pytest.mark.parametrize("shape", [(2, 8000), (1, 8000), (1, 2), (2000, 1025)])
def test_channels_before_time_are_refused_with_the_shape(models, task, shape):
    with pytest.raises(ValueError, match=rf"shape \({shape[0]}, {shape[1]}\).*give samples.T"):
        VERBS[task](np.zeros(shape), 4000, model=models[task])


@both
@pytest.mark.parametrize("rate_hz", [float("inf"), float("nan"), 0, -1, 1e-6, "4000", True, None])
def test_a_rate_at_which_no_audio_can_be_is_refused_at_once(models, task, rate_hz):
    with pytest.raises(ValueError, match=r"sample rate is .* from 100 to 10,000,000"):
        VERBS[task](np.zeros(100), rate_hz, model=models[task])


@pytest.mark.slow
@both
def test_an_engine_is_a_model_too(models, task):
    engine = tonezoo.load(models[task])
    x = noise(500, peak=0.5)
    by_engine, by_path = (VERBS[task](x, 4000, model=m) for m in (engine, models[task]))
    for a, b in zip(outputs(by_engine), outputs(by_path), strict=True):
        np.testing.assert_array_equal(a, b)
    with pytest.raises(ValueError, match=r"model is a int\. Give a name, a folder, or what"):
        VERBS[task](x, 4000, model=7)
    (other,) = set(VERBS) - {task}
    with pytest.raises(ValueError, match=r"is not a model for this\. `tonezoo "):
        VERBS[task](x, 4000, model=tonezoo.load(models[other]))


@pytest.mark.parametrize(("samples", "rate_hz"), [(1, 96_000), (1, 192_000), (2, 192_000)])
@pytest.mark.parametrize("shifts", [0, 2])
def test_what_resampling_leaves_nothing_of_separates_into_its_length(
    models, samples, rate_hz, shifts
):
    signal = np.full(samples, 0.25)
    for stem in tonezoo.separate(
        signal, rate_hz, model=models["separation"], shifts=shifts
    ).values():
        assert stem.shape == (samples,) and np.isfinite(stem).all()


@pytest.mark.filterwarnings("ignore:Resampled down")
def test_what_resampling_leaves_nothing_of_cannot_be_enhanced(models):
    with pytest.raises(ValueError, match="nothing to enhance: 0 samples"):
        tonezoo.enhance(
            np.full(1, 0.25), 192_000, model=models["super_resolution"], downsample=True
        )


@pytest.mark.slow
@both
def test_a_model_that_is_exported_anew_is_loaded_anew(models, task, tmp_path):
    folder = shutil.copytree(models[task], tmp_path / "model")
    x = noise(500, peak=0.5)
    first = VERBS[task](x, 4000, model=folder)
    loaded = pretrained.engine_for(task, folder)
    assert pretrained.engine_for(task, folder) is loaded
    # Other weights under the same name and version.
    shutil.rmtree(folder)
    keras.utils.set_random_seed(1)
    export_untrained(task, folder)
    again = VERBS[task](x, 4000, model=folder)
    assert pretrained.engine_for(task, folder) is not loaded
    assert any(np.abs(a - b).max() > 0 for a, b in zip(outputs(first), outputs(again), strict=True))


@pytest.mark.slow
@both
def test_a_new_version_of_a_model_is_taken(models, task, tmp_path):
    folder = shutil.copytree(models[task], tmp_path / "model")
    first = pretrained.engine_for(task, folder)
    shutil.copytree(folder / "1", folder / "2")
    assert pretrained.engine_for(task, folder) is not first
