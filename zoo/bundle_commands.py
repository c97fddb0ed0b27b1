"""The command that packs exported models for TensorFlow Serving."""

from pathlib import Path
from typing import Annotated

import typer

from tonezoo.terminal import import_keras, say


def add_to(app: typer.Typer) -> None:
    """Adds the command to a command line."""
    app.command()(bundle)


def bundle(
    models: Annotated[
        list[Path],
        typer.Argument(
            metavar="MODEL...",
            help="Folders of exported models, their versions, or shipped models' names.",
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder to write, which must not exist.")],
    image: Annotated[
        str | None,
        typer.Option(help="Container image of the server.", show_default="one that is known good"),
    ] = None,
) -> None:
    """Write all that a stock TensorFlow Serving container needs to serve models."""
    from tonezoo.serving.bundle import write_bundle
    from tonezoo.serving.bundle.containers import IMAGE

    import_keras()
    write_bundle(models, out, image=image or IMAGE, report=say)
