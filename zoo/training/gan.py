"""Training of a generator by any of the paper's losses, with the discriminator beside it."""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

import keras
from keras import ops

from tonezoo.training import drivers, loss_terms, losses
from tonezoo.training.base import Trainer, check_backend
from tonezoo.training.callbacks import classifier_name
from tonezoo.training.drivers import GRADIENT_NORM
from tonezoo.training.loss_terms import CRITICS, LOSS_TERMS
from tonezoo.training.loudness import loudness_disturbance

# Terms that compare target and estimate by themselves, without a network.
SIGNAL_TERMS: dict[str, Callable] = {
    "l2": losses.mean_square,
    "patch_rms": losses.patch_rms_error,
    "spectral": losses.log_spectral,
    "short_spectral": functools.partial(
        losses.log_spectral, windows=loss_terms.SHORT_SPECTRAL_WINDOWS
    ),
}

# Terms that need a discriminator, which learns beside the generator.
CRITIC_TERMS = (*CRITICS, "feature_matching")


@dataclasses.dataclass(frozen=True)
class StackedCritic:
    """Losses of generator and discriminator, and the logit that tells real from made-up."""

    generator: Callable
    discriminator: Callable
    boundary: float


STACKED: dict[str, StackedCritic] = {
    "least_squares": StackedCritic(
        losses.generator_least_squares, losses.discriminator_least_squares, 0.5
    ),
    "hinge": StackedCritic(losses.generator_hinge, losses.discriminator_hinge, 0.0),
}


