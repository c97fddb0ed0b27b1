"""Two steps of each recipe of full or small size, with the smallest network of its kind."""

import json

import numpy as np
import pytest
import signals
from tiny_run import one_device

from tonezoo.recipes import runner
from tonezoo.recipes.runs import RunFolder

STEMS = ("drums", "bass", "other", "vocals")
# As it is but for the network, which is the smallest, and what else takes long.
SMALLER = ("preset=tiny", "batch_size=1")
LENGTH = ("steps_per_epoch=2", "epochs=1", "validation_batches=1")
VOCODING = ("melgan_ljspeech", "melgan_small", "melgan_tiny", "vocos_speech")
SEPARATION = [
    f"{model}_{size}"
    for model in ("wave_unet", "open_unmix", "sams_net")
    for size in ("musdb", "small", "tiny")
]


@pytest.fixture(scope="module")
def songs(tmp_path_factory):
    """MUSDB18's folders with a track of 8 s to train on, one to validate on, and one to test on."""
    root = tmp_path_factory.mktemp("musdb")
    for number, track in enumerate(("train/a", "train/Triviul - Angelsaint", "test/b")):
        for source, stem in enumerate(STEMS):
            noise = signals.noise(8 * 22_050, 2, seed=10 * number + source)
            signals.write_audio(root / track / f"{stem}.wav", noise, 22_050)
    return root


def trained(request):
    """Trains two steps; returns what the one epoch logged."""
    with one_device():
        runner.train(request, report=lambda line: None)
    folder = RunFolder(request.run)
    assert folder.trained_steps() == 2
    (row,) = map(json.loads, (folder.path / "log.jsonl").read_text().splitlines())
    return row


@pytest.mark.slow
@pytest.mark.parametrize("recipe", SEPARATION)
def test_a_recipe_of_separation_takes_two_steps(recipe, songs, tmp_path):
    settings = (*LENGTH, "segment_s=0.25", *SMALLER)
    request = runner.TrainingRequest(
        recipe=recipe, run=tmp_path, data=songs, settings=settings, hold_out=("b",)
    )
    row = trained(request)
    assert row["loss"] > 0 and row["val_loss"] > 0


@pytest.mark.slow
@pytest.mark.parametrize("recipe", VOCODING)
def test_a_recipe_of_vocoding_takes_two_steps(recipe, tmp_path):
    for name in ("LJ001-0001", "LJ001-0002"):
        signals.write_audio(tmp_path / "data" / "wavs" / f"{name}.wav", signals.noise(9000), 22_050)
    settings = (*LENGTH, "segment_samples=2048", "critic_preset=tiny")
    request = runner.TrainingRequest(
        recipe=recipe,
        run=tmp_path / "run",
        data=tmp_path / "data",
        settings=(*settings, *SMALLER),
        hold_out=("LJ001-0002",),
    )
    row = trained(request)
    assert np.isfinite(row["loss"]) and np.isfinite(row["val_loss"])
