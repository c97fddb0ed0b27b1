"""Reads whole clips by name, as evaluation and previews need them."""

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np


def read_clips(
    paths: Iterable[Path],
    *,
    root: Path,
    sample_rate_hz: int,
    ratio: int,
    report: Callable[[str], None] = print,
) -> dict[str, np.ndarray]:
    """Returns name -> mono signal (time,) at a rate, its length a multiple of `ratio`.

    Args:
        paths: audio files below `root`; a clip is named by its path there.
        report: called with a line for each file that is skipped: unreadable or too short.

    Raises:
        ValueError: there were files, but none of them can be used.
    """
    from tonezoo.audio.reader import read_audio
    from tonezoo.recipes.data.decoding import high_and_low

    paths = list(paths)
    clips, problems = {}, []
    for path in paths:
        name = path.relative_to(root).as_posix()
        try:
            clips[name] = high_and_low(*read_audio(path), sample_rate_hz, ratio)[0]
        except ValueError as error:
            problems.append(f"Skipped: {name}: {error}")
            report(problems[-1])
    if paths and not clips:
        raise ValueError(f"None of the {len(paths)} audio files can be used. {problems[0]}")
    return clips
