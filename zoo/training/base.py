"""What the trainers share: they are saved with their networks and compiled again when loaded."""

from typing import Any

import keras

BACKENDS = ("tensorflow", "jax")


class Trainer(keras.Model):
    """A Keras model that holds the networks it trains in the attributes named by `networks`."""

    networks: tuple[str, ...] = ()

    average = None

    @property
    def trained(self):
        """The network that it is about: the first, or the average of its weights where one is kept.

        A call outside training is that network's, as a rule.
        """
        return getattr(self, self.networks[0]) if self.average is None else self.average

    def get_config(self) -> dict[str, Any]:
        held = {name: getattr(self, name) for name in self.networks}
        saved = {
            name: keras.saving.serialize_keras_object(network)
            for name, network in held.items()
            if network is not None
        }
        return {**super().get_config(), **saved}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        networks = {
            name: keras.saving.deserialize_keras_object(config[name], custom_objects)
            for name in cls.networks
            if name in config
        }
        return cls(**{**config, **networks})

    def compile_from_config(self, config):
        self.compile(**keras.saving.deserialize_keras_object(config))


def check_backend() -> None:
    """Raises ValueError where the backend of Keras is one that nothing here is trained on."""
    backend = keras.backend.backend()
    if backend not in BACKENDS:
        raise ValueError(
            f"Training is not supported on the {backend} backend of Keras. Set KERAS_BACKEND to "
            f"{' or '.join(BACKENDS)} before Keras is imported."
        )
