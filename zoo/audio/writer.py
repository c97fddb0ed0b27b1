"""Audio files written block by block that are either complete or absent."""

import contextlib
import io
import os
from pathlib import Path

import numpy as np
import soundfile

from tonezoo.audio.checks import HIGHEST_RATE_HZ, MOST_CHANNELS, check_rate_hz
from tonezoo.files import atomic_path

# libsndfile's Vorbis encoder overflows the stack when it is given too much at once.
_BLOCK_FRAMES = 65_536
_SUBTYPES = {
    ("wav", "float"): "FLOAT",
    ("wav", "24"): "PCM_24",
    ("wav", "16"): "PCM_16",
    ("flac", "24"): "PCM_24",
    ("flac", "16"): "PCM_16",
    ("ogg", "lossy"): "VORBIS",
}
# Beyond these libsndfile fails, at Vorbis by ending the process.
_MOST_CHANNELS = {"wav": MOST_CHANNELS, "flac": 8, "ogg": 255}
_HIGHEST_RATES_HZ = {"wav": HIGHEST_RATE_HZ, "flac": 655_350, "ogg": 200_000}


class AudioWriter:
    """Writes an audio file block by block; the file appears, complete, when the context ends.

    On any error, a full disk included, nothing is left behind. Everything but float WAV is limited
    to +-1 full scale: samples beyond it are clamped and counted.

    Attributes after the last block: `clipped_samples`, the number of clamped samples over all
    channels, and `peak`, the largest magnitude before clamping (1 is full scale).

    Args:
        path: the file; its suffix is not looked at.
        sample_rate_hz: a whole number, 100 or more; for flac 655,350 at most, for ogg 200,000.
        channels: number of channels, 1 to 1,024; for flac 8 at most, for ogg 255.
        format: "wav", "flac" or "ogg" (Vorbis).
        bit_depth: wav: "float" (32 bits), "24" or "16"; flac: "24" or "16"; ogg: "lossy".
            None takes the first of these.
        frames: how many samples per channel will come, as far as known. WAV files of 4 GiB and
            more are written as RF64, which states its size in 64 bits.

    Raises:
        ValueError: the format and bit depth do not go together or cannot hold that rate and number
            of channels; the file cannot be written, the disk full for instance; a sample is NaN
            or infinite.

    Example:

    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "out.wav"
    >>> with AudioWriter(path, 8000, channels=1, bit_depth="16") as audio:
    ...     audio.write(np.array([[0.5], [-2.0]], "float32"))
    >>> audio.clipped_samples, audio.peak
    (1, 2.0)
    >>> soundfile.read(path)[0].round(3).tolist()
    [0.5, -1.0]
    """

    def __init__(
        self,
        path: str | os.PathLike,
        sample_rate_hz: int,
        channels: int,
        *,
        format: str = "wav",
        bit_depth: str | None = None,
        frames: int | None = None,
    ):
        self.path = Path(path)
        self.clipped_samples = 0
        self.peak = 0.0
        self._subtype = output_subtype(format, bit_depth)
        check_rate_hz(sample_rate_hz, f"The sample rate of {self.path}")
        if channels > _MOST_CHANNELS[format] or sample_rate_hz > _HIGHEST_RATES_HZ[format]:
            raise ValueError(
                f"{format.upper()} cannot hold {channels} channels at {sample_rate_hz} Hz: at most "
                f"{_MOST_CHANNELS[format]:,} channels and {_HIGHEST_RATES_HZ[format]:,} Hz. "
                + ("Write fewer channels." if format == "wav" else "Choose wav.")
            )
        self._clamps = self._subtype != "FLOAT"
        # At most 4 bytes per sample; the header takes some of the 4 GiB.
        is_long = 4 * channels * (frames or 0) > 2**32 - 2**16
        self._format = "RF64" if format == "wav" and is_long else format.upper()
        self._sample_rate_hz, self._channels = sample_rate_hz, channels

    def __enter__(self):
        with contextlib.ExitStack() as stack, self._os_errors():
            temporary = stack.enter_context(atomic_path(self.path))
            self._file = stack.enter_context(contextlib.closing(_OutputFile(temporary, "w")))
            # Runs after the encoder has been closed, which is when its last samples are written.
            stack.callback(self._check_file)
            self._encoder = stack.enter_context(self._open_encoder())
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *error):
        with self._os_errors():
            return self._stack.__exit__(*error)

    def write(self, samples: np.ndarray) -> None:
        """Appends samples, float32 (time, channels)."""
        for start in range(0, len(samples), _BLOCK_FRAMES):
            block = samples[start : start + _BLOCK_FRAMES]
            magnitude = np.abs(block)
            peak = float(magnitude.max())
            if not np.isfinite(peak):
                raise ValueError(f"{self.path} would hold {peak}: samples must be finite numbers.")
            self.peak = max(self.peak, peak)
            if self._clamps and peak > 1:
                self.clipped_samples += int((magnitude > 1).sum())
                block = block.clip(-1, 1)
            self._write(np.ascontiguousarray(block))

    def _write(self, block):
        try:
            self._encoder.write(block)
        except (AssertionError, soundfile.SoundFileError):
            # All that soundfile knows is that fewer bytes were taken; the file knows why.
            self._check_file()
            raise
        self._check_file()

    def _open_encoder(self):
        try:
            return soundfile.SoundFile(
                self._file,
                "w",
                self._sample_rate_hz,
                self._channels,
                subtype=self._subtype,
                format=self._format,
            )
        except soundfile.SoundFileError as error:
            self._check_file()
            raise ValueError(
                f"{self._format} cannot hold {self._channels} channels at {self._sample_rate_hz} "
                f"Hz as {self._subtype}. Choose wav, which can."
            ) from error

    def _check_file(self):
        if self._file.error:
            raise self._file.error

    @contextlib.contextmanager
    def _os_errors(self):
        try:
            yield
        except OSError as error:
            raise ValueError(f"Cannot write {self.path}: {error.strerror}.") from error


class _OutputFile(io.FileIO):
    """A file that remembers the first error; libsndfile passes on only that there was one."""

    error: OSError | None = None

    def write(self, data) -> int:
        rest = memoryview(data)
        try:
            while rest and not self.error:
                rest = rest[super().write(rest) :]
        except OSError as error:
            self.error = error
        return len(data) - len(rest)


def output_subtype(format: str, bit_depth: str | None) -> str:
    """Returns libsndfile's name for the samples of an output format.

    Raises:
        ValueError: the two do not go together, with all that do.

    Example:

    >>> output_subtype("flac", None)
    'PCM_24'
    """
    for (known_format, known_depth), subtype in _SUBTYPES.items():
        if format == known_format and bit_depth in (None, known_depth):
            return subtype
    accepted = ", ".join(f"{name} {depth}" for name, depth in _SUBTYPES)
    raise ValueError(
        f"Cannot write {' '.join(filter(None, (format, bit_depth)))!r}. Accepted: {accepted}."
    )
