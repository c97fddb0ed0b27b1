"""Both trainers do what a Keras user expects: compile, fit, evaluate, save.

Where the compiled step is not the matter, steps are taken eagerly: tracing takes longer.
"""

import keras
import numpy as np
import pytest
import small_trainers as small
import tensorflow as tf

from tonezoo.training import GanTrainer, SupervisedTrainer, losses

L2 = {"l2": 1.0}
TRAINERS = {
    "gan": (small.upsampling, small.patches),
    "supervised": (small.separation, small.mixtures),
}


@pytest.fixture(params=TRAINERS)
def trainer_and_data(request):
    make, data = TRAINERS[request.param]
    return make(), data()


@pytest.mark.slow
def test_fit_takes_strings_and_validates_as_evaluate_does(trainer_and_data):
    trainer, (x, y) = trainer_and_data
    trainer.compile("adam", metrics=["mae", keras.metrics.MeanSquaredError(name="mse")])
    # Six examples in batches of four: the mean over examples, not over batches.
    history = trainer.fit(x, y, batch_size=4, validation_data=(x[:6], y[:6]), verbose=0).history
    figures = trainer.evaluate(x[:6], y[:6], batch_size=4, verbose=0, return_dict=True)
    assert {"loss", "mae", "mse"} <= set(figures)
    assert not [name for name in figures if "gradient" in name]
    for name, value in figures.items():
        assert float(history[f"val_{name}"][-1]) == pytest.approx(float(value), rel=1e-5)
    error = np.asarray(trainer(x[:6])) - y[:6]
    assert float(figures["mae"]) == pytest.approx(np.abs(error).mean(), rel=1e-5)
    assert float(figures["mse"]) == pytest.approx((error**2).mean(), rel=1e-5)
    expected = "mse" if isinstance(trainer, GanTrainer) else "mae"
    assert float(figures["loss"]) == pytest.approx(float(figures[expected]), rel=1e-5)


def test_part_of_the_data_can_be_kept_for_validation(trainer_and_data):
    trainer, (x, y) = trainer_and_data
    trainer.compile("sgd")
    assert "val_loss" in trainer.fit(x, y, validation_split=0.5, verbose=0).history


def test_supervised_training_takes_any_keras_loss():
    trainer = small.separation()
    x, y = small.mixtures()
    for loss in ("mse", keras.losses.MeanSquaredError(), lambda y, p: (y - p) ** 2):
        trainer.compile("sgd", loss=loss, run_eagerly=True)
        expected = ((np.asarray(trainer(x)) - y) ** 2).mean()
        assert trainer.evaluate(x, y, verbose=0) == pytest.approx(expected, rel=1e-5)


def test_supervised_training_takes_any_keras_model_and_weights_of_samples():
    model = keras.Sequential([keras.layers.Dense(3)])
    trainer = SupervisedTrainer(model)
    trainer.compile(keras.optimizers.SGD(0.0), loss="mse", run_eagerly=True)
    x, y = np.ones((4, 2), "float32"), np.zeros((4, 3), "float32")
    weights = np.array([0.0, 0.0, 0.0, 4.0])
    weighted = trainer.fit(x, y, sample_weight=weights, verbose=0).history["loss"][0]
    assert weighted == pytest.approx((np.asarray(model(x)) ** 2).mean(), rel=1e-5)
    with pytest.raises((ValueError, tf.errors.InvalidArgumentError), match="shapes"):
        trainer.evaluate(x, np.zeros((4, 2), "float32"), verbose=0)


def test_targets_of_a_network_without_padding_are_compared_with_the_middle():
    trainer = small.separation(padding="valid", glu_padding="valid")
    length = trainer.model.valid_length(100)
    x, y = small.mixtures(samples=length)
    kept = trainer.model.output_length(length)
    start = (length - kept) // 2
    y = y[:, start : start + kept]
    assert kept < length
    trainer.compile("sgd", metrics=["mse"], run_eagerly=True)
    history = trainer.fit(x, y, validation_data=(x, y), verbose=0).history
    middle = np.asarray(trainer(x))[:, start : start + kept]
    assert history["val_loss"][0] == pytest.approx(np.abs(middle - y).mean(), rel=1e-5)
    assert history["val_mse"][0] == pytest.approx(((middle - y) ** 2).mean(), rel=1e-5)


