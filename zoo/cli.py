"""The command `tonezoo`. Each command imports what it needs when it runs."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from tonezoo.pretrained import DEFAULT_MODEL, DEFAULT_SEPARATOR

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
Shifts = Annotated[
    int | None,
    typer.Option(
        help="Separation: average over so many shifts of the audio; time grows with it.",
        show_default="0",
    ),
]
Overlap = Annotated[
    float | None,
    typer.Option(
        help="Separation: share of a segment in common with the next.", show_default="0.25"
    ),
]
Segment = Annotated[
    float | None,
    typer.Option(
        metavar="SECONDS",
        help="Separation: audio seen at once, 0.1 s or more; memory grows with it.",
        show_default="10",
    ),
]
Files = Annotated[
    list[Path],
    typer.Argument(
        metavar="FILES...", help="Audio files (WAV, FLAC, OGG, MP3) or folders of them."
    ),
]
Model = Annotated[
    Path, typer.Option(help="Folder of an exported model or a run, or a shipped model's name.")
]
Format = Annotated[str, typer.Option(help="wav, flac or ogg.")]
BitDepth = Annotated[
    str | None,
    typer.Option(help="wav: float, 24 or 16; flac: 24 or 16.", show_default="the format's best"),
]


def separation_options(shifts: int | None, overlap: float | None, segment: float | None):
    from tonezoo.tasks.separation.engine import SeparationOptions

    given = {"shifts": shifts, "overlap": overlap, "segment_s": segment}
    return SeparationOptions(**{name: v for name, v in given.items() if v is not None})


def main() -> None:
    """Runs the command line; an error of the user's becomes one message and exit code 1."""
    try:
        app()
    except OSError as error:
        fail(f"{error.filename}: {error.strerror}." if error.filename else str(error))
    except (ValueError, ImportError, MemoryError) as error:
        fail(str(error) or type(error).__name__)


def fail(message: str) -> None:
    from rich.console import Console
    from rich.text import Text

    Console(stderr=True).print(Text(f"error: {message}", style="red"), soft_wrap=True)
    sys.exit(1)


def import_tensorflow() -> None:
    """Imports TensorFlow and Keras without the build notes that they write to stderr."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.stderr.flush()
    kept = os.dup(2)
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
        try:
            import keras  # noqa: F401
            import tensorflow  # noqa: F401
        finally:
            os.dup2(kept, 2)
            os.close(kept)


def say(line: str) -> None:
    print(line, flush=True)


@app.command()
def models(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the models with their presets and parameter counts, and the trained ones."""
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
    commands = {"super_resolution": "enhance", "separation": "separate"}
    trained = [
        f"{name} ({commands[read_facts(resolve_version(path))['task']]})"
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
    """Train a recipe on a folder of audio or tracks, on all devices of this machine."""
    from tonezoo.recipes import load_recipe
    from tonezoo.recipes.config import override

    settings = (*(settings or ()), *([] if ratio is None else [f"ratio={ratio}"]))
    # Wrong names are told before TensorFlow is loaded.
    cfg = override(load_recipe(recipe).config, settings)
    run = run or Path("runs") / cfg.run_name(recipe)
    import_tensorflow()
    from tonezoo.recipes.runner import TrainingRequest
    from tonezoo.recipes.runner import train as train_recipe

    outcome = train_recipe(
        TrainingRequest(
            recipe=recipe,
            run=run,
            data=data,
            hold_out=tuple(hold_out or ()),
            settings=settings,
            max_minutes=max_minutes,
            resume=resume,
        ),
        say,
    )
    if outcome.interrupted:
        message = f"Interrupted; {run} is saved. Go on with the same command and --resume."
        typer.echo(message, err=True)
        raise typer.Exit(130)
    on = "" if data is None else f" --data {data}"
    say(f"Trained: {run}. Next: tonezoo evaluate {run}{on}")
    say(f"and then: tonezoo export {run} --to savedmodels/NAME")


@app.command()
def evaluate(
    model: Annotated[
        Path,
        typer.Argument(help="Folder of a run or an exported model, or a shipped model's name."),
    ],
    data: Annotated[
        Path | None,
        typer.Option(help="Folder of audio.", show_default="procedural speech-like clips"),
    ] = None,
    ratio: Annotated[
        int | None,
        typer.Option(help="Super-resolution: checked against the model's.", show_default=False),
    ] = None,
    low_pass: Annotated[
        str | None,
        typer.Option(
            help="Super-resolution: filter of the low rate, chebyshev, butterworth, fft or soxr.",
            show_default="chebyshev",
        ),
    ] = None,
    shifts: Shifts = None,
    overlap: Overlap = None,
    segment: Segment = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder for the JSON and Markdown.",
            show_default="the run, or evaluations/MODEL-VERSION",
        ),
    ] = None,
) -> None:
    """Score a model beside what can be had without one: the spline, or the mixture shared out."""
    from rich.console import Console

    from tonezoo.audio.resampling import LOW_PASSES, check_low_pass
    from tonezoo.serving.export import load
    from tonezoo.tasks.separation.engine import Separator
    from tonezoo.tasks.separation.evaluation import evaluate_separator
    from tonezoo.tasks.super_resolution.evaluation import evaluate_model

    chosen_low_pass = low_pass or LOW_PASSES[0]
    check_low_pass(chosen_low_pass)
    options = separation_options(shifts, overlap, segment)
    import_tensorflow()
    loaded = load(model)
    of_separation = isinstance(loaded, Separator)
    given = {"--ratio": ratio, "--low-pass": low_pass}
    if not of_separation:
        given = {"--shifts": shifts, "--overlap": overlap, "--segment": segment}
    foreign = [name for name, value in given.items() if value is not None]
    if foreign:
        task = "separation" if of_separation else "super-resolution"
        raise ValueError(f"{', '.join(foreign)}: not for a model of {task}. Leave it out.")
    with Console(stderr=True).status("evaluating") as line:
        settings = {
            "data": data,
            "out": out,
            "report": say,
            "progress": lambda done, total: line.update(f"evaluating: {done} of {total}"),
        }
        if of_separation:
            evaluation = evaluate_separator(model, loaded, options=options, **settings)
        else:
            evaluation = evaluate_model(
                model, model=loaded, ratio=ratio, low_pass=chosen_low_pass, **settings
            )
    evaluation.print()


