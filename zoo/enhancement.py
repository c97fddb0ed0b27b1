"""Enhancing audio files: a low-rate recording in, a high-rate file out."""

import contextlib
import dataclasses
import functools
import itertools
import math
import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from tonezoo.audio_io import AudioReader, audio_files
from tonezoo.audio_writer import AudioWriter, output_subtype
from tonezoo.files import check_writable
from tonezoo.inference import SuperResolver

if TYPE_CHECKING:
    from rich.console import Console

# Each chunk costs a call of the model and its context anew: below this a file would take hours.
MIN_CHUNK_S = 0.01


@dataclasses.dataclass(kw_only=True)
class EnhancedFile:
    """What became of one file: `error` is None if `output` was written.

    `seconds` is the length of the audio, `clipped_samples` the number of samples clamped to full
    scale, `peak` the largest magnitude before that (1 is full scale), `notice` says what was done
    to the sample rate of the input, if anything.
    """

    path: Path
    output: Path
    seconds: float = 0.0
    clipped_samples: int = 0
    peak: float = 0.0
    notice: str | None = None
    error: str | None = None


def enhance_files(
    paths: Iterable[str | os.PathLike],
    out_dir: str | os.PathLike,
    resolver: SuperResolver,
    *,
    chunk_s: float | None = 10.0,
    downsample: bool = False,
    format: str = "wav",
    bit_depth: str | None = None,
    console: "Console | None" = None,
) -> list[EnhancedFile]:
    """Writes each file at the high rate to `out_dir`, under its own name with the format's suffix.

    Of a folder every audio file is taken and keeps its place in it. A file that fails is reported
    in its result and does not stop the others; it leaves nothing behind. Memory is bounded by the
    chunk, whatever the length of a file.

    Args:
        paths: audio files, WAV, FLAC, OGG or MP3, or folders of them.
        out_dir: folder, created if need be. Outputs of the same names are replaced.
        resolver: the model.
        chunk_s: seconds computed by one call of the model, at most; None for whole files, which
            gives the same samples and takes memory in proportion to the file.
        downsample: accept files above the model's input rate and discard what it cannot hold.
        format: "wav", "flac" or "ogg".
        bit_depth: see `AudioWriter`; None for the format's best.
        console: where a progress bar is drawn; None for none.

    Raises:
        ValueError: before any work: no paths; a chunk below 0.01 s; a format and a bit depth
            that do not go together; two files that would be written to one name; an output
            that is also an input; `out_dir` is a file or cannot be written to.
    """
    paths = [Path(path) for path in paths]
    out_dir = Path(out_dir)
    if not paths:
        raise ValueError("There are no files to enhance. Name at least one.")
    if chunk_s is not None and not MIN_CHUNK_S <= chunk_s < math.inf:
        raise ValueError(f"The chunk is {chunk_s} s. Give {MIN_CHUNK_S} s or more, or None.")
    output_subtype(format, bit_depth)
    outputs = _plan_outputs(paths, out_dir, format)
    paths = list(outputs.values())
    check_writable(out_dir)
    chunk_samples = None if chunk_s is None else round(chunk_s * resolver.sample_rate_hz)
    results = []
    with _progress(paths, console) as advance_to:
        for index, (output, path) in enumerate(outputs.items()):
            result = EnhancedFile(path=path, output=output)
            advance = functools.partial(advance_to, index)
            try:
                _enhance(result, resolver, chunk_samples, downsample, format, bit_depth, advance)
            # The model's own errors, memory that ran out above all, have no common base class.
            except Exception as error:
                result.error = _message(error, path)
            results.append(result)
        advance_to(len(paths), 0.0)
    return results


def summarize(results: list[EnhancedFile], console: "Console") -> int:
    """Prints what became of each file; returns the exit code, 0 if all went well and 1 if not.

    Example:

    >>> from rich.console import Console
    >>> done = EnhancedFile(path=Path("a.wav"), output=Path("out/a.wav"), seconds=2.5, peak=0.5)
    >>> failed = EnhancedFile(path=Path("b.wav"), output=Path("out/b.wav"), error="b.wav is empty.")
    >>> summarize([done, failed], Console())
    out/a.wav (2.5 s)
    failed: b.wav is empty.
    1 of 2 files enhanced, 2.5 s of audio; 1 failed.
    1
    """
    from rich.text import Text

    def show(line, style=""):
        console.print(Text(line, style=style), soft_wrap=True)

    done = [result for result in results if result.error is None]
    for result in results:
        if result.error is not None:
            show(f"failed: {result.error}", "red")
            continue
        show(f"{result.output} ({result.seconds:.1f} s)")
        for remark in filter(None, [result.notice, _level_remark(result)]):
            show(f"  {remark}", "yellow")
    seconds, failed = sum(result.seconds for result in done), len(results) - len(done)
    end = f"; {failed} failed." if failed else "."
    show(f"{len(done)} of {len(results)} files enhanced, {seconds:.1f} s of audio{end}")
    return int(failed > 0)


