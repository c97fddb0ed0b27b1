"""Running a vocoder on mel spectrograms and on recordings of any length, whole or in chunks."""

import functools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from tonezoo.audio.checks import check_rate_hz, check_signal
from tonezoo.audio.streaming import (
    check_finite,
    chunk_units,
    map_ahead,
    resampled_blocks,
    windows,
)
from tonezoo.tasks.vocoding import VocodingFacts
from tonezoo.tasks.vocoding.mels import frame_blocks, frames_of


class Vocoder:
    """Makes waveforms of mel spectrograms with a model, whole or in chunks.

    Chunked output equals that of the whole to the rounding of float32: chunks carry as many frames
    on both sides as the model sees, which are cut off from the result.

    Args:
        call: the model, from (batch, frames, bands) float32 to (batch, frames * hop, 1).
        facts: of the model.
        name: what to call the model in messages.

    Attributes:
        calls_at_once: how many chunks are computed at the same time, in threads.
        front_end: makes mel spectrograms (batch, frames, bands) of signals (batch, time, 1); the
            layer of the model's facts.

    Example:

    >>> facts = VocodingFacts(
    ...     sample_rate_hz=8000, channels=2, grid_samples=16, context_samples=16, hop_samples=16,
    ...     window_samples=64, lowest_hz=0.0, highest_hz=4000.0)
    >>> loudest = Vocoder(lambda mel: np.repeat(mel.max(-1)[..., None], 16, 1), facts, "loudest")
    >>> loudest.vocode(np.full((3, 2), -1.0)).shape
    (48,)
    """

    task = "vocoding"

    def __init__(self, call: Callable[[np.ndarray], np.ndarray], facts: VocodingFacts, name: str):
        self.facts = facts
        self.name = name
        self.sample_rate_hz = facts.sample_rate_hz
        self.bands = facts.channels
        self.hop_samples = facts.hop_samples
        self.calls_at_once = 1
        self._call = call

    def vocode(self, mel: np.ndarray) -> np.ndarray:
        """Returns the waveform of a mel spectrogram, float32 (frames * hop_samples,).

        Args:
            mel: (frames, bands) or (bands, frames), see `tonezoo.tasks.vocoding.mels.frames_of`.

        Raises:
            ValueError: as `frames_of`.
        """
        return np.concatenate(list(self.stream_mel(mel)))

    def mel(self, samples: np.ndarray, sample_rate_hz: float) -> np.ndarray:
        """Returns the mel spectrogram that the model takes of a recording.

        Args:
            samples: floating-point signal, (time,), full scale 1.
            sample_rate_hz: its rate; another than the model's is resampled.

        Returns:
            float32, (frames, bands): ceil(samples / hop_samples) frames, counted at the model's
            rate.

        Raises:
            ValueError: no samples, NaN or infinite ones, integers, or more than one axis.
        """
        samples = np.asarray(samples)
        check_signal(samples)
        if samples.ndim != 1:
            raise ValueError(
                f"A mel spectrogram is made of one channel (time,), but got {samples.shape}. Give "
                "one channel after the other, or their mean."
            )
        blocks = self.at_rate([samples.astype("float32")[:, None]], sample_rate_hz)
        mels = [block[:, 0] for block in self.mel_blocks(blocks)]
        if not mels:
            raise self._nothing("make a mel spectrogram of")
        return np.concatenate(mels)

    def copy_synthesis(self, samples: np.ndarray, sample_rate_hz: float) -> np.ndarray:
        """Returns what the model makes of a recording's own mel spectrogram.

        Args:
            samples: floating-point signal, (time,) or (time, channels), full scale 1. Channels are
                vocoded independently.
            sample_rate_hz: its rate; another than the model's is resampled.

        Returns:
            float32, as many samples and axes as the recording at the model's rate.

        Raises:
            ValueError: no samples, NaN or infinite ones, integers, or more than two axes.
        """
        samples = np.asarray(samples)
        check_signal(samples)
        samples = samples.astype("float32", copy=False)
        block = samples[:, None] if samples.ndim == 1 else samples
        blocks = self.at_rate([block], sample_rate_hz)
        output = np.concatenate(list(self.stream_audio(blocks)))
        return output[:, 0] if samples.ndim == 1 else output

    def input_notice(self, sample_rate_hz: float) -> str | None:
        """Returns what will be done to an input of this rate, None if it is used as it is."""
        check_rate_hz(sample_rate_hz)
        if sample_rate_hz == self.sample_rate_hz:
            return None
        return (
            f"Resampled from {sample_rate_hz:g} Hz to the {self.sample_rate_hz} Hz of {self.name}."
        )

    def at_rate(self, blocks: Iterable[np.ndarray], sample_rate_hz: float) -> Iterable[np.ndarray]:
        """Returns blocks (time, channels) at the model's rate, resampled where need be."""
        if self.input_notice(sample_rate_hz) is None:
            return check_finite(blocks)
        return resampled_blocks(blocks, sample_rate_hz, self.sample_rate_hz)

    def mel_blocks(
        self, blocks: Iterable[np.ndarray], chunk_samples: int | None = None
    ) -> Iterator[np.ndarray]:
        """Yields the mel spectrogram of a signal in blocks (frames, channels, bands).

        Args:
            blocks: the signal at the model's rate, (time, channels), float32.
            chunk_samples: as many are computed at once, rounded up to whole hops; None for all.
        """
        hop = self.hop_samples
        # A window at the end mirrors up to so much of what comes before it.
        context = 4 * -(-(self.facts.window_samples - hop) // (2 * hop)) * hop
        chunk = hop * chunk_units(chunk_samples, hop)

        def mel_of(cut):
            window, left, size = cut
            # (time, channels) -> (channels, frames, bands) -> (frames, channels, bands)
            mel = np.asarray(self.front_end(np.ascontiguousarray(window.T)[..., None]))
            first = left // hop
            return mel[:, first : first - (-size // hop)].transpose(1, 0, 2)

        cuts = windows(blocks, length=chunk, hop=chunk, context=context)
        yield from map_ahead(mel_of, cuts, self.calls_at_once)

    def stream(
        self, blocks: Iterable[np.ndarray], chunk_samples: int | None = None
    ) -> Iterator[np.ndarray]:
        """Yields the waveform of a mel spectrogram in blocks (time, channels).

        No more than a chunk, its context and a block are held in memory.

        Args:
            blocks: the spectrogram, (frames, channels, bands), float32.
            chunk_samples: output samples computed per call of the model, rounded up to whole
                frames; None computes all by one call.

        Raises:
            ValueError: `chunk_samples` below 1, or a model that gives another shape than its facts
                say.
        """
        chunk = chunk_units(chunk_samples, self.hop_samples)
        context = -(-self.facts.context_samples // self.hop_samples)

        def waveform_of(cut):
            window, left, size = cut
            output = np.asarray(self._call(np.ascontiguousarray(window.transpose(1, 0, 2))))
            expected = (window.shape[1], self.hop_samples * len(window), 1)
            if output.shape != expected:
                raise ValueError(
                    f"{self.name} gave the shape {output.shape} instead of {expected}, so it is "
                    f"not a model of a hop of {self.hop_samples} samples."
                )
            return output[:, self.hop_samples * left : self.hop_samples * (left + size), 0].T

        cuts = windows(blocks, length=chunk, hop=chunk, context=context)
        yield from map_ahead(waveform_of, cuts, self.calls_at_once)

    def stream_mel(self, mel: np.ndarray, chunk_samples: int | None = None) -> Iterator[np.ndarray]:
        """Yields the waveform of a mel spectrogram in blocks (time,).

        Args:
            mel: (frames, bands) or (bands, frames), in memory or mapped from a file, see
                `tonezoo.tasks.vocoding.mels.frames_of`.
            chunk_samples: see `stream`.

        Raises:
            ValueError: as `frames_of` and `stream`.
        """
        blocks = frame_blocks(frames_of(mel, self.bands))
        return (block[:, 0] for block in self.stream(blocks, chunk_samples))

    def stream_audio(
        self, blocks: Iterable[np.ndarray], chunk_samples: int | None = None
    ) -> Iterator[np.ndarray]:
        """Yields what the model makes of a signal's own mel spectrogram, of exactly its length.

        Args:
            blocks: the signal at the model's rate, (time, channels), float32.
            chunk_samples: see `stream`.

        Raises:
            ValueError: no samples.
        """
        given = made = 0

        def counted():
            nonlocal given
            for block in blocks:
                given += len(block)
                yield block

        for block in self.stream(self.mel_blocks(counted(), chunk_samples), chunk_samples):
            # The last frame reaches beyond the signal.
            block = block[: given - made]
            made += len(block)
            yield block
        if not given:
            raise self._nothing("vocode")

    def _nothing(self, what: str) -> ValueError:
        return ValueError(f"There is nothing to {what}: 0 samples at {self.sample_rate_hz} Hz.")

    @functools.cached_property
    def front_end(self) -> Callable[[np.ndarray], Any]:
        from tonezoo.layers import MelSpectrogram1D

        facts = self.facts
        return MelSpectrogram1D(
            facts.channels,
            facts.window_samples,
            facts.hop_samples,
            facts.sample_rate_hz,
            facts.lowest_hz,
            facts.highest_hz,
            dtype="float32",
        )
