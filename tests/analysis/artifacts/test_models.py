"""The artifacts of layers and models: what the paper names, and models hard to measure."""

import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

from tonezoo import create_model
from tonezoo.analysis.artifacts.callback import ArtifactScores
from tonezoo.analysis.artifacts.report import measure_model
from tonezoo.analysis.artifacts.sources import keras_model, measure
from tonezoo.layers import (
    STFT1D,
    FilteredActivation1D,
    Interpolate1D,
    InverseSTFT1D,
    Subpixel1D,
    SubpixelConv1D,
    TransposedConv1D,
    WeightNorm,
    calm_start,
    upsampler,
)

FACTOR = 4


def sequential(*stack, channels=1, length=None):
    return keras.Sequential([keras.Input((length, channels)), *stack])


def report(model, inputs=("noise",), **options):
    return measure_model(keras_model(model), inputs=inputs, **options)


def only_finding(layer, channels=8):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some of these overlap only in part, on purpose
        model = sequential(layers.Conv1D(channels, 3, padding="same"), layer)
    (finding,) = report(model).layers
    return finding


TONAL = {
    "no overlap": lambda: TransposedConv1D(8, 4, FACTOR),
    "partial overlap": lambda: TransposedConv1D(8, 6, FACTOR),
    "full overlap": lambda: TransposedConv1D(8, 8, FACTOR),
    "subpixel": lambda: SubpixelConv1D(8, 3, FACTOR, icnr=False),
    "stretch": lambda: upsampler("stretch", 8, 9, FACTOR),
    "Conv1DTranspose": lambda: layers.Conv1DTranspose(8, 8, FACTOR, padding="same"),
    "Conv1DTranspose, valid": lambda: layers.Conv1DTranspose(8, 8, FACTOR),
}
FILTERING = {
    "subpixel, ICNR": lambda: SubpixelConv1D(8, 3, FACTOR),
    "nearest": lambda: upsampler("nearest", 8, 9, FACTOR),
    "linear": lambda: upsampler("linear", 8, 9, FACTOR),
    "UpSampling1D": lambda: layers.UpSampling1D(FACTOR),
    "constant weights": lambda: TransposedConv1D(8, 8, FACTOR, kernel_initializer="ones"),
}


@pytest.mark.parametrize("name", TONAL)
def test_layers_whose_phases_differ_are_tonal(name):
    finding = only_finding(TONAL[name]())
    assert finding.artifact == "tonal" and "tonal artifacts" in finding.sentence
    # Independent phases: sqrt(factor - 1) on average.
    assert 0.8 < finding.imbalance < 4
    assert finding.layer.factor == finding.layer.period == FACTOR
    assert ("is no multiple of its stride" in finding.sentence) == (name == "partial overlap")
    assert ("(no overlap)" in finding.sentence) == (name == "no overlap")


@pytest.mark.parametrize("name", FILTERING)
def test_layers_whose_phases_are_alike_filter(name):
    finding = only_finding(FILTERING[name]())
    assert finding.artifact == "filtering" and "no tones" in finding.sentence
    assert finding.imbalance < 1e-6


def test_droop_and_images_are_those_of_the_interpolators():
    nearest, linear, cubic, sinc = (
        only_finding(Interpolate1D(FACTOR, method))
        for method in ("nearest", "linear", "cubic", "sinc")
    )
    # upsamplers.md: half-pixel grids, at the input's Nyquist frequency.
    assert nearest.droop_db == pytest.approx(-3.70, abs=0.01)
    assert linear.droop_db == pytest.approx(-8.08, abs=0.01)
    images = [finding.image_db for finding in (nearest, linear, cubic, sinc)]
    assert images == sorted(images, reverse=True)
    # Of a sine at a quarter of the input's rate, zeros held: sum of sinc^2 at its images.
    frequencies = np.array([k + sign / 4 for k in (1, 2) for sign in (-1, 1)][:3])

    def power(f):
        return (np.sin(np.pi * f) / (FACTOR * np.sin(np.pi * f / FACTOR))) ** 2

    expected = 10 * np.log10(power(frequencies).sum() / power(np.array(0.25)))
    assert nearest.image_db == pytest.approx(expected, abs=0.05)
    assert sinc.artifact == "none"


