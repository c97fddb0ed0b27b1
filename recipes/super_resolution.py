"""What the super-resolution recipes share: configuration, patches, networks and training phases."""

import hashlib
import math
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from tonezoo.recipes.data.augmentation import Augmentation
from tonezoo.recipes.experiment import Experiment, Phase
from tonezoo.training.loss_terms import LOSS_TERMS, SHORTEST_SPECTRAL_PATCH

# The network and the phase that a run is about.
TRAINED = "generator"
DISCRIMINATOR_HALVINGS = 7
DTYPES = ("float32", "mixed_bfloat16")


@dataclass(frozen=True, kw_only=True)
class Config:
    """Options of a super-resolution run; defaults are the paper's, ASSUMED where it is silent.

    Attributes:
        model: registry name of the generator.
        preset: its preset.
        networks: preset of the discriminator and the autoencoder.
        ratio: upsampling ratio R.
        sample_rate_hz: rate of the target.
        layout: how the data folder is split (see `tonezoo.recipes.data.layouts`).
        segment_samples: patch length at the target rate, rounded down to what R and the networks
            divide (8192 becomes 8064 at R = 6).
        batch_size: patches per replica; the global batch is batch_size * replicas.
        epochs: passes over as many patches as tile the data.
        autoencoder_epochs: the same for the autoencoder, trained first where its feature is used.
        steps_per_epoch: steps of an epoch in place of those that tile the data; None for these.
        autoencoder_share: largest part of `--max-minutes` that the autoencoder may take.
        learning_rate, beta_1, beta_2: of Adam, in every phase.
        halving_steps: steps of the generator in which its learning rate and its discriminator's
            halve, again and again; None for a constant one.
        average: momentum of the moving average of the generator's weights, which evaluation,
            previews and export then use; 0 for the weights themselves.
        dtype: Keras dtype policy of the networks, "float32" or "mixed_bfloat16" (a third faster or
            more on processors and GPUs that have it). Evaluation and export use float32.
        gain_db, speed, equaliser_db, filters: see `tonezoo.recipes.data.augmentation.Augmentation`.
        dropout: dropout rate of all networks; None for the presets' own.
        l2, patch_rms, feature, classifier, adversarial, spectral, loudness, tonal: weights of the
            loss terms.
        start_from: run, exported model or name of a shipped one whose generator's weights training
            starts from; None for random ones.
        classifier_checkpoint: path of the authors' TF1 checkpoint, for the classifier term.
        seed: of initial weights, dropout and batches.
        deterministic: True for bit-identical repetition on one machine, somewhat slower.
        cache_dir: folder for the decoded audio; None to keep it in memory.
        checkpoint_steps: steps between checkpoints; one is written where training ends in any case.

    Raises:
        ValueError: a number out of its range.
    """

    model: str = "mu_gan"
    preset: str = "l8"
    networks: str = "full"
    ratio: int = 4
    sample_rate_hz: int = 16_000
    layout: str = "auto"
    segment_samples: int = 8192
    batch_size: int = 32
    epochs: int = 400
    autoencoder_epochs: int = 50
    steps_per_epoch: int | None = None
    autoencoder_share: float = 0.15
    learning_rate: float = 1e-4
    beta_1: float = 0.9
    beta_2: float = 0.999
    halving_steps: int | None = None
    average: float = 0.0
    dtype: str = "float32"
    gain_db: float = 0.0
    speed: float = 0.0
    equaliser_db: float = 0.0
    filters: float = 0.0
    dropout: float | None = None
    l2: float = 1.0
    patch_rms: float = 0.0
    feature: float = 1.0
    classifier: float = 0.0
    adversarial: float = 1e-3
    spectral: float = 0.0
    loudness: float = 0.0
    tonal: float = 0.0
    start_from: str | None = None
    classifier_checkpoint: str | None = None
    seed: int = 0
    deterministic: bool = False
    cache_dir: str | None = None
    checkpoint_steps: int = 500

    def __post_init__(self):
        for names, least in (
            (("batch_size", "epochs", "autoencoder_epochs", "checkpoint_steps"), 1),
            (("steps_per_epoch", "segment_samples", "sample_rate_hz", "halving_steps"), 1),
            (("ratio",), 2),
            (("seed", *LOSS_TERMS), 0),
        ):
            for name in names:
                value = getattr(self, name)
                if value is not None and not value >= least:
                    raise ValueError(f"{name} must be at least {least}, but is {value}.")
        for name, value in asdict(self).items():
            if isinstance(value, float) and not math.isfinite(value):
                raise ValueError(f"{name} must be a finite number, but is {value}.")
        if not self.learning_rate > 0 or not 0 < self.autoencoder_share < 1:
            raise ValueError(
                "learning_rate must be above 0 and autoencoder_share between 0 and 1, but they are "
                f"{self.learning_rate} and {self.autoencoder_share}."
            )
        for name in ("beta_1", "beta_2", "average", "dropout"):
            value = getattr(self, name)
            if value is not None and not 0 <= value < 1:
                raise ValueError(f"{name} must be at least 0 and below 1, but is {value}.")
        if self.dtype not in DTYPES:
            raise ValueError(f"dtype must be one of {DTYPES}, but is {self.dtype!r}.")
        self.augmentation  # noqa: B018 - raises where its numbers are out of range

    @property
    def loss_weights(self) -> dict[str, float]:
        return {term: getattr(self, term) for term in LOSS_TERMS}

    @property
    def augmentation(self) -> Augmentation:
        return Augmentation(
            gain_db=self.gain_db,
            speed=self.speed,
            equaliser_db=self.equaliser_db,
            filters=self.filters,
        )


