"""The training step: its terms, its gradients, and two replicas against one device."""

import keras
import numpy as np
import pytest
import small_trainers as small
import tensorflow as tf
from small_trainers import PAPER, SEGMENT, patches

import tonezoo
from tonezoo.models.mu_gan import MuGanGenerator
from tonezoo.training import AverageWeights, GanTrainer, losses
from tonezoo.training.loss_terms import LOSS_TERMS


def adam():
    # The paper's rate: Adam turns rounding errors of vanishing gradients into steps of that size.
    return keras.optimizers.Adam(1e-4)


def sgd():
    # Unlike Adam it shows gradients of the wrong scale.
    return keras.optimizers.SGD(1e-2)


def trainer(weights, optimizer=adam, **options):
    model = small.gan(weights)
    model.compile(optimizer(), optimizer(), **options)
    return model


def histories(model, steps=10):
    """Every logged figure of each of `steps` steps, one epoch per step."""
    low, high = patches()
    dataset = tf.data.Dataset.from_tensors((low, high)).repeat()
    return model.fit(dataset, steps_per_epoch=1, epochs=steps, verbose=0, shuffle=False).history


@pytest.mark.slow
def test_two_replicas_take_the_steps_of_one_device(two_replicas):
    """Both networks learn, dropout 0, synchronized batch norm, the same global batch of 8.

    By SGD: to Adam the scale of a gradient is nothing.
    """
    # A larger spectral weight makes the steps chaotic: its gradient flips where power vanishes.
    weights = {**PAPER, "spectral": 1e-6, "patch_rms": 0.1}
    alone = histories(trainer(weights, sgd))
    with two_replicas.scope():
        together = trainer(weights, sgd)
    together = histories(together)
    # Each replica has its own gradients and its own variance of phi; these are logged, not learnt.
    losses = [name for name in alone if "gradient" not in name and name != "phi_variance"]
    assert {"l2", "feature", "adversarial", "spectral", "discriminator_loss"} < set(losses)
    for name in losses:
        np.testing.assert_allclose(together[name], alone[name], rtol=1e-5, atol=1e-5, err_msg=name)
    assert alone["l2"][-1] < alone["l2"][0]


def critics_trainer(weights, optimizer=adam, dtype="float32"):
    """A trainer with a discriminator of periods and spectra."""
    keras.utils.set_random_seed(3)
    critic = tonezoo.create_model("speech_discriminator", preset="tiny", dtype=dtype)
    model = small.upsampling(weights, discriminator=critic)
    model.compile(optimizer(), optimizer())
    return model


def test_the_terms_of_a_discriminator_with_activations_are_those_written_out():
    model = critics_trainer({"l2": 1.0, "least_squares": 0.5, "feature_matching": 0.25})
    low, high = patches()
    critic = model.discriminator
    stacks = [critic.activations(x) for x in (high, model.generator(low))]
    real, fake = ([[np.array(x) for x in stack] for stack in stacks_of] for stacks_of in stacks)
    expected = {
        "least_squares": np.mean([np.mean((stack[-1] - 1) ** 2) for stack in fake]),
        "feature_matching": np.mean(
            [
                np.mean(np.abs(one - other))
                for ones, others in zip(real, fake, strict=True)
                for one, other in zip(ones[:-1], others[:-1], strict=True)
            ]
        ),
        "discriminator_loss": np.mean(
            [
                np.mean((ones[-1] - 1) ** 2) + np.mean(others[-1] ** 2)
                for ones, others in zip(real, fake, strict=True)
            ]
        ),
        "l2": np.mean((high - np.array(model.generator(low))) ** 2),
    }
    expected["loss"] = (
        expected["l2"] + 0.5 * expected["least_squares"] + 0.25 * expected["feature_matching"]
    )
    logged = model.evaluate(low, high, batch_size=8, return_dict=True, verbose=0)
    logged = {name: float(value) for name, value in logged.items()}
    assert logged.pop("discriminator_accuracy") == pytest.approx(0.5, abs=0.01)
    assert logged == pytest.approx(expected, rel=1e-4)


