"""What a task is: facts, engine, signatures, files, evaluation, and the options of its verb."""

import abc
import dataclasses
import math
import typing
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self

import numpy as np

from tonezoo.audio.folders import AUDIO_SUFFIXES

if TYPE_CHECKING:
    from rich.console import Console

    from tonezoo.audio.jobs import FileResult
    from tonezoo.models.base import AudioModel

# Of a fact that is a whole number; TensorFlow's shapes and most headers hold no more.
LARGEST_WHOLE_NUMBER = 2**31 - 1


def fact(*, least: float = -math.inf, most: float = math.inf, default: Any = dataclasses.MISSING):
    """Returns a field of `Facts` whose number has to be in a range."""
    return dataclasses.field(default=default, metadata={"range": (least, most)})


@dataclasses.dataclass(frozen=True, kw_only=True)
class Facts:
    """What is told of a model that running it goes by; a task adds its own.

    Facts are whole numbers, numbers, words, and lists of words; those without a default have to be
    stated.

    Attributes:
        sample_rate_hz: rate of the model's output.
        channels: of the model's input: of audio, or bands of a mel spectrogram.
        grid_samples, context_samples: see `tonezoo.models.base.AudioModel`.
    """

    sample_rate_hz: int = fact(least=1)
    channels: int = fact(least=1)
    grid_samples: int = fact(least=1)
    context_samples: int = fact(least=0)

    @classmethod
    def read(cls, manifest: Mapping[str, Any], where: object) -> Self:
        """Returns the facts that a manifest states.

        Args:
            manifest: what JSON made of it; other keys are let be.
            where: what to call it in messages.

        Raises:
            ValueError: a fact is missing, of another type, or out of its range.

        Example:

        >>> names = ("sample_rate_hz", "channels", "grid_samples", "context_samples")
        >>> Facts.read(dict.fromkeys(names, 1), "manifest.json").channels
        1
        """
        kinds = typing.get_type_hints(cls)
        facts: dict[str, Any] = {}
        for field in dataclasses.fields(cls):
            if field.name not in manifest and field.default is not dataclasses.MISSING:
                continue
            value = manifest.get(field.name)
            least, most = field.metadata.get("range", (-math.inf, math.inf))
            accepted = _accepted(value, kinds[field.name], least, most)
            if accepted is not None:
                raise ValueError(
                    f"{where} states {field.name} as {value!r}, but it must be {accepted}. Export "
                    "the model again."
                )
            facts[field.name] = tuple(value) if isinstance(value, list) else value
        return cls(**facts)


def _accepted(value, kind, least, most) -> str | None:
    """Returns what a fact must be in words, None if it is that."""
    if kind is int:
        most = min(most, LARGEST_WHOLE_NUMBER)
        is_right = type(value) is int and least <= value <= most
        return None if is_right else f"a whole number from {least} to {most}"
    if kind is float:
        is_right = type(value) in (int, float) and math.isfinite(value) and least <= value <= most
        return None if is_right else f"a number from {least} to {most}"
    if kind is str:
        return None if isinstance(value, str) and value else "a word"
    are_words = isinstance(value, list) and all(isinstance(word, str) and word for word in value)
    is_right = are_words and value and len(set(value)) == len(value)
    return None if is_right else "a list of different words"


def option(default: Any, help: str, **of_typer: Any):
    """Returns a field of a class of options that the command line offers as a flag.

    Args:
        default: its value where the flag is not given.
        help: what the flag does, for `--help`.
        **of_typer: other arguments of `typer.Option`, such as metavar; `flag` for another name
            than the field's.
    """
    return dataclasses.field(default=default, metadata={"option": {"help": help, **of_typer}})


@dataclasses.dataclass(frozen=True, kw_only=True)
class NoOptions:
    """Options of a verb, of an evaluation or of an export, where a task has none."""


class Engine(Protocol):
    """A model ready to be run on signals.

    Attributes:
        task: name of its task.
        name: what to call it in messages.
        sample_rate_hz: rate of its output.
        calls_at_once: how many times its model is called at the same time; a server sets it.
    """

    task: str
    name: str
    sample_rate_hz: int
    calls_at_once: int


