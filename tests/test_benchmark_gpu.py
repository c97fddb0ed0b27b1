"""What goes to a machine with a GPU: recordings packed, and a run that needs no TensorFlow."""

import os
import subprocess
import sys

import numpy as np
import pytest
import soundfile
from signals import noise, write_audio
from tiny_run import SETTINGS

from tonezoo.recipes.runs import RunFolder


def pack(source_tree, *words):
    command = [sys.executable, source_tree / "benchmarks" / "gpu" / "pack_audio.py", *words]
    return subprocess.run(list(map(str, command)), capture_output=True, text=True)


def test_every_speaker_is_packed_and_has_an_equal_share(source_tree, tmp_path):
    for speaker, seconds in (("a", (2.0, 2.0, 2.0)), ("b", (6.0,)), ("c", (1.5,))):
        for number, length_s in enumerate(seconds):
            samples = noise(int(24_000 * length_s), 2, seed=number)
            write_audio(tmp_path / "all" / speaker / f"{number}.wav", samples, 24_000)
    done = pack(source_tree, tmp_path / "all", tmp_path / "packed", "--megabytes", "0.2")
    assert done.returncode == 0, done.stderr
    assert "0 folders are missing" in done.stdout
    packed = {path.relative_to(tmp_path / "packed"): path for path in tmp_path.rglob("*.flac")}
    sizes = {speaker: 0 for speaker in "abc"}
    for name, path in packed.items():
        sizes[name.parts[0]] += path.stat().st_size
    # c is smaller than its third, what it leaves is shared by the others.
    assert sum(sizes.values()) <= 200_000 and sizes["c"] < 50_000
    assert sizes["a"] > 65_000 and sizes["b"] > 65_000
    seconds = {name.as_posix(): soundfile.info(path).duration for name, path in packed.items()}
    assert seconds["a/0.flac"] == 2.0 and seconds["c/0.flac"] == 1.5
    assert 1.0 <= seconds["a/1.flac"] < 2.0 and 2.5 < seconds["b/0.flac"] < 4.0
    samples, rate_hz = soundfile.read(packed[next(iter(packed))])
    assert rate_hz == 16_000 and samples.ndim == 1
    again = pack(source_tree, tmp_path / "all", tmp_path / "packed")
    assert again.returncode == 1 and "packed exists. Remove it" in again.stderr


@pytest.mark.slow
def test_a_recipe_trains_without_tensorflow_from_the_working_tree(source_tree, tmp_path):
    pytest.importorskip("jax")
    (tmp_path / "blocked").mkdir()
    (tmp_path / "blocked" / "tensorflow.py").write_text("raise ImportError('not installed')\n")
    python = tmp_path / "python"
    python.write_text(
        f'#!/bin/sh\nPYTHONPATH={tmp_path}/blocked:$PYTHONPATH exec "{sys.executable}" "$@"\n'
    )
    python.chmod(0o755)
    settings = [word for setting in SETTINGS for word in ("--set", setting)]
    done = subprocess.run(
        [source_tree / "benchmarks" / "gpu" / "run.sh", "train", "mu_gan_tiny", *settings],
        env={
            **os.environ,
            "OUT": str(tmp_path / "out"),
            "PYTHON": str(python),
            "WHEELS": str(tmp_path / "none"),  # those at hand are of the GPU machine's Python
            "JAX_PLATFORMS": "cpu",
        },
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    model = RunFolder(tmp_path / "out" / "mu_gan_tiny").model()
    assert np.isfinite(model(np.ones((1, 100, 1), "float32"))).all()