def test_a_shuffle_belongs_to_the_convolution_before_it():
    inputs = keras.Input((64, 2))
    x = layers.Conv1D(12, 3, padding="same", name="first")(inputs)
    x = layers.Reshape((256, 3))(x)
    x = layers.Conv1D(6, 3, padding="same", name="second")(x)
    x = ops.reshape(x, (-1, 512, 3))
    x = Subpixel1D(3)(layers.ReLU()(x))
    found = report(keras.Model(inputs, x)).layers
    assert [(f.layer.kind, f.layer.factor, f.layer.period) for f in found] == [
        ("subpixel", 4, 24),
        ("subpixel", 2, 6),
        ("subpixel", 3, 3),
    ]
    assert found[0].layer.name.startswith("first + reshape")
    assert found[1].layer.name.startswith("second + ")
    # The ReLU between: told by what it gives in the model.
    assert found[2].layer.call is None and found[2].image_db is None
    assert "SubpixelConv1D in its place" in found[2].sentence


def test_a_normalised_convolution_counts_with_its_gains():
    conv = WeightNorm(layers.Conv1D(4, 3, padding="same", kernel_initializer="ones"))
    model = sequential(conv, Subpixel1D(4))
    conv.gain.assign(np.array([1.0, 2, 3, 4], "float32"))
    (finding,) = report(model).layers
    # Of 1, 2, 3, 4: a variance of 1.25 around 2.5.
    assert finding.imbalance == pytest.approx(np.sqrt(1.25) / 2.5, abs=1e-6)


def test_lengths_without_padding_and_branches_have_the_periods_of_the_factors():
    down = [layers.Conv1D(2, 8, strides=4) for _ in range(3)]
    up = [layers.Conv1DTranspose(2, 8, strides=4) for _ in range(3)]
    assert report(sequential(*down, *up)).periods == (4, 16, 64)
    inputs = keras.Input((None, 1))
    two_three = layers.UpSampling1D(3)(layers.UpSampling1D(2)(inputs))
    three_two = layers.UpSampling1D(2)(layers.UpSampling1D(3)(inputs))
    assert report(keras.Model(inputs, two_three + three_two)).periods == (2, 3, 6)


def test_a_filtered_activation_is_no_upsampling_layer():
    measured = report(sequential(layers.Conv1D(2, 3, padding="same"), FilteredActivation1D("relu")))
    assert measured.layers == () and measured.periods == ()


def test_the_channel_with_a_line_counts():
    class Lines(keras.layers.Layer):
        """A tone beside the grid in the first channel, a weaker line on it in the second."""

        def call(self, x):
            time = ops.cast(ops.arange(ops.shape(x)[1]), "float32")[None, :, None]
            beside = ops.cos(2 * np.pi * (1 / 4 + 3.5 / 4096) * time)
            line = 0.01 * ops.cos(2 * np.pi / 4 * time)
            return 1e-4 * x + ops.concatenate([beside, line], axis=2)

    (probe,) = report(sequential(Lines(), channels=2), periods=[4]).probes
    assert probe.channel == 1 and probe.line_db > 20


def test_a_subclass_of_keras_model_is_measured():
    class Own(keras.Model):
        def __init__(self):
            super().__init__()
            self.up = TransposedConv1D(1, 8, 4)

        def call(self, x):
            return self.up(x)

    model = Own()
    with pytest.raises(ValueError, match="or build it"):
        report(model)
    model(np.zeros((1, 16, 1)))
    assert report(model).periods == (4,)


def test_wrong_inputs_are_told():
    with pytest.raises(ValueError, match="Received silense"):
        report(sequential(TransposedConv1D(1, 8, 4)), ["silense"])
    with pytest.raises(ValueError, match="every"):
        ArtifactScores(every=0)


