"""Recipes of super-resolution: configuration, patches, networks and training phases."""

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from tonezoo.recipes.base import BaseConfig
from tonezoo.recipes.config import check_at_least, check_fractions
from tonezoo.recipes.data.augmentation import Augmentation
from tonezoo.recipes.data.layouts import DataSplit
from tonezoo.recipes.data.patches import PatchSource
from tonezoo.recipes.experiment import AVERAGE_NETWORK, Experiment, Phase
from tonezoo.recipes.generators import GeneratorConfig
from tonezoo.registry import create_model

DISCRIMINATOR_HALVINGS = 7


@dataclass(frozen=True, kw_only=True)
class Config(GeneratorConfig):
    """Options of a super-resolution run; defaults are the paper's, ASSUMED where it is silent.

    Those that every run of a generator has are described in `BaseConfig` and `GeneratorConfig`.

    Attributes:
        critic_preset: preset of the autoencoder and of the discriminator, which is MU-GAN's where
            the adversarial term is on, `speech_discriminator` where the least_squares term is.
        ratio: upsampling ratio R.
        segment_samples: patch length at the target rate, rounded down to what R and the networks
            divide (8192 becomes 8064 at R = 6).
        autoencoder_epochs: epochs of the autoencoder, trained first where its feature is used.
        autoencoder_share: largest part of `--max-minutes` that the autoencoder may take.
        random_low_pass_share, telephone_share: see
            `tonezoo.recipes.data.augmentation.Augmentation`.
        dropout: dropout rate of all networks; None for the presets' own.
        l2_weight, patch_rms_weight, feature_weight, classifier_weight, adversarial_weight,
            band_level_weight, loudness_weight: of the loss terms.
        classifier_checkpoint: path of the authors' TF1 checkpoint, for the classifier term.

    Raises:
        ValueError: a number out of its range.
    """

    CHANGEABLE: ClassVar[frozenset[str]] = BaseConfig.CHANGEABLE | {"autoencoder_epochs"}
    PATH_OPTIONS: ClassVar[frozenset[str]] = BaseConfig.PATH_OPTIONS | {"classifier_checkpoint"}

    model: str = "mu_gan"
    preset: str = "l8"
    # Of the base class this is a constant, here an option.
    ratio: int = 4  # type: ignore[misc]
    batch_size: int = 32
    epochs: int = 400
    autoencoder_epochs: int = 50
    autoencoder_share: float = 0.15
    learning_rate: float = 1e-4
    random_low_pass_share: float = 0.0
    telephone_share: float = 0.0
    dropout: float | None = None
    l2_weight: float = 1.0
    patch_rms_weight: float = 0.0
    feature_weight: float = 1.0
    classifier_weight: float = 0.0
    adversarial_weight: float = 1e-3
    band_level_weight: float = 0.0
    loudness_weight: float = 0.0
    classifier_checkpoint: str | None = None

    def __post_init__(self):
        super().__post_init__()
        check_at_least(self, 1, "autoencoder_epochs")
        check_at_least(self, 2, "ratio")
        check_fractions(self, "dropout")
        if not 0 < self.autoencoder_share < 1:
            raise ValueError(
                f"autoencoder_share must be between 0 and 1, but is {self.autoencoder_share}."
            )

    @property
    def augmentation(self) -> Augmentation:
        return Augmentation(
            gain_db=self.gain_db,
            max_speedup=self.max_speedup,
            equaliser_db=self.equaliser_db,
            random_low_pass_share=self.random_low_pass_share,
            telephone_share=self.telephone_share,
        )

    @property
    def dropout_option(self) -> dict[str, Any]:
        return {} if self.dropout is None else {"dropout": self.dropout}

    @property
    def model_options(self) -> dict[str, Any]:
        return {
            "ratio": self.ratio,
            "sample_rate_hz": self.sample_rate_hz,
            **self.dropout_option,
        }

    def run_name(self, recipe: str) -> str:
        return f"{recipe}_x{self.ratio}"

    def build(self, source: PatchSource, replicas: int) -> Experiment:
        network = self.new_model(self.dtype)
        segment_samples = patch_samples(self, network.levels)
        helpers = helper_networks(self, segment_samples)
        global_batch = self.batch_size * replicas
        options: dict[str, Any] = {
            "steps_per_epoch": self.epoch_steps(source.patch_count(segment_samples), global_batch),
            "batches": functools.partial(
                source.batches,
                segment_samples=segment_samples,
                batch_size=global_batch,
                augmentation=self.augmentation,
            ),
        }
        phases = []
        if "autoencoder" in helpers:
            phases.append(autoencoder_phase(self, helpers["autoencoder"], **options))
        phases.append(generator_phase(self, network, helpers, **options))
        optimizers = [phase.model.optimizer for phase in phases]
        trainer = phases[-1].model
        if trainer.discriminator_optimizer is not None:
            optimizers.append(trainer.discriminator_optimizer)

        return Experiment(
            phases=phases,
            networks={self.MAIN_NETWORK: network, **helpers},
            optimizers=optimizers,
            global_batch=global_batch,
            data_fingerprint=source.fingerprint,
            start=lambda: self.begin(network, helpers.get(AVERAGE_NETWORK)),
            validation=functools.partial(
                self.validation_batches_of, segment_samples=segment_samples
            ),
        )

    def preview(self, split: DataSplit | None, report: Callable[[str], Any] = print):
        """Returns the `Preview` of a few clips that are not trained on."""
        from tonezoo.recipes.preview import Preview

        clips = self.preview_clips(split, report)
        return Preview(clips, ratio=self.ratio, sample_rate_hz=self.sample_rate_hz)


