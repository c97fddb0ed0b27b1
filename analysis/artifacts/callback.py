"""Scores of artifacts while a model trains."""

from collections.abc import Sequence

import keras

from tonezoo.analysis.artifacts.report import measure_model
from tonezoo.analysis.artifacts.sources import keras_model
from tonezoo.arguments import integer

LOG_PREFIX = "line_db_"


class ArtifactScores(keras.callbacks.Callback):
    """Adds the lines that a model leaves to the logs of every epoch.

    Of each input it is the prominence in dB of the strongest line that stands out, 0 if none does:
    `line_db_silence`, `line_db_noise`, ... Put it before callbacks that read the logs.

    Args:
        network: the model that is measured; None for the one that is trained.
        inputs: of "silence", "ones" and "noise".
        every: epochs from one measurement to the next.
        periods: as of `tonezoo.analysis.artifacts.report.measure_model`.

    Raises:
        ValueError: as `measure_model`, when an epoch ends.

    >>> import numpy as np
    >>> keras.utils.set_random_seed(0)
    >>> model = keras.Sequential(
    ...     [keras.Input((None, 1)), keras.layers.Conv1DTranspose(1, 8, 4, padding="same")]
    ... )
    >>> model.compile("sgd", "mse")
    >>> x, y = np.zeros((2, 64, 1)), np.zeros((2, 256, 1))
    >>> history = model.fit(x, y, verbose=0, callbacks=[ArtifactScores(inputs=["ones"])])
    >>> history.history["line_db_ones"][0] > 60
    True
    """

    def __init__(
        self,
        network: keras.Model | None = None,
        inputs: Sequence[str] = ("silence", "noise"),
        every: int = 1,
        periods: Sequence[int] = (),
    ):
        super().__init__()
        self.network = network
        self.inputs = tuple(inputs)
        self.every = integer("every", every)
        self.periods = tuple(periods)

    def on_epoch_end(self, epoch, logs=None):
        if logs is None or (epoch + 1) % self.every:
            return
        measured = keras_model(self.network or self.model)
        report = measure_model(measured, inputs=self.inputs, periods=self.periods)
        logs.update({LOG_PREFIX + probe.name: probe.line_db for probe in report.probes})
