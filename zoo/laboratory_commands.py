"""The commands of the laboratory: what measures, mends and shows the artifacts of any model."""

from pathlib import Path
from typing import Annotated

import typer

from tonezoo.terminal import import_keras, say


def add_to(app: typer.Typer) -> None:
    """Adds the commands to a command line."""
    for command in (fold,):
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
