"""The commands of the laboratory: what measures, mends and shows the artifacts of any model."""

from pathlib import Path
from typing import Annotated

import typer

from tonezoo.terminal import import_keras, say


def add_to(app: typer.Typer) -> None:
    """Adds the commands to a command line."""
    for command in (fold, figures):
        app.command()(command)


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


def figures(
    out: Annotated[Path, typer.Option(help="Folder for a PNG, SVG and JSON per figure.")],
    only: Annotated[
        str | None,
        typer.Option(
            metavar="NAMES",
            help="Figures to draw, such as 5,7,mu_gan_1.",
            show_default="all, in some two minutes and 6 GB of memory",
        ),
    ] = None,
    recording: Annotated[
        Path | None,
        typer.Option(
            "--input",
            help="Audio for the figures of music (6) and of speech (mu_gan_1, mu_gan_5).",
            show_default="procedural clips",
        ),
    ] = None,
    models: Annotated[
        list[str] | None,
        typer.Option(
            "--model",
            help="Super-resolution model of the figures mu_gan_*, as a run, an exported or a "
            "shipped one; repeatable.",
            show_default="the shipped ones",
        ),
    ] = None,
) -> None:
    """Redraw the figures of the two papers from tonezoo's own layers and models."""
    from tonezoo.analysis.figures import FIGURES, Material, chosen_figures
    from tonezoo.files import check_writable

    names = chosen_figures(None if only is None else [name.strip() for name in only.split(",")])
    material = Material(recording=recording, models=tuple(models) if models else None)
    # What a user has mistyped is told before minutes of work.
    material.check()
    check_writable(out)
    import_keras()
    for name in names:
        figure = FIGURES[name](material)
        picture, *_ = figure.save(out)
        say(f"{picture}: {' '.join(figure.findings)}")
