"""The commands of the laboratory: what measures, mends and shows the artifacts of any model."""

import functools
from pathlib import Path
from typing import Annotated

import typer

from tonezoo.terminal import import_keras, say


def add_to(app: typer.Typer) -> None:
    """Adds the commands to a command line."""
    for command in (artifacts, fold, figures, receptive_field, listen):
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
        inputs=[name.strip() for name in inputs.split(",") if name.strip()],
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
            help="Audio for the figures of music (6) and of speech (mu_gan_*).",
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


def receptive_field(
    model: Annotated[
        str,
        typer.Argument(
            help="A shipped model, a run, an exported model, a .keras file, MODEL:PRESET or "
            "MODULE:ATTRIBUTE."
        ),
    ],
    data: Annotated[
        Path | None, typer.Option(help="Folder of audio.", show_default="procedural clips")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for the JSON and the picture.", show_default="none"),
    ] = None,
    patches: Annotated[
        int, typer.Option(min=1, help="Over how many patches of the audio to average.")
    ] = 256,
    segment_samples: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Length of a patch.",
            show_default="the theoretical field, or 16384 where that is not known",
        ),
    ] = None,
    grid_samples: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Over how many neighbouring output samples to average.",
            show_default="the model's grid, or 64 where that is not known",
        ),
    ] = None,
    sample_rate_hz: Annotated[
        int | None,
        typer.Option(
            min=1, help="Rate of the audio, for a model without one.", show_default="16000"
        ),
    ] = None,
) -> None:
    """Measure how far apart the samples lie that an output sample heeds, trained and untrained."""
    from tonezoo.model_sources import find_keras_model

    import_keras()
    import keras

    from tonezoo.analysis import receptive_field as fields
    from tonezoo.analysis.receptive_field_report import (
        receptive_field_clips,
        sentence,
        write_receptive_fields,
    )

    # Of a preset, the weights are random.
    keras.utils.set_random_seed(0)
    found = find_keras_model(model)
    clips = receptive_field_clips(
        found, data, sample_rate_hz=sample_rate_hz, most=patches, report=say
    )
    measure = functools.partial(
        fields.receptive_field,
        clips=clips,
        patches=patches,
        segment_samples=segment_samples,
        grid_samples=grid_samples,
    )
    measured = {"as it is": measure(found)}
    try:
        measured["random weights"] = measure(fields.with_fresh_weights(found, seed=1))
    except ValueError as error:
        say(f"Not compared with random weights: {error}")
    for label, field in measured.items():
        say(sentence(label, field))
    if out is not None:
        write_receptive_fields(out, model, measured)
        say(f"Written to {out}.")


def listen(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILES...",
            help="A file of each system, or a folder of each with equally named files; with "
            "--score, the CSV files of the listeners.",
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(help="Folder of the page, or of the scores.", show_default="none"),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the orders and codes.")] = 0,
    question: Annotated[
        str | None,
        typer.Option(help="What is asked.", show_default="Which of the two do you prefer?"),
    ] = None,
    score: Annotated[bool, typer.Option("--score", help="Count the answers of listeners.")] = False,
    key: Annotated[
        Path | None,
        typer.Option(
            help="With --score, the key.json that came with the page.",
            show_default="the one beside the first CSV file",
        ),
    ] = None,
) -> None:
    """Write a blind A/B listening test as one HTML page, or score what listeners answered."""
    from tonezoo.analysis.listening_test import PAGE_NAME, QUESTION, write_listening_test

    if score:
        from tonezoo.analysis.listening_scores import score_listening_test

        scores = score_listening_test(files, key)
        scores.print()
        if out is not None:
            scores.write(out)
            say(f"Written to {out}.")
        return
    if out is None:
        raise ValueError("Name a folder for the page with --out, or give --score to count answers.")
    if key is not None:
        raise ValueError("--key belongs to --score: the page writes a key of its own.")
    stimuli = write_listening_test(files, out, seed=seed, question=question or QUESTION)
    systems, clips = len(stimuli.systems), len(stimuli.clips)
    megabytes = (out / PAGE_NAME).stat().st_size / 1e6
    say(
        f"{out / PAGE_NAME}: {clips * systems * (systems - 1) // 2} pairs of {systems} systems and "
        f"{clips} clip{'s' * (clips > 1)}, {megabytes:.1f} MB, levels matched by RMS."
    )
    say(f"Keep {out / 'key.json'} from the listeners: it says which sound is whose.")
