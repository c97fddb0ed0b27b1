"""Figures 1 and 5 of the MU-GAN paper: spectrograms of super-resolved speech."""

import numpy as np

from tonezoo.analysis.figures.material import SHIPPED_MODELS, Material
from tonezoo.analysis.figures.panels import Figure, rounded
from tonezoo.analysis.figures.spectra import Spectrum, levels_db, panel, reference
from tonezoo.analysis.figures.starts import SEED

PAPER = "Adversarial Audio Super-Resolution with Unsupervised Feature Losses"


def super_resolvers(material: Material) -> dict:
    """Returns name -> engine of the models, the lowest ratio last.

    Raises:
        ValueError: a model that is none, or is not for super-resolution.
    """
    from tonezoo.pretrained import engine_for

    found = {name: engine_for("super_resolution", name) for name in material.model_names}
    return dict(sorted(found.items(), key=lambda item: -item[1].ratio))


def described(name: str) -> str:
    """Returns what a figure's caption says of a model."""
    return f"{name}, {SHIPPED_MODELS[name]}" if name in SHIPPED_MODELS else name


def band_numbers(levels: dict[str, np.ndarray], sample_rate_hz: int, ratio: int) -> dict:
    """Returns the energy above the band of the low-rate signal, re that of the high-rate one.

    Args:
        levels: name -> (1025, frames) in dB, the first of the high-rate signal.
    """
    first = round(1025 / ratio)
    energy = {name: (10 ** (level_db[first:] / 10)).sum() for name, level_db in levels.items()}
    true = next(iter(energy.values()))
    # The rates inside a network that halves and doubles: its lines are at their multiples.
    lines_hz = [sample_rate_hz / 2**level for level in range(1, 5)]
    spectra = {name: Spectrum(level_db, sample_rate_hz) for name, level_db in levels.items()}
    return {
        name: {
            "above_the_low_band_db": 10 * np.log10(energy[name] / true),
            "lines_stand_out_db": {f"{hz:g}": spectra[name].stands_out_db(hz) for hz in lines_hz},
        }
        for name in levels
    }


def figure_mu_gan_1(material: Material | None = None, seed: int = SEED) -> Figure:
    """Returns Figure 1 of the MU-GAN paper: high rate, low rate, super-resolved."""
    material = material or Material()
    name = material.model_names[0]
    model = super_resolvers(material)[name]
    rate_hz, ratio = model.sample_rate_hz, model.ratio
    high, low = material.speech(rate_hz, ratio)
    largest = reference(high)
    enhanced = model.enhance(low, model.low_rate_hz, strength_db=0)
    levels = {
        "high rate": levels_db(high, largest, center=True),
        "super-resolved": levels_db(enhanced, largest, center=True),
    }
    # Zeros between the samples of a frame would do the same: frames of equal duration.
    low_level_db = _low_rate_levels(low, ratio, largest)
    numbers = band_numbers(levels, rate_hz, ratio)
    found_db = numbers["super-resolved"]["above_the_low_band_db"]
    return Figure(
        name="mu_gan_1",
        title=f"{PAPER}, Figure 1",
        caption="Speech at the high rate, at the low rate, and at the high rate again, as a model "
        "makes it of the low one. The original shows a model that was trained with the mean square "
        f"error and a discriminator alone, without the feature loss; ours is {described(name)}.",
        findings=(
            f"Energy above {rate_hz / ratio / 2000:g} kHz: {found_db:.0f} dB re the recording's.",
        ),
        numbers=rounded(numbers),
        set_up=f"Speech: {material.clip_name}; ratio {ratio}, {rate_hz / ratio / 1000:g} to "
        f"{rate_hz / 1000:g} kHz; the model at the strength that it was trained with, 0 dB.",
        seed=None,
        rows=(
            (
                panel("high rate", levels["high rate"], rate_hz),
                panel("low rate", low_level_db, rate_hz),
                panel(f"super-resolved: {name}", levels["super-resolved"], rate_hz),
            ),
        ),
    )


def figure_mu_gan_5(material: Material | None = None, seed: int = SEED) -> Figure:
    """Returns Figure 5 of the MU-GAN paper: models beside each other for each ratio."""
    from tonezoo.audio.resampling import upsample_spline

    material = material or Material()
    models = super_resolvers(material)
    rows, numbers, findings = [], {}, []
    for ratio in sorted({model.ratio for model in models.values()}):
        chosen = {name: model for name, model in models.items() if model.ratio == ratio}
        rate_hz = next(iter(chosen.values())).sample_rate_hz
        high, low = material.speech(rate_hz, ratio)
        signals = {"high rate": high, "spline": upsample_spline(low, ratio)}
        signals |= {
            name: model.enhance(low, model.low_rate_hz, strength_db=0)
            for name, model in chosen.items()
        }
        largest = reference(high)
        levels = {name: levels_db(signal, largest, center=True) for name, signal in signals.items()}
        numbers[f"ratio {ratio}"] = band_numbers(levels, rate_hz, ratio)
        rows.append(
            tuple(panel(f"{name}, ratio {ratio}", level, rate_hz) for name, level in levels.items())
        )
        above = ", ".join(
            f"{name} {found['above_the_low_band_db']:.0f} dB"
            for name, found in list(numbers[f"ratio {ratio}"].items())[1:]
        )
        findings.append(
            f"Ratio {ratio}, energy above {rate_hz / ratio / 2000:g} kHz re the recording's: "
            f"{above}."
        )
    return Figure(
        name="mu_gan_5",
        title=f"{PAPER}, Figure 5",
        caption="Speech at the high rate, the cubic spline through its low-rate samples, and what "
        "models make of these. The original shows an audio U-net and MU-GAN with 8 blocks; the "
        "spline stands for the U-net, which does not come with tonezoo trained, and for MU-GAN "
        f"{'; '.join(described(name) for name in models)}.",
        findings=tuple(findings),
        numbers=rounded(numbers),
        set_up=f"Speech: {material.clip_name}; the models at the strength that they were trained "
        "with, 0 dB.",
        seed=None,
        rows=tuple(rows),
    )


def _low_rate_levels(low: np.ndarray, ratio: int, largest: float) -> np.ndarray:
    """Returns the low-rate signal's levels on the axes of the high rate, nothing above its band."""
    stretched = np.zeros(len(low) * ratio)
    stretched[::ratio] = ratio * low
    level_db = levels_db(stretched, largest, center=True)
    level_db[round((len(level_db) - 1) / ratio) :] = level_db.min()
    return level_db
