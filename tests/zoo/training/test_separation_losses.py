"""The loss in which every source counts alike, against NumPy."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tonezoo.training.separation_losses import negative_snr


@pytest.mark.parametrize("shape", [(3, 50, 4, 2), (3, 7, 4, 2, 9)])
def test_it_is_the_ratio_of_each_source_to_its_error_up_to_30_db_below_the_mixture(shape):
    random = np.random.default_rng(0)
    gains = np.reshape([1.0, 0.1, 1e-3, 0.0], (4, *(len(shape) - 3) * [1]))
    target = gains * random.standard_normal(shape)
    estimate = target + 0.05 * random.standard_normal(shape)
    found = negative_snr(target, estimate).numpy()
    for example, source in np.ndindex(3, 4):
        one, other = target[example, :, source], estimate[example, :, source]
        floor = 1e-3 * np.sum(target[example] ** 2)
        ratio = (np.sum((one - other) ** 2) + floor) / (np.sum(one**2) + floor)
        np.testing.assert_allclose(found[example, source], 10 * np.log10(ratio), atol=1e-5)
    assert found.shape == (3, 4)


def test_level_changes_nothing_and_the_true_sources_gain_30_db_at_most():
    target = np.random.default_rng(0).standard_normal((2, 40, 2, 1))
    loud, quiet = (negative_snr(gain * target, 0.5 * gain * target) for gain in (1.0, 1e-2))
    np.testing.assert_allclose(loud, quiet, atol=1e-3)
    assert np.all(negative_snr(target, target) > -30.1)


def test_silence_has_a_finite_loss_and_gradient():
    silence = tf.zeros((1, 30, 2, 1))
    estimate = tf.Variable(silence)
    with tf.GradientTape() as tape:
        loss = negative_snr(silence, estimate)
    assert np.all(loss.numpy() == 0)
    assert np.all(np.isfinite(tape.gradient(loss, estimate)))


def test_keras_saves_it_by_name():
    saved = keras.losses.serialize(negative_snr)
    assert keras.losses.deserialize(saved) is negative_snr
