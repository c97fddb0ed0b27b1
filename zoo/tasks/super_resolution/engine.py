"""Running a super-resolution model on signals of any length, whole or in chunks."""

import functools
import warnings
from collections.abc import Callable, Iterable, Iterator

import numpy as np

from tonezoo.audio.checks import check_rate_hz, check_signal
from tonezoo.audio.interpolation import Interpolator, high_pass_taps
from tonezoo.audio.streaming import (
    check_finite,
    chunk_units,
    map_ahead,
    resampled_blocks,
    windows,
)
from tonezoo.tasks.super_resolution import RATE_TOLERANCE_HZ, check_strength


class SuperResolver:
    """Gives a low-rate signal `ratio` times as many samples with a model, whole or in chunks.

    The output of n samples at `low_rate_hz` = sample_rate_hz / ratio has ratio * n samples.
    Chunked output equals whole-file output to the rounding of float32: chunks start where the
    model's striding starts anew (multiples of `grid_samples`) and carry at least
    `context_samples` of signal on both sides, which are cut off from the result.

    What the model makes up can be made softer or louder: of what it adds to an interpolation of its
    input, that which lies above the input's Nyquist frequency is scaled by 10^(s / 20) at a
    strength of s dB. What it corrects below stays. 0 dB is the model as trained, bit by bit.

    Args:
        call: the model, from (batch, time, 1) float32 to (batch, ratio * time, 1).
        ratio: high rate over low rate, 1 or more.
        sample_rate_hz: sample rate of the output.
        grid_samples: the shift in high-rate samples to which the model is equivariant, a multiple
            of `ratio`; lcm(2^L, ratio) for L halvings of the rate.
        context_samples: how many high-rate samples on each side an output sample depends on, at
            most.
        name: what to call the model in messages.
        interpolation: the method of `tonezoo.layers.Interpolate1D` that the model adds to, "cubic"
            or "sinc"; None where it is not known, so that the strength is 0 dB.
        strength_db: of all calls that ask for none, see above; a finite number, at most 20.

    Attributes:
        calls_at_once: how many chunks the model is called with at the same time, in threads.
        call_padded: None, or the model for signals that are padded at their ends, from (batch,
            time, 1) float32 and lengths (batch,) int32 to (batch, ratio * time, 1). Where it is
            set, chunks are padded to a few lengths, so that a server can batch them.

    Raises:
        ValueError: `grid_samples` is not a multiple of `ratio`, or a strength that is no such
            number, or other than 0 without an interpolation.

    Example:

    >>> repeat = SuperResolver(
    ...     lambda x: np.repeat(x, 2, axis=1), ratio=2, sample_rate_hz=16_000, grid_samples=2,
    ...     context_samples=0, name="repeat")
    >>> repeat.enhance(np.array([0.0, 1.0, 0.5]), 8000).tolist()
    [0.0, 0.0, 1.0, 1.0, 0.5, 0.5]

    A model that makes a tone at 8 kHz of silence, at -20 dB:

    >>> tone = SuperResolver(
    ...     lambda x: 0 * np.repeat(x, 2, axis=1) + np.resize([[1], [-1]], (2 * x.shape[1], 1)),
    ...     ratio=2, sample_rate_hz=16_000, grid_samples=2, context_samples=0, name="tone",
    ...     interpolation="cubic", strength_db=-20)
    >>> print(tone.enhance(np.zeros(100), 8000)[100:104].round(3))
    [ 0.1 -0.1  0.1 -0.1]
    """

    task = "super_resolution"

    def __init__(
        self,
        call: Callable[[np.ndarray], np.ndarray],
        *,
        ratio: int,
        sample_rate_hz: int,
        grid_samples: int,
        context_samples: int,
        name: str,
        interpolation: str | None = None,
        strength_db: float = 0.0,
    ):
        if grid_samples < 1 or grid_samples % ratio:
            raise ValueError(
                f"grid_samples is {grid_samples}. Give a positive multiple of the ratio {ratio}, "
                f"so that chunks start on low-rate samples."
            )
        self.ratio = ratio
        self.sample_rate_hz = sample_rate_hz
        self.grid_samples = grid_samples
        self.context_samples = context_samples
        self.name = name
        self.interpolation = interpolation
        self.strength_db = 0.0
        self.strength_db = self._checked_strength(strength_db)
        self.calls_at_once = 1
        self.call_padded: Callable[[np.ndarray, np.ndarray], np.ndarray] | None = None
        self._call = call

    @property
    def low_rate_hz(self) -> float:
        """Sample rate of the model's input, not always a whole number."""
        return self.sample_rate_hz / self.ratio

    def enhance(
        self,
        samples: np.ndarray,
        sample_rate_hz: float,
        *,
        downsample: bool = False,
        strength_db: float | None = None,
    ) -> np.ndarray:
        """Returns the signal at the high rate, computed by one call of the model.

        Args:
            samples: floating-point signal, (time,) or (time, channels), full scale 1. Channels are
                enhanced independently.
            sample_rate_hz: its sample rate. Lower rates than the model's are resampled up to it,
                with a warning.
            downsample: accept a higher rate too, and discard what the model's input cannot hold.
            strength_db: of what the model makes up, see the class; None for its default.

        Returns:
            float32, (ratio * time,) or (ratio * time, channels), time counted after resampling.

        Raises:
            ValueError: no samples, NaN or infinite ones, integers, more than two axes, a sample
                rate above the model's without `downsample`, or an unusable strength.
        """
        samples = np.asarray(samples)
        check_signal(samples)
        notice = self.input_notice(sample_rate_hz, downsample=downsample)
        if notice:
            warnings.warn(notice, stacklevel=2)
        is_mono = samples.ndim == 1
        samples = samples.astype("float32", copy=False)
        block = samples[:, None] if is_mono else samples
        low = self.low_rate_blocks([block], sample_rate_hz, downsample=downsample)
        (high,) = self.stream(low, strength_db=strength_db)
        return high[:, 0] if is_mono else high

    def input_notice(self, sample_rate_hz: float, *, downsample: bool = False) -> str | None:
        """Returns what will be done to an input of this rate, None if it is used as it is.

        Raises:
            ValueError: the rate is above the model's and `downsample` is False, or not positive.
        """
        check_rate_hz(sample_rate_hz)
        if abs(sample_rate_hz - self.low_rate_hz) <= RATE_TOLERANCE_HZ:
            return None
        if sample_rate_hz < self.low_rate_hz:
            return (
                f"Resampled up from {sample_rate_hz:g} Hz to the {self.low_rate_hz:g} Hz that "
                f"{self.name} takes: what lies above {sample_rate_hz / 2:g} Hz is missing."
            )
        if downsample:
            return (
                f"Resampled down from {sample_rate_hz:g} Hz to the {self.low_rate_hz:g} Hz that "
                f"{self.name} takes: what lay above {self.low_rate_hz / 2:g} Hz is made up anew."
            )
        raise ValueError(
            f"The sample rate is {sample_rate_hz:g} Hz, but {self.name} turns {self.low_rate_hz:g} "
            f"Hz into {self.sample_rate_hz} Hz: the signal may already hold what the model would "
            f"make up, above {self.low_rate_hz / 2:g} Hz. Ask for downsampling (--downsample, "
            f"downsample=True) to discard that part first."
        )

    def low_rate_blocks(
        self, blocks: Iterable[np.ndarray], sample_rate_hz: float, *, downsample: bool = False
    ) -> Iterable[np.ndarray]:
        """Returns blocks (time, channels) at the model's input rate, resampled where need be.

        How the signal is cut into blocks makes no difference to their concatenation.

        Raises:
            ValueError: as `input_notice`.
        """
        if self.input_notice(sample_rate_hz, downsample=downsample) is None:
            return blocks
        return resampled_blocks(blocks, sample_rate_hz, self.low_rate_hz)

    def stream(
        self,
        blocks: Iterable[np.ndarray],
        chunk_samples: int | None = None,
        *,
        strength_db: float | None = None,
    ) -> Iterator[np.ndarray]:
        """Yields the high-rate signal of a low-rate one, both as blocks (time, channels).

        No more than a chunk, its context and a block are held in memory. All calls of the model
        but those near the ends have the same shape; channels are the batch.

        Args:
            blocks: the signal at `low_rate_hz`, float32.
            chunk_samples: high-rate samples computed per call of the model, rounded up to the
                grid. None computes the whole signal by one call.
            strength_db: of what the model makes up, see the class; None for its default.

        Raises:
            ValueError: no samples, NaN or infinite ones, `chunk_samples` below 1, or an unusable
                strength.
        """
        gain = 10 ** (self._checked_strength(strength_db) / 20)
        chunk, context = self._low_rate_sizes(chunk_samples, gain)
        longest = None if chunk_samples is None else chunk + 2 * context
        empty = True
        cut = windows(check_finite(blocks), length=chunk, hop=chunk, context=context)
        for output in map_ahead(
            lambda window: self._upsample(*window, gain, longest), cut, self.calls_at_once
        ):
            empty = False
            yield output
        if empty:
            raise ValueError(f"There is nothing to enhance: 0 samples at {self.low_rate_hz:g} Hz.")

    def _checked_strength(self, strength_db):
        """Returns the strength, the default for None."""
        check_strength(strength_db)
        strength_db = self.strength_db if strength_db is None else float(strength_db)
        if strength_db and self.interpolation is None:
            raise ValueError(
                f"{self.name} does not say which interpolation it adds to, so that its strength is "
                "0 dB and no other. Leave the strength out, or export the model again."
            )
        return strength_db

    @functools.cached_property
    def _made_up(self):
        """The interpolation and the high-pass (taps,) that tell what the model makes up."""
        taps = high_pass_taps(1 / self.ratio, self.ratio).astype("float32")
        return Interpolator(self.ratio, self.interpolation), taps

    def _low_rate_sizes(self, chunk_samples, gain):
        context_samples = self.context_samples
        if gain != 1:
            interpolation, high_pass = self._made_up
            around = self.ratio * max(interpolation.context)
            context_samples = max(context_samples, around) + len(high_pass) // 2
        return tuple(
            units * self.grid_samples // self.ratio
            for units in (
                chunk_units(chunk_samples, self.grid_samples),
                -(-context_samples // self.grid_samples),
            )
        )

    def _called(self, low, longest):
        """Returns the model's output for low (batch, time, 1), padded for the call if it may be.

        Args:
            longest: samples of the longest chunk; None where the signal is computed as a whole.
        """
        if self.call_padded is None or longest is None:
            return np.asarray(self._call(low))
        batch, time, _ = low.shape
        padded = longest
        while padded // 2 >= time:
            padded //= 2
        lengths = np.full(batch, time, "int32")
        output = self.call_padded(np.pad(low, ((0, 0), (0, padded - time), (0, 0))), lengths)
        return np.asarray(output)[:, : self.ratio * time]

    def _upsample(self, window, left, size, gain, longest):
        """Returns the output for `size` samples of (time, channels), the first `left` left out."""
        # axes: (time, channels) -> (batch, time, 1)
        low = np.ascontiguousarray(window.T)[..., None]
        output = self._called(low, longest)
        expected = (window.shape[1], self.ratio * len(window), 1)
        if output.shape != expected:
            raise ValueError(
                f"{self.name} gave the shape {output.shape} instead of {expected}, so it is not a "
                f"model of ratio {self.ratio}."
            )
        if gain != 1:
            from scipy.signal import oaconvolve

            interpolation, high_pass = self._made_up
            added = output - interpolation(low)
            made_up = oaconvolve(added, high_pass[:, None][None], mode="same", axes=1)
            output = output - np.float32(1 - gain) * made_up
        return output[:, self.ratio * left : self.ratio * (left + size), 0].T
