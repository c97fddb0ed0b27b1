"""Keras callbacks of the trainers: the average of weights, the balance of a loss."""

import keras
from keras import ops


class AverageWeights(keras.callbacks.Callback):
    """Keeps an exponential moving average of a network's weights in the trainer's `average`.

    That is of the trainer's first network. What is not trained, such as the moments of a batch
    normalisation, is copied. The momentum of step k is min(momentum, (1 + k) / (10 + k)), so that a
    short run's average is not that of its first steps.

    Args:
        momentum: weight of the average so far, 0 to 1.
    """

    def __init__(self, momentum: float):
        super().__init__()
        self.momentum = momentum

    def on_train_batch_end(self, batch, logs=None):
        trainer = self.model
        step = int(ops.convert_to_numpy(trainer.optimizer.iterations))
        momentum = min(self.momentum, (1 + step) / (10 + step))
        network = getattr(trainer, trainer.networks[0])
        for mean, variable in zip(trainer.average.variables, network.variables, strict=True):
            if variable.trainable:
                mean.assign(momentum * mean + (1 - momentum) * variable)
            elif "float" in variable.dtype:
                mean.assign(variable)


class BalanceClassifier(keras.callbacks.Callback):
    """Divides each layer of the classifier loss by its mean of one epoch, from then on.

    A run that is stopped and resumed inside that epoch takes the mean of the steps since.

    Args:
        epoch: the epoch, counted from 1, whose mean raw losses become the divisors.

    Source: Germain et al. 2018, "Speech Denoising with Deep Feature Losses".
    """

    def __init__(self, epoch: int = 10):
        super().__init__()
        self.epoch = epoch

    def on_epoch_end(self, epoch, logs=None):
        if epoch + 1 == self.epoch:
            classifier = self.model.classifier
            means = [logs[classifier_name(layer)] for layer in range(classifier.loss_layers)]
            classifier.layer_weights.assign(means)


def classifier_name(layer: int) -> str:
    """Returns the name under which the raw loss of a classifier's layer is logged."""
    return f"classifier_layer_{layer + 1}"
