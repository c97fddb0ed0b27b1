"""What the figures are made of where it is neither noise nor ones: music, speech, models."""

import dataclasses
import os
from pathlib import Path

import numpy as np

from tonezoo.audio.resampling import resample_sharply

MUSIC_S, SPEECH_S = 3.0, 4.0
SHORTEST_S = 1.0
# Neither the seed of the tiny recipe's training clips nor that of its previews.
CLIP_SEED = 2
# What stands for the paper's trained models, and what it is.
SHIPPED_MODELS = {
    "mu_gan_speech_x4": "a MU-GAN4 generator of a quarter of the width, trained on 6 minutes of "
    "speech by mean square error, spectral, loudness and tonal terms, without a discriminator",
    "band_extender_speech_x2": "no MU-GAN but a band extender, a network on the short-time "
    "spectrum, because no MU-GAN for a ratio of 2 comes with tonezoo",
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Material:
    """What a user may put in place of what the figures take themselves.

    Attributes:
        recording: audio file for the figures of music and of speech; None for procedural clips.
        models: super-resolution models, as `tonezoo.load` takes them; None for the shipped ones.
    """

    recording: str | os.PathLike | None = None
    models: tuple[str, ...] | None = None

    def music(self, sample_rate_hz: int) -> np.ndarray:
        """Returns 3 s of music, mono, float32 (time,).

        Raises:
            ValueError: the recording cannot be read, or is shorter than 1 s.
        """
        if self.recording is not None:
            mono, rate_hz = loudest_stretch(self.recording, MUSIC_S)
            return resample_sharply(mono, rate_hz, sample_rate_hz)
        from tonezoo.recipes.corpus.songs import procedural_stems

        rate_hz = 44_100
        (stems,) = procedural_stems(seed=CLIP_SEED, tracks=1, track_s=MUSIC_S).values()
        mono = np.sum(list(stems.values()), axis=0).mean(axis=1)
        return resample_sharply(mono, rate_hz, sample_rate_hz)

    def speech(self, sample_rate_hz: int, ratio: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns 4 s of speech at a rate and at that over `ratio`, mono, float32 (time,).

        Raises:
            ValueError: the recording cannot be read, is shorter than 1 s or of a lower rate.
        """
        from tonezoo.recipes.corpus.speech import procedural_corpus
        from tonezoo.recipes.data.decoding import high_and_low

        if self.recording is None:
            ((_, mono),) = procedural_corpus(
                seed=CLIP_SEED, clips=1, segment_s=SPEECH_S, sample_rate_hz=sample_rate_hz
            ).items()
            rate_hz = sample_rate_hz
        else:
            mono, rate_hz = loudest_stretch(self.recording, SPEECH_S)
            if rate_hz < sample_rate_hz:
                raise ValueError(
                    f"{self.recording} has {rate_hz} Hz, but the figures of super-resolution "
                    f"compare with a recording of {sample_rate_hz} Hz. Give one of that rate or "
                    "above."
                )
        return high_and_low(mono, rate_hz, sample_rate_hz, ratio)

    def check(self) -> None:
        """Checks that the recording can be read and that there are such models.

        Raises:
            ValueError: not so.
        """
        from tonezoo.pretrained import model_folder

        if self.recording is not None:
            loudest_stretch(self.recording, MUSIC_S)
        for model in self.model_names:
            model_folder(model)

    @property
    def clip_name(self) -> str:
        """What the set-up of a figure calls the clip."""
        return "procedural clip" if self.recording is None else Path(self.recording).name

    @property
    def model_names(self) -> tuple[str, ...]:
        return self.models or tuple(SHIPPED_MODELS)


def loudest_stretch(path: str | os.PathLike, duration_s: float) -> tuple[np.ndarray, int]:
    """Returns the stretch of a recording that has the most energy, mono, and its rate in Hz.

    Raises:
        ValueError: it cannot be read as audio, or is shorter than 1 s.
    """
    from tonezoo.audio.reader import read_audio

    samples, rate_hz = read_audio(Path(path).expanduser())
    mono = samples.mean(axis=1)
    if len(mono) < SHORTEST_S * rate_hz:
        raise ValueError(
            f"{path} is {len(mono) / rate_hz:.3f} s long. The figures take recordings of at least "
            f"{SHORTEST_S:g} s."
        )
    length = min(len(mono), round(duration_s * rate_hz))
    energy = np.append(0, np.cumsum(np.square(mono, dtype="float64")))
    start = int(np.argmax(energy[length:] - energy[:-length]))
    return mono[start : start + length], rate_hz
