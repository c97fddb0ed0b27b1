"""The pipeline: what each file asks of the model, the model's answers, and the outputs of them.

The engine of a task asks the model for one chunk after the other, and what it asks does not depend
on the answers. So the verb runs twice on each file, the second time with answers. In between is
RunInference, on the chunks of all files. Through Beam go names alone: what is asked and answered
lies in a scratch folder, so that memory is bounded by a chunk, whatever the runner.
"""

import dataclasses
import functools
import glob
import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import apache_beam as beam
import numpy as np
from apache_beam.ml.inference.base import KeyedModelHandler, PredictionResult, RunInference

from tonezoo.audio.jobs import FileResult, explain
from tonezoo.audio.reader import AudioReader
from tonezoo.batch import storage
from tonezoo.batch.handler import SavedModelHandler
from tonezoo.batch.models import exported_model, start_keras
from tonezoo.batch.plan import Job
from tonezoo.tasks import find_task

RESULTS = "results"
FILES = "files"

ChunkKey = tuple[int, int]  # of the file, and of the chunk in it


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """What is done to all files.

    Attributes:
        task: its name.
        model: what `exported_model` takes; None for the default that suits each file.
        options, format, bit_depth: see `Task.process_files`.
        scratch: folder of what is asked and answered.
        batch_size: of `SavedModelHandler`.
    """

    task: str
    model: str | None
    options: Any
    format: str
    bit_depth: str | None
    scratch: str
    batch_size: int

    def models(self) -> tuple[str, ...]:
        """Returns the models that files may need."""
        return find_task(self.task).default_models if self.model is None else (self.model,)

    def process(
        self, path: Path, out_dir: Path, model: str, call: Callable[[np.ndarray], np.ndarray]
    ) -> FileResult:
        """Runs the verb on a file with a function in place of the model."""
        (result,) = find_task(self.task).process_files(
            [path],
            out_dir,
            exported_model(model).engine(call),
            self.options,
            format=self.format,
            bit_depth=self.bit_depth,
            console=None,
        )
        return result


@dataclasses.dataclass(frozen=True, kw_only=True)
class Question:
    """A chunk for a model."""

    model: str
    chunk: storage.StoredArray


