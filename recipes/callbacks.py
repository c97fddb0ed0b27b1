"""Keras callbacks of the runner: stop, save, log, show progress."""

import math
import time
from collections.abc import Callable

import keras

from tonezoo.recipes.experiment import VALIDATION_LOSS, Phase


class StopOnNonFinite(keras.callbacks.Callback):
    """Ends training at the first loss or gradient norm that is not finite, before it is saved.

    Args:
        phase_name: named in the message.
        step: steps done before.

    Raises:
        ValueError: names the step and the term.
    """

    def __init__(self, phase_name: str, step: int):
        super().__init__()
        self.phase_name = phase_name
        self.step = step

    def on_train_batch_end(self, batch, logs=None):
        self.step += 1
        figures = {name: float(value) for name, value in (logs or {}).items()}
        bad = [name for name, value in figures.items() if not math.isfinite(value)]
        if bad:
            # The sum and the gradients follow from the terms, which are what one can change.
            bad.sort(key=lambda name: (name == "loss", "gradient" in name))
            raise ValueError(
                f"{', '.join(bad)} became NaN or infinite at step {self.step} of the "
                f"{self.phase_name} phase. The last good checkpoint is kept. Start a new run with "
                "a lower learning_rate or a lower weight of that term."
            )


class PeriodicCheckpoint(keras.callbacks.Callback):
    """Counts steps and saves every `interval` of them and where training ends.

    Args:
        interval: steps between checkpoints.
        step: steps done before.
        save: called with the steps done.
    """

    def __init__(self, interval: int, step: int, save: Callable[[int], None]):
        super().__init__()
        self.interval = interval
        self.step = self.saved = step
        self.save = save

    def on_train_batch_end(self, batch, logs=None):
        self.step += 1
        if self.step % self.interval == 0:
            self._save()

    def on_epoch_end(self, epoch, logs=None):
        # Again, with what the end of the epoch has changed, such as the best weights.
        if self.step == self.saved:
            self._save()

    def on_train_end(self, logs=None):
        if self.step != self.saved:
            self._save()

    def _save(self):
        # On JAX the variables are empty within an epoch, until a callback takes its model.
        _ = self.model
        self.save(self.step)
        self.saved = self.step


class StopOnRequest(keras.callbacks.Callback):
    """Ends training after the step in which Ctrl-C was pressed or the time ran out.

    Args:
        interrupted: tells whether Ctrl-C was pressed.
        deadline: on the clock of time.monotonic, or None.
        agree: tells whether a flag is set in any process of the run.
    """

    def __init__(
        self,
        interrupted: Callable[[], bool],
        deadline: float | None,
        agree: Callable[[bool], bool],
    ):
        super().__init__()
        self.interrupted = interrupted
        self.deadline = deadline
        self.agree = agree
        self.requested = False

    def on_train_batch_end(self, batch, logs=None):
        late = self.deadline is not None and time.monotonic() >= self.deadline
        if self.agree(late or self.interrupted()):
            self.requested = True
            self.model.stop_training = True


class KeepBest(keras.callbacks.Callback):
    """Keeps the weights of the epoch with the lowest validation loss in a network.

    Args:
        network: whose weights are kept: what validation calls.
        best: network of its kind, which gets them.
        loss: the lowest so far.
    """

    def __init__(self, network, best, loss: float = math.inf):
        super().__init__()
        self.network = network
        self.best = best
        self.loss = loss

    def on_epoch_end(self, epoch, logs=None):
        if logs[VALIDATION_LOSS] < self.loss:
            self.loss = float(logs[VALIDATION_LOSS])
            # On JAX the variables are empty within an epoch, until a callback takes its model.
            _ = self.model
            self.best.set_weights(self.network.get_weights())


class EpochLog(keras.callbacks.Callback):
    """Writes each epoch's figures, audio and spectrograms to the run's folder.

    Args:
        folder: the run's `RunFolder`.
        writer: its `tf.summary` writer, or None.
        phase_index: index of the phase.
        phase: the phase.
        counter: callback whose `step` counts the phase's steps.
        preview: called with the trainer's `trained` network and the step, to write audio and
            images; or None.
    """

    def __init__(self, folder, writer, phase_index: int, phase: Phase, counter, preview):
        super().__init__()
        self.folder = folder
        self.writer = writer
        self.phase_index = phase_index
        self.phase = phase
        self.counter = counter
        self.preview = preview

    def on_epoch_end(self, epoch, logs=None):
        step = self.counter.step
        figures = {name: float(value) for name, value in (logs or {}).items()}
        self.folder.append_log(self.phase_index, self.phase.name, step, figures)
        if self.writer is None:
            return
        import tensorflow as tf

        with self.writer.as_default():
            for name, value in figures.items():
                tf.summary.scalar(f"{self.phase.name}/{name}", value, step=step)
            if self.preview is not None:
                self.preview(self.model.trained, step)


class Progress(keras.callbacks.Callback):
    """A progress bar with step, loss and time left; without a terminal, one line per epoch.

    The bar runs over the steps, or over the time where that is limited. Until the first step is
    done it says that the step is being compiled, which takes up to a minute. A context manager:
    the bar is taken off the terminal on errors too.

    Args:
        phase: the phase.
        step: steps done before.
        deadline: on the clock of time.monotonic, or None.
    """

    def __init__(self, phase: Phase, step: int, deadline: float | None):
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        super().__init__()
        self.phase = phase
        self.step = step
        self.deadline = deadline
        self.console = Console(stderr=True)
        columns = [
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[state]}"),
        ]
        if deadline is None:
            columns.append(TimeRemainingColumn())
        terminal = self.console.is_terminal
        self.bar = Progress(*columns, console=self.console, disable=not terminal)

    def __enter__(self):
        state = "compiling the training step"
        left_s = self.seconds_left()
        self.bar.start()
        self.task = self.bar.add_task(
            self.phase.name,
            completed=self.step if left_s is None else 0,
            total=self.phase.steps if left_s is None else left_s,
            state=state,
        )
        if not self.console.is_terminal:
            self.console.print(f"{self.phase.name}: {state}")
        return self

    def __exit__(self, *error):
        self.bar.stop()

    def seconds_left(self) -> float | None:
        return None if self.deadline is None else max(0.0, self.deadline - time.monotonic())

    def on_train_batch_end(self, batch, logs=None):
        self.step += 1
        state = f"step {self.step} of {self.phase.steps}, loss {float(logs['loss']):.3g}"
        left_s = self.seconds_left()
        if left_s is None:
            self.bar.update(self.task, completed=self.step, state=state)
            return
        state += f", {left_s:.0f} s to the time limit"
        self.bar.update(self.task, completed=self.bar.tasks[0].total - left_s, state=state)

    def on_epoch_end(self, epoch, logs=None):
        if not self.console.is_terminal:
            figures = ", ".join(f"{name} {float(value):.3g}" for name, value in logs.items())
            self.console.print(
                f"{self.phase.name} epoch {epoch + 1}, step {self.step}: {figures}",
                soft_wrap=True,
                highlight=False,
            )
