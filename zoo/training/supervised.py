"""Training of separation models."""

import keras


class SeparationTrainer(keras.Model):
    """Trains a separation model by the mean absolute error of its sources.

    A batch is mixtures (batch, time, channels) of a valid length of the model, which training does
    not pad, and targets (batch, its output length, source, channels). Outside training a call is
    the model's own, with padding and cropping.

    Args:
        separator: a `tonezoo.models.demucs.Demucs`, or another model with `network`.

    Source: Défossez et al. 2019, section 4.3: L1 between waveforms.

    Example:

    >>> import numpy as np
    >>> from tonezoo.models.demucs import Demucs
    >>> model = Demucs(width=4, depth=2)
    >>> trainer = SeparationTrainer(model)
    >>> trainer.compile(keras.optimizers.Adam(3e-4))
    >>> mixture, targets = np.zeros((2, 64, 2), "float32"), np.zeros((2, 64, 4, 2), "float32")
    >>> list(trainer.fit(mixture, targets, verbose=0).history)
    ['loss']
    """

    def __init__(self, separator, **kwargs):
        # Its policy is the separator's, by which Keras scales the gradients of float16.
        super().__init__(autocast=False, dtype=separator.dtype_policy, **kwargs)
        self.separator = separator
        if not separator.built:
            separator.build((None, None, separator.channels))
        self.built = True

    def compile(self, optimizer, **kwargs):
        """Sets the optimizer and builds its state, inside the strategy scope of the caller."""
        loss = keras.losses.MeanAbsoluteError(dtype=self.separator.variable_dtype)
        super().compile(optimizer=optimizer, loss=loss, **kwargs)
        # An optimizer built inside the train step breaks under a distribution strategy.
        self.optimizer.build(self.trainable_variables)

    def call(self, mixture, training=False):
        if training:
            return self.separator.network(mixture, training=True)
        return self.separator(mixture)
