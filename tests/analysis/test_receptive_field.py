"""Effective receptive fields of models whose gradients are known by hand."""

import json

import keras
import numpy as np
import pytest
from keras import layers

from tonezoo import create_model
from tonezoo.analysis.receptive_field import fit_gaussian, receptive_field, with_fresh_weights
from tonezoo.layers import Subpixel1D, Superpixel1D
from tonezoo.models.base import SuperResolutionModel

CLIPS = [np.random.default_rng(i).standard_normal(3000 + i).astype("float32") for i in range(3)]


def model_of(*stack, time=None, channels=1):
    return keras.Sequential([keras.Input((time, channels)), *stack])


def conv(kernel, **options):
    kernel = np.asarray(kernel, "float32")
    initializer = keras.initializers.Constant(kernel.reshape(-1, 1, 1))
    return layers.Conv1D(1, len(kernel), kernel_initializer=initializer, **options)


def check(field, offsets, gradient):
    assert field.offsets.tolist() == list(offsets)
    np.testing.assert_allclose(field.gradient, np.asarray(gradient) / np.sum(gradient), rtol=1e-5)


def test_the_field_of_a_convolution_is_its_kernel():
    kernel = [0.5, -2, 3, 1, -0.25]
    check(receptive_field(model_of(conv(kernel)), CLIPS), range(-2, 3), np.abs(kernel))
    same = receptive_field(model_of(conv(kernel, padding="same")), CLIPS)
    check(same, range(-2, 3), np.abs(kernel))
    # Without the last, 0.25 of 6.75 is left out.
    assert same.span_95_samples == 4
    causal = receptive_field(model_of(conv(kernel, padding="causal")), CLIPS)
    check(causal, range(-4, 1), np.abs(kernel))


def test_the_field_of_a_stack_is_the_convolution_of_its_kernels():
    first, second = [1, -2, 4], [3, 0.5, -1]
    stack = model_of(conv(first, padding="same"), conv(second, padding="same", dilation_rate=2))
    spread = [3, 0, 0.5, 0, -1]
    check(receptive_field(stack, CLIPS), range(-3, 4), np.abs(np.convolve(first, spread)))


def test_what_depends_on_the_phase_is_averaged_over_the_phases():
    # y[2n + p] = sum over q of matrix[q, p] x[2n + q]
    matrix = np.array([[1.0, 2.0], [-4.0, 8.0]], "float32")
    mixing = layers.Dense(2, use_bias=False)
    model = model_of(Superpixel1D(2), mixing, Subpixel1D(2))
    mixing.set_weights([matrix])
    check(receptive_field(model, CLIPS), [-1, 0, 1], [2, 9, 4])
    odd = receptive_field(model, CLIPS, grid_samples=1, segment_samples=101, patches=8)
    assert len(odd.offsets) == 2


def test_an_output_at_another_rate_is_seen_from_its_place_in_the_input():
    up = model_of(layers.UpSampling1D(4), conv([1.0]))
    check(receptive_field(up, CLIPS), [0], [1])
    down = model_of(conv([1, 2, 1], padding="same", strides=4))
    # Output n sees the inputs 4n to 4n + 2; its place is 4n + 1.5, rounded up.
    check(receptive_field(down, CLIPS, segment_samples=1024), [-2, -1, 0], [1, 2, 1])


@pytest.mark.parametrize("channels", [2, 3])
def test_channels_of_the_output_take_turns_and_those_of_the_input_are_summed(channels):
    kernel = np.zeros((3, channels, 2), "float32")
    kernel[0, 0, 0], kernel[2, -1, 0], kernel[1, :, 1] = 3, -5, 8 / channels
    both = layers.Conv1D(2, 3, padding="same")
    model = model_of(both, channels=channels)
    both.set_weights([kernel, np.zeros(2)])
    check(receptive_field(model, CLIPS, patches=128), [-1, 0, 1], [3, 8, 5])


class KnownCorrection(SuperResolutionModel):
    """Its correction is a convolution with 1, 2, 3, whatever its levels."""

    span_samples = 2

    def build_residual(self, shape):
        self.conv = conv([1, 2, 3], padding="same")
        self.conv.build(shape)

    def residual(self, x, mask, training):
        return self.conv(x)


def test_the_interpolation_that_is_added_is_left_out():
    model = KnownCorrection(2, ratio=2, sample_rate_hz=16_000)
    model.build((None, None, 1))
    field = receptive_field(model, CLIPS, patches=8)
    check(field, [-1, 0, 1], [1, 2, 3])
    assert (field.grid_samples, field.theoretical_samples) == (4, 6)


def test_a_gaussian_kernel_has_the_field_of_its_deviation():
    x = np.arange(-40, 41)
    kernel = np.exp(-0.5 * (x / 7.0) ** 2)
    field = receptive_field(model_of(conv(kernel, padding="same")), CLIPS, patches=4)
    assert field.sigma_samples == pytest.approx(7, rel=1e-3)
    assert field.centre_samples == pytest.approx(0, abs=1e-3)
    # -14 to 14, where the error function says 0.954 of a continuous one.
    assert field.erf_samples in (27, 29)
    assert field.share_inside == pytest.approx(0.954, abs=0.015)
    assert field.span_95_samples in (27, 28, 29)


