"""Running over many audio files: what there is to do, progress, and what went wrong."""

import contextlib
import dataclasses
import functools
import itertools
import math
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from tonezoo.audio.folders import AUDIO_SUFFIXES, find_audio
from tonezoo.audio.reader import AudioReader
from tonezoo.text import printable

if TYPE_CHECKING:
    from rich.console import Console


@dataclasses.dataclass(kw_only=True)
class FileResult:
    """What became of one file: `error` is None if `output`, a file or a folder, was written.

    `seconds` is the length of the audio, `clipped_samples` the number of samples clamped to full
    scale, `peak` the largest magnitude before that (1 is full scale), `notice` says what was done
    to the sample rate of the input, or to the level of the output, if anything.
    """

    path: Path
    output: Path
    seconds: float = 0.0
    clipped_samples: int = 0
    peak: float = 0.0
    notice: str | None = None
    error: str | None = None

    def add_notice(self, notice: str | None) -> None:
        """Adds a sentence to what is said of the file; None for nothing."""
        self.notice = " ".join(filter(None, [self.notice, notice])) or None


@dataclasses.dataclass(frozen=True)
class Plan:
    """What there is to do.

    Attributes:
        outputs: output -> input.
        notices: lines on what is left out, to be told before the work begins.
    """

    outputs: Mapping[Path, Path]
    notices: tuple[str, ...] = ()


def plan_outputs(
    paths: Iterable[Path],
    out_dir: Path,
    output_name: Callable[[str], str],
    written: Callable[[Path], Iterable[Path]] = lambda output: [output],
    suffixes: Collection[str] = AUDIO_SUFFIXES,
) -> Plan:
    """Returns the outputs and inputs of all files, those in folders included.

    Args:
        paths: audio files, or folders of them, whose files keep their places.
        out_dir: folder of the outputs.
        output_name: from a file's name without suffix to the output's name.
        written: the files that make up an output, where it is a folder.
        suffixes: of the files of a folder that are taken.

    Raises:
        ValueError: two inputs with one output, or an input that would be overwritten.
    """
    notices: list[str] = []
    found = places(paths, out_dir, notices.append, suffixes)
    return Plan(unique_outputs(found, out_dir, output_name, written), tuple(notices))


def unique_outputs(
    found: Iterable[tuple[Path, Path]],
    out_dir: Path,
    output_name: Callable[[str], str],
    written: Callable[[Path], Iterable[Path]],
) -> dict[Path, Path]:
    """Returns output -> input; for the arguments see `plan_outputs`.

    Args:
        found: each file and its place below `out_dir`, as `places` yields them.

    Raises:
        ValueError: two inputs with one output, or an input that would be overwritten.
    """
    outputs: dict[Path, Path] = {}
    for path, place in found:
        output = out_dir / place.parent / output_name(place.stem)
        if output in outputs:
            raise ValueError(
                f"{outputs[output]} and {path} would both be written to {output}. Rename one, or "
                f"write them into different folders."
            )
        outputs[output] = path
    # Not Path.resolve, which takes a loop of symbolic links for an error.
    inputs = {os.path.realpath(path): path for path in outputs.values()}
    for file in (file for output in outputs for file in written(output)):
        if replaced := inputs.get(os.path.realpath(file)):
            raise ValueError(
                f"{replaced} would be overwritten by an output. Choose another output folder or "
                f"format."
            )
    return outputs


def process_files(
    plan: Plan,
    work: Callable[[FileResult, Callable[[float], None]], None],
    *,
    console: "Console | None",
    doing: str,
    length_s: Callable[[Path], float] | None = None,
) -> list[FileResult]:
    """Returns what became of each file; one that fails does not stop the others.

    Args:
        plan: what there is to do; its notices are printed to the console.
        work: makes one output; it is given the result to be filled in, and a function to be called
            with the seconds of audio done so far.
        console: where a progress bar is drawn; None for none, and for no notices.
        doing: what the bar says, such as "enhancing".
        length_s: from a file to its seconds of audio; None for `duration_s`.
    """
    results, paths = [], list(plan.outputs.values())
    for notice in plan.notices if console else ():
        _show(console, notice, "yellow")
    with progress_bar(paths, console, doing, length_s or duration_s) as advance_to:
        for index, (output, path) in enumerate(plan.outputs.items()):
            result = FileResult(path=path, output=output)
            try:
                work(result, functools.partial(advance_to, index))
            # The model's own errors, memory that ran out above all, have no common base class.
            except Exception as error:
                result.error = explain(error, path)
            results.append(result)
        advance_to(len(paths), 0.0)
    return results


