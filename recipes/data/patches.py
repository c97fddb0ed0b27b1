"""Training data: prepared recordings and the endless batches of patches drawn from them."""

import hashlib
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tonezoo.recipes.data.augmentation import MARGIN_SAMPLES, NONE, Augmentation
from tonezoo.recipes.data.batches import Batches, stateless_batches
from tonezoo.recipes.data.cache import cached_clips
from tonezoo.recipes.data.decoding import decode_clips, high_and_low


class PatchSource:
    """High- and low-rate signals of many clips, from which patches are drawn.

    The signals of all clips lie end to end in two arrays. Low-rate sample n sits on high-rate
    sample n * ratio, so that a patch at n of `low` and the one at n * ratio of `high` are aligned.
    A clip shorter than a patch is used whole, with zeros after its end.

    Args:
        high: (time * ratio,) float32, in memory or mapped from a file.
        low: (time,) float32.
        lengths: low-rate samples of each clip, in order.
        sample_rate_hz: rate of `high`.
        ratio: high rate over low rate.

    Example:

    >>> ramp = np.arange(400, dtype="float32") / 400
    >>> source = prepare_arrays([ramp], sample_rate_hz=16_000, ratio=4)
    >>> source.patch_count(80)
    5
    >>> low, high = next(iter(source.batches(segment_samples=80, batch_size=2, seed=0)))
    >>> tuple(low.shape), tuple(high.shape)
    ((2, 20, 1), (2, 80, 1))
    """

    def __init__(
        self,
        high: np.ndarray,
        low: np.ndarray,
        lengths: Sequence[int],
        *,
        sample_rate_hz: int,
        ratio: int,
    ):
        self.high = high
        self.low = low
        self.lengths = np.asarray(lengths, "int64")
        self.sample_rate_hz = sample_rate_hz
        self.ratio = ratio
        self.offsets = np.concatenate([[0], np.cumsum(self.lengths)])

    @property
    def summary(self) -> str:
        minutes = len(self.high) / self.sample_rate_hz / 60
        return f"{len(self.lengths)} clips, {minutes:.1f} min of audio"

    @property
    def fingerprint(self) -> str:
        """A short hash of the clips' lengths and a sample of the signal."""
        digest = hashlib.sha256(self.lengths.tobytes())
        digest.update(np.ascontiguousarray(self.low[::97]).tobytes())
        return digest.hexdigest()[:16]

    def patch_count(self, segment_samples: int) -> int:
        """Returns how many patches of `segment_samples` cover every clip once: an epoch.

        Raises:
            ValueError: `segment_samples` is not a positive multiple of the ratio.
        """
        return int(np.sum(-(-self.lengths // self._low_samples(segment_samples))))

    def batches(
        self,
        *,
        segment_samples: int,
        batch_size: int,
        seed: int,
        start_step: int = 0,
        augmentation: Augmentation = NONE,
    ) -> Batches:
        """Returns endless batches, of which batch k depends on `seed` and k alone.

        Patches start at any low-rate sample of any clip that leaves room for them, all equally
        likely. Batches that start at step k go on exactly as those that have got there.

        Args:
            segment_samples: high-rate samples of a patch, a multiple of the ratio.
            batch_size: patches in a batch, over all replicas.
            seed: 0 or more.
            start_step: the number of the first batch.
            augmentation: random changes of the patches, whose low rate is then made anew.

        Returns:
            batches (low, high), float32 (batch, segment / ratio, 1) and (batch, segment, 1).

        Raises:
            ValueError: `segment_samples` is not a positive multiple of the ratio.
        """
        low_samples = self._low_samples(segment_samples)
        # Clip i offers positions[i] starts, those numbered from ends[i] - positions[i].
        positions = np.maximum(self.lengths - low_samples, 0) + 1
        ends = np.cumsum(positions)

        def draw(step):
            rng = np.random.default_rng((seed, int(step)))
            chosen = rng.integers(ends[-1], size=batch_size)
            clips = np.searchsorted(ends, chosen, side="right")
            starts = chosen - (ends - positions)[clips]
            if augmentation:
                return self._augmented(clips, starts, segment_samples, augmentation, rng)
            return self._patches(clips, starts, low_samples)

        shapes = ((batch_size, low_samples, 1), (batch_size, segment_samples, 1))
        return stateless_batches(draw, shapes, start_step)

    def _low_samples(self, segment_samples: int) -> int:
        if segment_samples < 1 or segment_samples % self.ratio:
            nearest = max(1, round(segment_samples / self.ratio)) * self.ratio
            raise ValueError(
                f"segment_samples={segment_samples} is not a positive multiple of the ratio "
                f"{self.ratio}. The nearest is {nearest}."
            )
        return segment_samples // self.ratio

    def _patches(self, clips, starts, low_samples) -> tuple[np.ndarray, np.ndarray]:
        low = np.zeros((len(clips), low_samples, 1), "float32")
        high = np.zeros((len(clips), low_samples * self.ratio, 1), "float32")
        for row, (clip, start) in enumerate(zip(clips, starts, strict=True)):
            begin = self.offsets[clip] + start
            count = min(low_samples, self.lengths[clip] - start)
            low[row, :count, 0] = self.low[begin : begin + count]
            begin, count = begin * self.ratio, count * self.ratio
            high[row, :count, 0] = self.high[begin : begin + count]
        return low, high

    def _augmented(
        self, clips, starts, segment_samples, augmentation, rng
    ) -> tuple[np.ndarray, np.ndarray]:
        samples = augmentation.source_samples(segment_samples)
        pairs = []
        for clip, start in zip(clips, starts, strict=True):
            # What lies before and after the clip is silence, not its neighbour.
            begin = start * self.ratio - MARGIN_SAMPLES
            end = min(begin + samples, self.lengths[clip] * self.ratio)
            offset = self.offsets[clip] * self.ratio
            source = self.high[offset + max(begin, 0) : offset + end]
            before = max(-begin, 0)
            source = np.pad(source, (before, samples - before - len(source)))
            pairs.append(
                augmentation.pair(
                    source, segment_samples=segment_samples, ratio=self.ratio, rng=rng
                )
            )
        low, high = zip(*pairs, strict=True)
        return np.stack(low)[:, :, None], np.stack(high)[:, :, None]


def prepare(
    paths: Iterable[str | os.PathLike],
    *,
    sample_rate_hz: int,
    ratio: int,
    cache_dir: str | os.PathLike | None = None,
    report: Callable[[str], Any] = print,
) -> PatchSource:
    """Decodes audio files into a source of patches, in memory or in files that later runs reuse.

    Each file is decoded, mixed to mono, resampled sharply to `sample_rate_hz`, and low-passed and
    decimated by `ratio` as a whole; see `tonezoo.recipes.data.decoding` for the decoders.

    Args:
        paths: WAV, FLAC, OGG and MP3 files of any rate and number of channels.
        sample_rate_hz: rate of the high-rate signals.
        ratio: high rate over low rate; 1 for signals at one rate, which are kept once.
        cache_dir: folder to keep the decoded signals in (4 (1 + 1/ratio) bytes per high-rate
            sample, 4 at a ratio of 1), from which they are mapped, not loaded. They are decoded
            again when a file, the list of files, the rate or the ratio has changed. None keeps them
            in memory.
        report: called with one line for each file that is skipped, because it cannot be read or is
            shorter than 28 samples.

    Raises:
        ValueError: no file can be used, or the cache cannot be written.

    Example:

    >>> import tempfile
    >>> from tonezoo.recipes.corpus.speech import write_corpus
    >>> paths = write_corpus(tempfile.mkdtemp(), clips=2, segment_s=0.5)
    >>> source = prepare(paths, sample_rate_hz=16_000, ratio=4)
    >>> source.high.shape, source.low.shape
    ((16000,), (4000,))
    """
    files = [Path(path) for path in paths]
    options = {"sample_rate_hz": sample_rate_hz, "ratio": ratio}
    if cache_dir is None:
        high, low, lengths = _end_to_end(decode_clips(files, report=report, **options), ratio)
    else:
        high, low, lengths = cached_clips(cache_dir, files, report=report, **options)
    return PatchSource(high, low, lengths, **options)


def prepare_arrays(
    clips: Mapping[str, np.ndarray] | Iterable[np.ndarray], *, sample_rate_hz: int, ratio: int
) -> PatchSource:
    """Returns a source of patches of signals that are at hand.

    Args:
        clips: signals (time,) or (time, channels) at `sample_rate_hz`, at least 28 samples each;
            of a mapping, its values.
        sample_rate_hz: their rate.
        ratio: high rate over low rate, 1 or more.

    Raises:
        ValueError: no clips, or one of less than 28 samples.

    Example:

    >>> source = prepare_arrays({"tone": np.ones(100)}, sample_rate_hz=8_000, ratio=2)
    >>> source.low.shape
    (50,)
    """
    signals = clips.values() if isinstance(clips, Mapping) else clips
    pairs = [high_and_low(clip, sample_rate_hz, sample_rate_hz, ratio) for clip in signals]
    if not pairs:
        raise ValueError("No clips were given. Give at least one.")
    return PatchSource(*_end_to_end(pairs, ratio), sample_rate_hz=sample_rate_hz, ratio=ratio)


def _end_to_end(
    pairs: Iterable[tuple[np.ndarray, np.ndarray]], ratio: int
) -> tuple[np.ndarray, np.ndarray, list[int]]:
    highs, lows = zip(*pairs, strict=True)
    high = np.concatenate(highs)
    low = high if ratio == 1 else np.concatenate(lows)
    return high, low, [len(low) for low in lows]
