"""Figures 1 and 9: whole networks before any training, given white noise."""

import gc

import numpy as np

from tonezoo.analysis.figures.kernels import PAPER
from tonezoo.analysis.figures.material import Material
from tonezoo.analysis.figures.panels import Figure, rounded
from tonezoo.analysis.figures.spectra import Spectrum, levels_db, panel, reference
from tonezoo.analysis.figures.starts import SEED, noise, seeded

DEMUCS_RATE_HZ, MEL_GAN_RATE_HZ = 44_100, 22_050
DEMUCS_SAMPLES, MEL_GAN_SAMPLES = 2**18, 2**17
# What the median of noise over 500 frames may stand out by.
NOISE_DB = 3.0
DEMUCS_FLOOR_DB, MEL_GAN_FLOOR_DB = -150.0, -200.0
# A decoder block upsamples by 4: where its tones and valleys are.
QUARTER_HZ = DEMUCS_RATE_HZ / 4
# Multiples of the rates inside of MelGAN, whose last strides are 2 and 2, and of 64 before them.
MEL_GAN_LINES_HZ = (MEL_GAN_RATE_HZ / 2, MEL_GAN_RATE_HZ / 4, 3 * MEL_GAN_RATE_HZ / 32)


def demucs(upsampler: str, seed: int, **options):
    """Returns an untrained Demucs of the paper's width, one channel in, one source out.

    Started as PyTorch does, without Demucs's rescaling, the phases of subpixel convolutions
    independent.

    Args:
        upsampler: of `tonezoo.layers.UPSAMPLER_KINDS`.
        seed: of the weights.
        **options: of `tonezoo.models.demucs.Demucs`, such as modified=True.
    """
    from tonezoo.models.demucs import Demucs

    with seeded(seed):
        model = Demucs(
            sources=("output",),
            channels=1,
            upsampler=upsampler,
            rescale=None,
            sample_rate_hz=DEMUCS_RATE_HZ,
            **options,
        )
        if upsampler == "subpixel":
            for block in model.decoder:
                block.upsampler.icnr = False
        model.build((None, None, 1))
    return model


def demucs_levels(
    upsampler: str, seed: int, *, samples: int = DEMUCS_SAMPLES, **options
) -> np.ndarray:
    """Returns what an untrained Demucs makes of noise, in dB re the noise's largest magnitude."""
    x = noise(samples, seed)
    model = demucs(upsampler, seed, **options)
    output = np.asarray(model(x[None, :, None]))[0, :, 0, 0]
    # Keras models hold themselves: 2.8 GB that would still be there beside the next.
    del model
    gc.collect()
    return levels_db(output, reference(x))


def mel_gan_levels(
    seed: int, *, use_bias: bool = True, samples: int = MEL_GAN_SAMPLES
) -> np.ndarray:
    """Returns what an untrained MelGAN makes of noise's mel spectrogram, in dB as above."""
    from tonezoo.layers import MelSpectrogram1D
    from tonezoo.models.mel_gan import MelGanGenerator

    x = noise(samples, seed)
    with seeded(seed):
        generator = MelGanGenerator(use_bias=use_bias)
        generator.build((None, None, generator.bands))
    output = np.asarray(generator(MelSpectrogram1D()(x[None, :, None])))[0, :, 0]
    return levels_db(output, reference(x))


def demucs_numbers(level_db: np.ndarray) -> dict[str, float]:
    """Returns medians, and what there is at a quarter of the rate and beside it."""
    spectrum = Spectrum(level_db, DEMUCS_RATE_HZ)
    eighth_hz = DEMUCS_RATE_HZ / 16
    return {
        "median_db": spectrum.median_db,
        "lowest_eighth_db": spectrum.band_db(0, eighth_hz),
        "highest_eighth_db": spectrum.band_db(7 * eighth_hz, 8 * eighth_hz),
        "at_11025_hz_db": spectrum.at_db(QUARTER_HZ),
        "stands_out_at_11025_hz_db": spectrum.stands_out_db(QUARTER_HZ),
        "stands_out_at_3_16_of_the_rate_db": spectrum.stands_out_db(3 * DEMUCS_RATE_HZ / 16),
        "stands_out_at_7_16_of_the_rate_db": spectrum.stands_out_db(7 * DEMUCS_RATE_HZ / 16),
    }


def mel_gan_numbers(level_db: np.ndarray) -> dict:
    """Returns the median, and what there is at three multiples of the rates inside."""
    spectrum = Spectrum(level_db, MEL_GAN_RATE_HZ)
    return {
        "median_db": spectrum.median_db,
        "lines_db": {f"{hz:.0f}": spectrum.at_db(hz) for hz in MEL_GAN_LINES_HZ},
        "lines_stand_out_db": {f"{hz:.0f}": spectrum.stands_out_db(hz) for hz in MEL_GAN_LINES_HZ},
    }