def summarize(results: list[FileResult], console: "Console", done: str) -> int:
    """Prints what became of each file; returns the exit code, 0 if all went well and 1 if not.

    Args:
        done: what was done to the files, such as "enhanced".

    Example:

    >>> from rich.console import Console
    >>> good = FileResult(path=Path("a.wav"), output=Path("out/a.wav"), seconds=2.5, peak=0.5)
    >>> bad = FileResult(path=Path("b.wav"), output=Path("out/b.wav"), error="b.wav is empty.")
    >>> summarize([good, bad], Console(), "enhanced")
    out/a.wav (2.5 s)
    failed: b.wav is empty.
    1 of 2 files enhanced, 2.5 s of audio; 1 failed.
    1
    """
    written = [result for result in results if result.error is None]
    for result in results:
        if result.error is not None:
            _show(console, f"failed: {result.error}", "red")
            continue
        _show(console, f"{result.output} ({result.seconds:.1f} s)")
        for remark in filter(None, [result.notice, level_remark(result)]):
            _show(console, f"  {remark}", "yellow")
    seconds, failed = sum(result.seconds for result in written), len(results) - len(written)
    end = f"; {failed} failed." if failed else "."
    _show(console, f"{len(written)} of {len(results)} files {done}, {seconds:.1f} s of audio{end}")
    return int(failed > 0)


def _show(console, line, style=""):
    from rich.text import Text

    console.print(Text(printable(line), style=style), soft_wrap=True)


def places(
    paths: Iterable[Path],
    out_dir: Path,
    report: Callable[[str], None],
    suffixes: Collection[str] = AUDIO_SUFFIXES,
) -> Iterator[tuple[Path, Path]]:
    """Yields each file, of folders every one with these suffixes, and its place below `out_dir`.

    Args:
        report: called with a line for each folder of which audio files are left out.
    """
    for path in paths:
        files = []
        # A folder without audio fails like any other bad file, and does not stop the others.
        with contextlib.suppress(ValueError):
            found = find_audio(path, suffixes)
            files = found.files
            if found.left_out:
                report(found.left_out)
        if not files:
            yield path, Path(path.name)
        for file in without_outputs(files, path, out_dir):
            yield file, file.relative_to(path)


def without_outputs(files: Iterable[Path], folder: Path, out_dir: Path) -> Iterator[Path]:
    """Yields files found in a folder but for what an earlier call wrote into one inside it."""
    real_out = os.path.realpath(out_dir)
    is_output = Path(os.path.realpath(folder)).is_relative_to(real_out)
    for file in files:
        if is_output or not Path(os.path.realpath(file.parent)).is_relative_to(real_out):
            yield file


@contextlib.contextmanager
def progress_bar(paths: list[Path], console, doing: str, length_s: Callable[[Path], float]):
    """Yields advance_to(index, seconds): so much of the file of that index has been done.

    Args:
        paths: audio files.
        console: a rich console, or None for no bar.
        doing: what the bar says until the first file.
        length_s: from a file to its seconds of audio.
    """
    if console is None:
        yield lambda index, seconds: None
        return
    from rich import progress

    # starts[i]: seconds of audio in the files before file i.
    starts = list(itertools.accumulate(map(length_s, paths), initial=0.0))
    columns = [
        progress.TextColumn("{task.description}", markup=False),
        progress.BarColumn(),
        progress.TaskProgressColumn(),
        progress.TextColumn("{task.completed:.0f} s of audio"),
        progress.TimeRemainingColumn(),
    ]
    with progress.Progress(*columns, console=console) as bar:
        task = bar.add_task(doing, total=starts[-1])
        yield lambda index, seconds: bar.update(
            task,
            completed=starts[index] + seconds,
            description=printable(paths[index].name) if index < len(paths) else "done",
        )


def duration_s(path: Path) -> float:
    """Returns the length that the header states, 0 where it is unknown or the file is bad."""
    try:
        with AudioReader(path) as audio:
            return (audio.frames or 0) / audio.sample_rate_hz
    except ValueError:
        return 0.0


def explain(error: Exception, path: str | os.PathLike) -> str:
    """Returns what went wrong with a file, in a line that names it."""
    message = reason(error)
    return message if str(path) in message else f"{path}: {message}"


def reason(error: Exception) -> str:
    """Returns what an error says: all of it where it is for people, else its kind and first line.

    For people are ValueErrors, and ConnectionErrors, which tell of a server.

    Example:

    >>> reason(OSError("The disk is gone.\\nErrno 5"))
    'OSError: The disk is gone.'
    """
    lines = str(error).splitlines() or [""]
    is_told = isinstance(error, ValueError | ConnectionError)
    return str(error) if is_told else f"{type(error).__name__}: {lines[0]}"


def level_remark(result: FileResult) -> str | None:
    """Returns what there is to say of the level of an output, None if nothing."""
    if result.peak <= 1:
        return None
    peak = f"peak {20 * math.log10(result.peak):+.1f} dB above full scale"
    if result.clipped_samples:
        return (
            f"{result.clipped_samples} samples clipped, {peak}: 32-bit float WAV would keep them."
        )
    return f"{peak}: kept, since the file is float."
