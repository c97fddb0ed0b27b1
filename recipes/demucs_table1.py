"""The six upsampling layers of the upsampling paper's Table 1, at full and at small size.

    tonezoo train demucs_musdb_nearest --data musdb18hq
    tonezoo train demucs_small_nearest --max-minutes 5

`demucs_musdb_*` are the paper's, 700 million parameters. Data: MUSDB18-HQ, or MUSDB18 with the
extra `musdb` and ffmpeg; 86 tracks train. 600 epochs of batch 32: 8 on each of the paper's 4 GPUs,
elsewhere `--set batch_size=32` over the number of GPUs. The paper reports these SDR on the 50 test
tracks, in dB: transposed 5.35, modified transposed 5.37, nearest 5.17, linear 4.62, subpixel 5.38,
modified subpixel 5.38.

`demucs_small_*` are for two cores, 4.5 million parameters. Data: any folder of tracks with one file
per source, or without --data the procedural corpus. What to expect of it there stands in
recipes/README.md.
"""

from typing import Any

from tonezoo.recipes.separation import Config

# What each variant is, and the options that make the small model one.
VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    "transposed": ("transposed convolutions of length 8", {}),
    "modified_transposed": (
        "transposed convolutions, no biases and no first ReLU",
        {"modified": True},
    ),
    "nearest": ("nearest interpolation and convolutions of length 9", {"upsampler": "nearest"}),
    "linear": ("linear interpolation and convolutions of length 9", {"upsampler": "linear"}),
    "subpixel": ("subpixel convolutions of length 3", {"upsampler": "subpixel"}),
    "modified_subpixel": (
        "subpixel convolutions, no biases and no first ReLU",
        {"upsampler": "subpixel", "modified": True},
    ),
}


def full_size(variant: str) -> Config:
    """Returns the paper's run of a variant."""
    learning_rate = 1e-4 if variant == "modified_subpixel" else 2e-4
    return Config(preset=f"table1_{variant}", layout="musdb", learning_rate=learning_rate)


def small_size(variant: str) -> Config:
    """Returns a run of a variant for two cores."""
    return Config(
        preset="small",
        segment_s=1.5,
        shift_s=0.5,
        crop_stride_s=0.5,
        batch_size=8,
        epochs=40,
        learning_rate=1e-3,
        **VARIANTS[variant][1],
    )


CONFIGS = {
    **{f"demucs_musdb_{variant}": full_size(variant) for variant in VARIANTS},
    **{f"demucs_small_{variant}": small_size(variant) for variant in VARIANTS},
}
TITLES = {"musdb": "The upsampling paper, Table 1", "small": "Demucs for two cores"}
DESCRIPTIONS = {
    f"demucs_{size}_{variant}": f"{title}: {what}."
    for size, title in TITLES.items()
    for variant, (what, _) in VARIANTS.items()
}
