"""The command `tonezoo batch`: the verbs on many files, by Apache Beam."""

import logging
import os
from collections.abc import Callable

import typer

from tonezoo.command_options import options_of, parameter, set_parameters, verb_parameters
from tonezoo.tasks import Task, find_task, list_tasks

HELP = """Run a verb on many files, here or on a cluster, with Apache Beam.

Options that are not listed are Beam's, --runner and --direct_num_workers for instance.
"""


def add_to(app: typer.Typer) -> None:
    """Adds the command to a command line."""
    batch = typer.Typer(help=HELP, no_args_is_help=True)
    for task in map(find_task, list_tasks()):
        add_verb(batch, task)
    app.add_typer(batch, name="batch")


def add_verb(batch: typer.Typer, task: Task) -> None:
    """Adds the command that runs a task's models on many files."""

    def command(context: typer.Context, **given):
        options = options_of(task.file_options, given)
        run_batch = import_run_batch()
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        code = run_batch(
            task,
            given["input"],
            given["output"],
            model=given["model"],
            options=options,
            format=given["format"],
            bit_depth=given["bit_depth"],
            files_at_once=given["files_at_once"],
            batch_size=given["batch_size"],
            beam_arguments=context.args,
        )
        raise typer.Exit(code)

    command.__doc__ = f"{task.help}\n\nFiles with an output are skipped."
    set_parameters(
        command,
        [
            parameter("input", str, INPUT),
            parameter("output", str, OUTPUT),
            *verb_parameters(task, str, MODEL_HELP),
            parameter("files_at_once", int, FILES_AT_ONCE, 100),
            parameter("batch_size", int, BATCH_SIZE, 1),
        ],
    )
    extra_arguments = {"allow_extra_args": True, "ignore_unknown_options": True}
    batch.command(task.verb, context_settings=extra_arguments)(command)


def import_run_batch() -> Callable:
    """Returns `tonezoo.batch.run.run_batch`, of which Beam is quiet but for errors.

    Raises:
        ImportError: Beam is not installed.
    """
    from tonezoo.extras import import_extra

    logging.disable(logging.WARNING)
    try:
        import_extra("apache_beam", "batch", "`tonezoo batch` needs")
        from tonezoo.batch.run import run_batch
    finally:
        logging.disable(logging.NOTSET)
    logging.getLogger("apache_beam").setLevel(logging.ERROR)
    return run_batch


INPUT = typer.Option(
    help="Pattern in quotes, such as 'in/**/*.wav', a folder, or a .txt file with one path on each "
    "line.",
)
OUTPUT = typer.Option(help="Folder for the outputs.")
MODEL_HELP = "Folder of an exported model, or a shipped model's name."
FILES_AT_ONCE = typer.Option(
    min=1, help="Files that are one job of Beam; there has to be room for them on disk."
)
BATCH_SIZE = typer.Option(
    min=1, help="Chunks of equal shape computed by one call; 1 for the very samples of the verb."
)
