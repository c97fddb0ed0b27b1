"""Running a verb on many files with Beam: plan, rounds of files, results, and what went wrong."""

import contextlib
import dataclasses
import io
import itertools
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions
from apache_beam.runners.runner import PipelineState
from rich.console import Console

from tonezoo.audio.jobs import FileResult, reason, summarize
from tonezoo.batch import storage
from tonezoo.batch.models import ExportedModel, exported_model
from tonezoo.batch.pipeline import Settings, add_pipeline, read_results
from tonezoo.batch.plan import Job, plan_jobs
from tonezoo.files import TEMPORARY_PREFIX, remove_leftovers
from tonezoo.tasks import Task
from tonezoo.terminal import say, stderr_set_aside
from tonezoo.text import printable

SCRATCH_NAME = f"{TEMPORARY_PREFIX}batch"
FAILED_NAME = "failed.jsonl"
# `DirectRunner` would fetch a program and run it.
LOCAL_RUNNER = "apache_beam.runners.portability.fn_api_runner.FnApiRunner"


def run_batch(
    task: Task,
    input: str,
    output: str,
    *,
    model: str | None,
    options: Any,
    format: str,
    bit_depth: str | None,
    files_at_once: int,
    batch_size: int,
    beam_arguments: Sequence[str],
) -> int:
    """Runs a task's verb on files that have no output yet; returns the exit code.

    The outputs are those of the verb's own command. A file that fails does not stop the others;
    with the reason it is in OUTPUT/failed.jsonl, which is written whole after each round of files.

    Args:
        task: whose verb is run.
        input: see `tonezoo.batch.plan.plan_jobs`.
        output: folder of the outputs.
        model: see `tonezoo.batch.models.exported_model`; None for the default that suits each file.
        options, format, bit_depth: see `Task.process_files`.
        files_at_once: so many files are one job of Beam, for all of which there is room on disk.
        batch_size: see `tonezoo.batch.handler.SavedModelHandler`.
        beam_arguments: options of Beam, as on a command line.

    Raises:
        ValueError: before any work: an option that is unknown or unusable, an unusable model, no
            files, two files with one output, an input that would be overwritten, an output folder
            that cannot be written to; later, a runner that gives up.
    """
    beam_options = parse_beam_options(beam_arguments)
    if not is_here(beam_options):
        # Workers have working folders of their own.
        output = storage.absolute(output)
        if model is not None and os.path.exists(model):
            model = storage.absolute(model)
    exported = exported_model(model or task.default_model())
    settings = Settings(
        task=task.name,
        model=model,
        options=options,
        format=format,
        bit_depth=bit_depth,
        scratch=storage.join(output, SCRATCH_NAME),
        batch_size=batch_size,
    )
    check_settings(settings, task, exported, output)
    jobs = plan_jobs(
        task,
        input,
        output,
        facts=exported.facts,
        options=options,
        format=format,
        report=say,
    )
    if not is_here(beam_options):
        jobs = [dataclasses.replace(job, path=storage.absolute(job.path)) for job in jobs]
    remove_remains(jobs, output, settings.scratch)
    left = [job for job in jobs if not job.is_done()]
    if len(left) < len(jobs):
        say(f"{len(jobs) - len(left)} of {len(jobs)} files are done already: their outputs exist.")
    results: list[FileResult] = []
    failed = storage.join(output, FAILED_NAME)
    # What an earlier run wrote there is of that run.
    write_failed(results, failed)
    # A stream of its own: while Beam runs, stderr is not the terminal's.
    with os.fdopen(os.dup(2), "w") as stderr, Console(file=stderr).status("") as line:
        for first in range(0, len(left), files_at_once):
            line.update(f"{task.doing}: {first} of {len(left)} files")
            results += run_part(left[first : first + files_at_once], settings, beam_options)
            write_failed(results, failed)
    return summarize(results, Console(stderr=True), task.done) if left else 0


def parse_beam_options(arguments: Sequence[str]) -> PipelineOptions:
    """Returns options of Beam; without a runner, those of the one on this machine.

    Raises:
        ValueError: an option that Beam does not have, where the runner is on this machine: other
            runners have options that Beam knows nothing of.
    """
    stray = [
        word
        for before, word in itertools.pairwise(("", *arguments))
        if not word.startswith("-") and ("=" in before or not before.startswith("--"))
    ]
    if stray:
        raise ValueError(
            f"{stray[0]} belongs to no option. If the shell made it of a pattern, give the pattern "
            "in quotes: --input 'in/**/*.wav'."
        )
    options = PipelineOptions(list(arguments))
    standard = options.view_as(StandardOptions)
    if standard.runner in (None, "DirectRunner"):
        standard.runner = LOCAL_RUNNER
        with_unknown = options.get_all_options(retain_unknown_options=True)
        unknown = sorted(with_unknown.keys() - options.get_all_options().keys())
        if unknown:
            raise ValueError(
                f"There is no option --{', --'.join(unknown)}: neither of this command nor of Beam "
                "on this machine. See --help."
            )
    return options


def is_here(options: PipelineOptions) -> bool:
    """Returns whether the runner is the one on this machine."""
    return options.view_as(StandardOptions).runner == LOCAL_RUNNER


def check_settings(settings: Settings, task: Task, exported: ExportedModel, output: str) -> None:
    """Checks what does not depend on the files, as the verb's own command does, on none.

    Raises:
        ValueError: a model of another task, options that are not usable, or an output folder that
            cannot be written to.
    """

    def call(x):
        raise AssertionError("There is no file.")

    task.check(exported.engine(call))
    with storage.checked_folder(output) as folder:
        settings.process(folder / SCRATCH_NAME / "no file", folder, settings.models()[0], call)


def remove_remains(jobs: Sequence[Job], output: str, scratch: str) -> None:
    """Removes what a killed run has left of its own, and beside the outputs."""
    storage.remove(scratch)
    folders = {job.folder for job in jobs} | {job.output for job in jobs}
    if storage.is_remote(output):
        storage.remove_leftovers(output, folders)
        return
    for folder in folders:
        remove_leftovers(Path(folder))


def run_part(
    jobs: Sequence[Job], settings: Settings, beam_options: PipelineOptions
) -> list[FileResult]:
    """Returns what became of files, all of which are one job of Beam.

    Raises:
        ValueError: the runner gave up.
    """
    try:
        # Other runners tell where their job is to be seen.
        with stderr_set_aside() if is_here(beam_options) else contextlib.nullcontext():
            pipeline = beam.Pipeline(options=beam_options)
            add_pipeline(pipeline, jobs, settings)
            state = pipeline.run().wait_until_finish()
            if state != PipelineState.DONE:
                raise RuntimeError(f"the job ended as {state}")
        results = read_results(settings)
        if len(results) != len(jobs):
            raise RuntimeError(f"of {len(jobs)} files {len(results)} have a result")
        return results
    # Each runner has errors of its own.
    except Exception as error:
        raise ValueError(
            f"Beam did not finish: {reason(error)}. What is finished is kept; the same command "
            "goes on with the rest."
        ) from error
    finally:
        storage.remove(settings.scratch)


def write_failed(results: Sequence[FileResult], path: str) -> None:
    """Writes a line of JSON for each file that failed; if none did, there is no such file."""
    failed = [result for result in results if result.error is not None]
    if failed:
        rows = [{"path": str(result.path), "error": result.error} for result in failed]
        text = "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows)
        # The escape of what is no UTF-8 is that of JSON, from which the name can be had again.
        storage.write_whole(path, io.BytesIO(printable(text).encode()))
    elif storage.exists(path):
        storage.delete(path)
