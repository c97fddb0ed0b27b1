"""Training data of source separation: tracks of stems, and batches of augmented mixtures."""

import contextlib
import functools
import hashlib
import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tonezoo.audio.levels import measure
from tonezoo.audio.reader import AudioReader
from tonezoo.audio.resampling import resample
from tonezoo.files import atomic_path
from tonezoo.recipes.data.batches import Batches, stateless_batches
from tonezoo.recipes.data.tracks import fit_channels, plays_in_place, read_track, source_files

EQUALISER_KNOTS = 7
# Of the equaliser, re the Nyquist frequency: 43 Hz at 44.1 kHz.
LOWEST_OF_BAND = 2.0**-9
# Of a source's samples, the mixture of its whole track having standard deviation 1.
SILENT_BELOW = 0.01


@dataclass(frozen=True, kw_only=True)
class StemAugmentation:
    """Random changes of the sources before they are mixed, in this order.

    Attributes:
        flip: change the sign of each example's sources, each with probability 1/2.
        swap: exchange left and right of each example's sources, each with probability 1/2.
        shift_samples: each example's sources start up to this much later, each by itself.
        gain: multiply each by a number from `least_gain` to `largest_gain`.
        least_gain, largest_gain: 0.25 and 1.25 as later versions of the Demucs package.
        max_speed_change: play each up to this share faster or slower, its pitch following.
        equaliser_db: standard deviation of the gain at each of 7 frequencies, spread evenly over
            the logarithm of the band and joined by straight lines.
        remix_group: mix the sources of so many examples anew, each source permuted by itself; 1 to
            keep the mixtures. The last group of a batch may be smaller.
        fill_silence: probability with which a source that is silent in an example is replaced by
            one of its group that sounds: where many songs lack a source, it is heard all the same.

    Source: Défossez et al. 2019, section 5; the gain came with later versions of the package.

    Raises:
        ValueError: a negative shift or deviation, a speed or gain that could become 0, a
            probability out of 0 to 1, or a group of none.
    """

    flip: bool = True
    swap: bool = True
    shift_samples: int = 44_100
    gain: bool = False
    least_gain: float = 0.25
    largest_gain: float = 1.25
    max_speed_change: float = 0.0
    equaliser_db: float = 0.0
    remix_group: int = 4
    fill_silence: float = 0.0

    def __post_init__(self):
        if self.shift_samples < 0 or self.remix_group < 1:
            raise ValueError(
                "The shift must be 0 samples or more and the remix group 1 or more, but they are "
                f"{self.shift_samples} and {self.remix_group}."
            )
        if not 0 < self.least_gain <= self.largest_gain:
            raise ValueError(
                "The least gain must be above 0 and the largest not below it, but they are "
                f"{self.least_gain} and {self.largest_gain}."
            )
        if not 0 <= self.max_speed_change < 1 or self.equaliser_db < 0:
            raise ValueError(
                "The change of speed must be at least 0 and below 1 and the equaliser's deviation "
                f"0 dB or more, but they are {self.max_speed_change} and {self.equaliser_db}."
            )
        if not 0 <= self.fill_silence <= 1:
            raise ValueError(
                f"The probability of filling silence must be 0 to 1, but is {self.fill_silence}."
            )

    def source_samples(self, samples: int) -> int:
        """Returns how many samples of a source `apply` needs for so many."""
        return math.ceil(samples * (1 + self.max_speed_change)) + self.shift_samples

    def apply(self, crops: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Returns the augmented sources, shorter by the shift and by what a faster one uses up.

        Args:
            crops: (batch, source, source_samples(time), channel), not changed.
            rng: what is random.

        Returns:
            (batch, source, time, channel).

        Example:

        >>> crops = np.arange(24.0).reshape(2, 1, 6, 2)
        >>> augmentation = StemAugmentation(shift_samples=4)
        >>> augmentation.apply(crops, np.random.default_rng(0)).shape
        (2, 1, 2, 2)
        """
        batch, sources, samples, channels = crops.shape
        samples = math.floor((samples - self.shift_samples) / (1 + self.max_speed_change))
        each = (batch, sources)
        signs = rng.choice((-1.0, 1.0), each) if self.flip else np.ones(each)
        swapped = rng.random(each) < 0.5 if self.swap and channels == 2 else np.zeros(each, bool)
        offsets = rng.integers(self.shift_samples + 1, size=each)
        limits = self.least_gain, self.largest_gain
        gains = rng.uniform(*limits, each) if self.gain else np.ones(each)
        # Drawn where it is on alone: without it the random numbers stay those of earlier runs.
        change = self.max_speed_change
        speeds = rng.uniform(1 - change, 1 + change, each) if change else np.ones(each)
        result = np.empty((batch, sources, samples, channels), "float32")
        for start in range(0, batch, self.remix_group):
            group = min(self.remix_group, batch - start)
            for source in range(sources):
                examples = start + rng.permutation(group)
                if self.fill_silence:
                    examples = self._filled(examples, crops[:, source], rng)
                for row, example in enumerate(examples, start):
                    offset = offsets[example, source]
                    signal = crops[example, source, offset:]
                    signal = played(signal, speeds[example, source], samples)
                    if self.equaliser_db:
                        signal = equalised(signal, self.equaliser_db, rng)
                    if swapped[example, source]:
                        signal = signal[:, ::-1]
                    factor = signs[example, source] * gains[example, source]
                    np.multiply(signal, np.float32(factor), out=result[row, source])
        return result

    def _filled(self, examples, crops, rng) -> np.ndarray:
        """Returns the examples of a group, some silent ones replaced by some that sound."""
        sounds = np.array([np.abs(crops[example]).max() > SILENT_BELOW for example in examples])
        if sounds.all() or not sounds.any():
            return examples
        replaced = ~sounds & (rng.random(len(examples)) < self.fill_silence)
        return np.where(replaced, rng.choice(examples[sounds], len(examples)), examples)


def played(signal: np.ndarray, speed: float, samples: int) -> np.ndarray:
    """Returns the first `samples` of (time, channel), played so much faster, zeros at its end."""
    if speed == 1:
        return signal[:samples]
    used = np.ascontiguousarray(signal[: math.ceil(samples * speed)])
    faster = resample(used, 1000 * speed, 1000)[:samples]
    return np.pad(faster, ((0, samples - len(faster)), (0, 0)))


def equalised(signal: np.ndarray, deviation_db: float, rng: np.random.Generator) -> np.ndarray:
    """Returns (time, channel) through a random zero-phase equaliser."""
    spectrum = np.fft.rfft(signal, axis=0)
    knots = np.linspace(np.log2(LOWEST_OF_BAND), 0, EQUALISER_KNOTS)
    gain_db = np.interp(
        _octaves(len(spectrum)), knots, rng.normal(0, deviation_db, EQUALISER_KNOTS)
    )
    spectrum *= 10 ** (gain_db[:, None] / 20)
    return np.fft.irfft(spectrum, len(signal), axis=0)


@functools.lru_cache(maxsize=4)
def _octaves(bins: int) -> np.ndarray:
    """Returns the frequencies of a spectrum in octaves re the Nyquist frequency, (bins,)."""
    return np.log2(np.maximum(np.linspace(0, 1, bins), LOWEST_OF_BAND))


NONE = StemAugmentation(flip=False, swap=False, shift_samples=0, remix_group=1)


class ArrayTrack:
    """A track in memory, or mapped into it.

    Args:
        stems: (source, time, channel) float32.
    """

    def __init__(self, stems: np.ndarray):
        self.stems = stems
        self.samples, _, self.level = measure([stems.sum(axis=0, dtype="float64")])

    def read(self, start: int, samples: int) -> np.ndarray:
        """Returns (source, samples, channel) from a position on; fewer at the end."""
        return self.stems[:, start : start + samples]


class FileTrack:
    """A track in uncompressed or FLAC files of one length and rate, read where it is needed.

    Args:
        files: of the sources, in order.
        channels: of the result, see `fit_channels`.

    Raises:
        ValueError: a file is damaged, by name: all of them are read once.
    """

    def __init__(self, files: Sequence[Path], channels: int):
        self.files, self.channels = tuple(files), channels
        with contextlib.ExitStack() as stack:
            readers = [stack.enter_context(AudioReader(path)) for path in self.files]
            mixture = (
                sum(
                    (fit_channels(b, channels, files[0].parent).astype("float64") for b in blocks),
                    np.zeros(()),
                )
                for blocks in zip(*(reader.blocks() for reader in readers), strict=True)
            )
            self.samples, _, self.level = measure(mixture)

    def read(self, start: int, samples: int) -> np.ndarray:
        """Returns (source, samples, channel) from a position on; fewer at the end."""
        stems = []
        for path in self.files:
            with AudioReader(path) as audio:
                stems.append(fit_channels(audio.read_at(start, samples), self.channels, path))
        return np.stack(stems)


class StemSource:
    """Tracks, from which augmented batches of mixtures and their sources are drawn.

    Every source of a track is brought to (x - mean) / std of the track's mono mix, as in the
    original: the mixture then has standard deviation 1, and next to no mean. Tracks shorter than a
    crop are silent to its end.

    Args:
        tracks: `ArrayTrack` or `FileTrack`, at least one.
        sample_rate_hz: their rate.

    Example:

    >>> rng = np.random.default_rng(0)
    >>> stems = {"a": {"drums": rng.normal(size=(800, 2)), "vocals": rng.normal(size=(800, 2))}}
    >>> source = arrays_source(stems, sources=("drums", "vocals"), sample_rate_hz=8000)
    >>> batches = source.batches(
    ...     segment_samples=100, target_samples=80, batch_size=4, seed=0, augmentation=NONE)
    >>> mixture, targets = next(iter(batches))
    >>> tuple(mixture.shape), tuple(targets.shape)
    ((4, 100, 2), (4, 80, 2, 2))
    """

    def __init__(self, tracks: Sequence[ArrayTrack | FileTrack], *, sample_rate_hz: int):
        self.tracks = tuple(tracks)
        self.sample_rate_hz = sample_rate_hz

    @property
    def summary(self) -> str:
        minutes = sum(track.samples for track in self.tracks) / self.sample_rate_hz / 60
        return f"{len(self.tracks)} tracks, {minutes:.1f} min of audio"

    @property
    def fingerprint(self) -> str:
        """A short hash of the tracks' lengths and levels."""
        facts = [(track.samples, f"{track.level.std:.6g}") for track in self.tracks]
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]

    def crop_count(self, crop_samples: int, stride_samples: int) -> int:
        """Returns how many crops there are, `stride_samples` apart: an epoch."""
        return sum(
            max(0, track.samples - crop_samples) // stride_samples + 1 for track in self.tracks
        )

    def batches(
        self,
        *,
        segment_samples: int,
        target_samples: int,
        batch_size: int,
        seed: int,
        start_step: int = 0,
        augmentation: StemAugmentation,
    ) -> Batches:
        """Returns endless batches, of which batch k depends on `seed` and k alone.

        Crops of segment and shift start anywhere in any track, all positions equally likely.

        Args:
            segment_samples: length of the mixtures.
            target_samples: length of the targets, the middle of the mixtures' time.
            batch_size: examples in a batch, over all replicas.
            seed: 0 or more.
            start_step: the number of the first batch.
            augmentation: how the sources are changed before they are mixed.

        Returns:
            batches of mixtures (batch, segment, channel) and targets (batch, target, source,
            channel), float32; the mixture is the sum of the sources.
        """
        crop_samples = augmentation.source_samples(segment_samples)
        positions = [max(0, track.samples - crop_samples) + 1 for track in self.tracks]
        ends = np.cumsum(positions)
        skipped = (segment_samples - target_samples) // 2

        def draw(step):
            rng = np.random.default_rng((seed, int(step)))
            chosen = rng.integers(ends[-1], size=batch_size)
            numbers = np.searchsorted(ends, chosen, side="right")
            crops = np.stack(
                [
                    self._crop(
                        self.tracks[number], place - (ends - positions)[number], crop_samples
                    )
                    for number, place in zip(numbers, chosen, strict=True)
                ]
            )
            stems = augmentation.apply(crops, rng)
            # (batch, source, time, channel) -> (batch, time, source, channel)
            targets = stems[:, :, skipped : skipped + target_samples].swapaxes(1, 2)
            return stems.sum(axis=1), np.ascontiguousarray(targets)

        sources, _, channels = self.tracks[0].read(0, 1).shape
        shapes = (
            (batch_size, segment_samples, channels),
            (batch_size, target_samples, sources, channels),
        )
        return stateless_batches(draw, shapes, start_step)

    @staticmethod
    def _crop(track, start, samples):
        stems = track.level.normalise(track.read(int(start), samples))
        return np.pad(stems, ((0, 0), (0, samples - stems.shape[1]), (0, 0)))


