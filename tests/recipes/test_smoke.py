"""Two steps of each recipe of full or small size, with the smallest network of its kind."""

import json

import pytest
import signals
from tiny_run import one_device

from tonezoo.recipes import runner
from tonezoo.recipes.runs import RunFolder

STEMS = ("drums", "bass", "other", "vocals")
# As it is but for the network, which is the smallest, and what else takes long.
SMALLER = ("preset=tiny", "batch_size=1")
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


@pytest.mark.slow
@pytest.mark.parametrize("recipe", SEPARATION)
def test_a_recipe_of_separation_takes_two_steps(recipe, songs, tmp_path):
    settings = ("steps_per_epoch=2", "epochs=1", "validation_batches=1", *SMALLER)
    request = runner.TrainingRequest(
        recipe=recipe, run=tmp_path, data=songs, settings=settings, hold_out=("b",)
    )
    with one_device():
        runner.train(request, report=lambda line: None)
    assert RunFolder(tmp_path).trained_steps() == 2
    (row,) = map(json.loads, (tmp_path / "log.jsonl").read_text().splitlines())
    assert row["loss"] > 0 and row["val_loss"] > 0
