"""Figures 6, 7, 8 and 10: three upsampling layers of factor 2 on top of each other."""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

from tonezoo.analysis.figures.kernels import PAPER
from tonezoo.analysis.figures.material import Material
from tonezoo.analysis.figures.panels import Figure, Spectrogram, rounded
from tonezoo.analysis.figures.spectra import Spectrum, levels_db, panel, reference
from tonezoo.analysis.figures.starts import SEED, after_each, noise, pytorch_start, seeded

INPUT_RATE_HZ = 4000
SAMPLES = 12_000
LAYERS = 3
OUTPUT_RATE_HZ = INPUT_RATE_HZ * 2**LAYERS
# The multiples of the input's rate up to half of the output's.
MULTIPLES_HZ = tuple(range(INPUT_RATE_HZ, OUTPUT_RATE_HZ // 2 + 1, INPUT_RATE_HZ))
INTERPOLATED_LENGTH, SUBPIXEL_LENGTH, TRANSPOSED_LENGTH = 9, 3, 4


def interpolated(method: str) -> list[Callable]:
    """Returns three layers: interpolation by 2, half-pixel grid, and a convolution of length 9."""
    from tonezoo.layers import InterpolatedConv1D

    return [
        InterpolatedConv1D(
            1, INTERPOLATED_LENGTH, 2, method, ends="zeros", **pytorch_start(INTERPOLATED_LENGTH)
        )
        for _ in range(LAYERS)
    ]


def linear() -> list[Callable]:
    """Returns three layers: linear interpolation by 2, half-pixel grid, without convolution."""
    from tonezoo.layers import Interpolate1D

    return [Interpolate1D(2, "linear") for _ in range(LAYERS)]


def subpixel() -> list[Callable]:
    """Returns three subpixel convolutions of length 3 by 2, phases that start independently."""
    from tonezoo.layers import SubpixelConv1D

    return [
        SubpixelConv1D(1, SUBPIXEL_LENGTH, 2, icnr=False, **pytorch_start(SUBPIXEL_LENGTH))
        for _ in range(LAYERS)
    ]


def transposed() -> list[Callable]:
    """Returns three transposed convolutions of length 4 and stride 2, without padding."""
    from tonezoo.layers import TransposedConv1D

    return [
        TransposedConv1D(
            1, TRANSPOSED_LENGTH, 2, padding="valid", **pytorch_start(TRANSPOSED_LENGTH)
        )
        for _ in range(LAYERS)
    ]


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Stack:
    """A signal and what it is after each of the layers: levels re the largest of the input.

    Attributes:
        samples: (time,) of the input and after each layer.
        level_db: (1025, frames) of the same.
    """

    samples: list[np.ndarray]
    level_db: list[np.ndarray]

    @property
    def output(self) -> Spectrum:
        """The spectrum after the last layer."""
        return Spectrum(self.level_db[-1], OUTPUT_RATE_HZ)

    def panels(self, title: str) -> tuple[Spectrogram, ...]:
        """Returns the panels of the input and after each layer."""
        titles = [f"{title}: input", *(f"after layer {n}" for n in range(1, LAYERS + 1))]
        return tuple(
            panel(title, level_db, INPUT_RATE_HZ * 2**n)
            for n, (title, level_db) in enumerate(zip(titles, self.level_db, strict=True))
        )


def stack(
    make: Callable[[], Sequence[Callable]],
    samples: np.ndarray,
    seed: int = SEED,
    *,
    center: bool = False,
) -> Stack:
    """Returns what three layers, drawn from a seed, make of a signal (time,) at 4 kHz.

    >>> ones = stack(subpixel, np.ones(12_000))
    >>> [len(samples) for samples in ones.samples], ones.output.tones_hz()
    ([12000, 24000, 48000, 96000], [4000.0, 8000.0, 12000.0, 16000.0])
    """
    with seeded(seed):
        signals = after_each(make(), samples)
    largest = reference(samples)
    level_db = [levels_db(samples, largest, center=True)]
    level_db += [levels_db(signal, largest, center=center) for signal in signals]
    return Stack(samples=[samples, *signals], level_db=level_db)


def tones(spectrum: Spectrum) -> dict[str, float]:
    """Returns the levels of the tones, by frequency in Hz."""
    return {f"{hz:g}": spectrum.at_db(hz) for hz in spectrum.tones_hz()}


def filtering(spectrum: Spectrum) -> dict:
    """Returns what is left of the input's band and of its images, and of the valleys between."""
    half = INPUT_RATE_HZ // 2
    bands = range(0, OUTPUT_RATE_HZ // 2, half)
    return {
        "median_db": spectrum.median_db,
        "bands_db": {f"{low}-{low + half}": spectrum.band_db(low, low + half) for low in bands},
        "valleys_db": {str(hz): spectrum.at_db(hz) for hz in MULTIPLES_HZ},
        "valleys_stand_out_db": {str(hz): spectrum.stands_out_db(hz) for hz in MULTIPLES_HZ},
    }


def figure_6(material: Material | None = None, seed: int = SEED) -> Figure:
    """Returns Figure 6: interpolation and convolution, of music and of noise."""
    material = material or Material()
    nearest = stack(lambda: interpolated("nearest"), material.music(INPUT_RATE_HZ), seed)
    smooth = stack(lambda: interpolated("linear"), noise(SAMPLES, seed), seed)
    numbers = {"nearest": filtering(nearest.output), "linear": filtering(smooth.output)}
    return Figure(
        name="6",
        title=f"{PAPER}, Figure 6",
        caption="Interpolation makes no tones. It is a low-pass, and not a sharp one: images of "
        "the input's band remain above it, ever softer, with valleys at the multiples of the "
        "input's rate, 4 kHz, and the treble of the band itself is lost. Linear interpolation "
        "takes more of both than nearest-neighbour interpolation. Top: nearest neighbour, "
        "music. Bottom: linear, white noise.",
        findings=tuple(_filtering_sentence(kind, found) for kind, found in numbers.items()),
        numbers=rounded(numbers),
        set_up="Three times: interpolation by 2 on the half-pixel grid, convolution 1 to 1 of "
        f"length 9 with zero padding and bias. 4 to 32 kHz; music: {material.clip_name}; uniform "
        "noise.",
        seed=seed,
        rows=(nearest.panels("nearest, music"), smooth.panels("linear, noise")),
    )


def figure_7(material: Material | None = None, seed: int = SEED) -> Figure:
    """Returns Figure 7: subpixel convolutions and a constant."""
    found = stack(subpixel, np.ones(SAMPLES), seed)
    return Figure(
        name="7",
        title=f"{PAPER}, Figure 7",
        caption="Each phase of a subpixel convolution has weights and a bias of its own, so that "
        "a constant comes out as a tone at the layer's input rate; the layers after it repeat the "
        "tone and add their own. After three layers there is one at every multiple of 4 kHz.",
        findings=(_tones_sentence(found.output),),
        numbers=rounded({"tones_db": tones(found.output)}),
        set_up="12,000 ones at 4 kHz; three subpixel convolutions by 2, length 3, zero padding, "
        "bias, phases drawn independently.",
        seed=seed,
        rows=(found.panels("subpixel, ones"),),
    )


def figure_8(material: Material | None = None, seed: int = SEED) -> Figure:
    """Returns Figure 8: transposed convolutions of ones, linear interpolation of noise."""
    tonal = stack(transposed, np.ones(SAMPLES), seed)
    smooth = stack(linear, noise(SAMPLES, seed), seed)
    return Figure(
        name="8",
        title=f"{PAPER}, Figure 8",
        caption="Top: transposed convolutions make a tone of a constant, the layers after them "
        "repeat it: tonal artifacts. Bottom: linear interpolation, without any weights, attenuates "
        "what lies above the input's band, and the upper part of the band too: filtering "
        "artifacts.",
        findings=(
            _tones_sentence(tonal.output),
            _filtering_sentence("linear", filtering(smooth.output)),
        ),
        numbers=rounded(
            {"transposed": {"tones_db": tones(tonal.output)}, "linear": filtering(smooth.output)}
        ),
        set_up="Top: 12,000 ones at 4 kHz; three transposed convolutions of length 4, stride 2, no "
        "padding, bias: 24,002, 48,006 and 96,014 samples. Bottom: uniform noise; three times "
        "linear interpolation by 2 on the half-pixel grid, no convolution.",
        seed=seed,
        rows=(tonal.panels("transposed, ones"), smooth.panels("linear, noise")),
    )


def figure_10(material: Material | None = None, seed: int = SEED) -> Figure:
    """Returns Figure 10: what the padding of the transform adds to a picture."""
    without, padded = (
        stack(transposed, np.ones(SAMPLES), seed, center=center) for center in (False, True)
    )
    numbers = {
        name: {
            "tones_db": tones(found.output),
            "first_frame_db": float(np.median(found.level_db[-1][:, 0])),
            "middle_frame_db": float(np.median(found.level_db[-1][:, 90])),
        }
        for name, found in (("without padding", without), ("with padding", padded))
    }
    first, other = (found["first_frame_db"] for found in numbers.values())
    return Figure(
        name="10",
        title=f"{PAPER}, Figure 10",
        caption="The top of Figure 8 by two transforms: without padding (above) all frames lie "
        "within the signal; with frames centred on their time (below) the first and last reach "
        "beyond it, and the steps to the zeros there are spread over all frequencies. These "
        "vertical lines come from the transform, not from the layers.",
        findings=(
            f"Median of the first frame: {first:.0f} dB without padding, {other:.0f} dB with it.",
        ),
        numbers=rounded(numbers),
        set_up="12,000 ones at 4 kHz; three transposed convolutions of length 4, stride 2, no "
        "padding, bias. librosa's center=False and True; the input always centred.",
        seed=seed,
        rows=tuple(
            tuple(
                dataclasses.replace(panel, title=f"{panel.title}, {name}")
                for panel in found.panels("ones")[1:]
            )
            for name, found in (("without padding", without), ("with padding", padded))
        ),
    )


def _tones_sentence(spectrum: Spectrum) -> str:
    levels = ", ".join(
        f"{hz / 1000:g} kHz {spectrum.at_db(hz):.0f} dB" for hz in spectrum.tones_hz()
    )
    return f"Tones after the last layer: {levels}."


def _filtering_sentence(kind: str, found: dict) -> str:
    bands = found["bands_db"]
    valleys = ", ".join(f"{level:.0f}" for level in found["valleys_db"].values())
    return (
        f"{kind.capitalize()}: median {bands['0-2000']:.0f} dB in the input's band, "
        f"{bands['2000-4000']:.0f} dB from 2 to 4 kHz, {bands['14000-16000']:.0f} dB from 14 to 16 "
        f"kHz; {valleys} dB at 4, 8, 12 and 16 kHz."
    )
