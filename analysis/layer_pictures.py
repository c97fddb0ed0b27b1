"""What each upsampling layer does to a constant and to white noise, measured and drawn.

python -m tonezoo.analysis.layer_pictures --out docs/layers.png
"""

import argparse
import os
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tonezoo.analysis.aliasing import aliasing_to_signal_db
from tonezoo.analysis.spectrogram import import_matplotlib
from tonezoo.files import atomic_path

FACTOR = 4
INPUT_RATE_HZ = 4000
LENGTH = 9
SEED = 0
# Every filter of a layer with one input channel is an initialisation of its own.
INITIALISATIONS = 4096
# Input samples: far more than any of the layers reaches.
SAMPLES = 128
SILENT_DB = -60.0
# Of the sine whose images are measured, in cycles per input sample, and the samples of a period.
SINE_FREQUENCY = 0.25
SINE_PERIOD_SAMPLES = 127

Initializer = Callable | str


def layers() -> dict[str, Callable[[Initializer], Callable]]:
    """Returns title -> function from an initializer to the layer, of factor 4."""
    from tonezoo.layers import SubpixelConv1D, TransposedConv1D, upsampler

    def transposed(length):
        return lambda kernel: TransposedConv1D(
            INITIALISATIONS, length, FACTOR, kernel_initializer=kernel
        )

    def subpixel(icnr):
        return lambda kernel: SubpixelConv1D(
            INITIALISATIONS, 3, FACTOR, icnr=icnr, kernel_initializer=kernel
        )

    def interpolated(method):
        return lambda kernel: upsampler(
            method, INITIALISATIONS, LENGTH, FACTOR, kernel_initializer=kernel
        )

    return {
        "transposed, no overlap (length 4)": transposed(FACTOR),
        "transposed, full overlap (8)": transposed(2 * FACTOR),
        "transposed, partial overlap (6)": transposed(6),
        "subpixel, random start": subpixel(icnr=False),
        "subpixel, ICNR start": subpixel(icnr=True),
        "stretch + convolution": interpolated("stretch"),
        "nearest + convolution": interpolated("nearest"),
        "linear + convolution": interpolated("linear"),
        "cubic + convolution": interpolated("cubic"),
        "sinc + convolution": interpolated("sinc"),
        "kaiser + convolution": interpolated("kaiser"),
    }


@dataclass(frozen=True, kw_only=True)
class Behaviour:
    """What a layer makes of ones and of white noise, root-mean-square over initialisations.

    Attributes:
        tones_db: for ones, amplitude at the multiples of the input's rate up to half the output's,
            re the output's constant part; -inf where there is none.
        constant_tones_db: the same with a kernel of ones.
        noise_db: for white noise, the output's power spectrum from 0 Hz to half its rate, re its
            value at 0 Hz. It is |H|^2, H the Fourier transform of the output for an impulse: the
            layers are linear, and answer to every sample alike.
        aliasing_db: for a sine in the middle of the input's band, its images re itself, see
            `tonezoo.analysis.aliasing.aliasing_to_signal_db`.
    """

    tones_db: np.ndarray
    constant_tones_db: np.ndarray
    noise_db: np.ndarray
    aliasing_db: float