@keras.saving.register_keras_serializable(package="tonezoo")
class GanTrainer(Trainer):
    """Trains a generator on (low, high) patches with a weighted sum of loss terms.

    L_G = sum over the terms of weight * term. A term of weight 0 or without a weight is off and
    costs nothing. The paper's MU-GAN is l2 = 1, feature = 1, adversarial = 1e-3; its ablations
    (Table 4) drop the last one or two; Table 3 puts the classifier in the place of the feature.

    | term | definition |
    |---|---|
    | l2 | `losses.mean_square` |
    | patch_rms | `losses.patch_rms_error`, the audio U-net's own |
    | feature | mean square of phi(target) - phi(estimate), phi the frozen autoencoder's code |
    | classifier | `ClassifierFeatureLoss` in place of the feature loss |
    | adversarial | -log D(estimate); D learns beside the generator, by cross-entropy |
    | least_squares | `losses.generator_least_squares`; D learns by least squares |
    | hinge | `losses.generator_hinge`; D learns by `losses.discriminator_hinge` |
    | feature_matching | `losses.feature_matching`, of the layers of a D that has `activations` |
    | mel | mean absolute difference of the mel spectrograms of the generator's `front_end` |
    | spectral | `losses.log_spectral`, windows of 512, 1024 and 2048 samples, ours |
    | short_spectral | `losses.log_spectral`, windows of 128 and 256 samples, ours |
    | band_level | `losses.band_level`, ours |
    | loudness | `loudness.loudness_disturbance`, ours |
    | tonal | `losses.tonal`, ours |

    Logged, as means over an epoch: loss, each term, phi_variance (a collapsed phi makes the feature
    loss 0), discriminator_loss, discriminator_accuracy and the gradient norms of both networks (of
    a replica's gradients times the replicas). `evaluate` and validation log the same of networks
    that do not learn, without the norms.

    Args:
        generator: model from (batch, time, channels) to (batch, ratio * time, 1).
        loss_weights: weight of each term that is on.
        discriminator: needed by the adversarial term, such as a `MuGanDiscriminator`, or by the
            least_squares or the hinge term, such as a `SpeechDiscriminator` or a
            `MelGanDiscriminator`.
        autoencoder: needed by the feature term; used as it is, not trained.
        classifier: needed by the classifier term; used as it is, not trained.
        average: network of the generator's kind, which `AverageWeights` fills and calls outside
            training then use; or None.

    Raises:
        ValueError: unknown terms, no term at all, a term without the network it needs, or two by
            which the discriminator would learn.

    Source: "Adversarial Audio Super-Resolution with Unsupervised Feature Losses", sections 3 and 4.

    Example:

    >>> import numpy as np, tonezoo
    >>> trainer = GanTrainer(
    ...     tonezoo.create_model("mu_gan", preset="tiny", ratio=2), loss_weights={"l2": 1.0}
    ... )
    >>> trainer.compile("adam")
    >>> low, high = np.zeros((4, 64, 1), "float32"), np.zeros((4, 128, 1), "float32")
    >>> history = trainer.fit(low, high, validation_split=0.5, verbose=0).history
    >>> sorted(history)
    ['generator_gradient_norm', 'l2', 'loss', 'val_l2', 'val_loss']
    """

    networks = ("generator", "discriminator", "autoencoder", "classifier", "average")

    def __init__(
        self,
        generator,
        *,
        loss_weights: Mapping[str, float],
        discriminator=None,
        autoencoder=None,
        classifier=None,
        average=None,
        **kwargs,
    ):
        # The networks cast for themselves: the audio path stays in the variables' precision.
        super().__init__(autocast=False, **kwargs)
        self.generator = generator
        self.discriminator = discriminator
        self.autoencoder = autoencoder
        self.classifier = classifier
        self.average = average
        self.active_weights = check_weights(loss_weights)
        self.discriminator_optimizer = None
        for term, network in (
            *((term, discriminator) for term in CRITIC_TERMS),
            ("feature", autoencoder),
            ("classifier", classifier),
        ):
            if term in self.active_weights and network is None:
                raise ValueError(f"The {term} loss needs its network, but none was given.")
        check_critic(self.active_weights, discriminator)
        for term, attribute in (
            ("loudness", "sample_rate_hz"),
            ("band_level", "ratio"),
            ("tonal", "grid_samples"),
            ("mel", "front_end"),
        ):
            if term in self.active_weights and not hasattr(generator, attribute):
                raise ValueError(
                    f"The {term} loss needs to know the {attribute} of the generator: give it an "
                    f"attribute {attribute}, or leave {term} out."
                )
        for network in (generator, discriminator, autoencoder, average):
            if network is not None and not network.built:
                network.build((None, None, getattr(network, "channels", 1)))
        names = [*self.active_weights, "generator" + GRADIENT_NORM]
        if "feature" in self.active_weights:
            names.append("phi_variance")
        if "classifier" in self.active_weights:
            names += [classifier_name(layer) for layer in range(classifier.loss_layers)]
        if self.has_critic:
            names += ["discriminator_loss", "discriminator_accuracy"]
            names.append("discriminator" + GRADIENT_NORM)
        self.trackers = [keras.metrics.Mean(name=name) for name in names]
        self.built = True

    def compile(
        self, optimizer="adam", discriminator_optimizer=None, loss=None, loss_weights=None, **kwargs
    ):
        """Sets the optimizers and builds their state, inside the strategy scope of the caller.

        Args:
            optimizer: of the generator, name or instance.
            discriminator_optimizer: of the discriminator, where a term of it is on; None for one of
                the generator's kind and settings.
            loss, loss_weights: None; the terms and their weights are given to the trainer.
            **kwargs: of `keras.Model.compile`, such as metrics, which compare the generator's
                output with the target, jit_compile or run_eagerly.

        Raises:
            ValueError: a loss; networks that compute in float16, whose gradients this step does
                not scale; or the backend is torch.
        """
        check_backend()
        if loss is not None or loss_weights is not None:
            raise ValueError(
                "The loss of a GanTrainer is the weighted sum of its terms: give loss_weights, "
                'such as {"l2": 1.0}, to GanTrainer itself and no loss to compile.'
            )
        self._check_precision()
        super().compile(optimizer=optimizer, **kwargs)
        # An optimizer built inside the train step breaks under a distribution strategy.
        self.optimizer.build(self.generator.trainable_variables)
        self.discriminator_optimizer = None
        if self.has_critic:
            if discriminator_optimizer in (None, optimizer):
                kind = type(self.optimizer)
                discriminator_optimizer = kind.from_config(self.optimizer.get_config())
            self.discriminator_optimizer = keras.optimizers.get(discriminator_optimizer)
            self.discriminator_optimizer.build(self.discriminator.trainable_variables)

    @property
    def has_critic(self) -> bool:
        """Whether a discriminator learns beside the generator."""
        return any(term in self.active_weights for term in CRITIC_TERMS)

    def _check_precision(self) -> None:
        for name in self.networks:
            if getattr(getattr(self, name), "compute_dtype", None) == "float16":
                raise ValueError(
                    f"The {name} computes in float16, but training in mixed_float16 is not "
                    "supported. Use mixed_bfloat16, whose gradients need no scaling, or float32."
                )

    def get_compile_config(self) -> dict[str, Any]:
        config = super().get_compile_config()
        if self.discriminator_optimizer is not None:
            saved = keras.saving.serialize_keras_object(self.discriminator_optimizer)
            config["discriminator_optimizer"] = saved
        return config

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "loss_weights": dict(self.active_weights)}

    @property
    def trained_networks(self) -> dict[str, tuple[keras.Model, keras.optimizers.Optimizer]]:
        """The networks that learn, each with its optimizer."""
        trained = {"generator": (self.generator, self.optimizer)}
        if self.discriminator_optimizer is not None:
            trained["discriminator"] = (self.discriminator, self.discriminator_optimizer)
        return trained

    @property
    def non_trainable_variables(self):
        variables = super().non_trainable_variables
        if keras.backend.backend() == "jax" and self.discriminator_optimizer is not None:
            # What a step changes is passed to it, and Keras knows of one optimizer alone.
            variables = [*variables, *self.discriminator_optimizer.variables]
        return variables

    def call(self, waveform, training=False):
        return (self.generator if training else self.trained)(waveform, training=training)

    def train_step(self, *arguments):
        return drivers.train_step(self, *arguments)

    def test_step(self, *arguments):
        return drivers.test_step(self, *arguments)

    def unpack(self, data):
        """Returns the low-rate and the high-rate patches of a batch as Keras gives it."""
        low, high, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        if high is None:
            raise ValueError("GanTrainer needs pairs (low, high), but got a batch without target.")
        if sample_weight is not None:
            raise ValueError(
                "GanTrainer weighs all patches of a batch alike: leave sample_weight and "
                "class_weight out, and give it the patches that should count more more often."
            )
        return low, high

    def losses_and_figures(self, low, high, training):
        """Returns the loss of each network that learns, the figures to log, and the estimate.

        Args:
            low: (batch, time, 1).
            high: (batch, ratio * time, 1).
            training: whether the networks learn; if not, the estimate is that of the average.
        """
        estimate = self.call(low, training=training)
        figures: dict[str, Any] = {}
        terms = self._reconstruction_terms(high, estimate, figures)
        objectives = {}
        if self.has_critic:
            critic_terms, objective, critic_figures = self._critic_terms(high, estimate, training)
            terms |= critic_terms
            objectives["discriminator"] = objective
            figures |= {"discriminator_loss": objective, **critic_figures}
        loss = sum(weight * terms[term] for term, weight in self.active_weights.items())
        objectives["generator"] = loss
        for name in objectives:
            for penalty in getattr(self, name).losses:
                objectives[name] = objectives[name] + penalty
        return objectives, {**figures, "loss": objectives["generator"], **terms}, estimate

    def _critic_terms(self, high, estimate, training):
        """Returns the terms that need the discriminator, its own loss, and what else to log."""
        if "adversarial" in self.active_weights:
            real = self.discriminator(high, training=training)
            fake = self.discriminator(estimate, training=training)
            terms = {"adversarial": losses.generator_adversarial(fake)}
            objective = losses.discriminator_cross_entropy(real, fake)
            correct = [ops.cast(real > 0, "float32"), ops.cast(fake < 0, "float32")]
            return terms, objective, {"discriminator_accuracy": ops.mean(ops.stack(correct))}
        (name,) = (name for name in STACKED if name in self.active_weights)
        critic = STACKED[name]
        real, fake = (self.discriminator.activations(x, training) for x in (high, estimate))
        terms = {name: critic.generator(fake)}
        if "feature_matching" in self.active_weights:
            terms["feature_matching"] = losses.feature_matching(real, fake)
        shares = [
            losses.mean_over_stacks(
                real, lambda logits: ops.mean(ops.cast(logits > critic.boundary, "float32"))
            ),
            losses.mean_over_stacks(
                fake, lambda logits: ops.mean(ops.cast(logits < critic.boundary, "float32"))
            ),
        ]
        objective = critic.discriminator(real, fake)
        return terms, objective, {"discriminator_accuracy": sum(shares) / 2}

    def _reconstruction_terms(self, high, estimate, figures) -> dict[str, Any]:
        terms = {
            term: function(high, estimate)
            for term, function in SIGNAL_TERMS.items()
            if term in self.active_weights
        }
        if "tonal" in self.active_weights:
            terms["tonal"] = losses.tonal(high, estimate, self.generator.grid_samples)
        if "mel" in self.active_weights:
            mels = [self.generator.front_end(x) for x in (high, estimate)]
            terms["mel"] = ops.mean(ops.abs(mels[0] - mels[1]))
        if "loudness" in self.active_weights:
            rate_hz = self.generator.sample_rate_hz
            terms["loudness"] = loudness_disturbance(high, estimate, rate_hz)
        if "band_level" in self.active_weights:
            terms["band_level"] = losses.band_level(high, estimate, self.generator.ratio)
        if "feature" in self.active_weights:
            # Out of reduced precision, in which a mean over so many would be lost.
            phi, estimated = (
                ops.cast(self.autoencoder.features(x), "float32") for x in (high, estimate)
            )
            terms["feature"] = losses.mean_square(phi, estimated)
            figures["phi_variance"] = ops.mean(ops.var(phi, axis=(0, 1)))
        if "classifier" in self.active_weights:
            raw = self.classifier.raw_losses(high, estimate)
            terms["classifier"] = ops.sum(raw / self.classifier.layer_weights)
            count = self.classifier.loss_layers
            figures |= {classifier_name(layer): raw[layer] for layer in range(count)}
        return terms

    def record(self, low, high, estimate, figures) -> dict[str, Any]:
        """Updates the metrics with the figures of a batch; returns their means so far."""
        for metric in self.metrics:
            if metric.name in figures:
                metric.update_state(figures[metric.name], sample_weight=ops.shape(low)[0])
        return self.compute_metrics(low, high, estimate)


