"""The papers' scores, to be printed beside measured ones."""

RATIOS = (2, 4, 6)

# Source: "Adversarial Audio Super-Resolution with Unsupervised Feature Losses", section 4: SNR in
# dB, LSD and MOS-LQO (PESQ narrowband; not reported for piano) at each of the ratios.
SCORES: dict[str, list[tuple[float, ...]]] = {
    "MU-GAN8, Speaker1": [(21.40, 1.63, 4.54), (17.72, 1.92, 3.79), (13.98, 1.95, 3.21)],
    "U-net8, Speaker1": [(21.94, 2.24, 4.54), (18.68, 2.34, 3.81), (14.85, 2.92, 2.97)],
    "MU-GAN8, Speaker99": [(20.01, 2.14, 3.75), (14.03, 2.72, 2.93), (10.92, 2.97, 2.69)],
    "MU-GAN8, Piano": [(52.03, 0.90), (32.28, 1.30), (24.71, 1.41)],
}

# Source: Pons et al., "Upsampling Artifacts in Neural Audio Synthesis", 2021, Table 1: SDR in dB on
# the 50 test tracks of MUSDB18, mean over drums, bass, other and vocals. The first six are its
# Demucs-like models, named by their upsampling layers; the others are the models it compares with.
SEPARATION_SDR = {
    "transposed": 5.35,
    "nearest": 5.17,
    "linear": 4.62,
    "subpixel": 5.38,
    "modified transposed": 5.37,
    "modified subpixel": 5.38,
    "Wave-U-Net": 3.23,
    "Demucs": 5.34,
    "Demucs, shifts": 5.58,
    "Open-Unmix": 5.36,
    "Sams-Net": 5.65,
}


def published_scores(ratio: int) -> dict[str, dict[str, float]]:
    """Returns the paper's scores at a ratio by model and data set; {} for another than 2, 4, 6.

    Example:

    >>> published_scores(4)["MU-GAN8, Speaker1"]
    {'snr_db': 17.72, 'lsd': 1.92, 'mos_lqo_nb': 3.79}
    >>> published_scores(3)
    {}
    """
    if ratio not in RATIOS:
        return {}
    names = ("snr_db", "lsd", "mos_lqo_nb")
    column = RATIOS.index(ratio)
    return {row: dict(zip(names, scores[column], strict=False)) for row, scores in SCORES.items()}
