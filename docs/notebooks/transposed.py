# %% [markdown]
# # Transposed convolutions
#
# Section 2 of "Upsampling Artifacts in Neural Audio Synthesis": three ways in which copies of a
# kernel can meet, and what becomes of a constant. Change the numbers and run the cells again.

# %%
import numpy as np

from tonezoo.analysis.figures import FIGURES
from tonezoo.analysis.figures.kernels import steady, transposed
from tonezoo.layers import TransposedConv1D

# %% [markdown]
# No overlap: the length is the stride, and a constant comes out as the kernel, again and again.

# %%
print(transposed([1, 1, 1], [0.2, 0.3, -0.01], stride=3))

# %% [markdown]
# Partial overlap: on some samples two kernels meet, though all weights are equal. Full overlap,
# where the length is a multiple of the stride, leaves nothing but the borders.

# %%
for stride in (1, 2, 3, 4, 5, 6):
    output = transposed(10 * [1], np.ones(6), stride)
    print(f"length 6, stride {stride}: a period of {steady(output, 6, stride)}")

# %% [markdown]
# The layer knows which case it is, and warns of the bad ones.

# %%
print(TransposedConv1D(1, 8, 4).overlap, TransposedConv1D(1, 4, 4).overlap)

# %% [markdown]
# Random weights, as before training, give a tone all the same (Figure 5). Other seeds, other tones:

# %%
for seed in range(3):
    figure = FIGURES["5"](seed=seed)
    print(*figure.findings)
figure.draw()

# %% [markdown]
# Three layers on top of each other, and a constant (the top of Figure 8): the tones of the first
# come back as images in the next.

# %%
figure = FIGURES["8"](seed=1)
print(figure.findings[0])
figure.draw()
