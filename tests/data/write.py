"""Saves a tiny model of every kind, which every later version has to load with unchanged outputs.

    python tests/data/write.py NAME [NAME ...]

Writes NAME.keras, NAME.weights.h5 and NAME.npz (an input and its output) into this folder, and for
a model that can be exported NAME.export.zip. Write those of a new model, and never again: a change
that cannot read what is here breaks what users have saved.
"""

import sys
import tempfile
import zipfile
from pathlib import Path

import keras
import numpy as np

import tonezoo
from tonezoo.models.base import AudioModel
from tonezoo.serving.export import describe_model, write_golden, write_saved_model
from tonezoo.serving.manifest import write_manifest
from tonezoo.tasks import find_task

HERE = Path(__file__).parent
# As small as each kind can be; an odd length, where the model takes one.
MODELS = {
    "audio_unet": ({"filters": (2, 4), "kernel_sizes": (9, 5)}, (2, 33, 1)),
    "band_extender": ({"width": 4, "blocks": 1, "window_samples": 16}, (2, 33, 1)),
    "demucs": ({"width": 2, "depth": 2, "upsampler": "nearest"}, (2, 37, 2)),
    "mel_gan": ({"bands": 4, "width": 4, "strides": (4, 2), "blocks": 1}, (2, 9, 4)),
    "mel_gan_discriminator": ({"downsamplings": 1, "most_filters": 8, "scales": 2}, (2, 33, 1)),
    "mu_gan": ({"down_filters": (8, 8), "up_filters": (16, 8)}, (2, 33, 1)),
    "mu_gan_autoencoder": ({"down_filters": (8, 8), "up_filters": (16, 8)}, (2, 33, 1)),
    "mu_gan_discriminator": (
        {"segment_samples": 32, "stem_filters": 8, "block_filters": (8, 8), "dense_units": 4},
        (2, 32, 1),
    ),
    "open_unmix": (
        {"width": 4, "window_samples": 32, "hop_samples": 8, "input_bins": 13},
        (2, 37, 2),
    ),
    "sams_net": ({"window_samples": 32, "hop_samples": 8, "input_bins": 13}, (2, 37, 2)),
    "speech_discriminator": ({"periods": (3,), "windows": (16,)}, (2, 33, 1)),
    "vocos": ({"bands": 4, "hop_samples": 8, "width": 4}, (2, 9, 4)),
    "wave_unet": ({"levels": 2, "width": 2, "interpolation": "learned"}, (2, 37, 2)),
}


def create(name: str) -> keras.Model:
    """Returns the model of a name with random weights."""
    return tonezoo.create_model(name, preset="tiny", **MODELS[name][0])


def write(name: str) -> None:
    keras.utils.set_random_seed(0)
    model, shape = create(name), MODELS[name][1]
    rng = np.random.default_rng(0)
    for variable in model.trainable_variables:
        # Off the zeros and ones that they start at, so that every one of them tells.
        variable.assign_add(rng.normal(0, 0.1, variable.shape))
    waveform = rng.uniform(-0.5, 0.5, shape).astype("float32")
    np.savez(HERE / f"{name}.npz", input=waveform, output=np.asarray(model(waveform)))
    model.save(HERE / f"{name}.keras")
    model.save_weights(HERE / f"{name}.weights.h5")
    if isinstance(model, AudioModel):
        write_export(name, model)


def write_export(name: str, model: AudioModel) -> None:
    with tempfile.TemporaryDirectory() as folder:
        version = Path(folder) / "1"
        version.mkdir()
        write_saved_model(model, version)
        write_golden(version, model)
        facts = describe_model(model, find_task(model.task).model_facts(model))
        write_manifest(version, {**facts, "name": name, "version": 1})
        with zipfile.ZipFile(HERE / f"{name}.export.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            for path in sorted(version.rglob("*")):
                archive.write(path, path.relative_to(folder))


if __name__ == "__main__":
    for wanted in sys.argv[1:]:
        write(wanted)