class Task(abc.ABC):
    """A kind of work that models do; an instance, TASK, is all that the rest of tonezoo asks.

    Attributes:
        name: of its folder; models and manifests state it.
        title: what to call it in sentences.
        verb: its command, which runs models on files.
        doing, done: the verb's other forms, "enhancing" and "enhanced".
        help: one sentence on the command, for `--help`.
        input_suffixes: of the files of a folder that the command takes.
        default_models: names of the shipped models that the command takes where none is named, the
            first where nothing tells which; empty for none.
        facts: its class of facts.
        file_options, evaluation_options, export_options: dataclasses of what the command, `tonezoo
            evaluate` and `tonezoo export` take beside what all tasks have; their fields are made by
            `option`, and they check their own values.
        inference_signature, inference_input: the signature of an exported model that the engine
            calls, and the name of its input.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    verb: ClassVar[str]
    doing: ClassVar[str]
    done: ClassVar[str]
    help: ClassVar[str]
    input_suffixes: ClassVar[tuple[str, ...]] = AUDIO_SUFFIXES
    default_models: ClassVar[tuple[str, ...]] = ()
    facts: ClassVar[type[Facts]] = Facts
    file_options: ClassVar[type] = NoOptions
    evaluation_options: ClassVar[type] = NoOptions
    export_options: ClassVar[type] = NoOptions
    inference_signature: ClassVar[str] = "serving_default"
    inference_input: ClassVar[str] = "waveform"

    @abc.abstractmethod
    def describe(self, model: "AudioModel") -> dict[str, Any]:
        """Returns the facts of a Keras model that the task adds to those of all."""

    @abc.abstractmethod
    def signatures(self, model: "AudioModel") -> dict[str, Callable]:
        """Returns the functions of TensorFlow that an exported model serves, by name."""

    @abc.abstractmethod
    def output(self, outputs: Mapping[str, Any], facts: Facts) -> np.ndarray:
        """Returns what `inference_signature` gave as an array like the Keras model's output."""

    @abc.abstractmethod
    def golden_samples(self, model: "AudioModel") -> int:
        """Returns the length of the input with which an export is verified."""

    @abc.abstractmethod
    def engine(self, call: Callable[[np.ndarray], np.ndarray], facts: Facts, name: str) -> Engine:
        """Returns the engine that runs a model.

        What it calls the model with must not depend on what the model gave before: `tonezoo batch`
        asks for everything, then gives the answers.

        Args:
            call: the model, from (batch, time, channels) float32 to its output; time may be frames.
            facts: of the model.
            name: what to call it in messages.
        """

    def served_engine(
        self,
        predict: Callable[[str, Mapping[str, np.ndarray]], Mapping[str, np.ndarray]],
        facts: Facts,
        name: str,
        requests_in_flight: int,
    ) -> Engine:
        """Returns the engine that runs a model of a server.

        Args:
            predict: from a signature and its inputs by name, a batch, to its outputs by name.
            facts: of the model.
            name: what to call it in messages.
            requests_in_flight: how many signals of batches `predict` computes at once.
        """

        def call(inputs: np.ndarray) -> np.ndarray:
            outputs = predict(self.inference_signature, {self.inference_input: inputs})
            return self.output(outputs, facts)

        engine = self.engine(call, facts, name)
        engine.calls_at_once = requests_in_flight
        return engine

    @abc.abstractmethod
    def process_files(
        self,
        paths: Sequence[Path],
        out_dir: Path,
        engine: "Engine | Callable[[float | None], Engine] | None",
        options: Any,
        *,
        format: str,
        bit_depth: str | None,
        console: "Console | None",
    ) -> list["FileResult"]:
        """Runs an engine on files and folders of them; see `tonezoo.audio.jobs`.

        Args:
            engine: where the task has default models, None for the one that suits each file, or
                what gives it for a file's sample rate.
            options: an instance of `file_options`.
        """

    def output_name(self, stem: str, format: str) -> str:
        """Returns what `process_files` calls the output of a file, itself a file or a folder.

        Args:
            stem: the file's name without its suffix.
            format: of the output.
        """
        return f"{stem}.{format}"

    def written(self, output: Path, facts: Facts, options: Any, format: str) -> list[Path]:
        """Returns the files that make up an output of `process_files`.

        Args:
            output: a file, or a folder of files.
            facts: of the model.
            options: an instance of `file_options`.
            format: of the output.

        Raises:
            ValueError: options that the model does not take.
        """
        return [output]

    @abc.abstractmethod
    def evaluate(
        self,
        path: Path,
        engine: Engine,
        options: Any,
        *,
        data: Path | None,
        out: Path | None,
        report: Callable[[str], None],
        progress: Callable[[int, int], None] | None,
    ):
        """Scores a model on data that it was not trained on, and writes the scores down.

        Args:
            path: where the engine was loaded from.
            options: an instance of `evaluation_options`.
            data: folder; None for procedural data.
            out: folder of the scores; None for the default.
            report: receives one-line messages.
            progress: called with the number of items done and of all.

        Returns:
            Something with `print()`.
        """

    def default_model(self, sample_rate_hz: float | None = None) -> str:
        """Returns which of `default_models` suits a signal of this rate, the first by default."""
        return self.default_models[0]

    def model_facts(self, model: "AudioModel", options: Any = None) -> Facts:
        """Returns all facts of a Keras model, with the export options that are set."""
        chosen = {} if options is None else dataclasses.asdict(options)
        return self.facts(
            sample_rate_hz=model.sample_rate_hz,
            channels=model.channels,
            grid_samples=model.grid_samples,
            context_samples=model.context_samples,
            **self.describe(model),
            **{name: value for name, value in chosen.items() if value is not None},
        )

    def check(self, engine: Engine) -> Engine:
        """Returns an engine, if it is one of this task.

        Raises:
            ValueError: it is of another; the message names the command that takes it.
        """
        if engine.task == self.name:
            return engine
        from tonezoo.tasks import find_task

        raise ValueError(
            f"{engine.name} is not a model for this. `tonezoo {find_task(engine.task).verb}` takes "
            "it; `tonezoo models` lists what comes with tonezoo."
        )