def test_a_layer_that_is_called_twice_is_told_once():
    up = TransposedConv1D(1, 4, 2)
    inputs = keras.Input((None, 1))
    assert len(report(keras.Model(inputs, up(inputs) + up(0.5 * inputs))).layers) == 1


def test_calm_start_and_interpolation_leave_no_lines():
    def stack(make):
        return sequential(*(make(i) for i in range(3)))

    # With offsets, of which layers make tones.
    bias = {"bias_initializer": keras.initializers.RandomUniform(0.1, 0.3, seed=0)}
    tonal = stack(lambda i: TransposedConv1D(4, 8, 2, **bias))
    assert report(tonal, ("silence", "ones", "noise")).line_db > 20
    calm_start(tonal)
    assert report(tonal, ("silence", "ones", "noise")).line_db == 0
    nearest = stack(lambda i: upsampler("nearest", 4, 9, 2, **bias))
    assert report(nearest, ("silence", "ones", "noise")).line_db == 0


def test_the_inverse_stft_scores_zero():
    inputs = keras.Input((4096, 1))
    x = InverseSTFT1D(512, 128)(STFT1D(512, 128)(inputs))
    measured = report(keras.Model(inputs, x), ("silence", "ones", "noise"))
    assert [(f.layer.kind, f.imbalance, f.artifact) for f in measured.layers] == [
        ("inverse STFT", 0.0, "none")
    ]
    assert measured.line_db == 0


@pytest.mark.parametrize(
    ("name", "options"), [("open_unmix", {}), ("demucs", {"share_window_samples": 512})]
)
def test_the_inverse_stft_inside_a_model_is_found(name, options):
    kinds = [f.layer.kind for f in report(create_model(name, preset="tiny", **options)).layers]
    assert kinds.count("inverse STFT") == 1


def test_the_modified_demucs_makes_no_tone_of_noise():
    lines = {
        modified: report(create_model("demucs", preset="tiny", modified=modified)).line_db
        for modified in (False, True)
    }
    assert lines[False] > 15 and lines[True] == 0


def test_mel_gan_has_lines_at_multiples_of_the_hop():
    keras.utils.set_random_seed(0)
    with_biases = report(create_model("mel_gan", preset="small"), ("silence", "noise"))
    assert with_biases.periods == (2, 4, 32, 256)
    found = with_biases.probes[1].spectrum.found
    spacing = 22_050 / 256
    assert len(found) > 5
    assert all(line.frequency_hz % spacing == pytest.approx(0, abs=1e-6) for line in found)
    # The mel spectrogram is an offset by itself: without biases the tones stay.
    without = report(create_model("mel_gan", preset="small", use_bias=False), ("noise",))
    assert without.line_db > 20


def test_a_model_without_upsampling_says_so():
    measured = report(sequential(layers.Conv1D(1, 5, padding="same")), ("noise",))
    assert measured.periods == () and measured.line_db == 0
    assert "has no upsampling layer that can be found" in measured.notes[0]


def test_periods_may_be_given_for_what_no_layer_tells():
    class Held(keras.layers.Layer):
        def call(self, x):
            y = ops.reshape(ops.stack([x, 0.5 * x], axis=2), (1, -1, 1))
            return y[:, : ops.shape(x)[1]]

    measured = report(sequential(Held()), ("ones",), periods=[2])
    assert [line.frequency_hz for line in measured.probes[0].spectrum.found] == [8000.0]
    # 1 and 0.5: 0.25 above and below 0.75.
    assert measured.probes[0].phase_profile[2] == pytest.approx(1 / 3, abs=1e-6)