def test_the_fit_takes_the_peak_before_wide_tails():
    x = np.arange(-500, 501)
    tails = 0.02 * np.exp(-np.abs(x) / 200)
    peak, centre, sigma = fit_gaussian(x, np.exp(-0.5 * ((x - 3) / 12.0) ** 2) + tails)
    assert sigma == pytest.approx(12, rel=0.03) and centre == pytest.approx(3, abs=0.1)
    assert peak == pytest.approx(1.02, abs=0.01)


def test_no_gradient_is_beyond_the_theoretical_field():
    model = create_model("mu_gan", preset="tiny", ratio=2)
    field = receptive_field(model, CLIPS, patches=8)
    assert field.theoretical_samples == model.receptive_field_samples
    reach = field.theoretical_samples // 2 + model.grid_samples
    assert np.abs(field.offsets).max() <= reach and field.gradient.sum() == pytest.approx(1)
    assert field.erf_samples < 300


def test_fresh_weights_are_others_and_depend_on_the_seed():
    model = create_model("mu_gan", preset="tiny")
    fresh = [with_fresh_weights(model, seed).get_weights()[0] for seed in (1, 1, 2)]
    old = model.get_weights()[0]
    assert not np.array_equal(old, fresh[0]) and not np.array_equal(fresh[0], fresh[2])
    assert np.array_equal(fresh[0], fresh[1])


def test_a_model_with_an_lstm_and_of_two_channels_is_measured():
    model = create_model("demucs", preset="tiny")
    field = receptive_field(model, CLIPS, patches=4, segment_samples=2048)
    assert field.theoretical_samples is None and field.erf_samples > 1


class Unserializable(keras.Model):
    def __init__(self, secret):
        super().__init__()

    def call(self, x):
        return x


def two_inputs():
    first, second = keras.Input((None, 1)), keras.Input((None, 1))
    return keras.Model([first, second], first + second)


def two_outputs():
    x = keras.Input((None, 1))
    return keras.Model(x, [x + 1, x + 2])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (two_inputs, "has 2 inputs"),
        (two_outputs, "has 2 outputs"),
        (lambda: model_of(conv([1, 1]), time=100), r"makes 99 samples of 100, .*128 are needed"),
        (lambda: model_of(layers.Flatten(), time=200), r"returns the shape \(.*, 200\)"),
        (
            lambda: keras.Sequential([keras.Input((8, 8, 1)), layers.ReLU()]),
            r"takes \(None, 8, 8, 1\)",
        ),
        (lambda: model_of(layers.Lambda(lambda x: 0 * x)), "does not depend on its input"),
        (lambda: model_of(layers.Lambda(lambda x: (x - x) ** 0.5)), "is NaN or infinite"),
        (lambda: create_model("mel_gan", preset="tiny"), "takes mel spectrograms"),
        (lambda: create_model("speech_discriminator"), "one output of"),
    ],
)
def test_models_that_have_no_such_field_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        receptive_field(make(), CLIPS, patches=2)


def test_no_clips_and_a_model_that_cannot_be_made_anew_are_refused():
    with pytest.raises(ValueError, match="No clips"):
        receptive_field(model_of(conv([1])), [])
    with pytest.raises(ValueError, match="Unserializable cannot be built anew"):
        with_fresh_weights(Unserializable(object()))


def test_the_command_writes_the_field_beside_that_of_random_weights(cli, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model_of(conv([1, 2, 1], padding="same")).save("model.keras")
    code, out, err = cli("receptive-field", "model.keras", "--out", "field", "--patches", 16)
    assert code == 0, err
    assert "as it is: 3 samples" in out and "random weights: 3 samples" in out
    report = json.loads((tmp_path / "field" / "receptive_field.json").read_text())
    assert report["fields"]["as it is"]["gradient"] == [0.25, 0.5, 0.25]
    assert report["fields"]["as it is"]["first_offset"] == -1
    assert (tmp_path / "field" / "receptive_field.png").stat().st_size > 10_000


def test_the_command_takes_a_folder_and_says_where_there_is_no_audio(cli, tmp_path):
    from tonezoo.recipes.corpus.speech import write_corpus

    write_corpus(tmp_path / "speech", clips=2, segment_s=0.2)
    options = ("--data", tmp_path / "speech", "--patches", 4)
    code, out, err = cli("receptive-field", "mu_gan:tiny", *options)
    assert code == 0, err
    assert "750 theoretical ones" in out
    (tmp_path / "empty").mkdir()
    code, out, err = cli("receptive-field", "mu_gan:tiny", "--data", tmp_path / "empty")
    assert code == 1 and "No audio was found" in err
