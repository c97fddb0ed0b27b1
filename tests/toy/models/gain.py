"""A gain that scales the signal: the smallest model there is."""

import keras

from tonezoo.models.base import AudioModel
from tonezoo.registry import ModelEntry


@keras.saving.register_keras_serializable(package="toy")
class Gain(AudioModel):
    """Multiplies a waveform (batch, time, channels) by one number, which is learnt."""

    task = "scaling"

    def __init__(self, *, channels: int = 1, sample_rate_hz: int = 8000, **kwargs):
        super().__init__(channels, sample_rate_hz=sample_rate_hz, **kwargs)

    def build(self, input_shape):
        if not self.built:
            self.gain = self.add_weight(name="gain", shape=(), initializer="ones")
            self.built = True

    def call(self, waveform, training=False):
        self.check_waveform(waveform.shape)
        return waveform * self.gain

    def get_config(self):
        return {**super().get_config(), "channels": self.channels}


ENTRY = ModelEntry(
    name="gain",
    model=Gain,
    presets={"tiny": {}},
    parameters={"tiny": 1},
    sample_rate_hz=8000,
    source="arithmetic",
)
