"""The training step: its terms, its gradients, and two replicas against one device."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tonezoo.models.mu_gan import MuGanGenerator
from tonezoo.models.mu_gan_autoencoder import MuGanAutoencoder
from tonezoo.models.mu_gan_discriminator import MuGanDiscriminator
from tonezoo.training.gan import AverageWeights, SuperResolutionTrainer

PAPER = {"l2": 1.0, "feature": 1.0, "adversarial": 1e-3}
SEGMENT = 1040


def patches(count=8, ratio=4):
    random = np.random.default_rng(0)
    high = random.standard_normal((count, SEGMENT, 1)).astype("float32")
    return high[:, ::ratio], high


def adam():
    # The paper's rate: Adam turns rounding errors of vanishing gradients into steps of that size.
    return keras.optimizers.Adam(1e-4)


def sgd():
    # Unlike Adam it shows gradients of the wrong scale.
    return keras.optimizers.SGD(1e-2)


def trainer(weights, optimizer=adam, **options):
    keras.utils.set_random_seed(3)
    # One block each: tracing takes most of the time.
    widths = {"down_filters": (8,), "up_filters": (8,), "dropout": 0.0}
    generator = MuGanGenerator(**widths)
    autoencoder = MuGanAutoencoder(**widths)
    autoencoder.build((None, None, 1))
    discriminator = MuGanDiscriminator(
        segment_samples=SEGMENT, stem_filters=8, block_filters=(8,), dense_units=4, dropout=0.0
    )
    model = SuperResolutionTrainer(
        generator,
        loss_weights=weights,
        discriminator=discriminator,
        autoencoder=autoencoder,
        **options,
    )
    model.compile(optimizer(), optimizer())
    return model


def histories(model, steps=10):
    """Every logged figure of each of `steps` steps, one epoch per step."""
    low, high = patches()
    dataset = tf.data.Dataset.from_tensors((low, high)).repeat()
    return model.fit(dataset, steps_per_epoch=1, epochs=steps, verbose=0, shuffle=False).history


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", [adam, sgd])
def test_two_replicas_take_the_steps_of_one_device(two_replicas, optimizer):
    """Both networks learn, dropout 0, synchronized batch norm, the same global batch of 8."""
    # A larger spectral weight makes the steps chaotic: its gradient flips where power vanishes.
    weights = {**PAPER, "spectral": 1e-6, "patch_rms": 0.1}
    alone = histories(trainer(weights, optimizer))
    with two_replicas.scope():
        together = trainer(weights, optimizer)
    together = histories(together)
    # Each replica has its own gradients and its own variance of phi; these are logged, not learnt.
    losses = [name for name in alone if "gradient" not in name and name != "phi_variance"]
    assert {"l2", "feature", "adversarial", "spectral", "discriminator_loss"} < set(losses)
    for name in losses:
        np.testing.assert_allclose(together[name], alone[name], rtol=1e-5, atol=1e-5, err_msg=name)
    assert alone["l2"][-1] < alone["l2"][0]


@pytest.mark.parametrize(
    ("weights", "logged"),
    [
        ({"l2": 1.0}, {"l2"}),
        ({"l2": 1.0, "feature": 1.0, "spectral": 0.0}, {"l2", "feature", "phi_variance"}),
        (
            {"l2": 1.0, "loudness": 1e-4, "tonal": 1e-2},
            {"l2", "loudness", "tonal"},
        ),
        (
            PAPER,
            {
                *("l2", "feature", "phi_variance", "adversarial", "discriminator_loss"),
                *("discriminator_accuracy", "discriminator_gradient_norm"),
            },
        ),
    ],
    ids=["l2", "l2+feature", "ours", "all"],
)
def test_ablations_log_what_is_on_and_nothing_else(weights, logged):
    history = histories(trainer(weights), steps=1)
    assert set(history) == logged | {"loss", "generator_gradient_norm"}


@pytest.mark.slow
def test_loss_is_the_weighted_sum_and_only_the_generator_and_discriminator_learn():
    model = trainer(PAPER)
    before = [np.array(v) for v in model.autoencoder.weights]
    generator = [np.array(v) for v in model.generator.trainable_variables]
    discriminator = [np.array(v) for v in model.discriminator.trainable_variables]
    history = histories(model, steps=1)
    total = sum(weight * history[term][0] for term, weight in PAPER.items())
    assert history["loss"][0] == pytest.approx(total, rel=1e-5)
    assert all(np.array_equal(a, v) for a, v in zip(before, model.autoencoder.weights, strict=True))
    for old, network in ((generator, model.generator), (discriminator, model.discriminator)):
        moved = [
            not np.array_equal(a, v) for a, v in zip(old, network.trainable_variables, strict=True)
        ]
        assert np.mean(moved) > 0.9


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


def test_feature_loss_is_zero_between_equals_and_phi_is_the_code():
    model = trainer({"feature": 1.0})
    _, high = patches()
    logs = {}
    terms = model._reconstruction_terms(high, high, logs)
    assert float(terms["feature"]) == 0.0
    phi = np.asarray(model.autoencoder.features(high))
    assert phi.shape == (8, SEGMENT // 2, 16)
    assert float(logs["phi_variance"]) == pytest.approx(phi.var(axis=(0, 1)).mean(), rel=1e-4)


@pytest.mark.slow
def test_every_term_trains_in_bfloat16():
    weights = {**PAPER, "patch_rms": 0.1, "spectral": 1e-3, "loudness": 1e-4, "tonal": 1e-2}
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


def test_wrong_terms_are_explained():
    generator = MuGanGenerator(down_filters=(8,), up_filters=(8,))
    with pytest.raises(ValueError, match=r"'l3'.*Available terms: l2,"):
        SuperResolutionTrainer(generator, loss_weights={"l3": 1.0})
    with pytest.raises(ValueError, match="Every loss term is off"):
        SuperResolutionTrainer(generator, loss_weights={"l2": 0.0})
    with pytest.raises(ValueError, match="adversarial loss needs its network"):
        SuperResolutionTrainer(generator, loss_weights={"adversarial": 1.0})
    plain = keras.Sequential([keras.layers.UpSampling1D(4)])
    with pytest.raises(ValueError, match="loudness loss needs the rate"):
        SuperResolutionTrainer(plain, loss_weights={"loudness": 1.0})


def test_a_plain_keras_generator_trains_without_loudness():
    plain = keras.Sequential(
        [keras.layers.UpSampling1D(4), keras.layers.Conv1D(1, 3, padding="same")]
    )
    model = SuperResolutionTrainer(plain, loss_weights={"l2": 1.0})
    model.compile(keras.optimizers.SGD(0.1))
    low = np.ones((2, 16, 1), "float32")
    history = model.fit(low, np.ones((2, 64, 1), "float32"), epochs=3, verbose=0).history["l2"]
    assert history[-1] < history[0]
