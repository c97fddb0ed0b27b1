"""Training and export on a full disk: one message, nothing half-written."""

import resource
import shutil
import subprocess
import sys

import pytest
from tiny_run import SETTINGS

pytestmark = pytest.mark.slow


def run(limit_bytes, *words):
    """Runs a command whose files may not grow beyond a limit, as on a full disk."""
    return subprocess.run(
        [sys.executable, "-m", "tonezoo", *map(str, words)],
        capture_output=True,
        text=True,
        timeout=300,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, limit_bytes)),
    )


def test_export_on_a_full_disk(tiny_run, tmp_path):
    failed = run(20_000, "export", tiny_run, "--to", tmp_path / "model")
    assert failed.returncode == 1
    assert "error: Cannot write" in failed.stderr and "Traceback" not in failed.stderr
    assert list((tmp_path / "model").iterdir()) == []


def test_training_on_a_full_disk_keeps_the_checkpoint_it_has(tiny_run, tmp_path):
    copy = shutil.copytree(tiny_run, tmp_path / "run")
    before = (copy / "checkpoint.npz").read_bytes()
    settings = (*SETTINGS, "epochs=2")
    words = [word for setting in settings for word in ("--set", setting)]
    failed = run(100_000, "train", "mu_gan_tiny", "--run", copy, "--resume", *words)
    assert failed.returncode == 1
    assert "Resuming" in failed.stdout
    assert "error: Cannot write" in failed.stderr and "Traceback" not in failed.stderr
    assert not [path for path in copy.iterdir() if path.name.startswith(".")]
    assert (copy / "checkpoint.npz").read_bytes() == before
