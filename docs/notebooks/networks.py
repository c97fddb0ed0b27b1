# %% [markdown]
# # Whole networks, replicas, and what training has to mend
#
# Sections 5 and 6 of "Upsampling Artifacts in Neural Audio Synthesis": networks with random
# weights, given white noise. What the lines and valleys are before training is what training has to
# work against.

# %%
from matplotlib.figure import Figure

from tonezoo.analysis.figures import FIGURES
from tonezoo.analysis.figures.networks import (
    DEMUCS_RATE_HZ,
    demucs_levels,
    demucs_numbers,
    mel_gan_levels,
    mel_gan_numbers,
)
from tonezoo.analysis.figures.spectra import panel

# %% [markdown]
# A Demucs of three blocks on a short noise is quick, and has the levels of the whole one. Width,
# depth and everything else are options of the model.

# %%
SMALL = {"samples": 2**14, "depth": 3, "lstm_layers": 0}
for upsampler in ("transposed", "nearest", "linear", "subpixel", "cubic", "stretch"):
    numbers = demucs_numbers(demucs_levels(upsampler, seed=0, **SMALL))
    print(
        f"{upsampler:10} median {numbers['median_db']:.0f} dB, at 11,025 Hz "
        f"{numbers['stands_out_at_11025_hz_db']:+.0f} dB beside its surroundings"
    )

# %% [markdown]
# Tones are replicas of offsets: without biases and the first ReLU there are none (Figure 9).

# %%
for modified in (False, True):
    levels_db = demucs_levels("subpixel", seed=0, modified=modified, **SMALL)
    print(modified, round(demucs_numbers(levels_db)["stands_out_at_11025_hz_db"]))

# %% [markdown]
# The same of MelGAN: its biases make the lines.

# %%
for use_bias in (True, False):
    numbers = mel_gan_numbers(mel_gan_levels(seed=0, use_bias=use_bias, samples=2**14))
    print(use_bias, numbers["lines_stand_out_db"])

# %% [markdown]
# A picture of any of them. `FIGURES["1"]()` draws them all at full size, in a minute.

# %%
picture = Figure(figsize=(5, 3), layout="constrained")
shown = panel("modified Demucs, subpixel", levels_db, DEMUCS_RATE_HZ, floor_db=-150)
picture.colorbar(shown.draw(picture.subplots()), label="level (dB)")
picture  # noqa: B018

# %% [markdown]
# Figure 10: vertical lines at the ends come from the transform's padding, not from the layers.

# %%
FIGURES["10"]().draw()
