"""Runs an experiment: devices, phases, checkpoints, resuming, and stopping for a reason."""

import contextlib
import dataclasses
import math
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import keras

from tonezoo.recipes import load_recipe
from tonezoo.recipes.callbacks import (
    EpochLog,
    KeepBest,
    PeriodicCheckpoint,
    Progress,
    StopOnNonFinite,
    StopOnRequest,
)
from tonezoo.recipes.config import override
from tonezoo.recipes.devices import ONE_DEVICE, Devices, all_devices, deterministic_operations
from tonezoo.recipes.experiment import VALIDATION_LOSS, Experiment, Position
from tonezoo.recipes.runs import BEST_NETWORK, TENSORBOARD_NAME, RunFolder, is_finished
from tonezoo.recipes.tensorboard import summary_writer
from tonezoo.training.base import check_backend


@dataclass(frozen=True, kw_only=True)
class TrainingRequest:
    """What `tonezoo train` asks for.

    Attributes:
        recipe: name of the recipe.
        run: folder of the run.
        data: folder of audio, or None for the embedded procedural corpus.
        hold_out: patterns of speakers or files that stay out of training.
        settings: "key=value" overrides of the recipe's configuration.
        max_minutes: time limit of this call, or None.
        resume: True to go on from the last checkpoint of `run`.
    """

    recipe: str
    run: Path
    data: Path | None = None
    hold_out: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    max_minutes: float | None = None
    resume: bool = False


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a training call ended.

    Attributes:
        run: the run's folder.
        position: steps done.
        interrupted: True if Ctrl-C ended it.
    """

    run: Path
    position: Position
    interrupted: bool


def train(request: TrainingRequest, report: Callable[[str], None] = print) -> Outcome:
    """Trains a recipe on all devices of the machine, from the start or from its last checkpoint.

    Under TF_CONFIG this is one worker of several, of which each has to call it with the same
    request; the chief alone writes.

    Initial weights and batches derive from the configured seed and the step number, and checkpoints
    hold the states of dropout and optimizers: a run that was killed and resumed takes the same
    steps as one that was not (time limits apart, which end the autoencoder's phase by the clock).

    Args:
        request: what to train, on what, where and for how long.
        report: receives one-line messages: devices, skipped files, where the run goes on.

    Raises:
        ValueError: unknown recipe or setting, data that cannot be used, a run folder that holds
            another run, a loss or gradient that is not finite (the last good checkpoint stays), a
            backend of Keras that nothing is trained on, or a TF_CONFIG that cannot be used; or
            another worker has ended.

    Example, two minutes on the procedural corpus:

        train(TrainingRequest(recipe="mu_gan_tiny", run=Path("runs/tiny"), max_minutes=2))
    """
    started = time.monotonic()
    check_backend()
    cfg = override(load_recipe(request.recipe).config, request.settings)
    split = find_training_data(request, cfg)
    folder = RunFolder(request.run)
    folder.check(request, cfg)
    # Machines are connected before TensorFlow computes anything.
    devices = all_devices(report)
    replicas = devices.replicas
    source = cfg.data_source(split, report)
    report(
        f"{source.summary}; {replicas} device(s), batch {cfg.batch_size} x {replicas} = "
        f"{cfg.batch_size * replicas} patches per step"
    )
    keras.utils.set_random_seed(cfg.seed)
    with deterministic_operations(cfg.deterministic), devices.scope():
        experiment = cfg.build(source, replicas)
        validation = validation_data(cfg, experiment, split, report)
        if validation is not None:
            networks = {**experiment.networks, BEST_NETWORK: cfg.new_model()}
            experiment = dataclasses.replace(experiment, networks=networks)
        preview = cfg.preview(split, report)
        resuming = folder.checkpoint.exists()
        position = folder.begin_or_resume(request, cfg, split, experiment, devices)
        if is_finished(experiment, position):
            report(
                f"{request.run} is finished, at {describe(experiment, position)}: nothing is "
                "changed. For more, resume it with a larger --set epochs."
            )
            return Outcome(run=request.run, position=position, interrupted=False)
        if resuming:
            report(f"Resuming {request.run} at {describe(experiment, position)}.")
        elif devices.writes and (origin := folder.config["started_from"]):
            report(
                f"Starting from weights that {origin['recipe']} trained for "
                f"{origin['training_steps']} steps."
            )
        deadline = None if request.max_minutes is None else 60 * request.max_minutes
        session = Session(
            experiment, folder, cfg.checkpoint_steps, started, deadline, validation, devices
        )
        return session.run(position, preview)


class Session:
    """The phases of one training call, from a position to the end or to a reason to stop."""

    def __init__(
        self,
        experiment: Experiment,
        folder: RunFolder,
        checkpoint_steps: int,
        started: float,
        seconds: float | None,
        validation: tuple | None = None,
        devices: Devices = ONE_DEVICE,
    ):
        self.experiment = experiment
        self.folder = folder
        self.checkpoint_steps = checkpoint_steps
        self.started = started
        self.seconds = seconds
        self.validation = validation
        self.devices = devices
        self.writer = None

    def run(self, position: Position, preview) -> Outcome:
        phases = self.experiment.phases
        tensorboard: contextlib.AbstractContextManager = contextlib.nullcontext()
        if self.devices.writes:
            tensorboard = summary_writer(self.folder.path / TENSORBOARD_NAME)
        with interrupt_flag() as pressed, tensorboard as self.writer:
            interrupted = False
            for index in range(position.phase, len(phases)):
                position = Position(phase=index, step=self._fit(position, pressed, preview))
                interrupted = self.devices.any(pressed())
                if interrupted:
                    break
                # An earlier phase is over when its share of the time is; the last one is only
                # paused, so that a resumed run goes on with it.
                if index + 1 < len(phases):
                    position = Position(phase=index + 1)
                    self._save(position)
            return Outcome(run=self.folder.path, position=position, interrupted=interrupted)

    def _save(self, position: Position) -> None:
        if self.devices.writes:
            self.folder.save(self.experiment, position)

    def _fit(self, position: Position, interrupted: Callable[[], bool], preview) -> int:
        """Trains a phase from a position; returns the steps done when it ended or was stopped."""
        index, step = position.phase, position.step
        phase, last = self.experiment.phases[index], index + 1 == len(self.experiment.phases)
        validated = last and self.validation is not None
        deadline = None if self.seconds is None else self.started + phase.time_share * self.seconds
        checkpoint = PeriodicCheckpoint(
            self.checkpoint_steps,
            step,
            lambda done: self._save(Position(phase=index, step=done)),
        )
        stop = StopOnRequest(interrupted, deadline, self.devices.any)
        progress = Progress(phase, step, deadline)
        shown = EpochLog(
            self.folder, self.writer, index, phase, checkpoint, preview if last else None
        )
        callbacks = [
            StopOnNonFinite(phase.name, step),
            # Before the checkpoint, which must hold what they change at an epoch's end.
            *phase.callbacks,
            *(self._keep_best() if validated and self.devices.writes else ()),
            checkpoint,
            *((shown, progress) if self.devices.writes else ()),
            stop,
        ]
        with progress if self.devices.writes else contextlib.nullcontext():
            for begin, end in epoch_ranges(step, phase):
                self.devices.fit(
                    phase.model,
                    phase.dataset(begin),
                    self.validation if validated else None,
                    self.experiment.global_batch,
                    steps_per_epoch=min(end - begin, phase.steps_per_epoch),
                    initial_epoch=begin // phase.steps_per_epoch,
                    epochs=end // phase.steps_per_epoch,
                    callbacks=callbacks,
                )
                if stop.requested:
                    break
        return checkpoint.step

    def _keep_best(self) -> tuple[KeepBest, ...]:
        """Returns the callback that keeps the best weights, going on from the log's best."""
        networks = self.experiment.networks
        best = self.folder.best_epoch() or {VALIDATION_LOSS: math.inf}
        kept = networks[self.folder.validated_network(networks)]
        return (KeepBest(kept, networks[BEST_NETWORK], best[VALIDATION_LOSS]),)


def validation_data(cfg, experiment: Experiment, split, report):
    """Returns inputs and targets to validate on, None where the recipe is not asked to.

    Raises:
        ValueError: nothing is held out, or the recipe cannot validate.
    """
    source = cfg.validation_source(split, report)
    if source is None:
        return None
    if experiment.validation is None:
        raise ValueError("This recipe cannot validate: leave validation_batches at 0.")
    return experiment.validation(source)


def epoch_ranges(step: int, phase) -> list[tuple[int, int]]:
    """Returns the step ranges of the `fit` calls that take a phase from `step` to its end.

    All epochs in one call, after one for the rest of an epoch that was left in its middle.
    """
    if step >= phase.steps:
        return []
    rest = -step % phase.steps_per_epoch
    ranges = [(step, step + rest), (step + rest, phase.steps)]
    return [(begin, end) for begin, end in ranges if begin < end]


def find_training_data(request: TrainingRequest, cfg):
    """Returns the clips or tracks of the request's data folder, None for the procedural corpus."""
    if request.data is not None:
        return cfg.find_data(request.data, request.hold_out)
    if request.hold_out:
        raise ValueError("--hold-out needs --data: the embedded corpus has no speakers or files.")
    return None


def describe(experiment: Experiment, position: Position) -> str:
    """Returns a position in words."""
    phase = experiment.phases[position.phase]
    return f"step {position.step} of {phase.steps} of the {phase.name} phase"


@contextlib.contextmanager
def interrupt_flag():
    """Yields a function that tells whether Ctrl-C was pressed; a second one interrupts at once."""
    pressed: Sequence = []

    def on_interrupt(number, frame):
        if pressed:
            raise KeyboardInterrupt
        pressed.append(number)

    try:
        previous = signal.signal(signal.SIGINT, on_interrupt)
    except ValueError:
        # Only the main thread may set a handler; elsewhere Ctrl-C goes to whoever owns it.
        yield lambda: False
        return
    try:
        yield lambda: bool(pressed)
    finally:
        signal.signal(signal.SIGINT, previous)
