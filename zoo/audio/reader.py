"""Audio files read block by block, with errors that name the file and the remedy."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile

from tonezoo.audio import headers
from tonezoo.audio.checks import check_rate_hz
from tonezoo.audio.view import FileView

BLOCK_FRAMES = 65_536
_UNKNOWN_FRAMES = 2**62
# libsndfile's names for the formats whose completeness can be told.
_READABLE = ("WAV", "WAVEX", "RF64", "FLAC", "OGG", "MP3", "AIFF", "W64")
READABLE_NAMES = "WAV (RF64 and BW64 too), FLAC, OGG, MP3, AIFF and W64"
_CONVERT = "Convert it to WAV or FLAC first, for example with ffmpeg."


class AudioReader:
    """Reads an audio file as float32 blocks of (time, channels); a context manager.

    Integer samples of b bits become value / 2^(b-1), so that full scale is 1. WAV (RF64 and BW64
    too), FLAC, OGG (Vorbis and Opus), MP3, AIFF and W64 are accepted, recognised by their content;
    tags and junk before and after MP3 and FLAC are left out.

    Attributes:
        frames: number of samples per channel, None where it is not known before the end.
        channels: number of channels.
        sample_rate_hz: the sample rate.
        format: libsndfile's name of the format, such as "FLAC".
        subtype: libsndfile's name of the encoding, such as "PCM_16".
        notice: what a user should know of how the file was read, None if nothing.

    Args:
        path: the file.

    Raises:
        ValueError: the file is missing, a folder, a pipe, empty, not audio, holds no samples, has a
            sample rate that is none, or is truncated; while blocks are read: truncated, damaged, or
            a sample is NaN or infinite.

    Example:

    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "stereo.wav"
    >>> soundfile.write(path, np.zeros((1000, 2)), 8000)
    >>> with AudioReader(path) as audio:
    ...     print(audio.frames, audio.channels, audio.sample_rate_hz)
    ...     print([block.shape for block in audio.blocks(600)])
    1000 2 8000
    [(600, 2), (400, 2)]
    """

    def __init__(self, path: str | os.PathLike):
        self.path = Path(path)
        with contextlib.ExitStack() as stack:
            try:
                # A pipe would wait for its other end for ever, a device may have no end.
                if self.path.exists() and not (self.path.is_file() or self.path.is_dir()):
                    raise ValueError(
                        f"{self.path} is a pipe or a device. Write the audio to a file first."
                    )
                self._file = stack.enter_context(FileView(self.path))
            except OSError as error:
                raise ValueError(f"Cannot read {self.path}: {error.strerror}.") from error
            if self._file.size == 0:
                raise ValueError(f"{self.path} is empty (0 bytes).")
            self._findings = headers.prepare(self._file, self.path.suffix)
            if missing := self._findings.missing_bytes:
                raise self._truncated(f"{missing} bytes of audio are missing at the end")
            self._decoder = stack.enter_context(self._open_decoder())
            self.channels: int = self._decoder.channels
            self.sample_rate_hz: int = self._decoder.samplerate
            self.format: str = self._decoder.format
            self.subtype: str = self._decoder.subtype
            self.frames: int | None = self._stated_frames()
            self._check_header()
            self._stack = stack.pop_all()
        self.notice: str | None = self._findings.notice

    def __enter__(self):
        return self

    def __exit__(self, *error):
        return self._stack.__exit__(*error)

    def blocks(self, block_frames: int = BLOCK_FRAMES) -> Iterator[np.ndarray]:
        """Yields the samples in order, once, as float32 (time, channels)."""
        done = 0
        # Not a sample beyond the stated end: a FLAC decoder would fail at what follows it.
        while self.frames is None or done < self.frames:
            wanted = block_frames if self.frames is None else min(block_frames, self.frames - done)
            try:
                block = self._decoder.read(wanted, dtype="float32", always_2d=True)
            except soundfile.SoundFileError as error:
                reason = str(error).removeprefix("Error : ").rstrip(".")
                at_s = done / self.sample_rate_hz
                raise self._truncated(f"decoding fails after {at_s:.2f} s ({reason})") from error
            if not len(block):
                break
            self._check_finite(block, done)
            done += len(block)
            yield block
        if done == 0:
            raise self._without_samples()
        if self.frames is not None and done < self.frames:
            raise self._truncated(f"it holds {self.frames} samples, {done} can be decoded")

    @property
    def seeks_exactly(self) -> bool:
        """Whether `read_at` can be used: not where samples depend on those before."""
        is_plain = self.subtype.startswith(("PCM_", "FLOAT", "DOUBLE"))
        return is_plain and self.format not in ("OGG", "MP3") and self.frames is not None

    def read_at(self, start: int, count: int) -> np.ndarray:
        """Returns up to `count` samples from a position on, float32 (time, channels).

        Raises:
            ValueError: as `blocks`, or the file does not state its length (see `seeks_exactly`).
        """
        if self.frames is None:
            raise ValueError(f"{self.path} does not state its length. Read it from its start.")
        wanted = max(0, min(count, self.frames - start))
        try:
            self._decoder.seek(min(start, self.frames))
            block = self._decoder.read(wanted, dtype="float32", always_2d=True)
        except soundfile.SoundFileError as error:
            at_s = start / self.sample_rate_hz
            raise self._truncated(f"decoding fails at {at_s:.2f} s") from error
        if len(block) < wanted:
            raise self._truncated(f"it holds {self.frames} samples, {start + len(block)} are there")
        self._check_finite(block, start)
        return block

    def _open_decoder(self):
        self._file.seek(0)
        try:
            decoder = _Decoder(self._file)
        except soundfile.SoundFileError as error:
            raise ValueError(
                f"{self.path} is not readable as audio. Accepted are complete files of "
                f"{READABLE_NAMES}, recognised by their content; ffmpeg converts most others."
            ) from error
        if decoder.format not in _READABLE:
            with decoder:
                raise ValueError(
                    f"{self.path} is {decoder.format_info}. Accepted are {READABLE_NAMES}. "
                    f"{_CONVERT}"
                )
        return decoder

    def _stated_frames(self):
        """Returns the samples per channel that there have to be, None where nothing says it."""
        stated = self._decoder.frames
        if self.format != "MP3":
            return stated if stated < _UNKNOWN_FRAMES else None
        mpeg = self._findings.mpeg
        if mpeg is None or mpeg.changes:
            what = (
                "changes its sample rate or channels on the way" if mpeg else "has no whole frames"
            )
            raise ValueError(f"{self.path} is MPEG audio that {what}. {_CONVERT}")
        if mpeg.stated_frames is None:
            return mpeg.frames * mpeg.frame_samples
        if mpeg.stated_frames < mpeg.frames:
            raise ValueError(
                f"{self.path} states {mpeg.stated_frames} frames of audio, but more audio follows: "
                f"it holds {mpeg.frames}. {_CONVERT}"
            )
        if mpeg.stated_frames > mpeg.frames:
            raise self._truncated(
                f"the header states {mpeg.stated_frames} frames of audio, {mpeg.frames} are there"
            )
        return stated

    def _check_header(self):
        if self.frames == 0:
            raise self._without_samples()
        try:
            check_rate_hz(self.sample_rate_hz, f"The sample rate that {self.path} states")
        except ValueError as error:
            raise ValueError(f"{error} Its header is damaged, or it is no audio.") from None
        position = self._file.tell()
        if self.format == "OGG" and headers.ogg_is_cut(self._file):
            raise self._truncated("its last page is incomplete")
        self._file.seek(position)

    def _check_finite(self, block, start):
        finite = np.isfinite(block)
        if not finite.all():
            frame, channel = np.argwhere(~finite)[0]
            raise ValueError(
                f"{self.path} holds {block[frame, channel]} at "
                f"{(start + frame) / self.sample_rate_hz:.3f} s (sample {start + frame}, channel "
                f"{channel + 1}). Samples must be finite numbers."
            )

    def _without_samples(self):
        return ValueError(f"{self.path} has a header but holds no samples.")

    def _truncated(self, finding):
        return ValueError(
            f"{self.path} is truncated or damaged: {finding}. Get a complete copy, or convert what "
            f"is left of it to a new file, for example with ffmpeg."
        )


class _Decoder(soundfile.SoundFile):
    def seekable(self):
        # soundfile seeks after every read of a seekable file, to where it already is: inexact in
        # Opus, slow in FLAC, and an error at the end of a FLAC stream of unknown length.
        return False


def read_audio(path: str | os.PathLike) -> tuple[np.ndarray, int]:
    """Returns the samples of an audio file, float32 (time, channels), and its sample rate in Hz.

    Raises:
        ValueError: as AudioReader.

    Example:

    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "mono.wav"
    >>> soundfile.write(path, np.array([0.5, -0.25]), 16_000)
    >>> samples, sample_rate_hz = read_audio(path)
    >>> samples.tolist(), sample_rate_hz
    ([[0.5], [-0.25]], 16000)
    """
    with AudioReader(path) as audio:
        return np.concatenate(list(audio.blocks())), audio.sample_rate_hz
