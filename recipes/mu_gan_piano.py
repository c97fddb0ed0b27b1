"""MU-GAN8 on piano music.

    tonezoo train mu_gan_piano --data beethoven --ratio 4 --run runs/piano_x4

Data: the Beethoven sonatas of Mehri et al. (SampleRNN) as 8 s clips at 16 kHz; the first 88 % of
the files train, the last 6 % test. Expected (the paper's figures, at ratio 2 / 4 / 6): SNR 52.03 /
32.28 / 24.71 dB, LSD 0.90 / 1.30 / 1.41. Not yet trained by us.
"""

from tonezoo.recipes import super_resolution

CONFIG = super_resolution.Config(preset="l8", layout="piano", segment_samples=16_384, epochs=150)