def arrays_source(
    tracks: Mapping[str, Mapping[str, np.ndarray]], *, sources: Sequence[str], sample_rate_hz: int
) -> StemSource:
    """Returns the source of tracks that are at hand: name -> source -> (time, channels)."""
    stacked = [
        ArrayTrack(np.stack([stems[s] for s in sources]).astype("float32"))
        for stems in tracks.values()
    ]
    return StemSource(stacked, sample_rate_hz=sample_rate_hz)


def tracks_source(
    paths: Iterable[Path],
    *,
    sources: Sequence[str],
    sample_rate_hz: int,
    channels: int,
    cache_dir: Path | None = None,
    report: Callable[[str], Any] = print,
) -> StemSource:
    """Returns the source of tracks in files.

    WAV, FLAC, AIFF and W64 at the rate are read where they lie, a crop at a time. Other tracks,
    stem files above all, are decoded once, into memory or into a folder for later runs.

    Args:
        paths: tracks of `tonezoo.recipes.data.tracks.find_tracks`.
        sources: names of the sources.
        sample_rate_hz: rate of the source.
        channels: channels of the source.
        cache_dir: folder for what is decoded (4 bytes per sample); None for memory.
        report: called with a line for each track that is skipped: a source is missing, a file is
            damaged, the channels do not fit.

    Raises:
        ValueError: no track can be used.
        ImportError: stem files without what decodes them.
    """
    options: dict[str, Any] = {
        "sources": tuple(sources),
        "sample_rate_hz": sample_rate_hz,
        "channels": channels,
    }
    tracks: list[ArrayTrack | FileTrack] = []
    problems = []
    for path in map(Path, paths):
        try:
            if plays_in_place(path, sources, sample_rate_hz):
                files = list(source_files(path, sources).values())
                tracks.append(FileTrack(files, channels))
            elif cache_dir is None:
                tracks.append(ArrayTrack(read_track(path, report=report, **options)))
            else:
                tracks.append(ArrayTrack(_cached(path, Path(cache_dir), options, report)))
        except ValueError as error:
            problems.append(f"Skipped: {error}")
            report(problems[-1])
    if not tracks:
        raise ValueError(f"None of the {len(problems)} tracks can be used. {problems[0]}")
    return StemSource(tracks, sample_rate_hz=sample_rate_hz)


def _cached(track: Path, cache_dir: Path, options: dict, report) -> np.ndarray:
    """Returns the decoded track, mapped from a file that is written if it is not there yet."""
    files = sorted(track.iterdir()) if track.is_dir() else [track]
    status = [(str(f.absolute()), f.stat().st_size, f.stat().st_mtime_ns) for f in files]
    text = json.dumps([status, options])
    key = hashlib.sha256(text.encode()).hexdigest()[:16]
    target = cache_dir / f"stems-{key}.npy"
    if not target.exists():
        stems = read_track(track, report=report, **options)
        with atomic_path(target) as temporary:
            np.save(temporary, stems)
    return np.load(target, mmap_mode="r")
