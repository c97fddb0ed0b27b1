"""Separating signals of any length, rate and number of channels into their sources."""

import itertools
from collections.abc import Callable, Iterable, Iterator

import numpy as np

from tonezoo.audio.checks import check_rate_hz, check_signal
from tonezoo.audio.levels import Level, measure
from tonezoo.audio.streaming import (
    in_step,
    map_ahead,
    resampled_blocks,
    triangle,
    trim_or_pad,
    windows,
)
from tonezoo.tasks.separation import SeparationOptions

SHIFT_S = 0.5
# A wide LSTM's weights come from memory for every step: several segments share them.
SEGMENTS_AT_ONCE = 4


class Separator:
    """Separates mixtures with a model, segment by segment.

    The mixture is brought to mean 0 and standard deviation 1 by those of its mono mix, as a whole,
    and the sources back, unless the model takes it as it is. A signal at another rate than the
    model's is resampled there and back. One with the model's number of channels is separated as it
    is; with another number each channel is separated by itself, copied to all of the model's
    channels, whose outputs are averaged.

    Segments start on multiples of `grid_samples`, where the model's striding starts anew, and the
    model gets `context_samples` of what lies around them: what its convolutions make of a sample
    is the same in both segments that hold it, so that the joins are silent. What an LSTM makes of
    it is cross-faded.

    Args:
        call: the model, from normalised (batch, time, channels) float32 to (batch, time, source,
            channels).
        sources: names of the sources.
        channels: of the model.
        sample_rate_hz: rate of the model.
        segment_samples: length of a segment, where none is asked for.
        grid_samples: shift to which the model's convolutions are equivariant.
        context_samples: samples on each side that reach a sample's output through convolutions.
        mixture_level: see `tonezoo.models.base.SeparationModel`.
        name: what to call the model in messages.

    Attributes:
        calls_at_once: how many times the model is called at the same time, in threads.

    Example:

    >>> halves = Separator(
    ...     lambda x: np.stack([0.25 * x, 0.75 * x], axis=2), sources=("soft", "loud"), channels=1,
    ...     sample_rate_hz=8000, segment_samples=800, grid_samples=1, context_samples=0,
    ...     name="halves")
    >>> stems = halves.separate(np.sin(np.arange(4000.0)), 8000)
    >>> stems["soft"].shape, round(float(stems["loud"].max()), 3)
    ((4000,), 0.75)
    """

    task = "separation"

    def __init__(
        self,
        call: Callable[[np.ndarray], np.ndarray],
        *,
        sources: tuple[str, ...],
        channels: int,
        sample_rate_hz: int,
        segment_samples: int,
        grid_samples: int,
        context_samples: int,
        mixture_level: str = "standard",
        name: str,
    ):
        self.sources = tuple(sources)
        self.channels = channels
        self.sample_rate_hz = sample_rate_hz
        self.segment_samples = segment_samples
        self.grid_samples = grid_samples
        self.context_samples = context_samples
        self.mixture_level = mixture_level
        self.name = name
        self.calls_at_once = 1
        self._call = call

    def separate(
        self,
        samples: np.ndarray,
        sample_rate_hz: float,
        options: SeparationOptions | None = None,
    ) -> dict[str, np.ndarray]:
        """Returns the sources of a signal by name, each of its shape.

        Args:
            samples: floating-point mixture, (time,) or (time, channels).
            sample_rate_hz: its rate.
            options: None for the defaults.

        Returns:
            source -> float32 array of the shape of `samples`.

        Raises:
            ValueError: no samples, NaN or infinite ones, integers, more than two axes, or a rate
                at which no audio can be.
        """
        samples = np.asarray(samples)
        check_signal(samples)
        block = samples.astype("float32", copy=False)
        block = block[:, None] if block.ndim == 1 else block
        blocks = self.stream(lambda: [block], sample_rate_hz, options)
        # (time, source, channels) -> (source, time, channels)
        stems = np.concatenate(list(blocks)).swapaxes(0, 1)
        return {
            source: np.ascontiguousarray(stem).reshape(samples.shape)
            for source, stem in zip(self.sources, stems, strict=True)
        }

    def stream(
        self,
        open_blocks: Callable[[], Iterable[np.ndarray]],
        sample_rate_hz: float,
        options: SeparationOptions | None = None,
    ) -> Iterator[np.ndarray]:
        """Yields the sources of a signal that comes in blocks; memory is bounded by the segment.

        Args:
            open_blocks: returns the signal, float32 blocks (time, channels), from its start. It is
                called twice: its level is measured first.
            sample_rate_hz: its rate.
            options: None for the defaults.

        Yields:
            float32 (time, source, channels); together exactly the samples of the signal.

        Raises:
            ValueError: as `separate`.
        """
        options = options or SeparationOptions()
        check_rate_hz(sample_rate_hz)
        length, channels, level = measure(open_blocks())
        if self.mixture_level == "file":
            level = Level(0.0, 1.0)
        as_they_are = channels == self.channels
        signals = 1 if as_they_are else channels

        def normalised():
            for block in open_blocks():
                block = level.normalise(block)
                yield block if as_they_are else np.repeat(block, self.channels, axis=1)

        outputs = self._at_own_rate(normalised(), sample_rate_hz, signals, options)
        outputs = (level.restore(block, len(self.sources)) for block in outputs)
        if not as_they_are:
            outputs = (block.mean(axis=3, keepdims=True) for block in outputs)
        # (time, source, signal, channel) -> (time, source * channels)
        flat: Iterator[np.ndarray] = (
            block.reshape(len(block), -1).astype("float32") for block in outputs
        )
        if sample_rate_hz != self.sample_rate_hz:
            flat = resampled_blocks(flat, self.sample_rate_hz, sample_rate_hz)
        width = len(self.sources) * channels
        for block in trim_or_pad(flat, length, (width,)):
            yield block.reshape(len(block), len(self.sources), channels)

    def _at_own_rate(self, blocks, sample_rate_hz, signals, options):
        """Yields (time, source, signal, channel) of (time, signal * channel), at the own rate."""
        if sample_rate_hz != self.sample_rate_hz:
            blocks = resampled_blocks(blocks, sample_rate_hz, self.sample_rate_hz)
        if not options.shifts:
            return self._overlap_add(blocks, signals, options)
        most = max(round(SHIFT_S * self.sample_rate_hz), options.shifts)
        rng = np.random.default_rng(options.seed)
        offsets = rng.choice(most, options.shifts, replace=False)
        copies = itertools.tee(blocks, options.shifts)
        shifted = [
            self._shifted(copy, int(offset), signals, options)
            for copy, offset in zip(copies, offsets, strict=True)
        ]
        return (np.mean(parts, axis=0) for parts in in_step(shifted))

    def _shifted(self, blocks, offset, signals, options):
        """Yields what `_overlap_add` makes of the signal behind `offset` samples of silence."""
        silence = np.zeros((offset, signals * self.channels), "float32")
        blocks = itertools.chain([silence] if offset else [], blocks)
        done = 0
        for block in self._overlap_add(blocks, signals, options):
            skipped = min(len(block), offset - done)
            done += skipped
            if skipped < len(block):
                yield block[skipped:]

    def _overlap_add(self, blocks, signals, options):
        """Yields (time, source, signal, channel), the cross-faded segments."""
        length, hop = self.segment_and_hop(options)
        context = -(-self.context_samples // self.grid_samples) * self.grid_samples
        weights = triangle(length)
        added = np.zeros((0, len(self.sources), signals, self.channels), "float32")
        divisor = np.zeros(0, "float32")
        cut = windows(blocks, length=length, hop=hop, context=context)
        for first, output in self._computed(cut, length, context, signals):
            size = len(output)
            if not first:
                yield added[:hop] / divisor[:hop, None, None, None]
                added, divisor = added[hop:], divisor[hop:]
            missing = max(0, size - len(added))
            added = np.concatenate([added, np.zeros((missing, *added.shape[1:]), "float32")])
            divisor = np.concatenate([divisor, np.zeros(missing, "float32")])
            added[:size] += weights[:size, None, None, None] * output
            divisor[:size] += weights[:size]
        if len(added):
            yield added / divisor[:, None, None, None]

    def segment_and_hop(self, options: SeparationOptions) -> tuple[int, int]:
        """Returns length and hop of the segments in samples, multiples of the grid."""
        length = self.segment_samples
        if options.segment_s is not None:
            length = max(1, round(options.segment_s * self.sample_rate_hz))
        length = -(-length // self.grid_samples) * self.grid_samples
        hop = round((1 - options.overlap) * length) // self.grid_samples * self.grid_samples
        return length, min(max(hop, self.grid_samples), length)

    def _computed(self, cut, length, context, signals):
        """Yields whether it is the first, and (size, source, signal, channel), of each window.

        The model is called with several windows at once, which are all of one length: where there
        is nothing around a segment, there are zeros. Only a signal that fits into one segment is
        taken without them.
        """
        batches = iter(lambda: list(itertools.islice(cut, SEGMENTS_AT_ONCE)), [])

        def compute(numbered):
            number, batch = numbered
            if number == 0 and len(batch) == 1:
                inputs, skipped = [batch[0][0]], 0
            else:
                inputs, skipped = [], context
                for window, left, size in batch:
                    right = len(window) - left - size
                    after = context - right + length - size
                    inputs.append(np.pad(window, ((context - left, after), (0, 0))))
            outputs = self._model(np.stack(inputs), signals)
            return [
                output[skipped : skipped + size]
                for output, (_, _, size) in zip(outputs, batch, strict=True)
            ]

        computed = map_ahead(compute, enumerate(batches), self.calls_at_once)
        for number, output in enumerate(itertools.chain.from_iterable(computed)):
            yield number == 0, output

    def _model(self, x, signals):
        """Returns (window, time, source, signal, channel) of (window, time, signal * channel)."""
        count, time, _ = x.shape
        x = x.reshape(count, time, signals, self.channels).swapaxes(1, 2)
        # (window, signal, time, channel) -> (window * signal, time, channel)
        x = np.ascontiguousarray(x).reshape(count * signals, time, self.channels)
        y = np.asarray(self._call(x.astype("float32", copy=False)))
        expected = (count * signals, time, len(self.sources), self.channels)
        if y.shape != expected:
            raise ValueError(
                f"{self.name} gave the shape {y.shape} instead of {expected}, so it is not a model "
                f"of {len(self.sources)} sources and {self.channels} channels."
            )
        y = y.reshape(count, signals, *expected[1:])
        # (window, signal, time, source, channel) -> (window, time, source, signal, channel)
        return y.transpose(0, 2, 3, 1, 4)
