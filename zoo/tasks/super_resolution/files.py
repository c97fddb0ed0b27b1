"""Enhancing audio files: a low-rate recording in, a high-rate file out."""

import math
import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from tonezoo.audio.jobs import FileResult, plan_outputs, process_files
from tonezoo.audio.reader import AudioReader
from tonezoo.audio.streaming import MIN_SEGMENT_S
from tonezoo.audio.writer import AudioWriter, output_subtype
from tonezoo.files import check_writable
from tonezoo.pretrained import engine_for
from tonezoo.tasks.super_resolution import check_strength
from tonezoo.tasks.super_resolution.engine import SuperResolver

if TYPE_CHECKING:
    from rich.console import Console


def enhance_files(
    paths: Iterable[str | os.PathLike],
    out_dir: str | os.PathLike,
    resolver: SuperResolver | None = None,
    *,
    segment_s: float | None = 10.0,
    downsample: bool = False,
    strength_db: float | None = None,
    format: str = "wav",
    bit_depth: str | None = None,
    console: "Console | None" = None,
) -> list[FileResult]:
    """Writes each file at the high rate to `out_dir`, under its own name with the format's suffix.

    Of a folder every audio file is taken and keeps its place in it. A file that fails is reported
    in its result and does not stop the others; it leaves nothing behind. Memory is bounded by the
    chunk, whatever the length of a file.

    Args:
        paths: audio files, WAV, FLAC, OGG or MP3, or folders of them.
        out_dir: folder, created if need be. Outputs of the same names are replaced.
        resolver: the model; None for the shipped one that suits the rate of each file.
        segment_s: seconds computed by one call of the model, at most; None for whole files, which
            gives the same samples and takes memory in proportion to the file.
        downsample: accept files above the model's input rate and discard what it cannot hold.
        strength_db: of what the model makes up above the band of its input, 0 as trained, at most
            20; None for its default.
        format: "wav", "flac" or "ogg".
        bit_depth: see `AudioWriter`; None for the format's best.
        console: where a progress bar is drawn; None for none.

    Raises:
        ValueError: before any work: no paths; a segment below 0.01 s; a strength that is no finite
            number of at most 20; a format and a bit depth that do not go together; two files that
            would be written to one name; an output that is also an input; `out_dir` is a file or
            cannot be written to.
    """
    inputs = [Path(path) for path in paths]
    out_dir = Path(out_dir)
    if not inputs:
        raise ValueError("There are no files to enhance. Name at least one.")
    if segment_s is not None and not MIN_SEGMENT_S <= segment_s < math.inf:
        raise ValueError(f"The segment is {segment_s} s. Give {MIN_SEGMENT_S} s or more, or None.")
    check_strength(strength_db)
    output_subtype(format, bit_depth)
    plan = plan_outputs(inputs, out_dir, lambda stem: f"{stem}.{format}")
    check_writable(out_dir)

    def work(result, advance):
        _enhance(result, resolver, segment_s, downsample, strength_db, format, bit_depth, advance)

    return process_files(plan, work, console=console, doing="enhancing")


def _enhance(result, resolver, segment_s, downsample, strength_db, format, bit_depth, advance):
    """Writes one file and keeps `result` up to date."""
    with AudioReader(result.path) as audio:
        rate_hz = audio.sample_rate_hz
        resolver = engine_for("super_resolution", resolver, rate_hz)
        chunk_samples = None if segment_s is None else round(segment_s * resolver.sample_rate_hz)
        result.add_notice(audio.notice)
        result.add_notice(resolver.input_notice(rate_hz, downsample=downsample))
        low = resolver.low_rate_blocks(audio.blocks(), rate_hz, downsample=downsample)
        with AudioWriter(
            result.output,
            resolver.sample_rate_hz,
            audio.channels,
            format=format,
            bit_depth=bit_depth,
            frames=round((audio.frames or 0) * resolver.sample_rate_hz / rate_hz),
        ) as writer:
            for block in resolver.stream(low, chunk_samples, strength_db=strength_db):
                writer.write(block)
                result.seconds += len(block) / resolver.sample_rate_hz
                advance(result.seconds)
        result.clipped_samples, result.peak = writer.clipped_samples, writer.peak
