"""Spectrograms and loss curves as SVG that takes its text colour from the page around it."""

from collections.abc import Mapping, Sequence

import numpy as np

from tonezoo.analysis.html_page import COLOUR_MAP, INK, draw_spectrogram, inline_svg
from tonezoo.analysis.spectrogram import FLOOR_DB, spectrogram_db

N_FFT, HOP = 512, 256
# Legible on white and on black.
LINES = (("#4a90d9", "o"), ("#e08020", "s"), ("#2fa36b", "^"), ("#d1605e", "D"), ("#9a7bd0", "v"))


def spectrogram_svg(
    samples: np.ndarray, sample_rate_hz: float, *, top_hz: float, ratio: int = 1
) -> str:
    """Returns the spectrogram of a signal on axes from 0 Hz to `top_hz`, -100 to 0 dB.

    Args:
        samples: signal, (time,).
        sample_rate_hz: its rate; what lies between half of it and `top_hz` stays empty.
        top_hz: upper end of the frequency axis.
        ratio: divides frame and hop, so that a signal of 1/ratio the rate is analysed in frames of
            the same duration.
    """
    n_fft, hop = round(N_FFT / ratio), round(HOP / ratio)
    duration_s, nyquist_hz = len(samples) / sample_rate_hz, sample_rate_hz / 2
    # Zeros at both ends put the middle of frame m at the middle of hop m.
    around = (n_fft - hop) // 2
    padded = np.pad(samples, (around, around + -len(samples) % hop))
    # Steps of 1 dB halve the picture's size.
    picture = spectrogram_db(padded, n_fft=n_fft, hop=hop).round()

    def draw(axes):
        seconds = picture.shape[1] * hop / sample_rate_hz
        draw_spectrogram(axes, picture, seconds, nyquist_hz, FLOOR_DB, 0)
        axes.set(xlim=(0, duration_s), ylim=(0, top_hz / 1000))
        if nyquist_hz < top_hz:
            middle = (duration_s / 2, (nyquist_hz + top_hz) / 2000)
            axes.annotate(f"nothing above {nyquist_hz / 1000:g} kHz", middle, ha="center")

    return inline_svg(2.9, 2.3, draw)


def colour_scale_svg() -> str:
    """Returns the scale of the spectrograms' colours."""

    def draw(axes):
        axes.imshow(
            np.linspace(FLOOR_DB, 0, 256)[None],
            aspect="auto",
            interpolation="none",
            extent=(FLOOR_DB, 0, 0, 1),
            cmap=COLOUR_MAP,
        )
        axes.set(yticks=[], xlabel="level (dB re full-scale sine)")

    return inline_svg(2.9, 0.55, draw)


def loss_curves_svg(log: Sequence[Mapping], curves: Mapping[str, str], *, ylabel: str) -> str:
    """Returns figures of a training log over the steps, with a legend.

    The vertical axis is logarithmic, but for the discriminator's accuracy.

    Args:
        log: lines of `tonezoo.recipes.runs.RunFolder.read_log` of one phase.
        curves: figure's name in the log -> its name in the legend.
        ylabel: of the vertical axis.
    """
    steps = [line["step"] for line in log]

    def draw(axes):
        for (key, label), (colour, marker) in zip(curves.items(), LINES, strict=False):
            values = [line[key] for line in log]
            axes.plot(steps, values, color=colour, marker=marker, label=label, lw=1, ms=2.5)
        axes.set(xlabel="step", ylabel=ylabel)
        axes.set_xlim(left=0)
        if "discriminator_accuracy" not in curves:
            axes.set_yscale("log")
        axes.grid(color=INK, alpha=0.15, linewidth=0.5)
        axes.figure.legend(loc="outside upper left", ncols=2, frameon=False)

    return inline_svg(3.5, 2.7, draw)
