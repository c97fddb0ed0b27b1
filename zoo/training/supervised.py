"""Training of any model by a loss between its output and a target."""

import keras

from tonezoo.training.base import Trainer, check_backend


@keras.saving.register_keras_serializable(package="tonezoo")
class SupervisedTrainer(Trainer):
    """Trains a model by loss(model(x), y), the mean absolute error unless `compile` names another.

    A model with `network`, such as Demucs, is trained on that: a batch is mixtures (batch, time,
    channels) of a valid length of the model, which training does not pad, and targets (batch, its
    output length, source, channels). Everywhere else a call is the model's own, with padding and
    cropping; where targets are shorter than its output, `evaluate` compares the middle. Where the
    model has `training_target` as well, such as Open-Unmix, that is made of the targets, and a call
    of the trainer is always its network's.

    Args:
        model: a `tonezoo.models.demucs.Demucs`, or any other Keras model.
        average: a model of its kind, which `AverageWeights` fills and calls outside training then
            use; or None.

    Source: Défossez et al. 2019, section 4.3: L1 between waveforms.

    Example:

    >>> import numpy as np
    >>> from tonezoo.models.demucs import Demucs
    >>> trainer = SupervisedTrainer(Demucs(width=4, depth=2))
    >>> trainer.compile("adam")
    >>> mixture, targets = np.zeros((4, 64, 2), "float32"), np.zeros((4, 64, 4, 2), "float32")
    >>> history = trainer.fit(mixture, targets, validation_split=0.5, verbose=0).history
    >>> sorted(history)
    ['loss', 'val_loss']
    """

    networks = ("model", "average")

    def __init__(self, model, average=None, **kwargs):
        # Its policy is the model's, by which Keras scales the gradients of float16.
        kwargs["dtype"] = model.dtype_policy
        super().__init__(autocast=False, **kwargs)
        self.model = model
        self.average = average
        if average is not None:
            average.trainable = False
        self.trims = hasattr(model, "network")
        self.maps = hasattr(model, "training_target")
        for network in (model, average):
            if network is not None and not network.built and hasattr(network, "channels"):
                network.build((None, None, network.channels))
        self.built = model.built

    def compile(self, optimizer="adam", loss=None, **kwargs):
        """Sets optimizer, loss and metrics, inside the strategy scope of the caller.

        Args:
            optimizer: name or instance.
            loss: name, function or instance; None for the mean absolute error.
            **kwargs: of `keras.Model.compile`, such as metrics, jit_compile or run_eagerly.

        Raises:
            ValueError: the backend is torch.
        """
        check_backend()
        if loss is None:
            loss = keras.losses.MeanAbsoluteError(dtype=self.model.variable_dtype)
        super().compile(optimizer=optimizer, loss=loss, **kwargs)
        if self.built:
            # An optimizer built inside the train step breaks under a distribution strategy.
            self.optimizer.build(self.trainable_variables)

    def call(self, x, training=False):
        model = self.model if training else self.trained
        call = model.network if self.maps or (training and self.trims) else model
        return call(x, training=training)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        y = self._target(y)
        return super().compute_loss(x, y, self._middle(y_pred, y), sample_weight, training)

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        y = self._target(y)
        return super().compute_metrics(x, y, self._middle(y_pred, y), sample_weight)

    def _target(self, y):
        return self.model.training_target(y) if self.maps and y is not None else y

    def _middle(self, output, target):
        """Returns the part of an output that a target of a valid length is of."""
        if not self.trims or target is None or output.shape[1] == target.shape[1]:
            return output
        samples = keras.ops.shape(target)[1]
        start = (keras.ops.shape(output)[1] - samples) // 2
        return output[:, start : start + samples]
