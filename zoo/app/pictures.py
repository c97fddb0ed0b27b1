"""Spectrograms for the page, with the lines marked that upsampling may have left."""

from collections.abc import Sequence

import numpy as np

from tonezoo.analysis.artifacts.combs import (
    FRAMES,
    SHORTEST_FFT,
    combs_in_words,
    find_combs,
    frequencies_hz,
)
from tonezoo.analysis.html_page import draw_spectrogram, inline_svg
from tonezoo.analysis.spectrogram import FLOOR_DB, overview_db
from tonezoo.app.answers import Signal

LINE_COLOUR = "#d1605e"
MOST_MARKS = 64
RANGE_DB = 80.0


def loudest_db(signals: Sequence[Signal]) -> float:
    """Returns the highest level in the spectrograms of some signals, for one scale of colours."""
    levels = [float(overview_db(shown_channel(signal)).max()) for signal in signals]
    # Silence is dark.
    return max((level for level in levels if level > FLOOR_DB), default=0.0)


def shown_channel(signal: Signal) -> np.ndarray:
    """Returns the louder channel of a signal, (time,)."""
    return signal.samples[:, int(np.square(signal.samples).mean(axis=0).argmax())]


def lines_of(signal: Signal) -> tuple[list[float], str]:
    """Returns the frequencies in Hz of the steady lines of a signal, and a sentence on them.

    Example:

    >>> noise = 1e-3 * np.random.default_rng(0).standard_normal(65536)
    >>> comb = noise + 4e-3 * (np.arange(65536) % 4 == 0)
    >>> lines_of(Signal("", comb[:, None].astype("float32"), 16_000))[0]
    [8000.0, 4000.0]
    """
    channel = shown_channel(signal)
    if len(channel) < FRAMES * SHORTEST_FFT:
        return [], "too short to look for steady lines."
    combs = find_combs(channel, signal.sample_rate_hz)
    return frequencies_hz(combs)[:MOST_MARKS], combs_in_words(combs)


def spectrogram(signal: Signal, marked_hz: Sequence[float], top_db: float) -> str:
    """Returns the spectrogram of a signal as an <svg> element.

    Args:
        signal: what to draw.
        marked_hz: frequencies to mark at the right edge.
        top_db: level of the lightest colour; the darkest is 80 dB below.

    Raises:
        ImportError: matplotlib is missing; it is in the extra `app`.
    """
    level_db = overview_db(shown_channel(signal)).round()
    seconds, top_hz = len(signal.samples) / signal.sample_rate_hz, signal.sample_rate_hz / 2

    def draw(axes):
        draw_spectrogram(axes, level_db, seconds, top_hz, top_db - RANGE_DB, top_db)
        axes.plot(
            np.full(len(marked_hz), seconds),
            np.array(marked_hz) / 1000,
            "<",
            color=LINE_COLOUR,
            markersize=4,
            clip_on=False,
        )
        axes.set(xlim=(0, seconds), ylim=(0, top_hz / 1000))

    return inline_svg(4.6, 2.4, draw)
