"""Training: losses, and the Keras models that train a network with them."""

import importlib

# Imported on first use: configurations check the names of loss terms before Keras is loaded.
_LAZY = {
    "AverageWeights": "tonezoo.training.callbacks",
    "BalanceClassifier": "tonezoo.training.callbacks",
    "ClassifierFeatureLoss": "tonezoo.training.classifier_loss",
    "GanTrainer": "tonezoo.training.gan",
    "SupervisedTrainer": "tonezoo.training.supervised",
    "VocoderTrainer": "tonezoo.training.vocoder",
}

__all__ = [*_LAZY]


def __getattr__(name):
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'tonezoo.training' has no attribute {name!r}")


def __dir__():
    return sorted([*globals(), *_LAZY])
