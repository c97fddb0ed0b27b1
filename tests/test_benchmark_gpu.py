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


def test_every_speaker_is_packed_before_any_has_two_recordings(source_tree, tmp_path):
    for speaker in ("a", "b", "c"):
        for number in range(4):
            samples = noise(24_000, 2, seed=number)
            write_audio(tmp_path / "all" / speaker / f"{number}.wav", samples, 24_000)
    done = pack(source_tree, tmp_path / "all", tmp_path / "packed", "--megabytes", "0.12")
    assert done.returncode == 0, done.stderr
    assert "0 folders are missing" in done.stdout
    packed = sorted((tmp_path / "packed").rglob("*.flac"))
    assert sum(path.stat().st_size for path in packed) <= 120_000
    speakers = [path.parent.name for path in packed]
    assert {speakers.count(name) for name in "abc"} <= {1, 2} and len(packed) < 12
    samples, rate_hz = soundfile.read(packed[0])
    assert rate_hz == 16_000 and samples.shape == (16_000,)
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
            "JAX_PLATFORMS": "cpu",
        },
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    model = RunFolder(tmp_path / "out" / "mu_gan_tiny").model()
    assert np.isfinite(model(np.ones((1, 100, 1), "float32"))).all()
