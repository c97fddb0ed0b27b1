"""MU-GAN4 at quarter width for real speech: an hour on two cores instead of days on a GPU.

    tonezoo train mu_gan_small --data speech --hold-out p228 --ratio 4 --max-minutes 75

Data: any folder of audio, minutes of it or more. Of the paper it keeps the generator and the mean
square error. Ours are the preset that keeps the given band, the spectral, loudness and tonal terms,
augmentation, the halving learning rate, the averaged weights and bfloat16; the paper's feature and
adversarial terms are off (`--set feature_weight=0.1 --set adversarial_weight=1e-5` turns them on).
"""

from tonezoo.recipes import super_resolution

CONFIG = super_resolution.Config(
    preset="l4_quarter_band_kept",
    critic_preset="quarter",
    layout="folder",
    batch_size=8,
    epochs=400,
    autoencoder_epochs=20,
    learning_rate=1e-3,
    halving_steps=3500,
    ema_momentum=0.998,
    dtype="mixed_bfloat16",
    gain_db=6.0,
    max_speedup=0.15,
    equaliser_db=2.0,
    random_low_pass_share=0.4,
    dropout=0.0,
    feature_weight=0.0,
    adversarial_weight=0.0,
    spectral_weight=1.2e-3,
    loudness_weight=1e-4,
    tonal_weight=1e-2,
)