def test_discriminator_gets_an_optimizer_of_the_generators_kind():
    schedule = keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.5)
    trainer = small.gan(small.PAPER)
    trainer.compile(keras.optimizers.Adam(schedule, beta_1=0.5))
    settings = trainer.optimizer.get_config()
    assert trainer.discriminator_optimizer.get_config() == settings
    assert settings["beta_1"] == 0.5
    assert trainer.discriminator_optimizer is not trainer.optimizer
    trainer.compile("adam", "sgd")
    assert isinstance(trainer.discriminator_optimizer, keras.optimizers.SGD)


@pytest.mark.slow
def test_the_discriminator_is_judged_as_it_is_used():
    trainer = small.gan(small.PAPER)
    trainer.compile("adam", run_eagerly=True)
    low, high = small.patches()
    trainer.fit(low, high, verbose=0)
    before = [np.array(v) for v in trainer.discriminator.variables]
    figures = trainer.evaluate(low, high, verbose=0, return_dict=True)
    estimate = trainer.generator(low, training=False)
    logits = [trainer.discriminator(x, training=False) for x in (high, estimate)]
    expected = float(losses.discriminator_cross_entropy(*logits))
    assert float(figures["discriminator_loss"]) == pytest.approx(float(expected), rel=1e-4)
    for old, new in zip(before, trainer.discriminator.variables, strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.slow
def test_regularizers_of_both_networks_count():
    trainer = small.gan(small.PAPER)
    trainer.compile(keras.optimizers.SGD(0.0), run_eagerly=True)
    low, high = small.patches(count=4)
    plain = trainer.evaluate(low, high, verbose=0, return_dict=True)
    penalties = {}
    for name in ("generator", "discriminator"):
        kernel = getattr(trainer, name).trainable_variables[0]
        kernel.regularizer = keras.regularizers.L2(0.5)
        penalties[name] = 0.5 * float((np.asarray(kernel) ** 2).sum())
    trainer.compile(keras.optimizers.SGD(0.0), run_eagerly=True)
    figures = trainer.evaluate(low, high, verbose=0, return_dict=True)
    assert float(figures["loss"] - plain["loss"]) == pytest.approx(
        float(penalties["generator"]), rel=1e-3
    )


@pytest.mark.slow
@pytest.mark.parametrize("scaled", ["LossScaleOptimizer", "loss_scale_factor"])
def test_gradients_of_a_scaled_loss_are_taken_out_of_their_scale(scaled):
    def make():
        if scaled == "LossScaleOptimizer":
            return keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.1))
        return keras.optimizers.SGD(0.1, loss_scale_factor=64.0)

    low, high = small.patches(count=4)
    plain, other = small.gan(small.PAPER), small.gan(small.PAPER)
    plain.compile(keras.optimizers.SGD(0.1), run_eagerly=True)
    other.compile(make(), run_eagerly=True)
    logs = [model.train_on_batch(low, high, return_dict=True) for model in (plain, other)]
    for name in ("generator_gradient_norm", "discriminator_gradient_norm"):
        assert logs[1][name] == pytest.approx(logs[0][name], rel=1e-4)
    for network in ("generator", "discriminator"):
        pairs = zip(
            *(getattr(model, network).trainable_variables for model in (plain, other)), strict=True
        )
        for a, b in pairs:
            np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=1e-4, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "saved_by"), [("gan", "callback"), ("supervised", "save")])