@dataclasses.dataclass(frozen=True, kw_only=True)
class Asked:
    """A file, the model that suits it, and a digest of each of its chunks."""

    job: Job
    model: str
    digests: tuple[str, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Answer:
    """The output of the model on a chunk of a file, or why there is none."""

    number: int
    output: storage.StoredArray | None = None
    error: str | None = None

    def read(self) -> np.ndarray:
        """Returns the output.

        Raises:
            ValueError: there is none.
        """
        if self.output is None:
            raise ValueError(self.error)
        return self.output.read()


class Ask(beam.DoFn):
    """From a job to ((file, chunk), Question) for all that is asked of the model.

    The output FILES gives (file, Asked), the output RESULTS (file, result) of a bad file.
    """

    def __init__(self, settings: Settings):
        self.settings = settings

    def setup(self):
        start_keras()

    def process(self, job: Job) -> Iterator[Any]:
        asked: list[Question] = []
        digests: list[str] = []
        folder = storage.join(self.settings.scratch, str(job.index))
        model = self.settings.model or ""

        def work(path):
            nonlocal model
            model = model or _suitable_model(self.settings.task, path)

            def call(x):
                chunk = storage.store(folder, f"{len(asked)}-asked", x)
                asked.append(Question(model=model, chunk=chunk))
                digests.append(_digest(x))
                return exported_model(model).zeros(x)

            with storage.scratch_folder(folder) as thrown_away:
                return self.settings.process(path, thrown_away, model, call)

        result = attempt(job, work)
        if result["error"] is not None:
            yield beam.pvalue.TaggedOutput(RESULTS, (job.index, result))
            return
        for number, question in enumerate(asked):
            yield (job.index, number), question
        file = Asked(job=job, model=model, digests=tuple(digests))
        yield beam.pvalue.TaggedOutput(FILES, (job.index, file))


class Finish(beam.DoFn):
    """From a file and the answers to all of its chunks to its output; gives (file, result)."""

    def __init__(self, settings: Settings):
        self.settings = settings

    def setup(self):
        start_keras()

    def process(self, grouped: tuple[int, dict[str, Any]]) -> Iterator[tuple[int, dict[str, Any]]]:
        index, parts = grouped
        (file,) = parts["file"]
        answers = sorted(parts["answers"], key=lambda answer: answer.number)
        if len(answers) != len(file.digests):
            raise RuntimeError(f"{len(answers)} of {len(file.digests)} chunks of {file.job} came.")
        answered = iter(zip(file.digests, answers, strict=True))

        def call(x):
            digest, answer = next(answered, (None, None))
            if digest != _digest(x):
                raise ValueError(
                    "The file was changed meanwhile; run the command again. If it was not, a "
                    "chunk depends on what the model makes of another, which cannot be done here."
                )
            return answer.read()

        def work(path):
            with storage.output_folder(file.job.folder) as out_dir:
                return self.settings.process(path, out_dir, file.model, call)

        yield index, attempt(file.job, work)


def attempt(job: Job, work: Callable[[Path], FileResult]) -> dict[str, Any]:
    """Returns what became of a file as the fields of a `FileResult`, for JSON.

    Args:
        job: the file.
        work: runs the verb on the file on this machine.
    """
    try:
        with storage.local_copy(job.path) as path:
            result = work(path)
            error = result.error and result.error.replace(str(path), job.path)
    # A file system's own errors have no common base class.
    except Exception as problem:
        result = FileResult(path=Path(job.path), output=Path(job.output))
        error = explain(problem, job.path)
    return dataclasses.asdict(result) | {"path": job.path, "output": job.output, "error": error}


def _digest(x: np.ndarray) -> str:
    return hashlib.blake2b(np.ascontiguousarray(x).data, digest_size=8).hexdigest()


def _suitable_model(task: str, path: Path) -> str:
    """Returns the default model for a file; one of which no rate is known fails whatever it is."""
    try:
        with AudioReader(path) as audio:
            return find_task(task).default_model(audio.sample_rate_hz)
    except ValueError:
        return find_task(task).default_model()


def add_pipeline(pipeline: beam.Pipeline, jobs: Sequence[Job], settings: Settings) -> None:
    """Adds everything to a pipeline of Beam; `read_results` reads what it leaves."""
    asked = (
        pipeline
        | "files" >> beam.Create(jobs)
        | "spread files" >> beam.Reshuffle()
        | "ask" >> beam.ParDo(Ask(settings)).with_outputs(FILES, RESULTS, main="questions")
    )
    questions = asked.questions | "spread chunks" >> beam.Reshuffle()
    answers = [
        questions
        | f"for model {number}" >> beam.Filter(_is_for, model)
        | f"model {number}" >> RunInference(_handler(model, settings))
        for number, model in enumerate(settings.models())
    ]
    answered = answers | "all answers" >> beam.Flatten()
    finished = (
        {"file": asked[FILES], "answers": answered}
        | "by file" >> beam.CoGroupByKey()
        | "finish" >> beam.ParDo(Finish(settings))
    )
    (
        [asked[RESULTS], finished]
        | "all results" >> beam.Flatten()
        | "write results" >> beam.Map(_write_result, settings.scratch)
    )


def _write_result(numbered: tuple[int, dict[str, Any]], scratch: str) -> None:
    # Not Beam's WriteToText, which loses its files in a folder whose name holds a bracket.
    index, result = numbered
    with storage.open_to_write(storage.join(scratch, RESULTS, f"{index}.json")) as file:
        file.write(json.dumps(result).encode())


def read_results(settings: Settings) -> list[FileResult]:
    """Returns what became of the files of a pipeline that has run, in the order of the jobs."""
    pattern = storage.join(glob.escape(settings.scratch), RESULTS, "*.json")
    results = []
    for path in sorted(storage.matching(pattern), key=lambda path: int(Path(path).stem)):
        with storage.open_to_read(path) as file:
            results.append(FileResult(**json.loads(file.read())))
    return results


def _handler(model: str, settings: Settings):
    handler = SavedModelHandler(model, batch_size=settings.batch_size)
    write = functools.partial(_write_answer, settings.scratch)
    return KeyedModelHandler(handler).with_preprocess_fn(_read).with_postprocess_fn(write)


def _is_for(keyed: tuple[ChunkKey, Question], model: str) -> bool:
    return keyed[1].model == model


def _read(keyed: tuple[ChunkKey, Question]) -> tuple[ChunkKey, np.ndarray]:
    key, question = keyed
    return key, question.chunk.read()


def _write_answer(scratch: str, keyed: tuple[ChunkKey, PredictionResult]) -> tuple[int, Answer]:
    (file, number), prediction = keyed
    output = prediction.inference
    if isinstance(output, str):
        return file, Answer(number=number, error=output)
    folder = storage.join(scratch, str(file))
    stored = storage.store(folder, f"{number}-answered", output)
    return file, Answer(number=number, output=stored)