def check_critic(active_weights: Mapping[str, float], discriminator) -> None:
    """Raises ValueError unless a discriminator, if any, learns by one term that it can serve."""
    terms = [name for name in CRITICS if name in active_weights]
    if len(terms) > 1:
        raise ValueError(
            f"The discriminator learns by one term, but {' and '.join(terms)} are on. Leave all "
            "but one out."
        )
    stacked = [name for name in terms if name in STACKED]
    if "feature_matching" in active_weights and not stacked:
        raise ValueError(
            "The feature_matching term compares layers of a discriminator that learns by the "
            f"{' or '.join(STACKED)} term. Give one of them a weight too."
        )
    if stacked and not hasattr(discriminator, "activations"):
        raise ValueError(
            f"The {stacked[0]} term needs a discriminator with activations, such as "
            f"speech_discriminator, but got a {type(discriminator).__name__}."
        )


def check_weights(loss_weights: Mapping[str, float]) -> dict[str, float]:
    """Returns the terms that are on, in the order of `LOSS_TERMS`."""
    unknown = sorted(set(loss_weights) - set(LOSS_TERMS))
    if unknown:
        raise ValueError(
            f"Unknown loss term {', '.join(map(repr, unknown))}. Available terms: "
            f"{', '.join(LOSS_TERMS)}."
        )
    active = {term: loss_weights[term] for term in LOSS_TERMS if loss_weights.get(term)}
    if not active:
        raise ValueError(
            f"Every loss term is off. Give at least one a weight: {', '.join(LOSS_TERMS)}."
        )
    return active