def test_saved_and_loaded_it_goes_on_as_if_nothing_had_happened(tmp_path, kind, saved_by):
    path = tmp_path / "trainer.keras"
    trainer, data = (
        (small.gan(small.PAPER), small.patches(count=4))
        if kind == "gan"
        else (small.separation(), small.mixtures(count=4))
    )
    trainer.compile("adam", metrics=["mae"], run_eagerly=True)
    callbacks = [keras.callbacks.ModelCheckpoint(path, monitor="loss")]
    trainer.fit(*data, verbose=0, callbacks=callbacks if saved_by == "callback" else [])
    if saved_by == "save":
        trainer.save(path)
    loaded = keras.saving.load_model(path)
    assert type(loaded) is type(trainer)
    np.testing.assert_array_equal(loaded.predict(data[0], verbose=0), np.asarray(trainer(data[0])))
    # The optimizers' states too: the next step is the same.
    trainer.reset_metrics()
    logs = [model.train_on_batch(*data, return_dict=True) for model in (trainer, loaded)]
    assert logs[0] == pytest.approx(logs[1], rel=1e-5)
    for a, b in zip(trainer.trainable_variables, loaded.trainable_variables, strict=True):
        np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=1e-5, atol=1e-7)


@pytest.mark.slow
def test_the_average_and_the_classifier_are_saved_too(tmp_path):
    from tonezoo.training import ClassifierFeatureLoss

    average = small.MuGanGenerator(**small.WIDTHS)
    options = {"average": average, "classifier": ClassifierFeatureLoss(loss_layers=2)}
    trainer = small.gan({"l2": 1.0, "classifier": 0.5}, **options)
    trainer.save(tmp_path / "trainer.keras")
    loaded = keras.saving.load_model(tmp_path / "trainer.keras")
    assert loaded.active_weights == {"l2": 1.0, "classifier": 0.5}
    low, high = small.patches(count=2)
    np.testing.assert_array_equal(loaded(low), trainer.average(low))
    np.testing.assert_array_equal(loaded.classifier(high, -high), trainer.classifier(high, -high))


@pytest.mark.parametrize("network", ["generator", "discriminator", "autoencoder"])
def test_no_network_trains_unscaled_in_float16(network):
    trainer = small.gan(small.PAPER)
    kind = type(getattr(trainer, network))
    config = {**getattr(trainer, network).get_config(), "dtype": "mixed_float16"}
    setattr(trainer, network, kind.from_config(config))
    with pytest.raises(ValueError, match=f"The {network} computes in float16.*mixed_bfloat16"):
        trainer.compile("adam")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda t, x, y: t.fit(x, y, sample_weight=np.ones(8)), "leave sample_weight and"),
        (lambda t, x, y: t.evaluate(x, y, sample_weight=np.ones(8)), "leave sample_weight and"),
        (lambda t, x, y: t.fit(x), "without target"),
        (lambda t, x, y: t.compile("adam", loss="mse"), "weighted sum of its terms"),
        (lambda t, x, y: t.compile("adam", loss_weights={"l2": 2.0}), "weighted sum of its terms"),
    ],
    ids=["fit", "evaluate", "no target", "loss", "weights"],
)
def test_what_adversarial_training_cannot_do_is_explained(call, message):
    trainer = small.upsampling()
    trainer.compile("adam")
    with pytest.raises(ValueError, match=message):
        call(trainer, *small.patches())


def test_the_torch_backend_is_refused(monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "torch")
    for trainer in (small.upsampling(), small.separation()):
        with pytest.raises(ValueError, match=r"not supported on the torch backend.*KERAS_BACKEND"):
            trainer.compile("adam")


def test_mixed_precision_of_the_process_does_not_reach_the_input():
    """float32 networks in a process whose policy is another one get their input as it is."""
    low, _ = small.patches(count=2)
    generator = small.MuGanGenerator(**small.WIDTHS, dtype="float32")
    keras.config.set_dtype_policy("mixed_bfloat16")
    trainer = GanTrainer(generator, loss_weights=L2)
    np.testing.assert_array_equal(trainer(tf.constant(low)), generator(tf.constant(low)))
