# %% [markdown]
# # Interpolation
#
# Section 3 of "Upsampling Artifacts in Neural Audio Synthesis": interpolation and a convolution
# make no tones, but filter.

# %%
from functools import partial

import numpy as np

from tonezoo.analysis.figures import FIGURES, Material
from tonezoo.analysis.figures.layer_stacks import filtering, stack
from tonezoo.analysis.figures.starts import noise
from tonezoo.layers import Interpolate1D

# %% [markdown]
# What the interpolators make of a single sample: their kernels.

# %%
impulse = np.zeros((1, 7, 1), "float32")
impulse[0, 3] = 1
for method in ("nearest", "linear", "cubic", "sinc"):
    print(f"{method:8}", np.ravel(Interpolate1D(2, method)(impulse))[2:12].round(2))

# %% [markdown]
# Three of them on top of each other, white noise from 4 to 32 kHz. What is left of the images above
# the 2 kHz of the input, and how deep are the valleys at its multiples?


# %%
def three(method):
    return [Interpolate1D(2, method) for _ in range(3)]


for method in ("nearest", "linear", "cubic", "sinc"):
    found = stack(partial(three, method), noise(12_000, seed=0))
    numbers = filtering(found.output)
    images = numbers["bands_db"]["2000-4000"] - numbers["bands_db"]["0-2000"]
    print(f"{method:8} images {images:.0f} dB, at 4 kHz {numbers['valleys_db']['4000']:.0f} dB")

# %% [markdown]
# Figure 6, with convolutions in between. `Material(recording="song.wav")` takes music of yours.

# %%
figure = FIGURES["6"](Material(), seed=0)
print(*figure.findings, sep="\n")
figure.draw()
