"""MU-GAN8 on one VCTK speaker (p225), the paper's Speaker1.

    tonezoo train mu_gan_vctk_speaker1 --data VCTK-Corpus --ratio 4 --run runs/speaker1_x4

Data: VCTK 0.80 or 0.92 (https://datashare.ed.ac.uk/handle/10283/3443), the first 223 recordings of
p225; the last 8 test. Patches of 16384 samples rather than the paper's 8192: at L = 8 the outer
taps of the deepest kernels would see padding only. Expected (the paper's figures, at ratio 2 / 4 /
6): SNR 21.40 / 17.72 / 13.98 dB, LSD 1.63 / 1.92 / 1.95, PESQ narrowband 4.54 / 3.79 / 3.21. Not
yet trained by us.
"""

from tonezoo.recipes import super_resolution

CONFIG = super_resolution.Config(
    preset="l8", layout="vctk_speaker1", segment_samples=16_384, epochs=400
)