def figure_1(material: Material | None = None, seed: int = SEED) -> Figure:
    """Returns Figure 1: Demucs with four upsampling layers, and MelGAN."""
    kinds = ("transposed", "nearest", "linear", "subpixel")
    levels = {kind: demucs_levels(kind, seed) for kind in kinds}
    melgan = {bias: mel_gan_levels(seed, use_bias=bias) for bias in (True, False)}
    numbers = {f"demucs, {kind}": demucs_numbers(level_db) for kind, level_db in levels.items()}
    numbers["mel_gan"] = mel_gan_numbers(melgan[True])
    numbers["mel_gan without biases"] = mel_gan_numbers(melgan[False])
    first, *others = (
        panel(title, level_db, DEMUCS_RATE_HZ, DEMUCS_FLOOR_DB)
        for title, level_db in {
            "Demucs: input noise": _input_levels(DEMUCS_SAMPLES, seed),
            **{f"Demucs, {kind}": level_db for kind, level_db in levels.items()},
        }.items()
    )
    vocoded = (
        panel(title, level_db, MEL_GAN_RATE_HZ, MEL_GAN_FLOOR_DB)
        for title, level_db in {
            "MelGAN: input noise": _input_levels(MEL_GAN_SAMPLES, seed),
            "MelGAN, transposed": melgan[True],
            "MelGAN, without biases": melgan[False],
        }.items()
    )
    return Figure(
        name="1",
        title=f"{PAPER}, Figure 1",
        caption="White noise through networks with random weights. What is not noise any more was "
        "made by the upsampling layers: lines where the transposed and the subpixel convolutions "
        "put tones, valleys where nearest-neighbour and linear interpolation filter. MelGAN's "
        "lines lie at every multiple of the rates inside it; without biases (ours, not in the "
        "paper) they are weaker by tens of dB.",
        findings=(
            *(_demucs_sentence(kind, numbers[f"demucs, {kind}"]) for kind in kinds),
            _mel_gan_sentence("MelGAN", numbers["mel_gan"]),
            _mel_gan_sentence("MelGAN without biases", numbers["mel_gan without biases"]),
        ),
        numbers=rounded(numbers),
        set_up="Demucs of width 100 and depth 6 at 44.1 kHz, 2^18 samples of uniform noise, one "
        'channel in and out, padding "same", interpolation on the half-pixel grid, PyTorch\'s '
        "initialisation without rescaling. MelGAN at 22.05 kHz, 2^17 samples.",
        seed=seed,
        rows=((first, *others[:2]), (*others[2:], None), tuple(vocoded)),
    )


def figure_9(material: Material | None = None, seed: int = SEED) -> Figure:
    """Returns Figure 9: the modified Demucs, without biases and first ReLU."""
    kinds = ("transposed", "subpixel")
    levels = {kind: demucs_levels(kind, seed, modified=True) for kind in kinds}
    numbers = {kind: demucs_numbers(level_db) for kind, level_db in levels.items()}
    return Figure(
        name="9",
        title=f"{PAPER}, Figure 9",
        caption="As Figure 1, without biases and without the first block's ReLU: nothing in the "
        "network makes an offset of a signal that has none, and with the offsets go the tones "
        "that they turn into, of either layer.",
        findings=tuple(_demucs_sentence(kind, found) for kind, found in numbers.items()),
        numbers=rounded(numbers),
        set_up="As the Demucs of Figure 1; no biases anywhere, no ReLU in the first block.",
        seed=seed,
        rows=(
            tuple(
                panel(title, level_db, DEMUCS_RATE_HZ, DEMUCS_FLOOR_DB)
                for title, level_db in {
                    "input noise": _input_levels(DEMUCS_SAMPLES, seed),
                    **{f"modified Demucs, {kind}": levels[kind] for kind in kinds},
                }.items()
            ),
        ),
    )


def _input_levels(samples: int, seed: int) -> np.ndarray:
    x = noise(samples, seed)
    return levels_db(x, reference(x), center=True)


def _demucs_sentence(kind: str, found: dict[str, float]) -> str:
    stands_out_db = found["stands_out_at_11025_hz_db"]
    what = "as its surroundings"
    if stands_out_db > NOISE_DB:
        what = f"a tone {stands_out_db:.0f} dB above its surroundings"
    elif stands_out_db < -NOISE_DB:
        what = f"a valley {-stands_out_db:.0f} dB below its surroundings"
    return (
        f"{kind.capitalize()}: median {found['median_db']:.0f} dB; at 11,025 Hz "
        f"{found['at_11025_hz_db']:.0f} dB, {what}."
    )


def _mel_gan_sentence(name: str, found: dict) -> str:
    lines = found["lines_stand_out_db"].values()
    return (
        f"{name}: median {found['median_db']:.0f} dB; at 11,025, 5,513 and 2,067 Hz "
        f"{', '.join(f'{level:.0f}' for level in found['lines_db'].values())} dB, "
        f"{', '.join(f'{level:.0f}' for level in lines)} dB above the surroundings."
    )
