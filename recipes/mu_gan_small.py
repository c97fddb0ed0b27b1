"""MU-GAN4 at quarter width, with our spectral term: minutes on two cores instead of days on a GPU.

    tonezoo train mu_gan_small --data speech --hold-out p228 --ratio 4 --max-minutes 15

Data: any folder of audio. The learning rate, the batch and the weights of the loss terms are ours:
a run of minutes leaves no time for the paper's.
"""

from tonezoo.recipes import super_resolution

CONFIG = super_resolution.Config(
    preset="l4_quarter",
    networks="quarter",
    layout="folder",
    batch_size=8,
    epochs=400,
    autoencoder_epochs=20,
    learning_rate=5e-4,
    dropout=0.0,
    feature=0.1,
    adversarial=1e-5,
    spectral=5e-4,
)
dataset = super_resolution.dataset
build = super_resolution.build
generator = super_resolution.generator
preview = super_resolution.preview
