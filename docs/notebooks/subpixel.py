# %% [markdown]
# # Subpixel convolutions
#
# Section 4 of "Upsampling Artifacts in Neural Audio Synthesis": a convolution whose channels are
# dealt out over time. Each phase has weights of its own, so that a constant becomes a tone.

# %%
import keras
import numpy as np

from tonezoo.analysis.figures import FIGURES
from tonezoo.layers import Subpixel1D, SubpixelConv1D

# %% [markdown]
# The periodic shuffle alone:

# %%
channels = np.array([[[1, 2], [3, 4], [5, 6]]], "float32")
print(np.ravel(Subpixel1D(2)(channels)))

# %% [markdown]
# The same convolution with phases that start independently, and alike (ICNR, tonezoo's default):

# %%
keras.utils.set_random_seed(0)
ones = np.ones((1, 12, 1), "float32")
for icnr in (False, True):
    layer = SubpixelConv1D(1, 3, 4, icnr=icnr)
    print(f"icnr={icnr}:", np.ravel(layer(ones))[16:24].round(2))

# %% [markdown]
# Figure 7: three layers, and a tone at every multiple of the input's rate, for any seed.

# %%
for seed in range(3):
    figure = FIGURES["7"](seed=seed)
    print(*figure.findings)
figure.draw()
