"""What there is to do: the files of a pattern, a folder or a list, and where their outputs go."""

import dataclasses
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from tonezoo.audio.folders import find_audio
from tonezoo.audio.jobs import places, unique_outputs, without_outputs
from tonezoo.batch import storage
from tonezoo.tasks import Facts, Task

LIST_SUFFIX = ".txt"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Job:
    """One file to work on.

    Attributes:
        index: among all files of the run.
        path: of the input.
        folder: that its output goes into.
        output: a file, or a folder of files.
        files: that make up the output.
    """

    index: int
    path: str
    folder: str
    output: str
    files: tuple[str, ...]

    def is_done(self) -> bool:
        """Returns whether the output is there, complete."""
        return all(map(storage.exists, self.files))


def plan_jobs(
    task: Task,
    input: str,
    output: str,
    *,
    facts: Facts,
    options: Any,
    format: str,
    report: Callable[[str], None],
) -> list[Job]:
    """Returns a job for each input file.

    Args:
        task: whose verb is run.
        input: a pattern, such as "in/**/*.wav", a folder, a text file with one path on each line,
            or an audio file.
        output: folder of the outputs. Files keep their places below the folder, or below the part
            of the pattern that comes before the first wildcard.
        facts, options, format: see `Task.written`.
        report: receives a line on what is left out.

    Raises:
        ValueError: no files; two with one output; an input that would be overwritten.
    """
    found = list(input_files(task, input, output, report))
    originals = {_as_local(path): path for path, _ in found}
    root = _as_local(output)
    outputs = unique_outputs(
        [(_as_local(path), place) for path, place in found],
        root,
        lambda stem: task.output_name(stem, format),
        lambda path: task.written(path, facts, options, format),
    )

    def below(path: Path) -> str:
        parts = path.relative_to(root).parts
        return storage.join(output, *parts) if parts else output

    return [
        Job(
            index=index,
            path=originals[path],
            folder=below(made.parent),
            output=below(made),
            files=tuple(map(below, task.written(made, facts, options, format))),
        )
        for index, (made, path) in enumerate(outputs.items())
    ]


def _as_local(path: str) -> Path:
    """Returns a path that stands for one on any file system, where paths are compared."""
    return Path("/", path) if storage.is_remote(path) else Path(path)


def input_files(
    task: Task, input: str, output: str, report: Callable[[str], None]
) -> Iterator[tuple[str, Path]]:
    """Yields each input file and its place below the outputs; see `plan_jobs`."""
    if input.endswith(LIST_SUFFIX):
        yield from _listed(task, _read_lines(input), output, report)
    elif not storage.is_remote(input) and Path(input).is_dir():
        # Tells what is looked for if there is none.
        find_audio(input, task.input_suffixes)
        yield from _listed(task, [input], output, report)
    elif storage.exists(input):
        # Brackets in its name are no wildcards.
        yield from _listed(task, [input], output, report)
    else:
        yield from _matching(input, output)


def _matching(pattern: str, output: str) -> Iterator[tuple[str, Path]]:
    found = {_as_local(path): path for path in storage.matching(pattern)}
    fixed = re.split(r"[*?[]", pattern)[0]
    base = fixed[: fixed.rfind("/") + 1]
    files = [found[file] for file in without_outputs(found, _as_local(base), _as_local(output))]
    if not files:
        raise ValueError(
            f"There is no file {pattern}. Give a pattern in quotes, such as 'in/**/*.wav', a "
            f"folder, or a {LIST_SUFFIX} file with one path on each line."
        )
    for file in files:
        yield file, Path(file[len(base) :])


def _listed(
    task: Task, paths: Iterable[str], output: str, report: Callable[[str], None]
) -> Iterator[tuple[str, Path]]:
    """Yields files, and those in folders, as the verb takes them where it is given their names."""
    for path in paths:
        if storage.is_remote(path):
            yield path, Path(path.rpartition("/")[2])
            continue
        for file, place in places([Path(path)], Path(output), report, task.input_suffixes):
            yield str(file), place


def _read_lines(path: str) -> list[str]:
    """Returns the lines of a text file that are not blank.

    Raises:
        ValueError: there is no such file, it is not text, or it has no lines.
    """
    if not storage.exists(path):
        raise ValueError(f"There is no file {path}.")
    with storage.open_to_read(path) as file:
        content = file.read()
    try:
        lines = [line.strip() for line in content.decode("utf-8-sig").splitlines()]
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not text in UTF-8. Write one path on each line.") from error
    if not any(lines):
        raise ValueError(f"{path} names no files. Write one path on each line.")
    return [line for line in lines if line]
