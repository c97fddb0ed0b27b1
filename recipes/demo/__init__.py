"""`make demo`: the shipped models at work, a tiny one from training to export, and one page.

    python -m tonezoo.recipes.demo demo [--input recording.wav]

Leaves in the folder: index.html, which holds all there is to see and hear; audio/ with the signals
as WAV files; runs/ and savedmodels/ with the tiny model's training run and export.
"""

import argparse
import contextlib
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tonezoo.files import TEMPORARY_PREFIX, atomic_path, check_writable, remove_leftovers

TRAINING_MINUTES = 1.0
RECIPE = "mu_gan_tiny"
# Short epochs: the loss curves have a point for each.
SETTINGS = ("steps_per_epoch=25", "epochs=1000", "autoencoder_epochs=10")
PAGE_NAME = "index.html"
SHIPPED_AUDIO, SEPARATED_AUDIO = Path("audio", "shipped"), Path("audio", "separated")
TINY_AUDIO = Path("audio", "tiny")
RUN, EXPORTED = Path("runs", RECIPE), Path("savedmodels", RECIPE)
# All that a demo writes, and all that it replaces.
PARTS = (SHIPPED_AUDIO, SEPARATED_AUDIO, TINY_AUDIO, RUN, EXPORTED, Path(PAGE_NAME))


def make_demo(
    folder: str | os.PathLike,
    *,
    recording_path: str | os.PathLike | None = None,
    minutes: float = TRAINING_MINUTES,
    settings: tuple[str, ...] = SETTINGS,
) -> Path:
    """Makes the demo in a folder, in place of an earlier one, which stays until all is done.

    Other files in the folder are left alone: of an earlier demo, `PARTS` are replaced.

    Args:
        folder: where it goes.
        recording_path: audio file for the shipped speech models; None for a procedural clip.
        minutes: time for the training of the tiny model.
        settings: overrides of its recipe.

    Returns:
        The path of the page.

    Raises:
        ValueError: the recording cannot be used, or the folder cannot be written to or holds other
            files under the demo's names; nothing has been done then.
        ImportError: matplotlib is missing.
    """
    from tonezoo.analysis.spectrogram import import_matplotlib
    from tonezoo.recipes.demo.clip import clip_of_recording, procedural_clip, read_recording

    folder = Path(folder)
    recording = None if recording_path is None else read_recording(recording_path)
    import_matplotlib()
    check_folder(folder)
    with step("Loading TensorFlow and the shipped models"):
        from tonezoo.terminal import import_keras

        import_keras()
        from tonezoo.pretrained import load, shipped_models
        from tonezoo.serving.manifest import read_manifest, resolve_version
        from tonezoo.tasks import find_task

        def shipped(task):
            names = find_task(task).default_models
            paths = [resolve_version(shipped_models()[name]) for name in names]
            return [(load(path), read_manifest(path)) for path in paths]

        enhancers, separators = shipped("super_resolution"), shipped("separation")
    folder.mkdir(parents=True, exist_ok=True)
    remove_leftovers(folder)
    with tempfile.TemporaryDirectory(
        prefix=TEMPORARY_PREFIX, dir=folder, ignore_cleanup_errors=True
    ) as temporary:
        work = Path(temporary, "new")
        enhanced = []
        for model, manifest in enhancers:
            clip = (
                procedural_clip(model) if recording is None else clip_of_recording(recording, model)
            )
            with step(f"Enhancing {clip.name} with {model.name}"):
                audio = work / SHIPPED_AUDIO / manifest["name"]
                enhanced.append(show(model, manifest, clip, audio))
        separator, manifest = separators[0]
        with step(f"Separating a made-up song with {separator.name}"):
            separated = show_separation(separator, manifest, work / SEPARATED_AUDIO)
        clip = procedural_clip(enhancers[0][0])
        text = train_and_describe(work, enhanced, separated, clip, minutes, settings)
        with atomic_path(work / PAGE_NAME) as page:
            page.write_text(text, encoding="utf-8")
        replace_parts(folder, work, Path(temporary, "earlier"))
    return folder / PAGE_NAME


def replace_parts(folder: Path, new: Path, aside: Path) -> None:
    """Moves the parts of a demo from `new` to `folder`, and those there to `aside`: all or none."""
    earlier = [part for part in PARTS if os.path.lexists(folder / part)]
    moves = [(folder / part, aside / part) for part in earlier]
    moves += [(new / part, folder / part) for part in PARTS]
    try:
        for source, target in moves:
            target.parent.mkdir(parents=True, exist_ok=True)
            os.replace(source, target)
    except BaseException:
        for source, target in reversed(moves):
            if os.path.lexists(target) and not os.path.lexists(source):
                os.replace(target, source)
        raise


