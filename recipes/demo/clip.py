"""What the demo works on: a procedural clip or the first seconds of a file, and a made-up song."""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

LONGEST_S = 10
SHORTEST_S = 0.1
SONG_S = 5.0
# Neither the seed of the tiny recipe's training clips nor that of its previews.
PROCEDURAL_SEED = 2


@dataclass(frozen=True, kw_only=True)
class Recording:
    """The start of an audio file, mono.

    Attributes:
        name: the file's name.
        samples: float32 (time,), channels averaged, at most `LONGEST_S`.
        sample_rate_hz: its rate.
        notes: sentences on what was done to the file.
    """

    name: str
    samples: np.ndarray
    sample_rate_hz: int
    notes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Clip:
    """What a model gets, and what it should make of it.

    Attributes:
        name: of the clip, for headings and tables.
        low: float32 (time,) at the model's input rate.
        target: float32 (time * ratio,) at its output rate; None where there is nothing to compare
            the output with.
        notes: sentences on where the clip comes from.
    """

    name: str
    low: np.ndarray
    target: np.ndarray | None
    notes: tuple[str, ...]


def read_recording(path: str | os.PathLike) -> Recording:
    """Returns the first `LONGEST_S` of an audio file, channels averaged.

    Raises:
        ValueError: the file cannot be read as audio, is damaged, or is shorter than `SHORTEST_S`.
    """
    from tonezoo.audio.reader import AudioReader

    path = Path(path).expanduser()
    with AudioReader(path) as audio:
        longest = round(LONGEST_S * audio.sample_rate_hz)
        blocks = audio.blocks(longest + 1)
        samples = next(blocks)
        is_cut = len(samples) > longest
        if not is_cut:
            # The reader tells of damage at the end of the file when it gets there.
            samples = np.concatenate([samples, *blocks])
        rate_hz, channels = audio.sample_rate_hz, audio.channels
    if len(samples) < SHORTEST_S * rate_hz:
        raise ValueError(
            f"{path} is {len(samples) / rate_hz:.3f} s long. The demo takes files of at least "
            f"{SHORTEST_S} s."
        )
    notes = [f"The clip is {path.name}{f', its first {LONGEST_S} s' if is_cut else ''}."]
    if channels > 1:
        notes.append(f"Its {channels} channels were averaged.")
    return Recording(
        name=path.name,
        samples=samples[:longest].mean(axis=1),
        sample_rate_hz=rate_hz,
        notes=tuple(notes),
    )


def clip_of_recording(recording: Recording, model) -> Clip:
    """Returns what a model gets of a recording: low-rate samples, and a target if there can be one.

    A recording at the model's input rate or below is the input, without a target. One of a higher
    rate becomes the target, resampled to the model's output rate, and the input is made of it by
    the same decimation as in training.

    Args:
        recording: from `read_recording`.
        model: a `tonezoo.tasks.super_resolution.engine.SuperResolver`.
    """
    from tonezoo.audio.resampling import resample
    from tonezoo.recipes.data.decoding import high_and_low
    from tonezoo.tasks.super_resolution.engine import RATE_TOLERANCE_HZ

    rate_hz = recording.sample_rate_hz
    if rate_hz <= model.low_rate_hz + RATE_TOLERANCE_HZ:
        notice = model.input_notice(rate_hz)
        if notice is None:
            low, notes = recording.samples, []
        else:
            low, notes = resample(recording.samples, rate_hz, model.low_rate_hz), [notice]
        notes.append(
            f"The file has {kilohertz(rate_hz)}, so that there is no target to compare the output "
            "with, and no figures."
        )
        return Clip(name=recording.name, low=low, target=None, notes=(*recording.notes, *notes))
    target, low = high_and_low(recording.samples, rate_hz, model.sample_rate_hz, model.ratio)
    high, low_rate = kilohertz(model.sample_rate_hz), kilohertz(model.low_rate_hz)
    is_target = rate_hz == model.sample_rate_hz
    notes = [
        f"The file has {kilohertz(rate_hz)}"
        + (" and is the target" if is_target else f". Resampled to {high} it is the target")
        + f"; decimated to {low_rate} it is all that the model gets: the output is compared with "
        "the file itself."
    ]
    if rate_hz < model.sample_rate_hz:
        notes.append(
            f"The file holds nothing above {kilohertz(rate_hz / 2)}: whatever the model adds there "
            "counts as an error, however plausible."
        )
    return Clip(name=recording.name, low=low, target=target, notes=(*recording.notes, *notes))


def procedural_clip(model) -> Clip:
    """Returns a clip of made-up speech that nothing was trained on.

    Args:
        model: a `tonezoo.tasks.super_resolution.engine.SuperResolver`.
    """
    from tonezoo.audio.resampling import decimate
    from tonezoo.recipes.corpus.speech import procedural_corpus

    corpus = procedural_corpus(seed=PROCEDURAL_SEED, clips=1, sample_rate_hz=model.sample_rate_hz)
    ((_, samples),) = corpus.items()
    target = samples[: len(samples) // model.ratio * model.ratio]
    return Clip(
        name="procedural clip",
        low=decimate(target, model.ratio),
        target=target,
        notes=(
            "The clip is not a recording: pulses and noise through resonators that glide like "
            "those of a voice, from tonezoo's procedural corpus.",
        ),
    )


def procedural_song(model) -> dict[str, np.ndarray]:
    """Returns the stems of a made-up song that nothing was trained on, (time, channels) each.

    Args:
        model: a `tonezoo.tasks.separation.engine.Separator`, which has such sources.
    """
    from tonezoo.recipes.corpus.songs import procedural_stems
    from tonezoo.recipes.data.tracks import fit_channels

    songs = procedural_stems(
        seed=PROCEDURAL_SEED, tracks=1, track_s=SONG_S, sample_rate_hz=model.sample_rate_hz
    )
    ((name, stems),) = songs.items()
    return {source: fit_channels(stems[source], model.channels, name) for source in model.sources}


def kilohertz(rate_hz: float) -> str:
    """Returns a rate in kHz, as text.

    Example:

    >>> kilohertz(44_100), kilohertz(4000.0)
    ('44.1 kHz', '4 kHz')
    """
    return f"{rate_hz / 1000:.6g} kHz"
