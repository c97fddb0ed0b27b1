"""Training step of super-resolution models, with every loss of the paper's ablations."""

from collections.abc import Mapping

import keras
import tensorflow as tf
from keras import ops

from tonezoo.training import losses
from tonezoo.training.loss_terms import LOSS_TERMS
from tonezoo.training.loudness import loudness_disturbance


class SuperResolutionTrainer(keras.Model):
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
    | adversarial | -log D(estimate); D learns beside the generator |
    | spectral | `losses.log_spectral`, ours |
    | loudness | `loudness.loudness_disturbance`, ours |
    | tonal | `losses.tonal`, ours |

    Logged, as means over an epoch: loss, each term, phi_variance (a collapsed phi makes the feature
    loss 0), discriminator_loss, discriminator_accuracy and the gradient norms of both networks (of
    a replica's gradients times the replicas).

    Args:
        generator: model from (batch, time, 1) to (batch, ratio * time, 1).
        loss_weights: weight of each term that is on.
        discriminator: needed by the adversarial term.
        autoencoder: needed by the feature term; used as it is, not trained.
        classifier: needed by the classifier term; used as it is, not trained.
        average: network of the generator's kind, which `AverageWeights` fills and calls outside
            training then use; or None.

    Raises:
        ValueError: unknown terms, no term at all, or a term without the network it needs.

    Source: "Adversarial Audio Super-Resolution with Unsupervised Feature Losses", sections 3 and 4.

    Example:

    >>> import numpy as np, tonezoo
    >>> trainer = SuperResolutionTrainer(
    ...     tonezoo.create_model("mu_gan", preset="tiny", ratio=2), loss_weights={"l2": 1.0}
    ... )
    >>> trainer.compile(keras.optimizers.Adam(1e-4))
    >>> low, high = np.zeros((4, 64, 1), "float32"), np.zeros((4, 128, 1), "float32")
    >>> sorted(trainer.fit(low, high, verbose=0).history)
    ['generator_gradient_norm', 'l2', 'loss']
    """

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
        super().__init__(**kwargs)
        self.generator = generator
        self.discriminator = discriminator
        self.autoencoder = autoencoder
        self.classifier = classifier
        self.average = average
        self.active_weights = check_weights(loss_weights)
        for term, network in (
            ("adversarial", discriminator),
            ("feature", autoencoder),
            ("classifier", classifier),
        ):
            if term in self.active_weights and network is None:
                raise ValueError(f"The {term} loss needs its network, but none was given.")
        if "loudness" in self.active_weights and not hasattr(generator, "sample_rate_hz"):
            raise ValueError(
                "The loudness loss needs the rate of the output: give the generator an attribute "
                "sample_rate_hz, or leave loudness out."
            )
        for network in (generator, discriminator, autoencoder):
            if network is not None and not network.built:
                network.build((None, None, 1))
        names = ["loss", *self.active_weights, "generator_gradient_norm"]
        if "feature" in self.active_weights:
            names.append("phi_variance")
        if "classifier" in self.active_weights:
            names += [classifier_name(layer) for layer in range(classifier.loss_layers)]
        if "adversarial" in self.active_weights:
            names += [
                "discriminator_loss",
                "discriminator_accuracy",
                "discriminator_gradient_norm",
            ]
        self.trackers = {name: keras.metrics.Mean(name=name) for name in names}
        self.built = True

    def compile(self, optimizer, discriminator_optimizer=None, **kwargs):
        """Sets the optimizers and builds their state, inside the strategy scope of the caller.

        Args:
            optimizer: of the generator.
            discriminator_optimizer: needed by the adversarial term.
            **kwargs: of `keras.Model.compile`, such as jit_compile or run_eagerly.

        Raises:
            ValueError: the adversarial term is on without an optimizer for the discriminator, or
                the networks compute in float16, whose gradients this step does not scale.
        """
        if self.generator.compute_dtype == "float16":
            raise ValueError(
                "Training in mixed_float16 is not supported: use mixed_bfloat16, whose gradients "
                "need no scaling, or float32."
            )
        super().compile(optimizer=optimizer, **kwargs)
        optimizer.build(self.generator.trainable_variables)
        self.discriminator_optimizer = discriminator_optimizer
        if "adversarial" in self.active_weights:
            if discriminator_optimizer is None:
                raise ValueError("The adversarial loss needs discriminator_optimizer.")
            # An optimizer built inside the train step breaks under a distribution strategy.
            discriminator_optimizer.build(self.discriminator.trainable_variables)

    def call(self, waveform, training=False):
        averaged = self.average is not None and not training
        return (self.average if averaged else self.generator)(waveform, training=training)

    @property
    def metrics(self):
        return list(self.trackers.values())

    def train_step(self, data):
        low, high = data
        adversarial = "adversarial" in self.active_weights
        replicas = tf.distribute.get_strategy().num_replicas_in_sync
        logs = {}
        with tf.GradientTape(persistent=True) as tape:
            estimate = self.generator(low, training=True)
            terms = self._reconstruction_terms(high, estimate, logs)
            if adversarial:
                real_logits = self.discriminator(high, training=True)
                fake_logits = self.discriminator(estimate, training=True)
                terms["adversarial"] = losses.generator_adversarial(fake_logits)
                discriminator_loss = losses.discriminator_cross_entropy(real_logits, fake_logits)
                # Optimizers add the replicas' gradients up: the mean over the global batch needs
                # each replica's share.
                scaled_discriminator_loss = discriminator_loss / replicas
            loss = sum(weight * terms[term] for term, weight in self.active_weights.items())
            scaled_loss = loss / replicas
        logs |= {"loss": loss, **terms}
        logs["generator_gradient_norm"] = replicas * self._descend(
            tape, scaled_loss, self.generator, self.optimizer
        )
        if adversarial:
            logs["discriminator_gradient_norm"] = replicas * self._descend(
                tape, scaled_discriminator_loss, self.discriminator, self.discriminator_optimizer
            )
            correct = [ops.cast(real_logits > 0, "float32"), ops.cast(fake_logits < 0, "float32")]
            logs["discriminator_accuracy"] = ops.mean(ops.stack(correct))
            logs["discriminator_loss"] = discriminator_loss
        for name, value in logs.items():
            self.trackers[name].update_state(value)
        return {name: tracker.result() for name, tracker in self.trackers.items()}

    def _reconstruction_terms(self, high, estimate, logs) -> dict:
        terms = {}
        for term, function in (
            ("l2", losses.mean_square),
            ("patch_rms", losses.patch_rms_error),
            ("spectral", losses.log_spectral),
            ("loudness", self._loudness),
            ("tonal", losses.tonal),
        ):
            if term in self.active_weights:
                terms[term] = function(high, estimate)
        if "feature" in self.active_weights:
            # Out of reduced precision, in which a mean over so many would be lost.
            phi, estimated = (
                ops.cast(self.autoencoder.features(x), "float32") for x in (high, estimate)
            )
            terms["feature"] = losses.mean_square(phi, estimated)
            logs["phi_variance"] = ops.mean(ops.var(phi, axis=(0, 1)))
        if "classifier" in self.active_weights:
            raw = self.classifier.raw_losses(high, estimate)
            terms["classifier"] = ops.sum(raw / self.classifier.layer_weights)
            logs |= {classifier_name(layer): raw[layer] for layer in range(len(raw))}
        return terms

    def _loudness(self, high, estimate):
        return loudness_disturbance(high, estimate, self.generator.sample_rate_hz)

    def _descend(self, tape, loss, network, optimizer):
        """Applies one optimizer step to a network; returns the norm of this replica's gradients."""
        variables = network.trainable_variables
        gradients = tape.gradient(loss, [variable.value for variable in variables])
        optimizer.apply(gradients, variables)
        return tf.linalg.global_norm(gradients)


class AverageWeights(keras.callbacks.Callback):
    """Keeps an exponential moving average of the generator's weights in the trainer's `average`.

    The momentum of step k is min(momentum, (1 + k) / (10 + k)), so that a short run's average is
    not that of its first steps.

    Args:
        momentum: weight of the average so far, 0 to 1.
    """

    def __init__(self, momentum: float):
        super().__init__()
        self.momentum = momentum

    def on_train_batch_end(self, batch, logs=None):
        step = int(ops.convert_to_numpy(self.model.optimizer.iterations))
        momentum = min(self.momentum, (1 + step) / (10 + step))
        variables = self.model.generator.trainable_variables
        for mean, variable in zip(self.model.average.trainable_variables, variables, strict=True):
            mean.assign(momentum * mean + (1 - momentum) * variable)


class BalanceClassifier(keras.callbacks.Callback):
    """Divides each layer of the classifier loss by its mean of one epoch, from then on.

    A run that is stopped and resumed inside that epoch takes the mean of the steps since.

    Args:
        epoch: the epoch, counted from 1, whose mean raw losses become the divisors.

    Source: Germain et al. 2018, "Speech Denoising with Deep Feature Losses".
    """

    def __init__(self, epoch: int = 10):
        super().__init__()
        self.epoch = epoch

    def on_epoch_end(self, epoch, logs=None):
        if epoch + 1 == self.epoch:
            classifier = self.model.classifier
            means = [logs[classifier_name(layer)] for layer in range(classifier.loss_layers)]
            classifier.layer_weights.assign(means)


def classifier_name(layer: int) -> str:
    return f"classifier_layer_{layer + 1}"


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