def test_stereo_several_outputs_and_fixed_lengths():
    inputs = keras.Input((512, 2))
    first = TransposedConv1D(2, 4, 2)(inputs)
    second = upsampler("nearest", 3, 5, 2)(inputs)
    measured = report(keras.Model(inputs, {"a": first, "b": second}), ("ones",))
    assert measured.probes[0].samples.shape[1] == 5
    assert {f.artifact for f in measured.layers} == {"tonal", "filtering"}
    assert measured.line_db > 20


def test_a_recording_is_resampled_to_the_models_input():
    model = sequential(TransposedConv1D(1, 8, 4))
    audio = np.random.default_rng(0).standard_normal((88_200, 2)) / 10
    measured = report(model, (), recordings={"clip": (audio, 44_100)})
    (probe,) = measured.probes
    # 2 s, an eighth of it cut off as borders.
    assert len(probe.samples) == pytest.approx(28_000, abs=10)
    with pytest.raises(ValueError, match="takes 5 features at each step"):
        features = sequential(TransposedConv1D(1, 8, 4), channels=5)
        report(features, (), recordings={"clip": (audio, 44_100)})


class Broken(keras.layers.Layer):
    def __init__(self, how):
        super().__init__()
        self.how = how

    def call(self, x):
        if self.how == "nan":
            return x / ops.std(x)
        message = "cannot take silence"
        with tf.control_dependencies(
            [tf.debugging.assert_greater(tf.math.reduce_std(x), 0.0, message)]
        ):
            return tf.identity(x)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("nan", "makes 38912 NaN or infinite samples of silence"),
        ("raise", "fails on silence: .*cannot take silence.* Leave this input out with --inputs"),
    ],
)
def test_models_that_fail_on_silence_are_told(how, message):
    model = sequential(Broken(how), upsampler("nearest", 1, 3, 2))
    with pytest.raises(ValueError, match=message):
        report(model, ("silence",))
    assert report(model, ("noise",)).line_db == 0


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (
            lambda: keras.Sequential([keras.Input((5,)), layers.Dense(2)]),
            r"has to be \(batch, time",
        ),
        (
            lambda: keras.Model(
                (both := [keras.Input((None, 1)), keras.Input((None, 1))]), layers.Add()(both)
            ),
            "models with one input",
        ),
        (lambda: sequential(layers.Conv1D(1, 3), layers.Flatten(), length=64), None),
        (lambda: sequential(layers.GlobalAveragePooling1D()), "gives 1 steps for 8192"),
    ],
)
def test_models_of_other_shapes_are_told(model, message):
    if message is None:
        # (batch, samples): mono.
        assert report(model(), ("noise",)).line_db == 0
        return
    with pytest.raises(ValueError, match=message):
        report(model(), ("noise",))


def test_the_callback_logs_what_the_report_says():
    model = sequential(TransposedConv1D(1, 8, 4))
    model.compile("sgd", "mse")
    scores = ArtifactScores(inputs=["ones"], every=2)
    data = np.zeros((2, 64, 1)), np.zeros((2, 256, 1))
    history = model.fit(*data, epochs=2, verbose=0, callbacks=[scores]).history
    assert history["line_db_ones"] == [report(model, ("ones",)).line_db]


def test_a_wrong_input_is_told():
    with pytest.raises(ValueError, match=r"There is no file hiss.*clip\.wav"):
        measure("mel_gan:tiny", inputs=["hiss", "clip.wav"])


def test_the_lines_of_a_recording_are_not_the_models():
    time = np.arange(88_200)
    tone = 0.1 * np.cos(2 * np.pi / 4 * time) + 1e-3 * np.random.default_rng(0).standard_normal(
        len(time)
    )
    recordings = {"tone": (tone[:, None], 44_100)}
    model = sequential(layers.Conv1D(1, 3, padding="same"))
    measured = measure_model(
        keras_model(model, sample_rate_hz=44_100), inputs=[], recordings=recordings, periods=[4]
    )
    assert measured.line_db == 0
    (spectrum,) = (probe.spectrum for probe in measured.probes)
    assert spectrum.lines[0].frequency_hz == 11_025 and spectrum.lines[0].level_dbfs > -40
