"""Audio and spectrograms of the same clips for TensorBoard, epoch after epoch."""

import functools
from collections.abc import Mapping

import numpy as np

from tonezoo.analysis.spectrogram import FLOOR_DB, spectrogram_db
from tonezoo.audio.resampling import decimate
from tonezoo.pretrained import compiled_call
from tonezoo.tasks.separation.engine import measure

PREVIEW_CLIPS = 3
PREVIEW_S = 3


class Preview:
    """Writes spectrograms and audio of a few clips, output beside target, to TensorBoard.

    The input's spectrogram is that of its samples held. Clips shorter than 0.1 s are left out.

    Args:
        clips: name -> mono high-rate signal (time,).
        ratio: upsampling ratio.
        sample_rate_hz: rate of the clips.
    """

    def __init__(self, clips: Mapping[str, np.ndarray], *, ratio: int, sample_rate_hz: int):
        longest = PREVIEW_S * sample_rate_hz // ratio * ratio
        self.clips = {
            name: samples[:longest]
            for name, samples in clips.items()
            if len(samples) >= sample_rate_hz // 10
        }
        self.ratio = ratio
        self.sample_rate_hz = sample_rate_hz

    def __call__(self, model, step: int) -> None:
        """Writes to the default `tf.summary` writer; `model` takes low-rate (1, time, 1)."""
        for name, target in self.clips.items():
            low = decimate(target, self.ratio)
            output = np.asarray(model(low[None, :, None], training=False))[0, : len(target), 0]
            panels = {"input": np.repeat(low, self.ratio), "output": output, "target": target}
            write_clip(name, panels, self.sample_rate_hz, step)


class VocoderPreview:
    """Writes spectrograms and audio of a few clips, output beside target, to TensorBoard.

    Args:
        clips: name -> mono signal (time,).
        sample_rate_hz: rate of the clips.
    """

    def __init__(self, clips: Mapping[str, np.ndarray], *, sample_rate_hz: int):
        self.clips = {name: clip[: PREVIEW_S * sample_rate_hz] for name, clip in clips.items()}
        self.sample_rate_hz = sample_rate_hz

    def __call__(self, model, step: int) -> None:
        """Writes to the default `tf.summary` writer; `model` has a `front_end`."""
        for name, target in self.clips.items():
            mel = model.front_end(target[None, :, None])
            output = np.asarray(model(mel, training=False))[0, : len(target), 0]
            write_clip(name, {"output": output, "target": target}, self.sample_rate_hz, step)


class StemPreview:
    """Writes the separated sources of a track to TensorBoard, beside the true ones.

    Args:
        tracks: name -> (source, time, channels).
        sources: their names.
        sample_rate_hz: rate of the tracks.
    """

    def __init__(self, tracks: Mapping[str, np.ndarray], *, sources, sample_rate_hz: int):
        samples = PREVIEW_S * sample_rate_hz
        self.tracks = {name: np.asarray(stems)[:, :samples] for name, stems in tracks.items()}
        self.sources = sources
        self.sample_rate_hz = sample_rate_hz
        # An LSTM takes a hundred times longer step by step; compiling takes a second, once.
        self.compiled = functools.cache(compiled_call)

    def __call__(self, model, step: int) -> None:
        """Writes to the default `tf.summary` writer; `model` takes normalised mixtures."""
        import tensorflow as tf

        for name, stems in self.tracks.items():
            mixture = stems.sum(axis=0)
            # As `tonezoo separate` does, so that it plays the same.
            _, _, level = measure([mixture])
            normalised = level.normalise(mixture)
            output = self.compiled(model)(normalised[None])[0]
            # (time, source, channels) -> (source, time, channels)
            estimates = level.restore(output, len(self.sources)).swapaxes(0, 1)
            for kind, signals in (("output", estimates), ("target", stems)):
                for source, signal in zip(self.sources, signals, strict=True):
                    tf.summary.audio(
                        f"{name} {source} {kind}",
                        np.clip(signal, -1, 1)[None],
                        sample_rate=self.sample_rate_hz,
                        step=step,
                    )


def write_clip(name: str, signals: Mapping[str, np.ndarray], sample_rate_hz: int, step: int):
    """Writes the spectrograms of some signals beside each other, and all but the input as audio."""
    import tensorflow as tf

    pictures = np.concatenate(list(map(picture, signals.values())), axis=1)
    tf.summary.image(f"{name} ({', '.join(signals)})", pictures[None], step=step)
    for kind in ("output", "target"):
        tf.summary.audio(
            f"{name} {kind}",
            np.clip(signals[kind], -1, 1)[None, :, None],
            sample_rate=sample_rate_hz,
            step=step,
        )


def picture(signal: np.ndarray) -> np.ndarray:
    """Returns a grey-scale spectrogram (height, width, 1) in 0..1, low frequencies below."""
    grey = 1 - spectrogram_db(signal)[::-1] / FLOOR_DB
    return np.pad(grey, ((0, 0), (0, 4)), constant_values=1.0)[:, :, None]
