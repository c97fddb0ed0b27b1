"""Separating audio files: a mixture in, a folder with a file for each source out."""

import contextlib
import math
import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tonezoo.audio.jobs import FileResult, plan_outputs, process_files
from tonezoo.audio.reader import AudioReader
from tonezoo.audio.streaming import in_step
from tonezoo.audio.writer import AudioWriter, output_subtype
from tonezoo.files import check_writable
from tonezoo.tasks.separation import CLIP_MODES, SeparationOptions
from tonezoo.tasks.separation.engine import Separator

if TYPE_CHECKING:
    from rich.console import Console

RESIDUAL = "residual"
# Of a scratch file that is scaled: 2^16 samples of 4 stereo stems take 2 MB.
SCALED_SAMPLES = 65_536


def separate_files(
    paths: Iterable[str | os.PathLike],
    out_dir: str | os.PathLike,
    separator: Separator,
    *,
    sources: Sequence[str] = (),
    two_stems: str | None = None,
    residual: bool = False,
    options: SeparationOptions | None = None,
    clip_mode: str = "none",
    format: str = "wav",
    bit_depth: str | None = None,
    console: "Console | None" = None,
) -> list[FileResult]:
    """Writes `out_dir`/NAME/SOURCE.wav for each file NAME, at its rate, channels and exact length.

    A file that fails is reported in its result and does not stop the others; it leaves no stems.
    Memory is bounded by the segment, whatever the length of a file.

    Args:
        paths: audio files, WAV, FLAC, OGG or MP3, or folders of them.
        out_dir: folder, created if need be. Stems of the same names are replaced.
        separator: the model.
        sources: those to be written; none for all.
        two_stems: a source, to write it and no_SOURCE, the sum of all others, instead of all.
        residual: also write what is missing: the mixture minus all stems that are written.
        options: segment, overlap and shifts; None for the defaults.
        clip_mode: "none" leaves levels as they are (formats of whole numbers clamp what is above
            full scale, which is reported), "clamp" clamps floats too, "rescale" multiplies all
            stems of a file by one factor, if one is above full scale, so that none is.
        format: "wav", "flac" or "ogg".
        bit_depth: see `AudioWriter`; None for the format's best, which is float for WAV.
        console: where a progress bar is drawn; None for none.

    Raises:
        ValueError: before any work: no paths; an unknown source, clip mode or format; two files
            that would be written to one folder; an output that is also an input; `out_dir` is a
            file or cannot be written to.
    """
    inputs, out_dir = [Path(path) for path in paths], Path(out_dir)
    if not inputs:
        raise ValueError("There are no files to separate. Name at least one.")
    if clip_mode not in CLIP_MODES:
        raise ValueError(f"clip_mode must be one of {', '.join(CLIP_MODES)}, but is {clip_mode!r}.")
    stems = stem_weights(separator.sources, sources, two_stems)
    output_subtype(format, bit_depth)

    def written(folder):
        return stem_files(folder, stems, residual, format)

    plan = plan_outputs(inputs, out_dir, lambda stem: stem, written)
    check_writable(out_dir)
    weights = np.array(list(stems.values()), "float32")

    def work(result, advance):
        with AudioReader(result.path) as audio:
            rate_hz, channels, frames = audio.sample_rate_hz, audio.channels, audio.frames
            result.add_notice(audio.notice)
        if rate_hz != separator.sample_rate_hz:
            result.add_notice(
                f"Resampled from {rate_hz} Hz to the {separator.sample_rate_hz} Hz of "
                f"{separator.name} and back."
            )
        blocks = separated(result.path, separator, weights, residual, options)
        with contextlib.ExitStack() as stack:
            # Runs last, and does nothing to a folder with stems in it.
            stack.callback(remove_if_empty, result.output)
            if clip_mode == "rescale":
                blocks = stack.enter_context(rescaled(blocks, result, out_dir))
            elif clip_mode == "clamp":
                blocks = clamped(blocks, result)
            writers = [
                stack.enter_context(
                    AudioWriter(
                        path, rate_hz, channels, format=format, bit_depth=bit_depth, frames=frames
                    )
                )
                for path in written(result.output)
            ]
            for block in blocks:
                for number, writer in enumerate(writers):
                    writer.write(block[:, number])
                result.seconds += len(block) / rate_hz
                advance(result.seconds)
        result.clipped_samples += sum(writer.clipped_samples for writer in writers)
        result.peak = max(result.peak, *(writer.peak for writer in writers))

    return process_files(plan, work, console=console, doing="separating")


