"""A training run as data: networks, optimizers, phases, and the checkpoint of their state."""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tonezoo.files import ArrayFile, atomic_path

# As Keras logs it.
VALIDATION_LOSS = "val_loss"
AVERAGE_NETWORK = "average"
REMEDY = "Restore the file from a copy, or start a new run."


@dataclass(frozen=True, kw_only=True)
class Phase:
    """One `model.fit` of a run.

    Attributes:
        name: shown in progress and logs.
        model: compiled Keras model.
        steps_per_epoch: steps of an epoch.
        epochs: length of the phase.
        time_share: largest part of the run's time limit that may have passed when it ends.
        callbacks: Keras callbacks of this phase alone.
        dataset: from a first step to batches; batch k depends on k and a seed alone, so that a run
            goes on anywhere.
    """

    name: str
    model: Any
    steps_per_epoch: int
    epochs: int
    time_share: float
    callbacks: tuple = ()
    dataset: Callable[[int], Any]

    @property
    def steps(self) -> int:
        return self.steps_per_epoch * self.epochs


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """Everything that a run trains, in the order of its phases.

    Attributes:
        phases: trained one after the other.
        networks: by name; the checkpoint holds their weights and random states.
        optimizers: of all phases, built.
        global_batch: patches per step, over all replicas.
        data_fingerprint: of the training data.
        start: called once where a run begins, not where it goes on: gives the networks the weights
            to start from and returns how these came about, or None where they are random.
        validation: from a source of held-out data to inputs and targets of the last phase; None
            where the recipe cannot validate.
    """

    phases: list[Phase]
    networks: dict[str, Any]
    optimizers: list[Any]
    global_batch: int
    data_fingerprint: str
    start: Callable[[], dict | None]
    validation: Callable[[Any], tuple[np.ndarray, ...]] | None = None

    def state(self) -> dict[str, Any]:
        """Returns every variable that training changes, by names stable between processes."""
        variables = {}
        for name, network in self.networks.items():
            variables |= network_state(name, network)
        for number, optimizer in enumerate(self.optimizers):
            variables |= optimizer_state(f"optimizer_{number}", optimizer, variables)
        return variables


def network_state(name: str, network) -> dict[str, Any]:
    """Returns a network's weights and the states of its random numbers, by names with `name`."""
    from tonezoo.variables import named_variables

    return {f"{name}/{path}": variable for path, variable in named_variables(network).items()}


def optimizer_state(name: str, optimizer, networks: dict[str, Any]) -> dict[str, Any]:
    """Returns an optimizer's variables by names with `name` and those of the weights they serve.

    Args:
        name: of the optimizer.
        optimizer: built.
        networks: variables of all networks by name.

    Raises:
        ValueError: two variables of one name.
    """
    # Keras names a moment of the weight at a/b "a_b_momentum".
    served = {variable.path.replace("/", "_"): path for path, variable in networks.items()}
    inner = getattr(optimizer, "inner_optimizer", None)
    state = {} if inner is None else optimizer_state(f"{name}/inner", inner, networks)
    wrapped = set(map(id, state.values()))
    for variable in (v for v in optimizer.variables if id(v) not in wrapped):
        words = variable.name.split("_")
        ends = (end for end in range(len(words) - 1, 0, -1) if "_".join(words[:end]) in served)
        if end := next(ends, None):
            key = f"{name}/{served['_'.join(words[:end])]}/{'_'.join(words[end:])}"
        else:
            key = f"{name}/{variable.name}"
        if key in state:
            raise ValueError(f"{optimizer.name} has two variables {key}.")
        state[key] = variable
    return state


@dataclass(frozen=True, kw_only=True)
class Position:
    """Where a run is: a phase by its index, and the steps done in it."""

    phase: int = 0
    step: int = 0


@dataclass(frozen=True)
class CheckpointFile:
    """The state of a run in one .npz file, which is either complete or the one before.

    Attributes:
        path: the file.
    """

    path: Path

    def save(self, experiment: Experiment, position: Position) -> None:
        """Writes all variables of the experiment and its position, then takes the file's name."""
        arrays: dict[str, Any] = {
            name: np.asarray(value) for name, value in experiment.state().items()
        }
        phase = experiment.phases[position.phase].name
        header = json.dumps({"phase": position.phase, "name": phase, "step": position.step})
        with atomic_path(self.path) as temporary, open(temporary, "wb") as file:
            np.savez(file, header=np.array(header), **arrays)
            file.flush()
            os.fsync(file.fileno())

    def exists(self) -> bool:
        return self.path.is_file()

    def header(self) -> dict:
        """Returns the phase's index and name and the steps done in it.

        Raises:
            ValueError: the file is damaged.
        """
        with self._open() as saved:
            return _parse_header(saved["header"], self.path)

    def networks(self) -> set[str]:
        """Returns the names of the networks and optimizers whose variables the file holds."""
        with self._open() as saved:
            return {name.split("/")[0] for name in saved.names}

    def restore(self, variables: dict[str, Any]) -> Position:
        """Assigns the saved values to variables by name; returns the saved position.

        Raises:
            ValueError: the file is damaged, or not a checkpoint of these variables.
        """
        with self._open() as saved:
            header = _parse_header(saved["header"], self.path)
            assign_state(variables, saved, self.path)
        return Position(phase=header["phase"], step=header["step"])

    def _open(self):
        return ArrayFile(self.path, REMEDY)


def _parse_header(text: np.ndarray, path: Path) -> dict:
    """Returns the phase's index and name and its step from a checkpoint's header."""
    kinds = {"phase": int, "name": str, "step": int}
    try:
        header = json.loads(str(text))
        if all(isinstance(header[key], kind) for key, kind in kinds.items()):
            return header
    except (ValueError, TypeError, KeyError):
        pass
    raise ValueError(f"{path} has no header of a checkpoint. {REMEDY}")


def assign_state(variables: dict[str, Any], saved, path: Path) -> None:
    """Assigns arrays of a checkpoint to variables of the same names.

    Raises:
        ValueError: a variable is missing in the checkpoint, or has another shape or type there.
    """
    for name, variable in variables.items():
        value = saved.get(name)
        fits = value is not None and value.shape == tuple(variable.shape)
        if not fits or not _same_kind(value.dtype, str(variable.dtype)):
            raise ValueError(
                f"{path} does not fit the networks of this configuration (at {name}). "
                "Use the recipe and settings it was trained with."
            )
        variable.assign(value)


def _same_kind(saved: np.dtype, wanted: str) -> bool:
    """Tells whether values may be taken; states of random numbers are int64 or uint32."""
    if wanted == "uint32":
        return np.issubdtype(saved, np.integer)
    # bfloat16 and the like are no types of NumPy's.
    return np.can_cast(saved, wanted, "same_kind")
