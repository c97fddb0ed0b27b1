"""A MU-GAN of 21 thousand parameters for tests and for `make demo`: every part runs, in seconds.

    tonezoo train mu_gan_tiny --max-minutes 1 --run runs/tiny

Data: any folder of audio, or without --data the embedded procedural corpus. Expect little of it.
"""

from tonezoo.recipes import super_resolution

CONFIG = super_resolution.Config(
    preset="tiny",
    critic_preset="tiny",
    layout="folder",
    segment_samples=2048,
    batch_size=8,
    epochs=20,
    autoencoder_epochs=2,
    learning_rate=1e-3,
    dropout=0.05,
    spectral_weight=0.1,
)