def remove_if_empty(folder: Path) -> None:
    with contextlib.suppress(OSError):
        folder.rmdir()


def stem_weights(
    known: Sequence[str], sources: Sequence[str] = (), two_stems: str | None = None
) -> dict[str, list[float]]:
    """Returns the stems to be written by name, each as the weights of the model's sources.

    Raises:
        ValueError: an unknown source, or both of the options.

    Example:

    >>> stem_weights(("drums", "bass", "vocals"), two_stems="vocals")
    {'vocals': [0.0, 0.0, 1.0], 'no_vocals': [1.0, 1.0, 0.0]}
    """
    if sources and two_stems is not None:
        raise ValueError("Give either sources or two_stems, not both.")
    unknown = [s for s in (*sources, *([] if two_stems is None else [two_stems])) if s not in known]
    if unknown:
        raise ValueError(
            f"The model has no source {', '.join(map(repr, unknown))}. It separates into "
            f"{', '.join(known)}."
        )
    if two_stems is not None:
        chosen = [float(source == two_stems) for source in known]
        return {two_stems: chosen, f"no_{two_stems}": [1 - weight for weight in chosen]}
    return {name: [float(name == s) for s in known] for name in sources or known}


def stem_files(folder: Path, stems: Iterable[str], residual: bool, format: str) -> list[Path]:
    """Returns the files that a mixture becomes: one per stem, and the residual's as the last."""
    names = [*stems, *([RESIDUAL] if residual else [])]
    return [folder / f"{name}.{format}" for name in names]


def separated(
    path: Path,
    separator: Separator,
    weights: np.ndarray,
    residual: bool,
    options: SeparationOptions | None,
) -> Iterator[np.ndarray]:
    """Yields the stems of a file, (time, stem, channel), the residual as the last one.

    The file is decoded twice, once to measure its level, and a third time for the residual.

    Args:
        weights: (stem, source).
    """

    def open_blocks():
        with AudioReader(path) as audio:
            yield from audio.blocks()

    with AudioReader(path) as audio:
        rate_hz = audio.sample_rate_hz
    # (time, source, channel) -> (time, stem, channel)
    blocks = separator.stream(open_blocks, rate_hz, options)
    stems = (np.einsum("kn,tnc->tkc", weights, sources) for sources in blocks)
    if not residual:
        yield from stems
        return
    for block, mixture in in_step([stems, open_blocks()]):
        rest = mixture[:, None] - block.sum(axis=1, keepdims=True)
        yield np.concatenate([block, rest], axis=1)


def clamped(blocks: Iterable[np.ndarray], result: FileResult) -> Iterator[np.ndarray]:
    """Yields blocks with what is above full scale clamped, and counts it."""
    for block in blocks:
        magnitude = np.abs(block)
        result.peak = max(result.peak, float(magnitude.max()))
        result.clipped_samples += int((magnitude > 1).sum())
        yield block.clip(-1, 1)


@contextlib.contextmanager
def rescaled(blocks: Iterable[np.ndarray], result: FileResult, folder: Path):
    """Yields the blocks by way of a scratch file, all multiplied by one factor of at most 1.

    Args:
        folder: where the scratch file, which has no name, is.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder) as scratch:
        peak, shape = 1.0, ()
        for block in blocks:
            peak, shape = max(peak, float(np.abs(block).max())), block.shape[1:]
            scratch.write(np.ascontiguousarray(block, "<f4").tobytes())
        if peak > 1:
            result.add_notice(
                f"All stems scaled by {-20 * math.log10(peak):.1f} dB, into full scale."
            )
        scratch.seek(0)
        size = 4 * math.prod(shape) * SCALED_SAMPLES
        parts = iter(lambda: scratch.read(size), b"")
        yield (np.frombuffer(part, "<f4").reshape(-1, *shape) / np.float32(peak) for part in parts)
