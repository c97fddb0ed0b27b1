"""A gain of 3, learnt from noise."""

from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np

from tonezoo.recipes.base import BaseConfig
from tonezoo.recipes.data.batches import stateless_batches


@dataclass(frozen=True, kw_only=True)
class Config(BaseConfig):
    """Options of a run that learns a gain."""

    true_gain: float = 3.0

    def data_source(self, split, report=print):
        return SimpleNamespace(summary="noise", fingerprint="noise")

    def build(self, source, replicas):
        from tonezoo.training import SupervisedTrainer

        network = self.new_model(self.dtype)
        trainer = SupervisedTrainer(network)
        trainer.compile(self.adam())
        return self.one_phase(
            source,
            replicas,
            network=network,
            trainer=trainer,
            examples=50 * self.batch_size,
            batches=self.batches,
        )

    def batches(self, *, batch_size, seed, start_step):
        shape = (batch_size, 64, 1)

        def draw(step):
            noise = np.random.default_rng((seed, int(step))).standard_normal(shape)
            noise = noise.astype("float32")
            return noise, np.float32(self.true_gain) * noise

        return stateless_batches(draw, (shape, shape), start_step)


CONFIG = Config(model="gain", learning_rate=0.1, epochs=4)