def run_name(recipe: str, cfg: Config) -> str:
    """Returns the default name of a run of a recipe."""
    return f"{recipe}_x{cfg.ratio}"


def find_data(cfg: Config, root, hold_out=()):
    """Returns the clips of a folder, split as the configuration says."""
    from tonezoo.recipes.data.layouts import find_clips

    return find_clips(root, layout=cfg.layout, hold_out=hold_out)


def dataset(cfg: Config, clips, report=print):
    """Returns the patch source of the training clips.

    Args:
        clips: `tonezoo.recipes.data.layouts.Clips`, or None for the embedded procedural corpus.
        report: called with a line for each file that is skipped.
    """
    from tonezoo.recipes.corpus import speech
    from tonezoo.recipes.data import patches

    if clips is None:
        arrays = speech.procedural_corpus(seed=cfg.seed, sample_rate_hz=cfg.sample_rate_hz)
        return patches.prepare_arrays(arrays, sample_rate_hz=cfg.sample_rate_hz, ratio=cfg.ratio)
    return patches.prepare(
        clips.train,
        sample_rate_hz=cfg.sample_rate_hz,
        ratio=cfg.ratio,
        cache_dir=None if cfg.cache_dir is None else Path(cfg.cache_dir),
        report=report,
    )


def new_model(cfg: Config, dtype: str = "float32"):
    """Returns the generator of a configuration, built."""
    from tonezoo.registry import create_model

    model = create_model(
        cfg.model,
        preset=cfg.preset,
        ratio=cfg.ratio,
        sample_rate_hz=cfg.sample_rate_hz,
        dtype=dtype,
        **dropout_option(cfg),
    )
    model.build((None, None, 1))
    return model


def build(cfg: Config, source, replicas: int) -> Experiment:
    """Returns the networks, optimizers and phases of a run; call it inside the strategy's scope."""
    network = new_model(cfg, cfg.dtype)
    segment_samples = patch_samples(cfg, network.levels)
    helpers = helper_networks(cfg, segment_samples)
    batch_size = cfg.batch_size * replicas
    tiling_steps = math.ceil(source.patch_count(segment_samples) / batch_size)

    def batches(seed: int, start_step: int):
        return source.batches(
            segment_samples=segment_samples,
            batch_size=batch_size,
            seed=seed,
            start_step=start_step,
            augmentation=cfg.augmentation,
        )

    options = {
        "steps_per_epoch": cfg.steps_per_epoch or tiling_steps,
        "batches": batches,
    }
    phases = []
    if "autoencoder" in helpers:
        phases.append(autoencoder_phase(cfg, helpers["autoencoder"], **options))
    phases.append(generator_phase(cfg, network, helpers, **options))
    optimizers = [phase.model.optimizer for phase in phases]
    trainer = phases[-1].model
    if trainer.discriminator_optimizer is not None:
        optimizers.append(trainer.discriminator_optimizer)
    return Experiment(
        phases=phases,
        networks={TRAINED: network, **helpers},
        optimizers=optimizers,
        global_batch=batch_size,
        data_fingerprint=fingerprint(source),
        start=lambda: start(cfg, network, helpers.get("average")),
    )


