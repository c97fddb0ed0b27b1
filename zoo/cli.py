"""The command `tonezoo`. Each command imports what it needs when it runs."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from tonezoo import (
    app_commands,
    batch_commands,
    bundle_commands,
    laboratory_commands,
    serving_commands,
)
from tonezoo.command_options import (
    check_foreign,
    joint_parameters,
    options_of,
    parameter,
    set_parameters,
    verb_parameters,
)
from tonezoo.tasks import Task, find_task, list_tasks
from tonezoo.terminal import fail, import_keras, say
from tonezoo.text import show_any_text

TASKS = tuple(map(find_task, list_tasks()))

app = typer.Typer(
    name="tonezoo",
    help="Neural audio models whose upsampling layers are understood and measured.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)


def print_version(wanted: bool) -> None:
    if wanted:
        import tonezoo

        say(tonezoo.__version__)
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=print_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    pass


Run = Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a training run.")]


def main() -> None:
    """Runs the command line; an error of the user's becomes one message and exit code 1."""
    show_any_text()
    try:
        app()
    except OSError as error:
        fail(f"{error.filename}: {error.strerror}." if error.filename else str(error))
    except (ValueError, ImportError, MemoryError) as error:
        fail(str(error) or type(error).__name__)


@app.command()
def models(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    as_table: Annotated[
        bool, typer.Option("--table", help="Print a Markdown table with receptive fields.")
    ] = False,
) -> None:
    """List the models with their presets and parameter counts, and the trained ones."""
    if as_table:
        from tonezoo.model_table import model_table

        say("\n".join(model_table()))
        return
    from tonezoo.pretrained import shipped_models
    from tonezoo.registry import model_rows
    from tonezoo.serving.manifest import read_facts, resolve_version

    rows = model_rows()
    if as_json:
        import json

        say(json.dumps(rows, indent=2))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("name", "preset", "parameters", "output Hz", "ratios")
    for row in rows:
        table.add_row(
            row["name"],
            row["preset"],
            f"{row['parameters']:,}",
            str(row["sample_rate_hz"]),
            ", ".join(map(str, row["ratios"])) or "-",
        )
    Console().print(table)
    for name, source in {row["name"]: row["source"] for row in rows}.items():
        say(f"{name}: {source}")
    trained = [
        f"{name} ({find_task(read_facts(resolve_version(path))['task']).verb})"
        for name, path in shipped_models().items()
    ]
    say(f"Trained models, for `--model`: {', '.join(trained)}.")


@app.command()
def recipes() -> None:
    """List the recipes that `tonezoo train` runs, with what each one is."""
    from tonezoo.recipes import list_recipes, load_recipe

    for name in list_recipes():
        say(f"{name}: {load_recipe(name).description}")


@app.command()
def train(
    recipe: Annotated[str, typer.Argument(help="Recipe; `tonezoo recipes` lists them.")],
    run: Annotated[
        Path | None,
        typer.Option(help="Folder of the run.", show_default="runs/RECIPE, with _xRATIO"),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            help="Folder of audio, or of tracks with one file per source.",
            show_default="procedural clips or tracks",
        ),
    ] = None,
    ratio: Annotated[
        int | None,
        typer.Option(
            min=2, help="Upsampling ratio of super-resolution.", show_default="the recipe's"
        ),
    ] = None,
    hold_out: Annotated[
        list[str] | None,
        typer.Option(metavar="PATTERN", help="Speakers, files or tracks kept out; repeatable."),
    ] = None,
    max_minutes: Annotated[
        float | None,
        typer.Option(help="Stop after this time; --resume goes on.", show_default="no limit"),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Override an option of the recipe, such as learning_rate=3e-4; repeatable. "
            "A wrong key is answered with the list of all.",
        ),
    ] = None,
    resume: Annotated[bool, typer.Option(help="Go on from the last checkpoint.")] = False,
) -> None:
    """Train a recipe on a folder of audio or tracks, on all devices of this machine.

    On several machines under TF_CONFIG: see docs/distributed.md.
    """
    from tonezoo.memory import keep_freed_memory
    from tonezoo.recipes import load_recipe
    from tonezoo.recipes.cluster import read_cluster
    from tonezoo.recipes.config import override

    changes = (*(settings or ()), *([] if ratio is None else [f"ratio={ratio}"]))
    # Wrong names are told before TensorFlow is loaded.
    cfg = override(load_recipe(recipe).config, changes)
    cluster = read_cluster()
    run = run or Path("runs") / cfg.run_name(recipe)
    keep_freed_memory()
    import_keras(os.environ.get("KERAS_BACKEND", "tensorflow"))
    from tonezoo.recipes.runner import TrainingRequest
    from tonezoo.recipes.runner import train as train_recipe

    outcome = train_recipe(
        TrainingRequest(
            recipe=recipe,
            run=run,
            data=data,
            hold_out=tuple(hold_out or ()),
            settings=changes,
            max_minutes=max_minutes,
            resume=resume,
        ),
        say,
    )
    if outcome.interrupted:
        message = f"Interrupted; {run} is saved. Go on with the same command and --resume."
        typer.echo(message, err=True)
        raise typer.Exit(130)
    if cluster is not None and not cluster.is_chief:
        say(f"{cluster.name} is done; the chief has written {run}.")
        return
    on = "" if data is None else f" --data {data}"
    say(f"Trained: {run}. Next: tonezoo evaluate {run}{on}")
    say(f"and then: tonezoo export {run} --to savedmodels/NAME")


