"""The folder of a training run: configuration, checkpoint, log, and the model in it."""

import json
import os
import subprocess
from collections.abc import Container
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import tonezoo
from tonezoo.analysis.super_resolution_evaluation import is_evaluation
from tonezoo.files import TEMPORARY_PREFIX, atomic_path, remove_leftovers
from tonezoo.recipes import load_recipe
from tonezoo.recipes.base import BaseConfig
from tonezoo.recipes.data.layouts import DataSplit
from tonezoo.recipes.experiment import (
    AVERAGE_NETWORK,
    VALIDATION_LOSS,
    CheckpointFile,
    Experiment,
    Position,
    network_state,
)

if TYPE_CHECKING:
    from tonezoo.recipes.devices import Devices

CONFIG_NAME = "config.json"
CHECKPOINT_NAME = "checkpoint.npz"
LOG_NAME = "log.jsonl"
TENSORBOARD_NAME = "tensorboard"
# Of the model as it is, without another low-pass or strength in their names.
EVALUATION_NAMES = ("evaluation.json", "evaluation.md")
# Names of networks in a checkpoint, beside those of the recipe.
BEST_NETWORK = "best"


class RunFolder:
    """A folder `runs/NAME` with config.json, checkpoint.npz, log.jsonl and tensorboard/.

    Args:
        path: the folder; it need not exist.
    """

    def __init__(self, path: str | os.PathLike):
        self.path = Path(path)
        self.checkpoint = CheckpointFile(self.path / CHECKPOINT_NAME)

    @property
    def config(self) -> dict:
        """The run's config.json: recipe, options, data, versions.

        Raises:
            ValueError: there is no run, or its configuration cannot be read.
        """
        path = self.path / CONFIG_NAME
        try:
            config = json.loads(path.read_text())
        except FileNotFoundError:
            raise ValueError(
                f"{self.path} is not a run: it has no {CONFIG_NAME}. `tonezoo train` makes one."
            ) from None
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{path} cannot be read as JSON: {error}.") from None
        kinds = {"recipe": str, "options": dict, "data": dict}
        if not isinstance(config, dict) or not all(
            isinstance(config.get(key), kind) for key, kind in kinds.items()
        ):
            raise ValueError(f"{path} is not the configuration of a tonezoo run.")
        return config

    def check(self, request, cfg: BaseConfig) -> None:
        """Checks that a run may start here, or that the one here is the one to be resumed.

        Raises:
            ValueError: a file or a folder with other files is in the way; a run is there and
                `resume` is not asked for, or it is of another recipe or other settings.
        """
        if self.path.is_file():
            raise ValueError(f"{self.path} is a file, but a run is a folder. Choose another name.")
        if not is_run(self.path):
            if self.path.is_dir() and not all(map(is_temporary, self.path.iterdir())):
                raise ValueError(f"{self.path} holds other files. Choose an empty or new folder.")
        elif not request.resume:
            raise ValueError(
                f"{self.path} already holds a run. Pass --resume to go on with it, or choose "
                "another folder with --run, or remove this one."
            )
        else:
            self._check_same(request.recipe, cfg)

    def begin_or_resume(
        self,
        request,
        cfg: BaseConfig,
        split: DataSplit | None,
        experiment: Experiment,
        devices: "Devices",
    ) -> Position:
        """Makes the folder a run, or goes on with the one there; a finished one is left as it is.

        A run begins with the weights of the experiment's `start`, and config.json tells how these
        came about; one that goes on takes those of its checkpoint.

        Args:
            request: what was asked for.
            cfg: the configuration.
            split: what to train on and test on, or None for made-up data.
            experiment: what was built of them.
            devices: what it is trained on, of which one process writes.

        Returns:
            Where training goes on.

        Raises:
            ValueError: the run there was trained on other data, or with another global batch; or
                the processes of the run differ in what they are to do.
        """
        resuming = self.checkpoint.exists()
        description = {
            "recipe": request.recipe,
            "options": asdict(cfg),
            "data": describe_data(request, split),
            "data_fingerprint": experiment.data_fingerprint,
            "global_batch": experiment.global_batch,
            "started_from": self.config.get("started_from") if resuming else None,
            "tonezoo": tonezoo.__version__,
            "commit": current_commit(),
        }
        if is_run(self.path):
            self._check_continues(description)
        position = Position()
        if resuming:
            position = self.checkpoint.restore(experiment.state())
        else:
            description["started_from"] = experiment.start()
        devices.check_same(
            {
                "the recipe and its options": (request.recipe, asdict(cfg)),
                "the training data": experiment.data_fingerprint,
                "the checkpoint in the run's folder": position,
                "the version of tonezoo": tonezoo.__version__,
            }
        )
        if is_finished(experiment, position) or not devices.writes:
            return position
        remove_leftovers(self.path)
        with atomic_path(self.path / CONFIG_NAME) as temporary:
            temporary.write_text(json.dumps(description, indent=2) + "\n")
        self._truncate_log(position)
        return position

    def save(self, experiment: Experiment, position: Position) -> None:
        """Writes the checkpoint, and removes scores of the one before: they are not the model's."""
        for path in self.path.iterdir():
            if is_evaluation(path.name):
                path.unlink()
        self.checkpoint.save(experiment, position)

    def _check_continues(self, description: dict) -> None:
        saved = self.config
        if saved["data_fingerprint"] != description["data_fingerprint"]:
            raise ValueError(
                f"{self.path} was trained on other data than given now. Resume with the same "
                "--data and --hold-out, or start a new run."
            )
        before, now = saved["global_batch"], description["global_batch"]
        if before != now:
            raise ValueError(
                f"{self.path} was trained with {before} examples per step, now it would be {now}: "
                "the number of devices has changed. Resume on as many, or start a new run."
            )

    def _check_same(self, recipe: str, cfg: BaseConfig) -> None:
        saved = self.config
        if saved["recipe"] != recipe:
            raise ValueError(
                f"{self.path} is a run of recipe {saved['recipe']}, not {recipe}. "
                "Resume it with its own recipe, or choose another folder."
            )
        options = asdict(self.configuration())
        changed = [
            f"{key} was {options[key]!r}, now {value!r}"
            for key, value in asdict(cfg).items()
            if key not in cfg.CHANGEABLE and options[key] != value
        ]
        if changed:
            raise ValueError(
                f"{self.path} was started with other settings: {'; '.join(changed)}. Resume it "
                "with the same --ratio and --set options."
            )

    def append_log(self, phase: int, name: str, step: int, figures: dict[str, float]) -> None:
        """Adds an epoch's figures to log.jsonl."""
        line = {"phase": phase, "name": name, "step": step, **figures}
        with open(self.path / LOG_NAME, "a") as file:
            file.write(json.dumps(line) + "\n")

    def read_log(self) -> list[dict]:
        """Returns the lines of log.jsonl."""
        path = self.path / LOG_NAME
        if not path.exists():
            return []
        lines = []
        for line in path.read_text().splitlines():
            try:
                lines.append(json.loads(line))
            except ValueError:
                break  # A killed process may leave half a line at the end.
        return lines

    @property
    def records(self) -> list[Path]:
        """The files that tell how the run went and what came out: its log and its evaluation."""
        paths = [self.path / name for name in (LOG_NAME, *EVALUATION_NAMES)]
        return [path for path in paths if path.exists()]

    def _truncate_log(self, position: Position) -> None:
        """Drops the epochs that a resumed run will do again."""
        kept = [
            line
            for line in self.read_log()
            if (line["phase"], line["step"]) <= (position.phase, position.step)
        ]
        with atomic_path(self.path / LOG_NAME) as temporary:
            temporary.write_text("".join(json.dumps(line) + "\n" for line in kept))

    def configuration(self) -> BaseConfig:
        """Returns the run's configuration object, with defaults for options that came after it.

        Raises:
            ValueError: no run, an unknown recipe, or options that are not the recipe's.
        """
        saved = self.config
        try:
            return load_recipe(saved["recipe"]).with_options(saved["options"])
        except ValueError as error:
            raise ValueError(f"{self.path / CONFIG_NAME}: {error}") from error

    @property
    def task(self) -> str:
        """Name of the task that the run's model is for."""
        from tonezoo.registry import model_entry

        return model_entry(self.configuration().model).model.task

    def model(self):
        """Returns the trained model, a Keras one, from the last checkpoint.

        Its weights are their moving average where the run keeps one, and of the epoch with the
        lowest validation loss where the run validates.

        Raises:
            ValueError: no run, or no trained model in it yet.
        """
        cfg = self.configuration()
        if not self.trained_steps():
            raise ValueError(
                f"{self.path} has no trained {cfg.MAIN_NETWORK} yet. Go on with --resume."
            )
        model = cfg.new_model()
        networks = self.checkpoint.networks()
        is_chosen = BEST_NETWORK in networks and self.best_epoch() is not None
        kept = BEST_NETWORK if is_chosen else self.validated_network(networks)
        self.checkpoint.restore(network_state(kept, model))
        return model

    def validated_network(self, networks: Container[str]) -> str:
        """Returns the name of the network that evaluation uses: the average where there is one."""
        return AVERAGE_NETWORK if AVERAGE_NETWORK in networks else self.main_network

    def best_epoch(self) -> dict | None:
        """Returns the log's line with the lowest validation loss, None without validation."""
        lines = [line for line in self.read_log() if VALIDATION_LOSS in line]
        return min(lines, key=lambda line: line[VALIDATION_LOSS], default=None)

    def trained_steps(self) -> int:
        """Returns the steps after which the checkpoint holds the model, 0 without any."""
        if not self.checkpoint.exists():
            return 0
        header = self.checkpoint.header()
        if header["name"] != self.main_network:
            return 0
        best = self.best_epoch()
        return header["step"] if best is None else best["step"]

    @property
    def main_network(self) -> str:
        """Name of the network and the phase that the run is about."""
        return self.configuration().MAIN_NETWORK

    @property
    def portable_options(self) -> dict:
        """The run's options without what they tell of the machine: last parts of paths alone."""
        paths = self.configuration().PATH_OPTIONS
        return {
            key: Path(value).name if key in paths and value is not None else value
            for key, value in self.config["options"].items()
        }


