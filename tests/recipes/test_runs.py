"""The folder of a run: whose commit it states, and finished runs that are resumed."""

import contextlib
import dataclasses
import shutil
import subprocess
from pathlib import Path

import pytest
from tiny_run import SEPARATION_SETTINGS

import tonezoo
from tonezoo.recipes import runner
from tonezoo.recipes.devices import Devices
from tonezoo.recipes.runs import RunFolder, current_commit


def git(folder, *words):
    identity = ("-c", "user.name=n", "-c", "user.email=e@example.org")
    done = subprocess.run(
        ["git", "-C", folder, *identity, *words], check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path):
    """A repository with a package in it that is tracked, and one that is installed."""
    for name in ("zoo", ".venv/tonezoo"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "__init__.py").touch()
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", "zoo")
    git(tmp_path, "commit", "--quiet", "--message", "first")
    return tmp_path


def test_the_commit_is_that_of_our_own_repository(repository, monkeypatch):
    monkeypatch.setattr(tonezoo, "__file__", str(repository / "zoo" / "__init__.py"))
    assert current_commit() == git(repository, "rev-parse", "HEAD")
    # Installed into an environment inside another project's repository.
    monkeypatch.setattr(tonezoo, "__file__", str(repository / ".venv/tonezoo/__init__.py"))
    assert current_commit() is None


def content(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.slow
def test_resuming_a_finished_run_says_so_and_changes_nothing(
    tiny_separation_run, tmp_path, monkeypatch
):
    run = shutil.copytree(tiny_separation_run, tmp_path / "run")
    for name in ("evaluation.json", "evaluation.md", "evaluation_soxr.json"):
        (run / name).write_text("scores")
    monkeypatch.setattr(runner, "all_devices", lambda report: Devices(1, contextlib.nullcontext))
    cfg, before, lines = RunFolder(run).configuration(), content(run), []
    request = runner.TrainingRequest(
        recipe="demucs_tiny", run=run, resume=True, settings=SEPARATION_SETTINGS
    )
    outcome = runner.train(request, lines.append)
    done = cfg.epochs * cfg.steps_per_epoch
    assert outcome.position.step == done and not outcome.interrupted
    assert lines[-1].startswith(f"{run} is finished, at step {done} of {done} of the separator")
    assert content(run) == before
    # One that goes on has scores no more: they are not those of its new weights.
    longer = (*SEPARATION_SETTINGS, f"epochs={cfg.epochs + 1}")
    outcome = runner.train(dataclasses.replace(request, settings=longer), lines.append)
    assert outcome.position.step == done + cfg.steps_per_epoch
    assert not list(run.glob("evaluation*"))
