"""Validation on what is held out, and the run's model being that of the best epoch."""

import dataclasses
import math
from types import SimpleNamespace

import numpy as np
import pytest
from signals import noise, write_audio
from tiny_run import RUNS, SEPARATION_SETTINGS

from tonezoo.recipes import load_recipe, runner
from tonezoo.recipes.callbacks import KeepBest
from tonezoo.recipes.runs import RunFolder
from tonezoo.recipes.separation import Config

# So high a rate that the loss goes up and down.
SETTINGS = (*SEPARATION_SETTINGS, "validation_batches=2", "learning_rate=0.3")


def weights(value):
    """A stand-in for a network of one weight."""
    held = SimpleNamespace(value=[value])
    held.get_weights = lambda: held.value
    held.set_weights = lambda new: setattr(held, "value", list(new))
    return held


def test_the_weights_of_the_lowest_loss_are_kept():
    network, best = weights(0), weights(None)
    keep = KeepBest(network, best)
    for epoch, loss in enumerate((3.0, 2.0, 4.0, 2.0, math.nan)):
        network.value = [epoch]
        keep.on_epoch_end(epoch, {"loss": 0.0, "val_loss": loss})
    assert best.value == [1] and keep.loss == 2.0
    # After a resumption, only what is better still.
    again = KeepBest(network, best, loss=2.0)
    again.on_epoch_end(5, {"val_loss": 2.5})
    assert best.value == [1]


def validation_loss(run: RunFolder) -> float:
    """The mean absolute error of the run's model on the batches that it was validated on."""
    cfg = run.configuration()
    experiment = cfg.build(cfg.data_source(None), 1)
    mixtures, targets = experiment.validation(cfg.validation_source(None))
    return float(np.mean(np.abs(run.model().predict(mixtures, verbose=0) - targets)))


@pytest.mark.slow
def test_a_run_gives_the_model_of_its_best_epoch_also_when_it_is_resumed(tmp_path, one_device):
    request = runner.TrainingRequest(
        recipe="demucs_tiny", run=tmp_path / "run", settings=(*SETTINGS, "epochs=3")
    )
    run = RunFolder(request.run)
    for epochs in (3, 6):
        settings = (*SETTINGS, f"epochs={epochs}")
        runner.train(dataclasses.replace(request, settings=settings, resume=epochs > 3))
        losses = {line["step"]: line["val_loss"] for line in run.read_log()}
        assert len(losses) == epochs
        best = min(losses, key=losses.get)
        assert run.trained_steps() == best == run.best_epoch()["step"]
        assert validation_loss(run) == pytest.approx(losses[best], rel=1e-4)
    assert best != max(losses), losses


def test_what_cannot_be_validated_is_refused_before_training(tmp_path, one_device):
    for song in ("a", "b"):
        for source in ("drums", "bass", "other", "vocals"):
            write_audio(tmp_path / "songs" / song / f"{source}.wav", noise(44_100, 2), 44_100)
    request = runner.TrainingRequest(
        recipe="demucs_tiny",
        run=tmp_path / "run",
        data=tmp_path / "songs",
        settings=("validation_batches=1",),
    )
    with pytest.raises(ValueError, match=r"nothing of .*songs is held out.*--hold-out"):
        runner.train(request)
    assert not (tmp_path / "run" / "checkpoint.npz").exists()
    cfg = Config(preset="tiny", validation_batches=1, tracks=1, track_s=1.0)
    with pytest.raises(ValueError, match="cannot validate"):
        runner.validation_data(cfg, SimpleNamespace(validation=None), None, print)


def test_the_tracks_that_a_layout_has_for_it_validate_rather_than_those_tested_on(tmp_path):
    for song, seconds in (("train/a", 1), ("test/b", 1), ("train/Triviul - Angelsaint", 2)):
        for source in ("drums", "bass", "other", "vocals"):
            stem = noise(44_100 * seconds, 2)
            write_audio(tmp_path / song / f"{source}.wav", stem, 44_100)
    cfg = Config(preset="tiny", layout="musdb", validation_batches=1)
    source = cfg.validation_source(cfg.find_data(tmp_path))
    assert [track.samples for track in source.tracks] == [88_200]


@pytest.mark.parametrize("task", RUNS)
def test_validation_draws_unchanged_examples_of_other_data(task):
    recipe, settings = RUNS[task]
    from tonezoo.recipes.config import override

    cfg = override(load_recipe(recipe).config, (*settings, "validation_batches=2"))
    source, held_out = cfg.data_source(None), cfg.validation_source(None)
    assert source.fingerprint != held_out.fingerprint
    inputs, targets = cfg.build(source, 1).validation(held_out)
    assert len(inputs) == len(targets) == 2 * cfg.batch_size
    again, _ = cfg.build(source, 1).validation(held_out)
    np.testing.assert_array_equal(inputs, again)
    if task == "separation":
        margin = (inputs.shape[1] - targets.shape[1]) // 2
        middle = inputs[:, margin : margin + targets.shape[1]]
        np.testing.assert_allclose(targets.sum(axis=2), middle, atol=1e-5)
