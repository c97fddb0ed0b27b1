"""Vocoding files: a mel spectrogram or a recording in, a recording out."""

import contextlib
import math
import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from tonezoo.audio.jobs import FileResult, duration_s, plan_outputs, process_files
from tonezoo.audio.reader import AudioReader
from tonezoo.audio.streaming import MIN_SEGMENT_S
from tonezoo.audio.writer import AudioWriter, output_subtype
from tonezoo.files import check_writable
from tonezoo.tasks.vocoding import TASK
from tonezoo.tasks.vocoding.engine import Vocoder
from tonezoo.tasks.vocoding.mels import frame_blocks, is_mel, read_mel, stated_frames

if TYPE_CHECKING:
    from rich.console import Console


def vocode_files(
    paths: Iterable[str | os.PathLike],
    out_dir: str | os.PathLike,
    vocoder: Vocoder,
    *,
    segment_s: float = 10.0,
    format: str = "wav",
    bit_depth: str | None = None,
    console: "Console | None" = None,
) -> list[FileResult]:
    """Writes a recording for each file to `out_dir`, under its own name with the format's suffix.

    Of a .npy file the mel spectrogram in it is vocoded, of audio its own mel spectrogram, each
    channel by itself. Of a folder every file of either kind is taken and keeps its place in it. A
    file that fails is reported in its result and does not stop the others; it leaves nothing
    behind. Memory is bounded by the segment, whatever the length of a file.

    Args:
        paths: .npy files, audio files, or folders of them.
        out_dir: folder, created if need be. Outputs of the same names are replaced.
        vocoder: the model.
        segment_s: seconds computed by one call of the model, at most.
        format: "wav", "flac" or "ogg".
        bit_depth: see `AudioWriter`; None for the format's best.
        console: where a progress bar is drawn; None for none.

    Raises:
        ValueError: before any work: no paths; a segment below 0.01 s; a format and a bit depth that
            do not go together; two files that would be written to one name; an output that is also
            an input; `out_dir` is a file or cannot be written to.
    """
    inputs, out_dir = [Path(path) for path in paths], Path(out_dir)
    if not inputs:
        raise ValueError("There are no files to vocode. Name at least one.")
    if not MIN_SEGMENT_S <= segment_s < math.inf:
        raise ValueError(f"The segment is {segment_s} s. Give {MIN_SEGMENT_S} s or more.")
    output_subtype(format, bit_depth)
    plan = plan_outputs(
        inputs, out_dir, lambda stem: f"{stem}.{format}", suffixes=TASK.input_suffixes
    )
    check_writable(out_dir)
    chunk_samples = round(segment_s * vocoder.sample_rate_hz)
    rate_hz = vocoder.sample_rate_hz

    def write(result, blocks, channels, frames, advance):
        with AudioWriter(
            result.output, rate_hz, channels, format=format, bit_depth=bit_depth, frames=frames
        ) as writer:
            for block in blocks:
                writer.write(block)
                result.seconds += len(block) / rate_hz
                advance(result.seconds)
        result.clipped_samples, result.peak = writer.clipped_samples, writer.peak

    def work(result, advance):
        if is_mel(result.path):
            mel = read_mel(result.path, vocoder.bands)
            blocks = vocoder.stream(frame_blocks(mel), chunk_samples)
            write(result, blocks, 1, len(mel) * vocoder.hop_samples, advance)
            return
        with AudioReader(result.path) as audio:
            result.add_notice(audio.notice)
            result.add_notice(vocoder.input_notice(audio.sample_rate_hz))
            given = vocoder.at_rate(audio.blocks(), audio.sample_rate_hz)
            frames = round((audio.frames or 0) * rate_hz / audio.sample_rate_hz)
            blocks = vocoder.stream_audio(given, chunk_samples)
            write(result, blocks, audio.channels, frames, advance)

    def length_s(path):
        if not is_mel(path):
            return duration_s(path)
        # A file that cannot be read is told of when its turn comes.
        with contextlib.suppress(ValueError):
            return stated_frames(path, vocoder.bands) * vocoder.hop_samples / rate_hz
        return 0.0

    return process_files(plan, work, console=console, doing="vocoding", length_s=length_s)
