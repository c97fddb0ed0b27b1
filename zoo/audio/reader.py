"""Audio files read block by block, with errors that name the file and the remedy."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile

from tonezoo.audio import headers

AUDIO_SUFFIXES = (".wav", ".flac", ".ogg", ".mp3")
BLOCK_FRAMES = 65_536
# A damaged header may state 1 Hz, at which a megabyte lasts for days.
LOWEST_RATE_HZ = 100
_UNKNOWN_FRAMES = 2**62
# libsndfile's names for what this package calls WAV, FLAC, OGG and MP3.
_READABLE = ("WAV", "WAVEX", "RF64", "FLAC", "OGG", "MP3")


def audio_files(folder: str | os.PathLike) -> list[Path]:
    """Returns every audio file in a folder and below, sorted; nothing hidden.

    Raises:
        ValueError: no folder, or no file in it whose name ends in one of `AUDIO_SUFFIXES`.
    """
    folder = Path(folder)
    if not folder.exists():
        raise ValueError(
            f"There is no folder {folder}. Give the folder that holds the audio files."
        )
    if not folder.is_dir():
        raise ValueError(
            f"{folder} is a file, but a folder of audio is needed. Give the folder it lies in."
        )
    files = sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in AUDIO_SUFFIXES
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
        and path.is_file()
    )
    if not files:
        raise ValueError(
            f"No audio was found in {folder} or below. Files ending in "
            f"{', '.join(AUDIO_SUFFIXES)} are looked for."
        )
    return files


class AudioReader:
    """Reads an audio file as float32 blocks of (time, channels); a context manager.

    Integer samples of b bits become value / 2^(b-1), so that full scale is 1. WAV (RF64 and files
    whose size was never filled in included), FLAC, OGG and MP3 are accepted. `frames` is the
    number of samples per channel, an estimate for MP3, None where the header does not say.

    Args:
        path: the file.

    Raises:
        ValueError: the file is missing, a folder, a pipe, empty, not audio, holds no samples, has a
            sample rate below 100 Hz, or is truncated; while blocks are read: truncated, damaged, or
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
                self._file = stack.enter_context(headers.PatchedFile(self.path))
            except OSError as error:
                raise ValueError(f"Cannot read {self.path}: {error.strerror}.") from error
            if self._file.size == 0:
                raise ValueError(f"{self.path} is empty (0 bytes).")
            missing = headers.wav_missing_bytes(self._file)
            if missing:
                raise self._truncated(f"{missing} bytes of audio are missing at the end")
            self._decoder = stack.enter_context(self._open_decoder())
            self._check_header()
            self._stack = stack.pop_all()
        known = self._decoder.frames < _UNKNOWN_FRAMES
        self.frames: int | None = self._decoder.frames if known else None
        self.channels: int = self._decoder.channels
        self.sample_rate_hz: int = self._decoder.samplerate

    def __enter__(self):
        return self

    def __exit__(self, *error):
        return self._stack.__exit__(*error)

    def blocks(self, block_frames: int = BLOCK_FRAMES) -> Iterator[np.ndarray]:
        """Yields the samples in order, once, as float32 (time, channels)."""
        done = 0
        while True:
            try:
                block = self._decoder.read(block_frames, dtype="float32", always_2d=True)
            except soundfile.SoundFileError as error:
                reason = str(error).removeprefix("Error : ").rstrip(".")
                at_s = done / self.sample_rate_hz
                raise self._truncated(f"decoding fails after {at_s:.2f} s ({reason})") from error
            if not len(block):
                break
            self._check_finite(block, done)
            done += len(block)
            yield block
        self._check_end(done)

    def _open_decoder(self):
        self._file.seek(0)
        try:
            decoder = _Decoder(self._file)
        except soundfile.SoundFileError as error:
            raise ValueError(
                f"{self.path} is not readable as audio. Accepted are complete WAV, FLAC, OGG and "
                f"MP3 files, recognised by their content."
            ) from error
        if decoder.format not in _READABLE:
            with decoder:
                raise ValueError(
                    f"{self.path} is {decoder.format_info}. Accepted are WAV, FLAC, OGG and MP3."
                )
        return decoder

    def _check_header(self):
        if self._decoder.frames == 0:
            raise ValueError(f"{self.path} has a header but holds no samples.")
        if self._decoder.samplerate < LOWEST_RATE_HZ:
            raise ValueError(
                f"{self.path} states a sample rate of {self._decoder.samplerate} Hz, but audio has "
                f"at least {LOWEST_RATE_HZ} Hz: its header is damaged, or it is no audio."
            )
        position = self._file.tell()
        self._first_frame = headers.mp3_first_frame(self._file)
        if self._decoder.format == "OGG" and headers.ogg_is_cut(self._file):
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

    def _check_end(self, done):
        length_is_guessed = False
        if self._decoder.format == "MP3":
            # Without a stated length libsndfile guesses one from the first frame's bit rate, and
            # stops there however much audio is left.
            length_is_guessed = not headers.mp3_states_length(self._first_frame)
            if headers.mp3_holds_frames(self._file.read(2**20), self._first_frame):
                raise ValueError(
                    f"{self.path} cannot be decoded beyond {done / self.sample_rate_hz:.2f} s, "
                    f"though more audio follows: its length is not stated correctly. Convert it to "
                    f"WAV or FLAC first, for example with ffmpeg."
                )
        if done == 0:
            raise ValueError(f"{self.path} has a header but holds no samples.")
        if not length_is_guessed and self.frames is not None and done < self.frames:
            raise self._truncated(f"the header states {self.frames} samples, {done} are there")

    def _truncated(self, finding):
        return ValueError(
            f"{self.path} is truncated or damaged: {finding}. Get a complete copy, or convert what "
            f"is left of it to a new file."
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
