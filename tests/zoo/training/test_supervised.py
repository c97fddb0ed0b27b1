"""Supervised training of Demucs: its loss, its precisions, and two replicas against one device."""

import keras
import numpy as np
import pytest

from tonezoo.models.demucs import Demucs
from tonezoo.recipes import separation
from tonezoo.recipes.data.stems import StemAugmentation, arrays_source
from tonezoo.training import AverageWeights, SupervisedTrainer


def problem(batch=4, samples=256, seed=0):
    """Mixtures and targets of two sources, a low and a high tone of random levels and phases."""
    rng = np.random.default_rng(seed)
    levels, phases = rng.uniform(0.3, 1.5, (2, batch, 2)), rng.uniform(0, 2 * np.pi, (2, batch, 2))
    time = np.arange(samples)[:, None, None]
    tones = [
        np.sin(2 * np.pi * f * time + phases[i]) * levels[i] for i, f in enumerate((0.01, 0.17))
    ]
    # (source, time, batch, channel) -> (batch, time, source, channel)
    targets = np.stack(tones).transpose(2, 1, 0, 3).astype("float32")
    return targets.sum(axis=2), targets


def trainer(optimizer, dtype="float32", seed=0, **options):
    keras.utils.set_random_seed(seed)
    model = Demucs(sources=("low", "high"), width=4, depth=2, dtype=dtype, **options)
    result = SupervisedTrainer(model)
    result.compile(optimizer)
    return result


@pytest.mark.slow
def test_the_loss_is_the_mean_absolute_error_without_padding():
    mixture, targets = problem()
    model = trainer(keras.optimizers.SGD(0.0))
    output = np.asarray(model.model.network(mixture))
    history = model.fit(mixture, targets, batch_size=4, verbose=0).history
    # float32 sums of 4096 numbers.
    assert history["loss"] == [pytest.approx(np.abs(output - targets).mean(), rel=1e-5)]
    # The middle is what is trained where the network does not pad.
    valid = trainer(keras.optimizers.SGD(0.0), padding="valid", glu_padding="valid")
    length = valid.model.valid_length(100)
    kept = valid.model.output_length(length)
    assert kept < length < 256
    start = (length - kept) // 2
    middle = targets[:, start : start + kept]
    output = np.asarray(valid.model.network(mixture[:, :length]))
    history = valid.fit(mixture[:, :length], middle, batch_size=4, verbose=0).history
    assert history["loss"] == [pytest.approx(np.abs(output - middle).mean(), rel=1e-5)]


def test_outside_training_a_call_is_the_models_own():
    model = trainer(keras.optimizers.SGD(0.0))
    mixture = problem(samples=101)[0]
    output = np.asarray(model(mixture))
    assert output.shape == (4, 101, 2, 2)
    np.testing.assert_array_equal(output, model.model(mixture))


def test_averaged_weights_are_not_trained_and_answer_outside_training():
    model = Demucs(sources=("low", "high"), width=4, depth=2)
    average = Demucs(sources=("low", "high"), width=4, depth=2)
    both = SupervisedTrainer(model, average=average)
    both.compile(keras.optimizers.SGD(0.1))
    average.set_weights(model.get_weights())
    before = [np.array(v) for v in model.variables]
    mixture, targets = problem()
    both.fit(mixture, targets, batch_size=4, verbose=0, callbacks=[AverageWeights(0.9)])
    assert len(both.trainable_variables) == len(model.trainable_variables)
    # The first step of an average has momentum 2 / 11.
    for old, new, mean in zip(before, model.variables, average.variables, strict=True):
        np.testing.assert_allclose(mean, 2 / 11 * old + 9 / 11 * new, rtol=1e-5, atol=1e-7)
    np.testing.assert_array_equal(both(mixture), average(mixture))
    assert not np.array_equal(both(mixture), model(mixture))


@pytest.mark.slow
def test_training_learns_a_fixed_problem():
    mixture, targets = problem()
    model = trainer(keras.optimizers.Adam(2e-2))
    history = model.fit(mixture, targets, batch_size=4, epochs=60, verbose=0).history["loss"]
    # Silence is worth the targets' mean absolute value, half the mixture for each somewhat less.
    assert history[0] > 0.8 * np.abs(targets).mean()
    assert history[-1] < 0.5 * history[0]
    assert history[-1] < 0.75 * np.abs(targets - mixture[:, :, None] / 2).mean()


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "mixed_float16"])
def test_silence_has_a_finite_loss_and_gradient(dtype):
    zeros = np.zeros((2, 64, 2), "float32"), np.zeros((2, 64, 2, 2), "float32")
    model = trainer(keras.optimizers.Adam(1e-3), dtype)
    history = model.fit(*zeros, epochs=2, verbose=0).history["loss"]
    assert np.isfinite(history).all()
    assert all(np.isfinite(v).all() for v in model.model.trainable_variables)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", separation.Config.DTYPES)
def test_mixed_precision_takes_the_steps_of_float32(dtype):
    mixture, targets = problem()
    exact = trainer(keras.optimizers.SGD(0.1))
    model = trainer(keras.optimizers.SGD(0.1), dtype)
    scaled = isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
    assert scaled == (dtype == "mixed_float16")
    before = [np.array(v) for v in model.model.trainable_variables]
    assert all(v.dtype == "float32" for v in before)
    losses = [m.fit(mixture, targets, epochs=2, verbose=0).history["loss"] for m in (exact, model)]
    assert np.isfinite(losses).all()
    # bfloat16 has 8 bits.
    np.testing.assert_allclose(losses[1], losses[0], rtol=0.02)
    # The steps point where those of float32 do, and are as long.
    steps = [
        np.concatenate([(np.array(v) - b).ravel() for v, b in zip(w, before, strict=True)])
        for w in (m.model.trainable_variables for m in (exact, model))
    ]
    assert np.abs(steps[0]).max() > 0
    assert np.linalg.norm(steps[1] - steps[0]) < 0.1 * np.linalg.norm(steps[0])


@pytest.mark.slow
@pytest.mark.parametrize(
    "make",
    [lambda: keras.optimizers.Adam(1e-2), lambda: keras.optimizers.SGD(0.5)],
    ids=["adam", "sgd"],
)
def test_two_replicas_take_the_steps_of_one_device(two_replicas, make):
    """The same global batch of 4, of the recipes' own batches."""
    rng = np.random.default_rng(0)
    stems = {"a": {s: rng.standard_normal((2000, 2)) for s in ("low", "high")}}
    source = arrays_source(stems, sources=("low", "high"), sample_rate_hz=8000)
    augmentation = StemAugmentation(shift_samples=50, remix_group=2)

    def train(model):
        batches = source.batches(
            segment_samples=64,
            target_samples=64,
            batch_size=4,
            seed=0,
            augmentation=augmentation,
        )
        history = model.fit(batches.take(3), epochs=1, verbose=0, shuffle=False).history["loss"]
        return history, [np.array(v) for v in model.model.trainable_variables]

    alone = trainer(make())
    start = [np.array(v) for v in alone.model.trainable_variables]
    with two_replicas.scope():
        together = trainer(make())
    (loss, weights), (shared_loss, shared) = train(alone), train(together)
    assert shared_loss == pytest.approx(loss, rel=1e-5)
    moved = max(np.abs(a - b).max() for a, b in zip(weights, start, strict=True))
    assert moved > 1e-3
    for a, b in zip(weights, shared, strict=True):
        # Sums of two halves instead of one sum: float32 rounding, which Adam divides by gradients
        # that may be small themselves.
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-5)
