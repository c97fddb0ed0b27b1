"""The smallest runs there are, of the tiny recipes."""

import contextlib
from pathlib import Path
from unittest import mock

from tonezoo.recipes import runner
from tonezoo.recipes.devices import Devices
from tonezoo.registry import model_entry

# Of all losses but the first, tracing takes half a minute.
SETTINGS = (
    *("steps_per_epoch=1", "epochs=1", "segment_samples=1152"),
    *("feature_weight=0", "adversarial_weight=0"),
)
SEPARATION_SETTINGS = (
    *("steps_per_epoch=2", "epochs=2", "batch_size=2", "segment_s=0.1"),
    *("tracks=2", "track_s=2"),
)
VOCODING_SETTINGS = ("steps_per_epoch=1", "epochs=1", "segment_samples=2048")
# task -> recipe and its settings
RUNS = {
    "super_resolution": ("mu_gan_tiny", SETTINGS),
    "separation": ("demucs_tiny", SEPARATION_SETTINGS),
    "vocoding": ("melgan_tiny", VOCODING_SETTINGS),
}

ONE_BLOCK = {"down_filters": (8,), "up_filters": (8,)}
SMALLEST = {
    "mu_gan": ONE_BLOCK,
    "mu_gan_autoencoder": ONE_BLOCK,
    "mu_gan_discriminator": {"stem_filters": 8, "block_filters": (8,), "dense_units": 4},
}


@contextlib.contextmanager
def smallest_networks():
    """Makes the networks of the preset "tiny" one block deep: tracing takes most of the time."""
    with contextlib.ExitStack() as patches:
        for name, options in SMALLEST.items():
            patches.enter_context(mock.patch.dict(model_entry(name).presets, tiny=options))
        yield


@contextlib.contextmanager
def one_device():
    """Lets training run in this process, which may have one distribution strategy, of the tests."""
    alone = Devices(1, contextlib.nullcontext)
    with mock.patch.object(runner, "all_devices", lambda report: alone):
        yield


def train_tiny(task: str, run: Path) -> None:
    """Trains a model of a task into the folder `run`."""
    recipe, settings = RUNS[task]
    request = runner.TrainingRequest(recipe=recipe, run=run, settings=settings)
    with one_device():
        runner.train(request, report=lambda line: None)
