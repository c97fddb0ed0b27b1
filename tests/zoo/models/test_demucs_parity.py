"""Demucs against the PyTorch package `demucs`: the same weights give the same output."""

import keras
import numpy as np
import pytest

from tonezoo.models.demucs import Demucs
from tonezoo.models.demucs_weights import load_torch_weights

torch = pytest.importorskip("torch")
package = pytest.importorskip("demucs.demucs")

WIDTH, DEPTH, SOURCES = 6, 3, ("drums", "vocals")
# "package" is how version 4 computes it, "release" how the models of 2019 were trained.
FORMS = {"package": {"glu_padding": "same"}, "release": {"glu_padding": "valid"}}


def torch_model(form="package", channels=2, lstm_layers=2, width=WIDTH, depth=DEPTH):
    torch.manual_seed(0)
    model = package.Demucs(
        sources=SOURCES,
        audio_channels=channels,
        channels=width,
        depth=depth,
        lstm_layers=lstm_layers,
        context=1,
        gelu=False,
        glu=True,
        rewrite=True,
        norm_starts=99,
        dconv_mode=0,
        normalize=False,
        resample=False,
    ).eval()
    if lstm_layers:
        # As it starts, the LSTM hardly reaches the output, and its errors would not either.
        with torch.no_grad():
            for parameter in model.lstm.parameters():
                parameter *= 4
    if form == "release":
        for block in model.decoder:
            block[0].padding = (0,)
        model.valid_length = our_model("release", depth=depth).valid_length
    return model


def our_model(form="package", channels=2, lstm_layers=2, width=WIDTH, depth=DEPTH, **options):
    options = {"encoder_glu_kernel_size": 1, "padding": "valid", **FORMS[form], **options}
    return Demucs(
        sources=SOURCES,
        channels=channels,
        width=width,
        depth=depth,
        lstm_layers=lstm_layers,
        **options,
    )


def built(*args, **options):
    model = our_model(*args, **options)
    model.build((None, None, model.channels))
    return model


def assert_equal_outputs(ours, theirs, length):
    x = np.random.default_rng(length).standard_normal((2, length, ours.channels)).astype("float32")
    # torch: (batch, channels, time) -> (batch, source, channels, time)
    with torch.no_grad():
        expected = theirs(torch.from_numpy(x.transpose(0, 2, 1).copy())).numpy()
    actual = keras.ops.convert_to_numpy(ours(x)).transpose(0, 2, 3, 1)
    assert actual.shape == expected.shape
    # Measured: 2e-7 at most; float32 in another order of summation.
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("lstm_layers", [0, 1, 2])
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("form", FORMS)
def test_same_weights_give_the_same_output(form, channels, lstm_layers):
    theirs = torch_model(form, channels, lstm_layers)
    ours = built(form, channels, lstm_layers)
    load_torch_weights(ours, theirs.state_dict())
    for length in (1, 2, 63, 64, 65, 341, 1000, 1777):
        assert_equal_outputs(ours, theirs, length)


def test_default_depth_and_sources_match_too():
    theirs = torch_model(depth=6, width=2)
    ours = built(depth=6, width=2)
    load_torch_weights(ours, theirs.state_dict())
    assert_equal_outputs(ours, theirs, 9_001)


@pytest.mark.parametrize("form", FORMS)
def test_numbers_of_the_first_releases_are_accepted(form):
    theirs = torch_model(form)
    # Without normalization layers between, the second convolution of a block had the number 2.
    state = {name.replace(".3.", ".2."): value for name, value in theirs.state_dict().items()}
    assert "encoder.0.2.weight" in state and "decoder.0.2.bias" in state
    ours = built(form)
    load_torch_weights(ours, state)
    assert_equal_outputs(ours, theirs, 333)


def test_parameter_counts_differ_by_the_second_biases_alone():
    theirs = sum(parameter.numel() for parameter in torch_model().parameters())
    hidden = WIDTH * 2 ** (DEPTH - 1)
    second_biases = 2 * 2 * 4 * hidden
    assert built().count_params() == theirs - second_biases


@pytest.mark.parametrize("depth", [1, 3, 6])
def test_lengths_are_those_of_the_package(depth):
    theirs, ours = torch_model(depth=depth, width=1), our_model(depth=depth)
    for length in [*range(1, 400), 4095, 4096, 44_100, 441_000, 441_001, 7_938_000]:
        padded = ours.valid_length(length)
        assert padded == theirs.valid_length(length)
        # With the kernels before the GLUs padded, the network keeps a valid length.
        assert ours.output_length(padded) == padded >= length


def without(*names):
    return lambda state: {name: state[name] for name in state if name not in names}


def plus(name, shape):
    return lambda state: {**state, name: np.zeros(shape, "float32")}


def unchanged(state):
    return state


@pytest.mark.parametrize(
    ("options", "change", "message"),
    [
        ({"depth": 2}, unchanged, r"weights have no place.*(de|en)coder\.2.*Build it with"),
        ({"depth": 4}, unchanged, r"encoder\.3 has 0 convolutions, but 2 are needed"),
        ({"width": 4}, unchanged, r"encoder\.0\.0\.weight makes \(8, 2, 6\), but .*\(8, 2, 4\)"),
        ({"kernel_size": 4, "upsampler_kernel_size": 4}, unchanged, r"\(8, 2, 6\).*\(4, 2, 6\)"),
        ({"encoder_glu_kernel_size": 3}, unchanged, r"encoder\.0\.3\.weight makes \(1, 6, 12\)"),
        ({"channels": 1}, unchanged, r"encoder\.0\.0\.weight makes"),
        ({"lstm_layers": 1}, unchanged, r"8 weights have no place.*lstm\.lstm\..*_l1"),
        ({"lstm_layers": 3}, unchanged, r"lstm\.lstm\.weight_ih_l2 is missing"),
        ({"modified": True}, unchanged, r"weights have no place.*bias"),
        ({}, without("encoder.1.0.bias"), r"encoder\.1\.0\.bias is missing"),
        ({}, without("decoder.2.3.bias"), r"decoder\.2\.3\.bias is missing"),
        ({}, without("lstm.linear.bias"), r"lstm\.linear\.bias is missing"),
        ({}, without("lstm.lstm.bias_hh_l1_reverse"), r"bias_hh_l1_reverse is missing"),
        ({}, without("encoder.0.3.weight", "encoder.0.3.bias"), r"encoder\.0 has 1 convolutions"),
        ({}, plus("encoder.0.6.weight", (6, 6, 1)), r"encoder\.0 has 3 convolutions"),
        ({}, plus("encoder.0.1.scale", (6,)), r"1 weights have no place.*encoder\.0\.1\.scale"),
        # The last one that is compared: none may have been assigned before.
        ({}, plus("lstm.linear.bias", (5,)), r"lstm\.linear\.bias makes \(5,\), but .*\(24,\)"),
    ],
)
def test_weights_of_another_model_are_refused_and_nothing_is_changed(options, change, message):
    ours = built(**options)
    before = ours.get_weights()
    with pytest.raises(ValueError, match=message):
        load_torch_weights(ours, change(torch_model().state_dict()))
    for weight, expected in zip(ours.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, expected)


def test_models_that_take_no_such_weights_are_refused():
    state = torch_model().state_dict()
    with pytest.raises(ValueError, match=r"transposed convolutions.*upsampler='subpixel'"):
        load_torch_weights(built(upsampler="subpixel"), state)
    with pytest.raises(ValueError, match="built=False"):
        load_torch_weights(our_model(), state)