def evaluate(
    model: Annotated[
        Path,
        typer.Argument(help="Folder of a run or an exported model, or a shipped model's name."),
    ],
    data: Annotated[
        Path | None,
        typer.Option(help="Folder of audio or of tracks.", show_default="procedural data"),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder for the JSON and Markdown.",
            show_default="the run, or evaluations/MODEL-VERSION",
        ),
    ] = None,
    **given: Any,
) -> None:
    """Score a model beside what can be had without one: the spline, or the mixture shared out."""
    from rich.console import Console

    from tonezoo.pretrained import load

    options = {task.name: options_of(task.evaluation_options, given) for task in TASKS}
    import_keras()
    engine = load(model)
    task = find_task(engine.task)
    check_foreign(task, task.evaluation_options, given)
    with Console(stderr=True).status("evaluating") as line:
        evaluation = task.evaluate(
            model,
            engine,
            options[task.name],
            data=data,
            out=out,
            report=say,
            progress=lambda done, total: line.update(f"evaluating: {done} of {total}"),
        )
    evaluation.print()


def export(
    run: Run,
    to: Annotated[Path, typer.Option(help="Folder of the exported model.")],
    data_licence: Annotated[
        str, typer.Option(help="Licence and attribution of the training data.")
    ] = "not stated",
    half: Annotated[
        bool, typer.Option("--half", help="Store the variables as float16, in half the space.")
    ] = False,
    dtype: Annotated[
        str, typer.Option(help="What the model computes in: float32 or mixed_bfloat16.")
    ] = "float32",
    formats: Annotated[
        str | None,
        typer.Option(
            help="Also write the model as onnx, litert, or onnx,litert.", show_default=False
        ),
    ] = None,
    **given: Any,
) -> None:
    """Export the model of a run as a SavedModel for TensorFlow Serving."""
    from tonezoo.recipes.runs import RunFolder
    from tonezoo.serving.export import export as export_run

    options = {task.name: options_of(task.export_options, given) for task in TASKS}
    task = find_task(RunFolder(run).task)
    check_foreign(task, task.export_options, given)
    import_keras()
    export_run(
        run,
        to,
        data_licence=data_licence,
        half=half,
        dtype=dtype,
        formats=[name.strip() for name in formats.split(",")] if formats else (),
        options=options[task.name],
        report=say,
    )


@contextlib.contextmanager
def engine_of(task: Task, model: Path | None, server: str | None) -> Iterator[Any]:
    """Yields a task's engine for a model, on this machine or at a server; see `process_files`."""
    if server is not None:
        from tonezoo.serving import Client

        with Client(server) as client:
            yield client.engine_for(task, None if model is None else str(model))
        return
    from tonezoo.pretrained import load

    import_keras()
    yield None if model is None else task.check(load(model))


def add_verb(task: Task) -> None:
    """Adds the command that runs a task's models on files."""

    def command(files, out, model, server, format, bit_depth, **given):
        from rich.console import Console

        from tonezoo.audio.jobs import summarize

        options = options_of(task.file_options, given)
        console = Console(stderr=True)
        with engine_of(task, model, server) as engine:
            results = task.process_files(
                files,
                out,
                engine,
                options,
                format=format,
                bit_depth=bit_depth,
                console=console,
            )
        raise typer.Exit(summarize(results, console, task.done))

    command.__doc__ = task.help
    files = typer.Argument(metavar="FILES...", help="Audio files or folders of them.")
    out = typer.Option(help="Folder for the outputs; those of the same names are replaced.")
    server = typer.Option(
        metavar="HOST:PORT",
        help="Send the audio to TensorFlow Serving or `tonezoo serve`: HOST:PORT of its gRPC, or "
        "http://HOST:PORT of its REST.",
        show_default="this machine",
    )
    set_parameters(
        command,
        [
            parameter("files", list[Path], files),
            parameter("out", Path, out),
            *verb_parameters(
                task,
                model_help="Folder of an exported model or a run, or a shipped model's name; with "
                "--server the name of a served one.",
            ),
            parameter("server", str | None, server, None),
        ],
    )
    app.command(task.verb)(command)


for task in TASKS:
    add_verb(task)
app.command("evaluate")(set_parameters(evaluate, joint_parameters(TASKS, "evaluation_options")))
app.command("export")(set_parameters(export, joint_parameters(TASKS, "export_options")))


@app.command()
def verify(
    path: Annotated[
        Path, typer.Argument(help="Folder of an exported model, or a shipped model's name.")
    ],
) -> None:
    """Check an exported model's files and its golden output."""
    from tonezoo.serving.verify import verify as verify_model

    import_keras()
    manifest = verify_model(path)
    say(f"{path}: version {manifest['version']}, {len(manifest['files'])} files, output as golden.")


laboratory_commands.add_to(app)
serving_commands.add_to(app)
app_commands.add_to(app)
batch_commands.add_to(app)
bundle_commands.add_to(app)
