"""What a training run shows while it goes on."""

import io
import time

import pytest
from rich.console import Console

from tonezoo.recipes.callbacks import PeriodicCheckpoint, Progress
from tonezoo.recipes.experiment import Phase

PHASE = Phase(
    name="generator", model=None, steps_per_epoch=5, epochs=2, time_share=1.0, dataset=None
)


def shown(monkeypatch, *, terminal, step=0, deadline=None):
    """What one step and the end of an epoch write."""
    stream = io.StringIO()
    monkeypatch.setattr(
        "rich.console.Console",
        lambda **_: Console(file=stream, width=120, force_terminal=terminal, _environ={}),
    )
    with Progress(PHASE, step, deadline) as progress:
        before = stream.getvalue()
        progress.on_train_batch_end(0, {"loss": 0.25})
        progress.on_epoch_end(0, {"loss": 0.25})
        progress.bar.refresh()
        return before, stream.getvalue()[len(before) :], progress


@pytest.mark.parametrize("terminal", [True, False])
def test_it_says_that_the_step_is_compiled_until_the_first_is_done(monkeypatch, terminal):
    before, after, _ = shown(monkeypatch, terminal=terminal)
    assert "compiling the training step" in before and "compiling" not in after.splitlines()[-1]
    assert ("step 1 of 10, loss 0.25" if terminal else "epoch 1, step 1: loss 0.25") in after


def test_the_bar_runs_over_the_steps_or_over_the_time_where_that_is_limited(monkeypatch):
    _, _, steps = shown(monkeypatch, terminal=True, step=4)
    assert steps.bar.tasks[0].percentage == 50
    _, after, timed = shown(monkeypatch, terminal=True, deadline=time.monotonic() + 1000)
    assert timed.bar.tasks[0].percentage < 10 and "s to the time limit" in after


def test_a_checkpoint_at_the_end_of_an_epoch_holds_what_that_changes():
    saved, best = [], []
    checkpoint = PeriodicCheckpoint(2, 0, lambda step: saved.append((step, len(best))))
    for epoch in range(3):
        for batch in range(3):
            checkpoint.on_train_batch_end(batch)
        best.append(epoch)
        checkpoint.on_epoch_end(epoch)
    checkpoint.on_train_end()
    # Epochs end after steps 3, 6 and 9; checkpoints fall on steps 2, 4, 6, 8 and the end.
    assert saved == [(2, 0), (4, 1), (6, 1), (6, 2), (8, 2), (9, 3)]