def is_run(path: str | os.PathLike) -> bool:
    """Tells whether a folder is a training run."""
    return (Path(path) / CONFIG_NAME).is_file()


def is_temporary(path: Path) -> bool:
    return path.name.startswith(TEMPORARY_PREFIX)


def is_finished(experiment: Experiment, position: Position) -> bool:
    """Tells whether the last phase of an experiment has all its steps."""
    last = len(experiment.phases) - 1
    return position.phase == last and position.step >= experiment.phases[last].steps


def describe_data(request, split: DataSplit | None) -> dict:
    """Returns what config.json tells of the data: no absolute paths, so that a run can move."""
    if split is None:
        return {"name": "procedural corpus", "hold_out": [], "train": [], "test": []}
    return {
        "name": split.root.resolve().name,
        "layout": split.layout,
        "hold_out": list(request.hold_out),
        "train": [path.relative_to(split.root).as_posix() for path in split.train],
        "test": [path.relative_to(split.root).as_posix() for path in split.test],
    }


def current_commit() -> str | None:
    """Returns the commit of the source tree that is running, or None where it is installed.

    A repository around it that does not track it is another project's, with tonezoo in its .venv.
    """
    source = Path(tonezoo.__file__).resolve()
    git = ("git", "-C", str(source.parent))
    try:
        tracked = subprocess.run([*git, "ls-files", "--error-unmatch", source], capture_output=True)
        if tracked.returncode:
            return None
        done = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True)
    except OSError:
        return None
    return done.stdout.strip() or None
