"""Mel spectrograms as arrays and files: their layout, and whether they are what a model takes."""

import os
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

BLOCK_FRAMES = 4096
FLOOR, HIGHEST = -5.0, 2.0
# Acoustic models go a little below the floor, of which the model has seen nothing.
LOWEST = -6.0
DEFINITION = (
    "logarithms to base 10 of magnitudes in mel bands, np.log10(np.maximum(magnitude, 1e-5)): from "
    f"{FLOOR:g} to {HIGHEST:g}"
)
SUFFIX = ".npy"


def frames_of(mel: np.ndarray, bands: int, name: object = "The mel spectrogram") -> np.ndarray:
    """Returns a mel spectrogram as (frames, bands), a view, after checking shape, type and range.

    Values from -6 to -5, as acoustic models predict them of silence, are for `frame_blocks` to
    raise.

    Args:
        mel: (frames, bands), or (bands, frames) as librosa has it, which is told by the number of
            bands; a first axis of length 1 is left out. An array of as many frames as bands is
            taken for (frames, bands).
        bands: that the model takes.
        name: what to call it in messages.

    Raises:
        ValueError: another shape, no frames, numbers that are not floating-point or not finite, or
            values that are not logarithms to base 10 of magnitudes.

    Example:

    >>> frames_of(np.full((80, 3), -5.0), 80).shape
    (3, 80)
    >>> frames_of(np.full((80, 3), -11.5), 80)
    Traceback (most recent call last):
    ValueError: The mel spectrogram goes down to -11.5: are these natural logarithms ...
    """
    mel = np.asanyarray(mel)
    if not np.issubdtype(mel.dtype, np.floating):
        raise ValueError(f"{name} holds {mel.dtype}, but this model takes {DEFINITION}.")
    if mel.ndim == 3 and mel.shape[0] == 1:
        mel = mel[0]
    if mel.ndim != 2 or bands not in mel.shape:
        raise ValueError(
            f"{name} has the shape {mel.shape}, but this model takes (frames, {bands}) or "
            f"({bands}, frames), one spectrogram at a time."
        )
    frames = mel if mel.shape[1] == bands else mel.T
    if not len(frames):
        raise ValueError(f"{name} has no frames. Give at least one.")
    check_values(frames, name)
    return frames


def check_values(frames: np.ndarray, name: object) -> None:
    """Raises ValueError where (frames, bands) are not logarithms to base 10 of magnitudes."""
    lowest, highest = np.inf, -np.inf
    for start in range(0, len(frames), BLOCK_FRAMES):
        block = frames[start : start + BLOCK_FRAMES]
        finite = np.isfinite(block).all(axis=1)
        if not finite.all():
            raise ValueError(
                f"Frame {start + int(finite.argmin())} of {name} is NaN or infinite. Values must "
                "be finite."
            )
        lowest, highest = min(lowest, float(block.min())), max(highest, float(block.max()))
    if lowest >= 0:
        problem = f"holds no value below 0, {highest:.3g} being the highest: is it linear?"
    elif lowest < LOWEST:
        problem = (
            f"goes down to {lowest:.3g}: are these natural logarithms (divide them by 2.3026), or "
            "of powers, or in dB (make it again of magnitudes)?"
        )
    elif highest > HIGHEST:
        problem = f"goes up to {highest:.3g}: were the samples whole numbers, not within 1?"
    else:
        return
    raise ValueError(f"{name} {problem} This model takes {DEFINITION}.")


def read_mel(path: str | os.PathLike, bands: int) -> np.ndarray:
    """Returns the mel spectrogram in a .npy file, (frames, bands), mapped into memory and checked.

    Raises:
        ValueError: no such file, another format, or as `frames_of`.
    """
    return frames_of(_mapped(path), bands, path)


def stated_frames(path: str | os.PathLike, bands: int) -> int:
    """Returns the frames that the header of a .npy file states; of its values none is looked at.

    Raises:
        ValueError: no such file, or another format.
    """
    return _mapped(path).size // bands


def _mapped(path: str | os.PathLike) -> np.ndarray:
    try:
        mel = np.load(path, mmap_mode="r", allow_pickle=False)
    except OSError as error:
        raise ValueError(f"Cannot read {path}: {error.strerror or error}.") from error
    # Objects, a damaged header, or a file that is shorter than its header says.
    except (ValueError, EOFError, SyntaxError, zipfile.BadZipFile) as error:
        raise ValueError(
            f"{path} is not a readable .npy file of numbers. Write it with numpy.save."
        ) from error
    if not isinstance(mel, np.ndarray):
        mel.close()
        raise ValueError(f"{path} holds several arrays. Give one .npy file per spectrogram.")
    return mel


def frame_blocks(frames: np.ndarray) -> Iterator[np.ndarray]:
    """Yields (frames, bands) in blocks (frames, 1, bands), float32, nothing below the floor."""
    for start in range(0, len(frames), BLOCK_FRAMES):
        block = np.asarray(frames[start : start + BLOCK_FRAMES], "float32")
        yield np.maximum(block, FLOOR)[:, None]


def is_mel(path: Path) -> bool:
    """Tells whether a file's name says that it is an array."""
    return path.suffix.lower() == SUFFIX