def autoencoder_phase(cfg: Config, autoencoder, *, steps_per_epoch: int, batches) -> Phase:
    """Returns the phase that trains the feature autoencoder to reproduce high-rate patches."""
    import keras

    autoencoder.compile(optimizer=adam(cfg), loss=keras.losses.MeanSquaredError())
    autoencoder.optimizer.build(autoencoder.trainable_variables)
    return Phase(
        name="autoencoder",
        model=autoencoder,
        steps_per_epoch=steps_per_epoch,
        epochs=cfg.autoencoder_epochs,
        time_share=cfg.autoencoder_share,
        dataset=lambda step: batches(cfg.seed + 1, step).map(lambda _, high: (high, high)),
    )


def generator_phase(cfg: Config, network, helpers, *, steps_per_epoch: int, batches) -> Phase:
    """Returns the phase that trains the generator, and its discriminator where there is one."""
    from tonezoo.training import AverageWeights, BalanceClassifier, GanTrainer

    callbacks = [BalanceClassifier()] if cfg.classifier else []
    if cfg.average:
        callbacks.append(AverageWeights(cfg.average))
    trainer = GanTrainer(network, loss_weights=cfg.loss_weights, **helpers)
    trainer.compile(
        adam(cfg, cfg.halving_steps),
        adam(cfg, cfg.halving_steps) if "discriminator" in helpers else None,
    )
    return Phase(
        name=TRAINED,
        model=trainer,
        steps_per_epoch=steps_per_epoch,
        epochs=cfg.epochs,
        time_share=1.0,
        callbacks=tuple(callbacks),
        dataset=lambda step: batches(cfg.seed, step),
    )


def adam(cfg: Config, halving_steps: int | None = None):
    """Returns the optimizer of a configuration, its learning rate halved every so many steps."""
    import keras

    rate = cfg.learning_rate
    if halving_steps is not None:
        rate = keras.optimizers.schedules.ExponentialDecay(rate, halving_steps, 0.5)
    return keras.optimizers.Adam(rate, beta_1=cfg.beta_1, beta_2=cfg.beta_2)


def start(cfg: Config, network, average) -> dict | None:
    """Gives a new run's generator the weights to start from; returns how they came about."""
    from tonezoo.recipes.trained import start_from

    origin = None if cfg.start_from is None else start_from(network, cfg.start_from)
    if average is not None:
        average.set_weights(network.get_weights())
    return origin


def fingerprint(source) -> str:
    """Returns a short hash of the training data: clip lengths and a sample of the signal."""
    digest = hashlib.sha256(source.lengths.tobytes())
    digest.update(np.ascontiguousarray(source.low[::97]).tobytes())
    return digest.hexdigest()[:16]


def preview(cfg: Config, clips, report=print):
    """Returns the `Preview` of a few clips that are not trained on.

    These are test clips, or other procedural clips where the embedded corpus is used; a folder of
    which nothing is held out has none.
    """
    from tonezoo.recipes.corpus import speech
    from tonezoo.recipes.data.clips import read_clips
    from tonezoo.recipes.preview import PREVIEW_CLIPS, Preview

    if clips is None:
        arrays = speech.procedural_corpus(
            seed=cfg.seed + 1, clips=PREVIEW_CLIPS, sample_rate_hz=cfg.sample_rate_hz
        )
    else:
        arrays = read_clips(
            clips.test[:PREVIEW_CLIPS],
            root=clips.root,
            sample_rate_hz=cfg.sample_rate_hz,
            ratio=cfg.ratio,
            report=report,
        )
    return Preview(arrays, ratio=cfg.ratio, sample_rate_hz=cfg.sample_rate_hz)


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
    needed = [multiple]
    if cfg.spectral:
        needed.append(SHORTEST_SPECTRAL_PATCH)
    if cfg.loudness:
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
    from tonezoo.registry import create_model

    helpers = {}
    if cfg.feature:
        helpers["autoencoder"] = create_model(
            "mu_gan_autoencoder", preset=cfg.networks, dtype=cfg.dtype, **dropout_option(cfg)
        )
        helpers["autoencoder"].build((None, None, 1))
    if cfg.adversarial:
        helpers["discriminator"] = create_model(
            "mu_gan_discriminator",
            preset=cfg.networks,
            segment_samples=segment_samples,
            dtype=cfg.dtype,
            **dropout_option(cfg),
        )
        helpers["discriminator"].build((None, segment_samples, 1))
    if cfg.classifier:
        helpers["classifier"] = load_classifier(cfg)
    if cfg.average:
        helpers["average"] = new_model(cfg)
    return helpers


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


def dropout_option(cfg: Config) -> dict:
    return {} if cfg.dropout is None else {"dropout": cfg.dropout}