@pytest.mark.slow
def test_a_discriminator_with_activations_learns_to_tell_and_the_generator_to_please_it():
    weights = {"least_squares": 1.0, "feature_matching": 1.0}
    model = critics_trainer(weights, lambda: keras.optimizers.Adam(3e-3))
    history = histories(model, steps=40)
    assert history["discriminator_loss"][-1] < 0.8 * history["discriminator_loss"][0]
    assert history["discriminator_accuracy"][-1] > 0.7
    frozen = model.discriminator.get_weights()
    model.compile(keras.optimizers.Adam(3e-3), keras.optimizers.Adam(0.0))
    history = histories(model, steps=40)
    assert history["loss"][-1] < 0.98 * history["loss"][0]
    for before, after in zip(frozen, model.discriminator.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize(
    ("weights", "preset", "message"),
    [
        ({"adversarial": 1, "least_squares": 1}, "speech_discriminator", "Leave all but one out"),
        ({"l2": 1, "feature_matching": 1}, "speech_discriminator", "Give one of them a weight too"),
        ({"l2": 1, "hinge": 1, "least_squares": 1}, "speech_discriminator", "least_squares and hi"),
        ({"least_squares": 1}, "mu_gan_discriminator", "but got a MuGanDiscriminator"),
    ],
)
def test_a_discriminator_that_cannot_serve_is_refused(weights, preset, message):
    with pytest.raises(ValueError, match=message):
        small.upsampling(weights, discriminator=tonezoo.create_model(preset, preset="tiny"))


@pytest.mark.parametrize(
    ("weights", "logged"),
    [
        ({"l2": 1.0}, {"l2"}),
        ({"l2": 1.0, "feature": 1.0, "spectral": 0.0}, {"l2", "feature", "phi_variance"}),
        (
            {"l2": 1.0, "loudness": 1e-4, "tonal": 1e-2},
            {"l2", "loudness", "tonal"},
        ),
        pytest.param(
            PAPER,
            {
                *("l2", "feature", "phi_variance", "adversarial", "discriminator_loss"),
                *("discriminator_accuracy", "discriminator_gradient_norm"),
            },
            marks=pytest.mark.slow,
        ),
    ],
    ids=["l2", "l2+feature", "ours", "all"],
)
def test_ablations_log_what_is_on_and_nothing_else(weights, logged):
    # Tracing takes longer than a step: the compiled one is taken with every network.
    history = histories(trainer(weights, run_eagerly=weights is not PAPER), steps=1)
    assert set(history) == logged | {"loss", "generator_gradient_norm"}


def test_loss_is_the_weighted_sum_and_only_the_generator_and_discriminator_learn():
    model = trainer(PAPER, run_eagerly=True)
    low, high = patches()
    # What the step is about to see, worked out from the networks themselves.
    estimate = np.asarray(model.generator(low))
    phi, estimated = (np.asarray(model.autoencoder.features(x)) for x in (high, estimate))
    logits = np.asarray(model.discriminator(estimate, training=True))
    terms = {
        "l2": ((high - estimate) ** 2).mean(),
        "feature": ((phi - estimated) ** 2).mean(),
        "adversarial": np.log1p(np.exp(-logits)).mean(),
    }
    total = terms["l2"] + terms["feature"] + 1e-3 * terms["adversarial"]
    # The adversarial term has to be seen in the sum.
    assert 1e-3 * terms["adversarial"] > 1e-4 * total
    before = [np.array(v) for v in model.autoencoder.weights]
    generator = [np.array(v) for v in model.generator.trainable_variables]
    discriminator = [np.array(v) for v in model.discriminator.trainable_variables]
    logs = model.train_on_batch(low, high, return_dict=True)
    assert {name: logs[name] for name in terms} == pytest.approx(terms, rel=1e-4)
    assert logs["loss"] == pytest.approx(total, rel=1e-5)
    assert all(np.array_equal(a, v) for a, v in zip(before, model.autoencoder.weights, strict=True))
    for old, network in ((generator, model.generator), (discriminator, model.discriminator)):
        moved = [
            not np.array_equal(a, v) for a, v in zip(old, network.trainable_variables, strict=True)
        ]
        assert np.mean(moved) > 0.9


@pytest.mark.slow
@pytest.mark.parametrize("network", ["generator", "discriminator"])
def test_each_network_follows_its_own_loss(network):
    """The step against plain gradient descent on the loss of one network alone."""
    model = trainer(PAPER, lambda: keras.optimizers.SGD(0.1), run_eagerly=True)
    low, high = patches()
    variables = [v.value for v in getattr(model, network).trainable_variables]
    with tf.GradientTape() as tape:
        estimate = model.generator(low)
        real, fake = (model.discriminator(x, training=True) for x in (high, estimate))
        phi, estimated = (model.autoencoder.features(x) for x in (high, estimate))
        if network == "generator":
            loss = losses.mean_square(high, estimate) + losses.mean_square(phi, estimated)
            loss = loss + 1e-3 * losses.generator_adversarial(fake)
        else:
            loss = losses.discriminator_cross_entropy(real, fake)
    gradients = [tf.convert_to_tensor(g) for g in tape.gradient(loss, variables)]
    expected = [v - 0.1 * g for v, g in zip(variables, gradients, strict=True)]
    logs = model.train_on_batch(low, high, return_dict=True)
    norm = float(tf.linalg.global_norm(gradients))
    assert logs[f"{network}_gradient_norm"] == pytest.approx(norm, rel=1e-4)
    for got, wanted in zip(variables, expected, strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-6)


@pytest.mark.slow
def test_averaged_weights_are_the_moving_average_and_answer_outside_training():
    model = trainer({"l2": 1.0}, sgd)
    model.average = MuGanGenerator.from_config(model.generator.get_config())
    model.average.build((None, None, 1))
    expected = np.array(model.average.final_conv.kernel)
    seen = []

    class Record(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            seen.append(np.array(self.model.generator.final_conv.kernel))

    low, high = patches()
    data = tf.data.Dataset.from_tensors((low, 10 * high)).repeat()
    callbacks = [Record(), AverageWeights(0.4)]
    model.fit(data, steps_per_epoch=8, callbacks=callbacks, verbose=0, shuffle=False)
    momenta = [2 / 11, 3 / 12, 4 / 13, 5 / 14, 0.4, 0.4, 0.4, 0.4]
    for momentum, weights in zip(momenta, seen, strict=True):
        expected = momentum * expected + (1 - momentum) * weights
    np.testing.assert_allclose(model.average.final_conv.kernel, expected, rtol=1e-4, atol=1e-7)
    assert np.abs(seen[0] - seen[-1]).max() > 1e-4
    np.testing.assert_array_equal(model(low), model.average(low))
    assert not np.array_equal(model(low), model.generator(low))


def test_feature_loss_is_the_mean_square_between_codes_and_zero_between_equals():
    model = trainer({"feature": 1.0})
    _, high = patches()
    other = high[::-1]
    codes = [np.asarray(model.autoencoder.features(x)) for x in (high, other)]
    assert codes[0].shape == (8, SEGMENT // 2, 16)
    for estimate, expected in ((high, 0.0), (other, ((codes[0] - codes[1]) ** 2).mean())):
        figures = {}
        terms = model._reconstruction_terms(high, estimate, figures)
        assert list(terms) == ["feature"]
        assert float(terms["feature"]) == pytest.approx(expected, rel=1e-5)
        # Of the target alone.
        variance = codes[0].var(axis=(0, 1)).mean()
        assert float(figures["phi_variance"]) == pytest.approx(variance, rel=1e-4)
    assert expected > 0.1


@pytest.mark.slow
def test_every_term_trains_in_bfloat16():
    ours = {"spectral": 1e-3, "short_spectral": 1e-3, "band_level": 1e-3, "loudness": 1e-4}
    weights = {**PAPER, "patch_rms": 0.1, **ours, "tonal": 1e-2}
    others = {"classifier", "least_squares", "hinge", "feature_matching", "mel"}
    assert {*weights, *others} == {*LOSS_TERMS}
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        reduced = trainer(weights)
    finally:
        keras.config.set_dtype_policy("float32")
    assert reduced.generator.compute_dtype == "bfloat16"
    figures, exact = (histories(model, steps=1) for model in (reduced, trainer(weights)))
    assert set(figures) == set(exact)
    for term in weights:
        assert figures[term][0] == pytest.approx(exact[term][0], rel=0.05), term


@pytest.mark.slow
def test_the_terms_of_activations_train_in_bfloat16():
    weights = {"least_squares": 1.0, "feature_matching": 1.0}
    exact = histories(critics_trainer(weights), steps=1)
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        reduced = critics_trainer(weights, dtype="mixed_bfloat16")
    finally:
        keras.config.set_dtype_policy("float32")
    assert reduced.discriminator.compute_dtype == "bfloat16"
    for name, (value,) in histories(reduced, steps=1).items():
        assert value == pytest.approx(exact[name][0], rel=0.1, abs=0.01), name


def test_wrong_terms_are_explained():
    generator = MuGanGenerator(down_filters=(8,), up_filters=(8,))
    with pytest.raises(ValueError, match=r"'l3'.*Available terms: l2,"):
        GanTrainer(generator, loss_weights={"l3": 1.0})
    with pytest.raises(ValueError, match="Every loss term is off"):
        GanTrainer(generator, loss_weights={"l2": 0.0})
    with pytest.raises(ValueError, match="adversarial loss needs its network"):
        GanTrainer(generator, loss_weights={"adversarial": 1.0})
    plain = keras.Sequential([keras.layers.UpSampling1D(4)])
    with pytest.raises(ValueError, match="loudness loss needs to know the sample_rate_hz"):
        GanTrainer(plain, loss_weights={"loudness": 1.0})
    with pytest.raises(ValueError, match="band_level loss needs to know the ratio"):
        GanTrainer(plain, loss_weights={"band_level": 1.0})


def test_a_plain_keras_generator_trains_without_loudness():
    model = small.upsampling()
    model.compile(keras.optimizers.SGD(0.1))
    low = np.ones((2, 16, 1), "float32")
    history = model.fit(low, np.ones((2, 64, 1), "float32"), epochs=3, verbose=0).history["l2"]
    assert history[-1] < history[0]
