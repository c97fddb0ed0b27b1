"""What the page does with a recording: read within limits, and run through a model."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tonezoo.audio.reader import AudioReader
from tonezoo.audio.resampling import resample

# Seconds of output computed at once, as by `tonezoo enhance`.
SEGMENT_S = 10.0
# A few bytes of FLAC can hold hours of silence in many channels.
MOST_CHANNELS, HIGHEST_RATE_HZ = 2, 192_000
# As Gradio counts them in its own message.
BYTES_PER_MB = 2**20

Progress = Callable[[float], None]


@dataclass(frozen=True)
class Limits:
    """What the page takes.

    Attributes:
        megabytes: size of a file at most.
        seconds: length at most.

    Raises:
        ValueError: one of them is not above 0.
    """

    megabytes: float = 50.0
    seconds: float = 120.0

    def __post_init__(self):
        for flag, value in (("--max-mb", self.megabytes), ("--max-s", self.seconds)):
            if not 0 < value < float("inf"):
                raise ValueError(f"{flag} is {value:g}. Give a number above 0.")


@dataclass(frozen=True, eq=False)
class Signal:
    """A signal to hear and see.

    Attributes:
        name: what it is called.
        samples: float32 (time, channels).
        sample_rate_hz: its rate.
    """

    name: str
    samples: np.ndarray
    sample_rate_hz: int


@dataclass(frozen=True, eq=False)
class Answer:
    """What a model made of a recording.

    Attributes:
        before: the recording, and what the model was given if that is something else.
        after: what the model made of it.
        notices: sentences on what was done on the way.
        is_mix: whether the signals of `after` are parts that are heard together.
    """

    before: tuple[Signal, ...]
    after: tuple[Signal, ...]
    notices: tuple[str, ...] = ()
    is_mix: bool = False


def read_recording(path: str | os.PathLike, limits: Limits) -> tuple[Signal, str | None]:
    """Returns an uploaded recording, and what a user should know of how it was read.

    Raises:
        ValueError: it is above the limits, no audio, damaged, or has more than two channels; the
            message calls it by its name without folders.

    Example:

    >>> import soundfile, tempfile
    >>> path = Path(tempfile.mkdtemp()) / "long.wav"
    >>> soundfile.write(path, np.zeros(24_000), 8000)
    >>> read_recording(path, Limits(seconds=2))
    Traceback (most recent call last):
    ValueError: long.wav is 3 s long, but this page takes up to 2 s. Cut it first; the commands...
    """
    path = Path(path)
    try:
        return _read(path, limits)
    except ValueError as error:
        raise ValueError(str(error).replace(str(path), path.name)) from error


def _read(path, limits):
    megabytes = path.stat().st_size / BYTES_PER_MB
    if megabytes > limits.megabytes:
        raise ValueError(
            f"{path} has {megabytes:.3g} MB, but this page takes files of up to "
            f"{limits.megabytes:g} MB. Cut it first, or save it as FLAC or MP3."
        )
    with AudioReader(path) as audio:
        rate_hz = audio.sample_rate_hz
        if audio.channels > MOST_CHANNELS or rate_hz > HIGHEST_RATE_HZ:
            raise ValueError(
                f"{path} has {audio.channels} channels at {rate_hz} Hz, but this page takes up to "
                f"{MOST_CHANNELS} at {HIGHEST_RATE_HZ} Hz. Save it with less first."
            )
        most = round(limits.seconds * rate_hz)
        _check_length(path, audio.frames or 0, rate_hz, limits)
        blocks, frames = [], 0
        for block in audio.blocks():
            blocks.append(block)
            frames += len(block)
            # Of a stream that does not state its length, no more is decoded than has to be.
            if frames > most:
                _check_length(path, frames, rate_hz, limits)
        return Signal("recording", np.concatenate(blocks), rate_hz), audio.notice


def _check_length(path, frames, rate_hz, limits):
    if frames > round(limits.seconds * rate_hz):
        raise ValueError(
            f"{path} is {frames / rate_hz:.4g} s long, but this page takes up to "
            f"{limits.seconds:g} s. Cut it first; the commands of tonezoo take files of any length."
        )


def answer(engine: Any, recording: Signal, strength_db: float | None, progress: Progress) -> Answer:
    """Returns what a model makes of a recording.

    Args:
        engine: what `tonezoo.load` returned, or the same of a server.
        recording: see `read_recording`.
        strength_db: of what a super-resolution model makes up; None for its own.
        progress: called with the share that is done, 0 to 1.

    Raises:
        ValueError: the engine's, such as for an unusable strength.
    """
    return ANSWERS[engine.task](engine, recording, strength_db, progress)


def enhanced(engine, recording, strength_db, progress) -> Answer:
    """Returns what super-resolution makes of a recording, at one rate for all signals.

    A recording above the rate of the model's input is resampled down to it, and shown as well.
    """
    rate_hz = recording.sample_rate_hz
    notice = engine.input_notice(rate_hz, downsample=True)
    blocks = engine.low_rate_blocks([recording.samples], rate_hz, downsample=True)
    low = np.concatenate([np.asarray(block, "float32") for block in blocks])
    chunk = round(SEGMENT_S * engine.sample_rate_hz)
    total_s = len(low) / engine.low_rate_hz
    high = _collected(
        engine.stream([low], chunk, strength_db=strength_db),
        lambda samples: progress(samples / engine.sample_rate_hz / total_s),
    )
    before = [("what the model is given", low, engine.low_rate_hz)]
    if rate_hz > engine.low_rate_hz and notice:
        before.insert(0, (recording.name, recording.samples, rate_hz))
    return Answer(
        before=tuple(
            Signal(name, resample(samples, hz, engine.sample_rate_hz), engine.sample_rate_hz)
            for name, samples, hz in before
        ),
        after=(Signal("enhanced", high, engine.sample_rate_hz),),
        notices=() if notice is None else (notice,),
    )


def separated(engine, recording, strength_db, progress) -> Answer:
    """Returns the sources of a mixture."""
    rate_hz, total = recording.sample_rate_hz, len(recording.samples)
    stems = _collected(
        engine.stream(lambda: [recording.samples], rate_hz),
        lambda samples: progress(samples / total),
    )
    return Answer(
        before=(recording,),
        after=tuple(
            # (time, source, channels) -> (time, channels)
            Signal(source, np.ascontiguousarray(stems[:, number]), rate_hz)
            for number, source in enumerate(engine.sources)
        ),
        is_mix=True,
    )


def vocoded(engine, recording, strength_db, progress) -> Answer:
    """Returns what a vocoder makes of the recording's own mel spectrogram."""
    notice = engine.input_notice(recording.sample_rate_hz)
    rate_hz = engine.sample_rate_hz
    own = resample(recording.samples, recording.sample_rate_hz, rate_hz)
    output = engine.copy_synthesis(recording.samples, recording.sample_rate_hz)
    return Answer(
        before=(Signal(recording.name, own, rate_hz),),
        after=(Signal("vocoded", output, rate_hz),),
        notices=() if notice is None else (notice,),
    )


ANSWERS = {"super_resolution": enhanced, "separation": separated, "vocoding": vocoded}


def _collected(blocks, report) -> np.ndarray:
    """Returns blocks as one array, after a report of the length so far for each."""
    kept, done = [], 0
    for block in blocks:
        kept.append(block)
        done += len(block)
        report(done)
    return np.concatenate(kept)
