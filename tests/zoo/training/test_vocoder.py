"""Training of vocoders: inputs made of the targets, the mel and the hinge term written out."""

import keras
import numpy as np
import pytest
from signals import noise

import tonezoo
from tonezoo.training import VocoderTrainer


def trainer(weights, **options):
    keras.utils.set_random_seed(3)
    generator = tonezoo.create_model("vocos", bands=4, hop_samples=16, width=8, blocks=1)
    model = VocoderTrainer(generator, loss_weights=weights, **options)
    model.compile(keras.optimizers.Adam(3e-3), keras.optimizers.Adam(3e-3))
    return model


def critic():
    return tonezoo.create_model("mel_gan_discriminator", preset="tiny")


def test_the_terms_are_those_written_out():
    weights = {"mel": 1.0, "hinge": 0.5, "feature_matching": 0.25}
    model = trainer(weights, discriminator=critic())
    waveform = noise(3, 512, 1)
    mel = np.array(model.generator.front_end(waveform))
    estimate = np.array(model.generator(mel))
    real, fake = (
        [[np.array(x) for x in stack] for stack in model.discriminator.activations(signal)]
        for signal in (waveform, estimate)
    )
    expected = {
        "mel": np.mean(np.abs(np.array(model.generator.front_end(estimate)) - mel)),
        "hinge": -np.mean([stack[-1].mean() for stack in fake]),
        "feature_matching": np.mean(
            [
                np.abs(one - other).mean()
                for ones, others in zip(real, fake, strict=True)
                for one, other in zip(ones[:-1], others[:-1], strict=True)
            ]
        ),
        "discriminator_loss": np.mean(
            [
                np.maximum(1 - ones[-1], 0).mean() + np.maximum(1 + others[-1], 0).mean()
                for ones, others in zip(real, fake, strict=True)
            ]
        ),
    }
    expected["loss"] = sum(weight * expected[term] for term, weight in weights.items())
    # What is given as input makes no difference.
    logged = model.evaluate(np.zeros_like(waveform), waveform, return_dict=True, verbose=0)
    logged = {name: float(value) for name, value in logged.items()}
    assert 0 <= logged.pop("discriminator_accuracy") <= 1
    assert logged == pytest.approx(expected, rel=1e-4, abs=1e-6)


def test_silence_has_finite_gradients():
    model = trainer({"mel": 1.0, "spectral": 1.0})
    silence = np.zeros((1, 2048, 1), "float32")
    history = model.fit(silence, silence, verbose=0, epochs=2).history
    assert np.isfinite(history["generator_gradient_norm"]).all()
    assert all(np.isfinite(w).all() for w in model.generator.get_weights())


@pytest.mark.slow
def test_generator_and_discriminator_learn():
    model = trainer({"mel": 1.0, "hinge": 0.1}, discriminator=critic())
    waveform = noise(8, 1024, 1)
    history = model.fit(waveform, waveform, batch_size=8, epochs=40, verbose=0).history
    assert history["mel"][-1] < 0.5 * history["mel"][0]
    model = trainer({"hinge": 1.0}, discriminator=critic())
    model.compile(keras.optimizers.Adam(0.0), keras.optimizers.Adam(3e-3))
    history = model.fit(waveform, waveform, batch_size=8, epochs=40, verbose=0).history
    assert history["discriminator_loss"][-1] < 0.9 * history["discriminator_loss"][0]
    assert history["discriminator_accuracy"][-1] > 0.7


def test_the_mel_term_needs_a_generator_with_a_front_end():
    generator = tonezoo.create_model("mu_gan", preset="tiny")
    with pytest.raises(ValueError, match="mel loss needs to know the front_end"):
        VocoderTrainer(generator, loss_weights={"mel": 1.0})


def test_waveforms_alone_will_do_and_their_length_is_checked():
    model = trainer({"mel": 1.0})
    assert model.fit(noise(2, 64, 1), verbose=0).history["mel"][0] > 0
    assert model.predict(np.zeros((1, 3, 4), "float32"), verbose=0).shape == (1, 48, 1)
    with pytest.raises(ValueError, match="whole frames of 16 samples, but have 70"):
        trainer({"mel": 1.0}).fit(noise(2, 70, 1), verbose=0)


def test_a_discriminator_of_periods_serves_too():
    other = tonezoo.create_model("speech_discriminator", preset="tiny")
    weights = {"mel": 1.0, "least_squares": 1.0, "feature_matching": 1.0}
    model = trainer(weights, discriminator=other)
    history = model.fit(noise(2, 256, 1), verbose=0).history
    assert history["discriminator_loss"][0] > 0