def measure(make: Callable[[Initializer], Callable]) -> Behaviour:
    """Measures a layer of `layers`, its kernels drawn from a fixed seed."""
    import keras

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of overlaps that are only partial, on purpose
        layer = make(keras.initializers.GlorotUniform(seed=SEED))
        constant = make("ones")
    impulse = np.zeros(SAMPLES)
    impulse[SAMPLES // 2] = 1
    power = np.mean(np.abs(np.fft.rfft(respond(layer, impulse), axis=0)) ** 2, axis=1)
    return Behaviour(
        tones_db=tones_db(layer),
        constant_tones_db=tones_db(constant),
        noise_db=10 * np.log10(np.maximum(power / power[0], 1e-10)),
        aliasing_db=aliasing_to_signal_db(
            lambda samples: respond(layer, samples),
            frequency=SINE_FREQUENCY,
            factor=FACTOR,
            period_samples=SINE_PERIOD_SAMPLES,
        ),
    )


def respond(layer: Callable, samples: np.ndarray) -> np.ndarray:
    """Returns the output of a layer for a signal (time,), (time * factor, filters), float64."""
    return np.asarray(layer(samples[None, :, None].astype("float32")))[0].astype("float64")


def tones_db(layer: Callable) -> np.ndarray:
    """Returns amplitudes at the multiples of the input's rate for ones, re the constant part."""
    middle = respond(layer, np.ones(SAMPLES))[FACTOR * SAMPLES // 2 :][:FACTOR]
    power = np.mean(np.abs(np.fft.rfft(middle, axis=0)) ** 2, axis=1)
    # A cosine is two lines, but for the one at half the rate.
    power[1 : (FACTOR + 1) // 2] *= 4
    ratio = power[1:] / power[0]
    # Below the rounding of float32 there is nothing.
    return 10 * np.log10(ratio, out=np.full(len(ratio), -np.inf), where=ratio > 1e-10)


def save_picture(path: str | os.PathLike, behaviours: Mapping[str, Behaviour]) -> None:
    """Writes a PNG with a panel for each layer.

    Args:
        path: file to write.
        behaviours: title -> what was measured.

    Raises:
        ValueError: the file cannot be written.
        ImportError: matplotlib is missing.
    """
    figure = import_matplotlib().figure.Figure(figsize=(9, 8.2), layout="constrained")
    rows = -(-len(behaviours) // 3)
    panels = figure.subplots(rows, 3, sharex=True, sharey=True).ravel()
    for panel, (title, behaviour) in zip(panels, behaviours.items(), strict=False):
        draw(panel, behaviour)
        panel.set_title(f"{title}\n{tones_in_words(behaviour)}", fontsize=9.5)
    for unused in panels[len(behaviours) :]:
        unused.axis("off")
    for lowest in panels[len(behaviours) - 3 : len(behaviours)]:
        lowest.tick_params(labelbottom=True)
    figure.supxlabel(f"frequency (kHz), {INPUT_RATE_HZ / 1000:g} kHz in", fontsize=9.5)
    figure.supylabel("level (dB re 0 Hz)", fontsize=9.5)
    handles, labels = panels[0].get_legend_handles_labels()
    legend = figure.legend(
        handles, labels, loc="center", bbox_to_anchor=(0.84, 0.14), frameon=False, fontsize=9.5
    )
    legend.set_in_layout(False)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", dpi=160)


def draw(panel, behaviour: Behaviour) -> None:
    """Draws a layer's answers to noise and to ones on the axes of a panel."""
    top_khz = FACTOR * INPUT_RATE_HZ / 2000
    multiples_khz = INPUT_RATE_HZ / 1000 * np.arange(1, FACTOR // 2 + 1)
    tones_db, constant_tones_db = (
        np.where(levels_db < SILENT_DB, np.nan, levels_db)
        for levels_db in (behaviour.tones_db, behaviour.constant_tones_db)
    )
    panel.axvspan(0, INPUT_RATE_HZ / 2000, color="0.92", label="the band of the input")
    panel.plot(
        np.linspace(0, top_khz, len(behaviour.noise_db)),
        behaviour.noise_db,
        color="#2b6cb0",
        label="white noise in: spectrum out",
    )
    panel.vlines(multiples_khz, SILENT_DB, tones_db, color="#c53030", lw=2)
    panel.plot(
        multiples_khz, tones_db, "o", color="#c53030", label="ones in, random kernels: tones out"
    )
    panel.plot(
        multiples_khz, constant_tones_db, "kx", ms=7, label="ones in, kernels of ones: tones out"
    )
    # The last tone lies on the right edge.
    panel.set(
        xlim=(0, 1.03 * top_khz), ylim=(SILENT_DB, 12), xticks=range(0, round(top_khz) + 1, 2)
    )


def tones_in_words(behaviour: Behaviour) -> str:
    """Returns the levels of the tones from random kernels.

    Example:

    >>> silent = np.array([-np.inf, -np.inf])
    >>> tones_in_words(
    ...     Behaviour(
    ...         tones_db=np.array([2.5, 0]),
    ...         constant_tones_db=silent,
    ...         noise_db=silent,
    ...         aliasing_db=0,
    ...     )
    ... )
    'tones: 2 and 0 dB'
    """
    heard = [str(round(level)) for level in behaviour.tones_db if level > SILENT_DB]
    return f"tones: {' and '.join(heard)} dB" if heard else "no tones"


def main() -> None:
    """Measures all layers, prints the figures behind the picture, and draws it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="PNG to write")
    out = parser.parse_args().out
    from tonezoo.terminal import fail, import_keras

    import_keras()
    behaviours = {title: measure(make) for title, make in layers().items()}
    for title, behaviour in behaviours.items():
        nyquist = len(behaviour.noise_db) // FACTOR
        print(
            f"{title}: {tones_in_words(behaviour)}; noise "
            f"{behaviour.noise_db[nyquist]:.1f} dB at the input's Nyquist frequency; images of a "
            f"sine {behaviour.aliasing_db:.1f} dB"
        )
    try:
        save_picture(out, behaviours)
    except (ValueError, ImportError) as error:
        fail(str(error))


if __name__ == "__main__":
    main()