def _enhance(result, resolver, chunk_samples, downsample, format, bit_depth, advance):
    """Writes one file and keeps `result` up to date."""
    with AudioReader(result.path) as audio:
        rate_hz = audio.sample_rate_hz
        result.notice = resolver.input_notice(rate_hz, downsample=downsample)
        low = resolver.low_rate_blocks(audio.blocks(), rate_hz, downsample=downsample)
        with AudioWriter(
            result.output,
            resolver.sample_rate_hz,
            audio.channels,
            format=format,
            bit_depth=bit_depth,
            frames=round((audio.frames or 0) * resolver.sample_rate_hz / rate_hz),
        ) as writer:
            for block in resolver.stream(low, chunk_samples):
                writer.write(block)
                result.seconds += len(block) / resolver.sample_rate_hz
                advance(result.seconds)
        result.clipped_samples, result.peak = writer.clipped_samples, writer.peak


def _plan_outputs(paths, out_dir, format):
    """Returns output -> input of all files, those in folders included."""
    sources = {}
    for path, place in _places(paths, out_dir):
        output = out_dir / place.parent / f"{place.stem}.{format}"
        if output in sources:
            raise ValueError(
                f"{sources[output]} and {path} would both be written to {output}. Rename one, or "
                f"enhance them into different folders."
            )
        sources[output] = path
    # Not Path.resolve, which takes a loop of symbolic links for an error.
    inputs = {os.path.realpath(path): path for path in sources.values()}
    for output in sources:
        if replaced := inputs.get(os.path.realpath(output)):
            raise ValueError(
                f"{replaced} would be overwritten by an output. Choose another output folder or "
                f"format."
            )
    return sources


def _places(paths, out_dir):
    """Yields each audio file, and its place below the output folder."""
    for path in paths:
        files = []
        # A folder without audio fails like any other bad file, and does not stop the others.
        with contextlib.suppress(ValueError):
            files = audio_files(path)
        if not files:
            yield path, Path(path.name)
        for file in files:
            # Not what an earlier call wrote into a folder inside this one.
            if out_dir == path or not file.is_relative_to(out_dir):
                yield file, file.relative_to(path)


@contextlib.contextmanager
def _progress(paths, console):
    """Yields advance_to(index, seconds): so much of the file of that index has been done."""
    if console is None:
        yield lambda index, seconds: None
        return
    from rich import progress

    # starts[i]: seconds of audio in the files before file i.
    starts = list(itertools.accumulate(map(_duration_s, paths), initial=0.0))
    columns = [
        progress.TextColumn("{task.description}", markup=False),
        progress.BarColumn(),
        progress.TaskProgressColumn(),
        progress.TextColumn("{task.completed:.0f} s of audio"),
        progress.TimeRemainingColumn(),
    ]
    with progress.Progress(*columns, console=console) as bar:
        task = bar.add_task("enhancing", total=starts[-1])
        yield lambda index, seconds: bar.update(
            task,
            completed=starts[index] + seconds,
            description=paths[index].name if index < len(paths) else "done",
        )


def _duration_s(path):
    """Returns the length that the header states, 0 where it is unknown or the file is bad."""
    try:
        with AudioReader(path) as audio:
            return (audio.frames or 0) / audio.sample_rate_hz
    except ValueError:
        return 0.0


def _message(error, path):
    lines = str(error).splitlines() or [""]
    message = str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {lines[0]}"
    return message if str(path) in message else f"{path}: {message}"


def _level_remark(result):
    if result.peak <= 1:
        return None
    peak = f"peak {20 * math.log10(result.peak):+.1f} dB above full scale"
    if result.clipped_samples:
        return (
            f"{result.clipped_samples} samples clipped, {peak}: 32-bit float WAV would keep them."
        )
    return f"{peak}: kept, since the file is float."
