"""Recipes of vocoding: configuration, patches, networks and the training phase."""

import dataclasses
import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from tonezoo.recipes.config import check_at_least
from tonezoo.recipes.data.layouts import DataSplit
from tonezoo.recipes.data.patches import PatchSource
from tonezoo.recipes.experiment import Experiment
from tonezoo.recipes.generators import GeneratorConfig
from tonezoo.registry import create_model
from tonezoo.training.loss_terms import CRITICS


@dataclass(frozen=True, kw_only=True)
class Config(GeneratorConfig):
    """Options of a vocoding run; defaults are those of MelGAN.

    Those that every run of a generator has are described in `BaseConfig` and `GeneratorConfig`.

    Attributes:
        critic: registry name of the discriminator, which is used where one of its terms is on.
        upsampler, use_bias, filtered_activations: of MelGAN; None for the preset's.
        lowest_hz, highest_hz: edges of the mel bands; None for half the rate.
        segment_samples: patch length, rounded down to whole frames.
        hinge_weight, mel_weight: of the loss terms.

    Raises:
        ValueError: a number out of its range.
    """

    ratio: ClassVar[int] = 1

    model: str = "mel_gan"
    critic: str = "mel_gan_discriminator"
    batch_size: int = 16
    epochs: int = 3000
    learning_rate: float = 1e-4
    beta_1: float = 0.5
    beta_2: float = 0.9
    sample_rate_hz: int = 22_050
    upsampler: str | None = None
    use_bias: bool | None = None
    filtered_activations: bool | None = None
    lowest_hz: float = 0.0
    highest_hz: float | None = None
    hinge_weight: float = 1.0
    # The paper's 10, for the mean over its 18 layers in place of their sum times 0.8 / 3, and both
    # terms divided by the number of scales.
    feature_matching_weight: float = 16.0
    mel_weight: float = 0.0

    def __post_init__(self):
        super().__post_init__()
        check_at_least(self, 0, "lowest_hz")
        highest_hz = self.sample_rate_hz / 2 if self.highest_hz is None else self.highest_hz
        if not self.lowest_hz < highest_hz <= self.sample_rate_hz / 2:
            raise ValueError(
                f"highest_hz must be above lowest_hz and at most {self.sample_rate_hz / 2:g}, half "
                f"the rate, but is {highest_hz:g}."
            )

    @property
    def model_options(self) -> dict[str, Any]:
        of_mel_gan = ("upsampler", "use_bias", "filtered_activations")
        chosen = {name: getattr(self, name) for name in of_mel_gan}
        return {
            "sample_rate_hz": self.sample_rate_hz,
            "lowest_hz": self.lowest_hz,
            "highest_hz": self.highest_hz,
            **{name: value for name, value in chosen.items() if value is not None},
        }

    def build(self, source: PatchSource, replicas: int) -> Experiment:
        from tonezoo.training import VocoderTrainer

        network = self.new_model(self.dtype)
        segment_samples = self.patch_samples(network.hop_samples)
        average = self.average_network()
        critic = self.new_critic()
        trainer = VocoderTrainer(
            network, loss_weights=self.loss_weights, discriminator=critic, average=average
        )
        trainer.compile(
            self.adam(self.halving_steps), self.adam(self.halving_steps) if critic else None
        )
        experiment = self.one_phase(
            source,
            replicas,
            network=network,
            trainer=trainer,
            average=average,
            examples=source.patch_count(segment_samples),
            batches=functools.partial(
                source.batches, segment_samples=segment_samples, augmentation=self.augmentation
            ),
            validation=functools.partial(
                self.validation_batches_of, segment_samples=segment_samples
            ),
        )
        if critic is None:
            return experiment
        return dataclasses.replace(
            experiment,
            networks={**experiment.networks, "discriminator": critic},
            optimizers=[*experiment.optimizers, trainer.discriminator_optimizer],
        )

    def new_critic(self):
        """Returns the discriminator, built; None where no term needs it."""
        if not any(self.loss_weights.get(term) for term in CRITICS):
            return None
        return create_model(self.critic, preset=self.critic_preset, dtype=self.dtype)

    def patch_samples(self, hop_samples: int) -> int:
        """Returns the patch length: whole frames, at most segment_samples.

        Raises:
            ValueError: segment_samples is shorter than the shortest patch possible.
        """
        shortest = -(-self.shortest_spectral_patch // hop_samples) * hop_samples
        if self.segment_samples < shortest:
            raise ValueError(
                f"segment_samples must be at least {shortest} with these losses, but is "
                f"{self.segment_samples}."
            )
        return self.segment_samples // hop_samples * hop_samples

    def preview(self, split: DataSplit | None, report: Callable[[str], Any] = print):
        """Returns the `VocoderPreview` of a few clips that are not trained on."""
        from tonezoo.recipes.preview import VocoderPreview

        clips = self.preview_clips(split, report)
        return VocoderPreview(clips, sample_rate_hz=self.sample_rate_hz)
