"""Figure 6 of the MU-GAN paper: how far a trained network looks."""

from tonezoo.analysis.figures.material import Material
from tonezoo.analysis.figures.mu_gan import PAPER, described
from tonezoo.analysis.figures.panels import Curves, Figure, rounded
from tonezoo.analysis.figures.starts import SEED, seeded

PATCHES = 64
SHOWN_SAMPLES = 200
SHIPPED_MU_GAN = ("mu_gan_speech_x4",)


def figure_mu_gan_6(material: Material | None = None, seed: int = SEED) -> Figure:
    """Returns Figure 6 of the MU-GAN paper: effective receptive fields, trained and untrained."""
    from tonezoo.analysis.receptive_field import receptive_field, with_fresh_weights
    from tonezoo.pretrained import from_pretrained

    material = material or Material()
    models = {name: from_pretrained(name) for name in material.models or SHIPPED_MU_GAN}
    for name, model in models.items():
        if not hasattr(model, "ratio"):
            raise ValueError(
                f"{name} is for {model.purpose}, but Figure 6 of the MU-GAN paper shows models "
                "that raise the rate. Give one of these."
            )
    models = dict(sorted(models.items(), key=lambda item: item[1].ratio))
    lines, numbers, findings = {}, {}, []
    for name, model in models.items():
        clip, _ = material.speech(model.sample_rate_hz, model.ratio)
        with seeded(seed):
            untrained = with_fresh_weights(model, seed)
        before, after = (
            receptive_field(one, [clip], patches=PATCHES, seed=seed) for one in (untrained, model)
        )
        label = f"ratio {model.ratio}" if name in SHIPPED_MU_GAN else name
        lines[f"{label}, trained"] = (after.offsets, after.gradient)
        lines[f"{label}, fit"] = (after.offsets, after.gaussian)
        lines[f"{label}, random weights"] = (before.offsets, before.gradient)
        numbers[name] = {
            "ratio": model.ratio,
            "erf_samples": after.erf_samples,
            "share_inside": after.share_inside,
            "centre_samples": after.centre_samples,
            "two_sigma_samples": 2 * after.sigma_samples,
            "untrained_two_sigma_samples": 2 * before.sigma_samples,
            "theoretical_samples": after.theoretical_samples,
        }
        findings.append(
            f"{name}, ratio {model.ratio}: {after.erf_samples} of {after.theoretical_samples} "
            f"samples lie within two standard deviations, {100 * after.share_inside:.0f} % of the "
            f"gradient; {before.erf_samples} with random weights."
        )
    ratios = [found["ratio"] for found in numbers.values()]
    trend = {
        label: (ratios, [found[key] for found in numbers.values()])
        for label, key in (
            ("trained", "two_sigma_samples"),
            ("random weights", "untrained_two_sigma_samples"),
        )
    }
    return Figure(
        name="mu_gan_6",
        title=f"{PAPER}, Figure 6",
        caption="How much a sample of the output heeds the samples of the input around it: "
        "magnitudes of the gradient and the Gaussian that fits them, and twice its standard "
        "deviation beside that of random weights. The original shows MU-GANs for ratios of 2, 4 "
        f"and 6; ours: {'; '.join(described(name) for name in models)}.",
        findings=tuple(findings),
        numbers=rounded(numbers),
        set_up=f"{PATCHES} patches of speech ({material.clip_name}), inference mode, averaged over "
        "the network's grid, the input's own addition left out, the sum made 1.",
        seed=seed,
        rows=(
            (
                Curves(
                    title="gradient, normalised",
                    lines=lines,
                    xlabel="offset (samples)",
                    ylabel="magnitude",
                    xlim=(-SHOWN_SAMPLES, SHOWN_SAMPLES),
                    xticks=range(-SHOWN_SAMPLES, SHOWN_SAMPLES + 1, SHOWN_SAMPLES // 2),
                ),
                Curves(
                    title="effective receptive field",
                    lines=trend,
                    xlabel="ratio",
                    ylabel="two standard deviations (samples)",
                    xlim=(min(ratios) - 1, max(ratios) + 1),
                    xticks=ratios,
                    marker="o",
                ),
            ),
        ),
        panel_inches=(4.2, 3.0),
    )
