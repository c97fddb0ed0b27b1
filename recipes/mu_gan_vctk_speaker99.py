"""MU-GAN8 on 99 VCTK speakers, the paper's Speaker99.

    tonezoo train mu_gan_vctk_speaker99 --data VCTK-Corpus --ratio 4 --run runs/speaker99_x4 \
        --set cache_dir=cache

Data: VCTK 0.80 or 0.92, the first 99 speakers; the last 10 test. About 40 hours: the decoded audio
is kept in files under cache_dir, not in memory. Expected (the paper's figures, at ratio 2 / 4 / 6):
SNR 20.01 / 14.03 / 10.92 dB, LSD 2.14 / 2.72 / 2.97, PESQ narrowband 3.75 / 2.93 / 2.69. Not yet
trained by us.
"""

from tonezoo.recipes import super_resolution

CONFIG = super_resolution.Config(
    preset="l8", layout="vctk_speaker99", segment_samples=16_384, epochs=150
)
