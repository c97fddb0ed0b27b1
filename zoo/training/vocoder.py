"""Training of a vocoder on waveforms, whose mel spectrograms are made in the step."""

import keras

from tonezoo.training.gan import GanTrainer


@keras.saving.register_keras_serializable(package="tonezoo")
class VocoderTrainer(GanTrainer):
    """Trains a generator to give back waveforms of which it sees the mel spectrogram.

    A `GanTrainer` that is given waveforms (batch, time, 1), time a multiple of the hop, as targets
    and makes the generator's input of them, by the generator's `front_end`.

    Example:

    >>> import numpy as np, tonezoo
    >>> trainer = VocoderTrainer(
    ...     tonezoo.create_model("vocos", preset="tiny"), loss_weights={"mel": 1.0}
    ... )
    >>> trainer.compile("adam")
    >>> waveforms = np.random.default_rng(0).normal(0, 0.1, (2, 2048, 1)).astype("float32")
    >>> sorted(trainer.fit(waveforms, waveforms, verbose=0).history)
    ['generator_gradient_norm', 'loss', 'mel']
    """

    def unpack(self, data):
        _, waveform = super().unpack(data)
        return self.generator.front_end(waveform), waveform