def autoencoder_phase(cfg: Config, autoencoder, *, steps_per_epoch: int, batches) -> Phase:
    """Returns the phase that trains the feature autoencoder to reproduce high-rate patches."""
    import keras

    autoencoder.compile(optimizer=cfg.adam(), loss=keras.losses.MeanSquaredError())
    autoencoder.optimizer.build(autoencoder.trainable_variables)
    return Phase(
        name="autoencoder",
        model=autoencoder,
        steps_per_epoch=steps_per_epoch,
        epochs=cfg.autoencoder_epochs,
        time_share=cfg.autoencoder_share,
        dataset=lambda step: batches(seed=cfg.seed + 1, start_step=step).map(
            lambda _, high: (high, high)
        ),
    )


def generator_phase(cfg: Config, network, helpers, *, steps_per_epoch: int, batches) -> Phase:
    """Returns the phase that trains the generator, and its discriminator where there is one."""
    from tonezoo.training import BalanceClassifier, GanTrainer

    callbacks = (BalanceClassifier(),) if cfg.classifier_weight else ()
    trainer = GanTrainer(network, loss_weights=cfg.loss_weights, **helpers)
    trainer.compile(
        cfg.adam(cfg.halving_steps),
        cfg.adam(cfg.halving_steps) if "discriminator" in helpers else None,
    )
    return Phase(
        name=cfg.MAIN_NETWORK,
        model=trainer,
        steps_per_epoch=steps_per_epoch,
        epochs=cfg.epochs,
        time_share=1.0,
        callbacks=(*callbacks, *cfg.average_callbacks()),
        dataset=lambda step: batches(seed=cfg.seed, start_step=step),
    )


def patch_samples(cfg: Config, levels: int) -> int:
    """Returns the patch length: at most cfg.segment_samples, divisible by R and all halvings.

    Raises:
        ValueError: segment_samples is shorter than the shortest patch possible.

    Example:

    >>> patch_samples(Config(ratio=6), levels=4)
    8064
    """
    from tonezoo.training.loudness import shortest_patch

    multiple = math.lcm(2 ** max(levels, DISCRIMINATOR_HALVINGS), cfg.ratio)
    needed = [multiple, cfg.shortest_spectral_patch]
    if cfg.loudness_weight:
        needed.append(shortest_patch(cfg.sample_rate_hz))
    shortest = -(-max(needed) // multiple) * multiple
    if cfg.segment_samples < shortest:
        raise ValueError(
            f"segment_samples must be at least {shortest} at ratio {cfg.ratio} with these losses, "
            f"but is {cfg.segment_samples}."
        )
    return cfg.segment_samples // multiple * multiple


def helper_networks(cfg: Config, segment_samples: int) -> dict:
    """Returns the networks that the loss terms of a configuration need, built."""
    helpers = {}
    if cfg.feature_weight:
        helpers["autoencoder"] = create_model(
            "mu_gan_autoencoder", preset=cfg.critic_preset, dtype=cfg.dtype, **cfg.dropout_option
        )
    if cfg.adversarial_weight:
        helpers["discriminator"] = create_model(
            "mu_gan_discriminator",
            preset=cfg.critic_preset,
            segment_samples=segment_samples,
            dtype=cfg.dtype,
            **cfg.dropout_option,
        )
    if cfg.least_squares_weight:
        helpers["discriminator"] = create_model(
            "speech_discriminator", preset=cfg.critic_preset, dtype=cfg.dtype
        )
    if cfg.classifier_weight:
        helpers["classifier"] = load_classifier(cfg)
    average = cfg.average_network()
    return helpers if average is None else {**helpers, AVERAGE_NETWORK: average}


def load_classifier(cfg: Config):
    from tonezoo.training.classifier_loss import ClassifierFeatureLoss

    if cfg.classifier_checkpoint is None:
        raise ValueError(
            "The classifier loss needs pretrained weights: --set classifier_checkpoint=PATH of the "
            "authors' TF1 checkpoint (models/loss_model.ckpt of their repository)."
        )
    loss = ClassifierFeatureLoss()
    loss.load_tf1_checkpoint(cfg.classifier_checkpoint)
    return loss