def train_and_describe(work: Path, enhanced, separated, clip, minutes: float, settings) -> str:
    """Takes the tiny model from training to export in a folder; returns the page."""
    from tonezoo.pretrained import load
    from tonezoo.recipes.demo.page import Training, page
    from tonezoo.recipes.runner import TrainingRequest, train
    from tonezoo.recipes.runs import RunFolder
    from tonezoo.serving.export import export
    from tonezoo.serving.verify import verify
    from tonezoo.tasks.super_resolution.evaluation import evaluate_model

    run, exported = work / RUN, work / EXPORTED
    with step(f"Training {RECIPE} for {minutes:g} min on the procedural corpus"):
        request = TrainingRequest(recipe=RECIPE, run=run, settings=settings, max_minutes=minutes)
        if train(request, quiet).interrupted:
            raise KeyboardInterrupt
    with step("Evaluating it beside the spline, on clips that it was not trained on"):
        evaluation = evaluate_model(run, report=quiet)
    with step("Exporting it, and verifying the export"):
        export(run, exported, data_licence="made up by tonezoo", report=quiet)
        manifest = verify(exported)
    with step("Writing the page"):
        tiny = show(load(exported), manifest, clip, work / TINY_AUDIO, evaluation)
        cfg: Any = RunFolder(run).configuration()  # with loss weights, as RECIPE's is
        training = Training(
            recipe=RECIPE,
            minutes=minutes,
            log=RunFolder(run).read_log(),
            loss_weights=cfg.loss_weights,
        )
        return page(enhanced, separated, tiny, training)


def show(model, manifest, clip, folder: Path, evaluation=None):
    """Enhances a clip, writes the signals to a folder, and returns what the page shows of it.

    Args:
        model: a `tonezoo.tasks.super_resolution.engine.SuperResolver`.
        manifest: of the exported model.
        clip: a `tonezoo.recipes.demo.clip.Clip`.
        folder: where the WAV files go.
        evaluation: of the model; None to evaluate it on this clip, if that has a target.
    """
    from tonezoo.audio.resampling import upsample_spline
    from tonezoo.audio.writer import AudioWriter
    from tonezoo.recipes.demo.page import Example, Shown
    from tonezoo.tasks.super_resolution.evaluation import evaluate_loaded

    example = Example(
        clip=clip,
        spline=upsample_spline(clip.low, model.ratio),
        output=model.enhance(clip.low, model.low_rate_hz),
        sample_rate_hz=model.sample_rate_hz,
        ratio=model.ratio,
    )
    for name, (samples, rate_hz) in example.signals.items():
        with AudioWriter(folder / f"{name}.wav", round(rate_hz), 1, bit_depth="16") as file:
            file.write(samples[:, None])
    if evaluation is None and clip.target is not None:
        evaluation = evaluate_loaded(model, {clip.name: clip.target})
    return Shown(example=example, evaluation=evaluation, manifest=manifest)


def show_separation(model, manifest, folder: Path):
    """Separates a made-up song, writes the signals, and returns what the page shows of it.

    Args:
        model: a `tonezoo.tasks.separation.engine.Separator`.
        manifest: of the exported model.
        folder: where the WAV files go.
    """
    from tonezoo.audio.writer import AudioWriter
    from tonezoo.recipes.demo.clip import procedural_song
    from tonezoo.recipes.demo.page import Separation

    stems = procedural_song(model)
    mixture = np.sum(list(stems.values()), axis=0)
    separation = Separation(
        mixture=mixture,
        stems=stems,
        outputs=model.separate(mixture, model.sample_rate_hz),
        sample_rate_hz=model.sample_rate_hz,
        manifest=manifest,
    )
    for name, samples in separation.signals.items():
        path = folder / f"{name}.wav"
        with AudioWriter(path, model.sample_rate_hz, model.channels, bit_depth="16") as file:
            file.write(samples)
    return separation


def check_folder(folder: Path) -> None:
    """Checks that a demo can be written, and would replace nothing but an earlier one.

    Raises:
        ValueError: it cannot, or there are files of its names and no page of ours.
    """
    from tonezoo.recipes.demo.page import GENERATOR

    page = folder / PAGE_NAME
    for part in PARTS:
        check_writable((folder / part).parent)
    in_the_way = [str(part) for part in PARTS if os.path.lexists(folder / part)]
    is_demo = page.is_file() and GENERATOR in page.read_text("utf-8", "replace").splitlines()
    if in_the_way and not is_demo:
        raise ValueError(
            f"{folder} holds {', '.join(in_the_way)}, not written by a demo. Choose an empty or "
            "new folder."
        )


@contextlib.contextmanager
def step(title: str) -> Iterator[None]:
    """Says what is being done, and how long it took."""
    started = time.monotonic()
    print(f"{title} ...", flush=True)
    yield
    print(f"    {time.monotonic() - started:.1f} s", flush=True)


def quiet(line: str) -> None:
    """Takes the messages of commands whose outcome is on the page."""


def main() -> None:
    """The command: bad input becomes one message and exit code 1."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="where the demo goes, in place of an earlier one")
    parser.add_argument(
        "--input", type=Path, help="WAV, FLAC, OGG or MP3 [default: a made-up clip]"
    )
    arguments = parser.parse_args()
    started = time.monotonic()
    try:
        page = make_demo(arguments.folder, recording_path=arguments.input)
    except (ValueError, ImportError, OSError, MemoryError) as error:
        from tonezoo.terminal import fail

        fail(str(error) or type(error).__name__)
    except KeyboardInterrupt:
        print(f"\nInterrupted; {arguments.folder} is as it was.", file=sys.stderr)
        sys.exit(130)
    print(f"Done in {time.monotonic() - started:.0f} s. Open {page} in a browser.")
