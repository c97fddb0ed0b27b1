"""Training of a vocoder on waveforms, whose mel spectrograms are made in the step."""

import keras

from tonezoo.training.gan import GanTrainer


@keras.saving.register_keras_serializable(package="tonezoo")
class VocoderTrainer(GanTrainer):
    """Trains a generator to give back waveforms of which it sees the mel spectrogram.

    A `GanTrainer` that is given waveforms (batch, time, 1), time a multiple of the hop, and makes
    the generator's input of them, by the generator's `front_end`. With pairs, as of a recipe's
    data, the second is taken. `predict` takes mel spectrograms, as the generator does.

    Raises:
        ValueError: while training: waveforms of another length; else as `GanTrainer`.

    Example:

    >>> import numpy as np, tonezoo
    >>> trainer = VocoderTrainer(
    ...     tonezoo.create_model("vocos", preset="tiny"), loss_weights={"mel": 1.0}
    ... )
    >>> trainer.compile("adam")
    >>> waveforms = np.random.default_rng(0).normal(0, 0.1, (2, 2048, 1)).astype("float32")
    >>> sorted(trainer.fit(waveforms, verbose=0).history)
    ['generator_gradient_norm', 'loss', 'mel']
    """

    def unpack(self, data):
        given, target, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        waveform = given if target is None else target
        _, waveform = super().unpack((waveform, waveform, sample_weight))
        hop = self.generator.hop_samples
        if waveform.shape[1] is not None and waveform.shape[1] % hop:
            raise ValueError(
                f"Waveforms have to be whole frames of {hop} samples, but have "
                f"{waveform.shape[1]}. Cut or pad them."
            )
        return self.generator.front_end(waveform), waveform