@app.command()
def enhance(
    files: Files,
    out: Annotated[
        Path, typer.Option(help="Folder for the outputs; files of the same names are replaced.")
    ],
    model: Model = Path(DEFAULT_MODEL),
    chunk_s: Annotated[
        float, typer.Option(help="Seconds of audio computed at once, 0.01 or more.")
    ] = 10.0,
    whole: Annotated[bool, typer.Option("--whole", help="Compute each file in one call.")] = False,
    downsample: Annotated[
        bool,
        typer.Option(
            "--downsample",
            help="Accept rates above the model's input, and make up anew what it cannot hold.",
        ),
    ] = False,
    format: Format = "wav",
    bit_depth: BitDepth = None,
) -> None:
    """Upsample audio files with a model; the shipped one takes speech from 4 to 16 kHz."""
    from rich.console import Console

    from tonezoo.audio.jobs import summarize
    from tonezoo.serving.export import load
    from tonezoo.tasks.super_resolution.engine import SuperResolver, check_kind
    from tonezoo.tasks.super_resolution.files import enhance_files

    import_tensorflow()
    console = Console(stderr=True)
    results = enhance_files(
        files,
        out,
        check_kind(load(model), SuperResolver),
        chunk_s=None if whole else chunk_s,
        downsample=downsample,
        format=format,
        bit_depth=bit_depth,
        console=console,
    )
    raise typer.Exit(summarize(results, console, "enhanced"))


@app.command()
def separate(
    files: Files,
    out: Annotated[
        Path, typer.Option(help="Folder for the outputs, OUT/FILE/SOURCE.wav; they are replaced.")
    ],
    model: Model = Path(DEFAULT_SEPARATOR),
    sources: Annotated[
        list[str] | None,
        typer.Option(
            help="Write these alone, such as vocals,bass; repeatable.", show_default="all"
        ),
    ] = None,
    two_stems: Annotated[
        str | None,
        typer.Option(
            metavar="SOURCE", help="Write SOURCE and no_SOURCE, the sum of all others, instead."
        ),
    ] = None,
    residual: Annotated[
        bool,
        typer.Option("--residual", help="Write the mixture minus all written stems as well."),
    ] = False,
    shifts: Shifts = None,
    overlap: Overlap = None,
    segment: Segment = None,
    clip_mode: Annotated[
        str,
        typer.Option(
            help="Above full scale: none keeps it (whole numbers clamp it), clamp, or rescale, by "
            "one factor for all stems of a file."
        ),
    ] = "none",
    format: Format = "wav",
    bit_depth: BitDepth = None,
) -> None:
    """Separate audio files into their sources, each at its own rate, channels and length."""
    from rich.console import Console

    from tonezoo.audio.jobs import summarize
    from tonezoo.serving.export import load
    from tonezoo.tasks.separation.engine import Separator
    from tonezoo.tasks.separation.files import separate_files
    from tonezoo.tasks.super_resolution.engine import check_kind

    options = separation_options(shifts, overlap, segment)
    import_tensorflow()
    console = Console(stderr=True)
    results = separate_files(
        files,
        out,
        check_kind(load(model), Separator),
        sources=[name.strip() for names in sources or () for name in names.split(",")],
        two_stems=two_stems,
        residual=residual,
        options=options,
        clip_mode=clip_mode,
        format=format,
        bit_depth=bit_depth,
        console=console,
    )
    raise typer.Exit(summarize(results, console, "separated"))


@app.command()
def export(
    run: Run,
    to: Annotated[Path, typer.Option(help="Folder of the exported model.")],
    data_licence: Annotated[
        str, typer.Option(help="Licence and attribution of the training data.")
    ] = "not stated",
) -> None:
    """Export the model of a run as a SavedModel for TensorFlow Serving."""
    from tonezoo.serving.export import export as export_run

    import_tensorflow()
    export_run(run, to, data_licence=data_licence, report=say)


@app.command()
def verify(
    path: Annotated[
        Path, typer.Argument(help="Folder of an exported model, or a shipped model's name.")
    ],
) -> None:
    """Check an exported model's files and its golden output."""
    from tonezoo.serving.export import verify as verify_model

    import_tensorflow()
    manifest = verify_model(path)
    say(f"{path}: version {manifest['version']}, {len(manifest['files'])} files, output as golden.")
