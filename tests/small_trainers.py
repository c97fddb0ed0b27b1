"""Trainers of the smallest networks there are, for the tests of training on both backends."""

import keras
import numpy as np

from tonezoo.models.demucs import Demucs
from tonezoo.models.mu_gan import MuGanGenerator
from tonezoo.models.mu_gan_autoencoder import MuGanAutoencoder
from tonezoo.models.mu_gan_discriminator import MuGanDiscriminator
from tonezoo.training import GanTrainer, SupervisedTrainer

PAPER = {"l2": 1.0, "feature": 1.0, "adversarial": 1e-3}
SEGMENT = 1040
# One block each: tracing takes most of the time.
WIDTHS = {"down_filters": (8,), "up_filters": (8,), "dropout": 0.0}


def patches(count=8, ratio=4):
    """Low- and high-rate noise, (count, SEGMENT / ratio, 1) and (count, SEGMENT, 1)."""
    random = np.random.default_rng(0)
    high = random.standard_normal((count, SEGMENT, 1)).astype("float32")
    return high[:, ::ratio], high


def gan(weights, **options):
    """A `GanTrainer`, not compiled."""
    keras.utils.set_random_seed(3)
    autoencoder = MuGanAutoencoder(**WIDTHS)
    autoencoder.build((None, None, 1))
    discriminator = MuGanDiscriminator(
        segment_samples=SEGMENT, stem_filters=8, block_filters=(8,), dense_units=4, dropout=0.0
    )
    return GanTrainer(
        MuGanGenerator(**WIDTHS),
        loss_weights=weights,
        discriminator=discriminator,
        autoencoder=autoencoder,
        **options,
    )


def upsampling(weights=None, **options):
    """A `GanTrainer` of a plain Keras model and no other network, not compiled."""
    keras.utils.set_random_seed(3)
    layers = [keras.layers.UpSampling1D(4), keras.layers.Conv1D(1, 3, padding="same")]
    return GanTrainer(keras.Sequential(layers), loss_weights=weights or {"l2": 1.0}, **options)


def mixtures(count=8, samples=64):
    """Noise and two sources that it is the sum of: (count, samples, 2), (..., 2 sources, 2)."""
    targets = np.random.default_rng(0).standard_normal((count, samples, 2, 2)).astype("float32")
    return targets.sum(axis=2), targets


def separation(lstm_layers=0, **options):
    """A `SupervisedTrainer` of a Demucs, not compiled."""
    keras.utils.set_random_seed(3)
    model = Demucs(sources=("low", "high"), width=4, depth=2, lstm_layers=lstm_layers, **options)
    return SupervisedTrainer(model)
