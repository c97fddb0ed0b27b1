"""The commands of the laboratory: what measures, mends and shows the artifacts of any model."""

from pathlib import Path
from typing import Annotated

import typer

from tonezoo.terminal import import_keras, say


def add_to(app: typer.Typer) -> None:
    """Adds the commands to a command line."""
    for command in (artifacts, fold):
        app.command()(command)


def artifacts(
    target: Annotated[
        str,
        typer.Argument(
            metavar="MODEL|FILE",
            help="A shipped model, MODEL:PRESET, a run, a SavedModel, a .keras file, "
            "MODULE:ATTRIBUTE, or an audio file.",
        ),
    ],
    inputs: Annotated[
        str,
        typer.Option(help="What a model is given: of silence, ones, noise, and audio files."),
    ] = "silence,ones,noise",
    strides: Annotated[
        str | None,
        typer.Option(
            help="Upsampling strides from input to output, such as 8,8,2,2, whose lines to look "
            "for.",
            show_default="those of the layers found; in a file, any",
        ),
    ] = None,
    periods: Annotated[
        str | None,
        typer.Option(
            help="The same by the periods of the lines, in samples, such as 2,4,32,256.",
            show_default="those of the strides",
        ),
    ] = None,
    sample_rate_hz: Annotated[
        float | None,
        typer.Option(min=1, help="Rate of a model's output.", show_default="the model's, or 16000"),
    ] = None,
    max_line_db: Annotated[
        float | None,
        typer.Option(
            help="Exit with code 3 if a line stands out by more.", show_default="no limit"
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for artifacts.html and artifacts.json.", show_default="none"),
    ] = None,
) -> None:
    """Measure tonal and filtering artifacts of a model, or the lines in an audio file."""
    from rich.console import Console

    if strides is not None and periods is not None:
        raise ValueError("--strides and --periods say the same. Give one of them.")
    import_keras()
    from tonezoo.analysis.artifacts.lines import periods_of
    from tonezoo.analysis.artifacts.page import print_report, write_report
    from tonezoo.analysis.artifacts.sources import measure

    wanted = whole_numbers("--periods", periods)
    report = measure(
        target,
        inputs=[name for name in inputs.split(",") if name],
        periods=periods_of(whole_numbers("--strides", strides)) if strides else wanted,
        sample_rate_hz=sample_rate_hz,
    )
    print_report(report, Console())
    if out is not None:
        say(f"Written: {', '.join(map(str, write_report(report, out)))}.")
    if max_line_db is not None and report.line_db > max_line_db:
        say(f"A line stands out by {report.line_db:.1f} dB, more than {max_line_db:g} dB.")
        raise typer.Exit(3)


def whole_numbers(option: str, text: str | None) -> list[int]:
    """Returns the numbers of an option such as 8,8,2,2, none for None.

    Raises:
        ValueError: it holds something else.
    """
    parts = text.split(",") if text else []
    if not all(part.strip().isdecimal() for part in parts):
        raise ValueError(f"{option} takes whole numbers, such as 8,8,2,2, but got {text}.")
    return [int(part) for part in parts]


def fold(
    model: Annotated[Path, typer.Argument(help="A .keras file.")],
    to: Annotated[Path, typer.Option(help="The .keras file to write.")],
) -> None:
    """Compute upsampling and the convolution after it as one layer, with the same result."""
    from tonezoo.keras_files import load_keras_model, save_keras_model

    import_keras()
    from tonezoo.layers import InterpolatedConv1D, fold_upsampling

    def interpolated(model) -> list[str]:
        return [x.name for x in model._flatten_layers() if isinstance(x, InterpolatedConv1D)]

    original = load_keras_model(model)
    folded = fold_upsampling(original)
    save_keras_model(folded, to)
    before = interpolated(original)
    names = [name for name in interpolated(folded) if name not in before]
    say(f"{to}: {', '.join(names)} with the upsampling before. Load it after `import tonezoo`.")
