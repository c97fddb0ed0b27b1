"""Demucs: sizes, lengths, initial weights, reach and refusals."""

import math
from functools import partial

import keras
import numpy as np
import pytest
import signals

import tonezoo
from tonezoo.layers import UPSAMPLER_KINDS
from tonezoo.models.demucs import PADDINGS, PRESETS, Demucs
from tonezoo.models.mixture_shares import SILENCE

TABLE1_PRESETS = [preset for preset in PRESETS if preset.startswith("table1")]


noise = partial(signals.noise, std=1.0)


def built(**options):
    model = Demucs(**{"width": 4, "depth": 2, **options})
    model.build((None, None, model.channels))
    return model


# Sums over the six blocks of width c = 100 ... 3200, in_c or out_c = 2 (in), 8 (out), 100 ... 1600.
SQUARES = 100**2 * (4**6 - 1) // 3
DECODER_PRODUCTS = 100 * 8 + sum(100 * 2**i * 100 * 2 ** (i - 1) for i in range(1, 6))
ENCODER_PRODUCTS = DECODER_PRODUCTS - 100 * 8 + 100 * 2
WIDTHS = 100 * (2**6 - 1)
OUTPUTS = 8 + WIDTHS - 3200


def hand_count(*, glu_taps, upsampling, upsampling_biases, biases=True, lstm_biases=2):
    """Parameters of a model of width 100 and depth 6, its LSTM with PyTorch's two biases."""
    gates = 2 * 4 * 3200  # of both directions
    lstm = gates * (3200 + 3200) + gates * (6400 + 3200)
    weights = 8 * ENCODER_PRODUCTS + 2 * SQUARES * glu_taps + lstm + 6400 * 3200 + upsampling
    if not biases:
        return weights
    glu_biases = 2 * 2 * WIDTHS
    return weights + WIDTHS + glu_biases + lstm_biases * 2 * gates + 3200 + upsampling_biases


TRANSPOSED = {"upsampling": 8 * DECODER_PRODUCTS, "upsampling_biases": OUTPUTS}
INTERPOLATED = {"upsampling": 9 * DECODER_PRODUCTS, "upsampling_biases": OUTPUTS}
SUBPIXEL = {"upsampling": 3 * 4 * DECODER_PRODUCTS, "upsampling_biases": 4 * OUTPUTS}


@pytest.mark.parametrize(
    ("preset", "options", "published"),
    [
        ("original", {"glu_taps": 1 + 3, **TRANSPOSED}, 648_548_208),
        ("table1_transposed", {"glu_taps": 6, **TRANSPOSED}, 703_148_208),
        (
            "table1_modified_transposed",
            {"glu_taps": 6, **TRANSPOSED, "biases": False},
            703_008_000,
        ),
        ("table1_nearest", {"glu_taps": 6, **INTERPOLATED}, 709_969_008),
        ("table1_linear", {"glu_taps": 6, **INTERPOLATED}, 709_969_008),
        ("table1_subpixel", {"glu_taps": 6, **SUBPIXEL}, 730_440_732),
        ("table1_modified_subpixel", {"glu_taps": 6, **SUBPIXEL, "biases": False}, 730_291_200),
    ],
)
def test_parameter_counts_of_the_full_sizes(preset, options, published):
    assert (DECODER_PRODUCTS, SQUARES, OUTPUTS) == (6_820_800, 13_650_000, 3_108)
    assert hand_count(**options) == published
    # Keras keeps the sum of the LSTM's two biases.
    count = tonezoo.count_parameters("demucs", preset)
    assert count == hand_count(**options, lstm_biases=1)
    assert published - count == (51_200 if options.get("biases", True) else 0)


def test_parameter_counts_of_the_small_sizes():
    # The tiny one written out: widths 4, 8, 16, channels 2 and 8.
    encoder = 8 * (2 * 4 + 4 * 8 + 8 * 16) + 3 * 2 * (16 + 64 + 256) + (1 + 2) * 28
    lstm = 2 * 64 * (16 + 16 + 1) + 2 * 64 * (32 + 16 + 1) + 32 * 16 + 16
    decoder = 3 * 2 * (16 + 64 + 256) + 2 * 28 + 8 * (16 * 8 + 8 * 4 + 4 * 8) + 8 + 4 + 8
    assert tonezoo.count_parameters("demucs", "tiny") == encoder + lstm + decoder
    tiny = tonezoo.create_model("demucs", preset="tiny")
    tiny.build((None, None, 2))
    assert tiny.count_params() == sum(weight.numpy().size for weight in tiny.weights)
    assert tonezoo.count_parameters("demucs", "small") == 4_504_744


def test_every_preset_has_a_count_here():
    assert {"original", *TABLE1_PRESETS, "small", "tiny"} == set(PRESETS)


def time_of(x):
    return x.shape[1]


def lengths_within(model, length):
    """Returns the lengths behind each encoder block and each decoder block."""
    x = keras.KerasTensor((1, length, model.channels))
    encoder, decoder = [], []
    for block in model.encoder:
        x = block.compute_output_spec(x)
        encoder.append(time_of(x))
    for block in model.decoder:
        x = block.compute_output_spec(x)
        decoder.append(time_of(x))
    return encoder, decoder


def test_lengths_of_the_original_form():
    options = {**PRESETS["original"], "width": 1, "depth": 6}
    model = built(**options)
    assert model.valid_length(441_000) == 451_924
    encoder, decoder = lengths_within(model, 451_924)
    assert encoder == [112_980, 28_244, 7_060, 1_764, 440, 109]
    assert decoder == [432, 1_724, 6_892, 27_564, 110_252, 441_004]
    assert model.output_length(451_924) == 441_004


def test_lengths_of_the_same_form():
    model = built(width=1, depth=6)
    assert model.valid_length(441_000) == 442_368 == 441_000 + 2 * 684
    assert model.output_length(442_368) == 442_368
    encoder, decoder = lengths_within(model, 442_368)
    assert encoder == [110_592, 27_648, 6_912, 1_728, 432, 108]
    assert decoder == [432, 1_728, 6_912, 27_648, 110_592, 442_368]


@pytest.mark.parametrize("glu_padding", PADDINGS)
@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize("upsampler", ["transposed", "linear", "subpixel"])
def test_valid_lengths_are_the_shortest_and_what_the_network_makes_of_them(
    upsampler, padding, glu_padding
):
    model = built(upsampler=upsampler, padding=padding, glu_padding=glu_padding, lstm_layers=1)
    valid = sorted({model.valid_length(length) for length in range(1, 600)})
    for length in range(1, 600):
        padded = model.valid_length(length)
        assert model.output_length(padded) >= length
        shorter = valid[: valid.index(padded)]
        assert all(model.output_length(other) < length for other in shorter)
    for padded in valid[:4]:
        y = model.network(keras.ops.zeros((1, padded, 2)))
        assert y.shape == (1, model.output_length(padded), 4, 2)


def convolutions(model):
    """Yields name, layer and fan-in (over the outputs of a transposed convolution) of each."""
    for side in ("encoder", "decoder"):
        for level, block in enumerate(getattr(model, side)):
            for name in ("conv", "glu_conv", "upsampler"):
                layer = getattr(block, name, None)
                if layer is None:
                    continue
                layer = getattr(layer, "conv", layer)  # a subpixel convolution's own
                transposed = name == "upsampler" and model.upsampler == "transposed"
                fan_in = math.prod(layer.kernel.shape[:2])
                assert not transposed or layer.kernel.shape[1] == layer.filters
                yield f"{side} {level} {name}", layer, fan_in


@pytest.mark.parametrize("upsampler", ["transposed", "linear", "subpixel"])
@pytest.mark.parametrize("rescale", [0.1, None])
def test_initial_weights(upsampler, rescale):
    model = built(width=16, depth=3, upsampler=upsampler, rescale=rescale)
    count = 0
    for name, layer, fan_in in convolutions(model):
        std, bound = 1 / math.sqrt(3 * fan_in), 1 / math.sqrt(fan_in)
        if rescale is not None:
            std, bound = math.sqrt(rescale * std), bound / math.sqrt(std / rescale)
        kernel, bias = layer.kernel.numpy(), layer.bias.numpy()
        # Few values have a deviation of their own; a subpixel layer's are equal by fours.
        assert np.std(kernel) == pytest.approx(std, rel=0.15 if kernel.size < 1000 else 0.05), name
        assert abs(kernel.mean()) < 0.4 * std, name
        assert np.abs(bias).max() <= bound, name
        assert np.abs(bias).max() > 0.4 * bound, name
        count += 1
    assert count == 3 * 4


@pytest.mark.parametrize("rescale", [0.1, None])
def test_lstm_and_dense_are_not_rescaled(rescale):
    model = built(width=32, depth=2, rescale=rescale)
    hidden = 64
    for lstm in model.lstm:
        weights = (*lstm.kernels, *lstm.rnn.cell.recurrent_kernels, *lstm.biases)
        assert len(weights) == 6
        for weight in weights:
            assert np.abs(weight.numpy()).max() == pytest.approx(hidden**-0.5, rel=0.1)
            assert np.std(weight.numpy()) == pytest.approx((3 * hidden) ** -0.5, rel=0.1)
    for weight in model.dense.weights:
        assert np.abs(weight.numpy()).max() == pytest.approx((2 * hidden) ** -0.5, rel=0.15)


@pytest.mark.parametrize("upsampler", UPSAMPLER_KINDS)
def test_no_two_weights_start_alike(upsampler):
    model = built(width=4, depth=3, upsampler=upsampler)
    names, values = zip(*((w.path, w.numpy().ravel()) for w in model.weights), strict=True)
    compared, same = 0, []
    for i, a in enumerate(values):
        for j, b in enumerate(values[:i]):
            # The learned interpolation starts as the linear one, in every block.
            if len(a) == len(b) > 8 and "interpolate" not in names[i]:
                compared += 1
                # Rescaled differently, the same draws would still be proportional.
                if np.corrcoef(a, b)[0, 1] > 0.999:
                    same.append((names[i], names[j]))
    assert same == []
    assert compared >= 10


def test_seed_reproduces_the_weights():
    first, second, third = (
        (keras.utils.set_random_seed(seed), built().get_weights())[1] for seed in (7, 7, 8)
    )
    for a, b, c in zip(first, second, third, strict=True):
        np.testing.assert_array_equal(a, b)
        assert np.any(a != c)


@pytest.mark.parametrize("upsampler", ["transposed", "linear", "subpixel"])
def test_modified_has_no_biases(upsampler):
    model = built(modified=True, upsampler=upsampler)
    assert not [weight.path for weight in model.weights if "bias" in weight.path]
    silence = np.zeros((1, 100, 2), "float32")
    assert np.all(model(silence) == 0)
    assert np.any(built(upsampler=upsampler)(silence) != 0)


def test_modified_has_no_relu_in_its_first_encoder_block():
    """Without ReLU and biases, a sign flip of the input flips that of a * sigmoid(b)."""

    def flips(block, x):
        return np.array_equal(np.sign(block(x)), -np.sign(block(-x)))

    modified, plain = built(modified=True), built()
    for block in plain.encoder:
        block.conv.bias.assign(0 * block.conv.bias)
        block.glu_conv.bias.assign(0 * block.glu_conv.bias)
    assert flips(modified.encoder[0], noise(1, 64, 2))
    assert not flips(plain.encoder[0], noise(1, 64, 2))
    assert not flips(modified.encoder[1], noise(1, 64, 4))


def farthest_reach(model):
    """Returns how many samples away from a changed sample the output changes, at most."""
    context, grid = model.context_samples, model.grid_samples
    time = 2 * context + 8 * grid + 3
    positions = np.arange(time // 2, time // 2 + grid)  # every phase of the grid
    # Not a number spreads to whatever is computed from it, however small its weight.
    x = np.repeat(noise(1, time, 1), grid, axis=0)
    x[np.arange(grid), positions] = np.nan
    y = keras.ops.convert_to_numpy(model(x)).reshape(grid, time, -1)
    example, reached = np.nonzero(np.isnan(y).any(axis=-1))
    return np.abs(reached - positions[example]).max()


@pytest.mark.parametrize("glu_padding", PADDINGS)
@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize("upsampler", UPSAMPLER_KINDS)
def test_no_sample_reaches_beyond_the_context(upsampler, padding, glu_padding):
    model = built(
        channels=1, upsampler=upsampler, padding=padding, glu_padding=glu_padding, lstm_layers=0
    )
    assert model.context_samples % model.grid_samples == 0
    # Much more would cost time wherever audio is cut into chunks.
    reach, context = farthest_reach(model), model.context_samples
    assert context - 3 * model.grid_samples < reach <= context


@pytest.mark.parametrize(
    "options",
    [
        {"encoder_glu_kernel_size": 2, "decoder_glu_kernel_size": 2},
        {"encoder_glu_kernel_size": 2, "glu_padding": "valid"},
        {"kernel_size": 5, "stride": 3, "padding": "valid", "upsampler_kernel_size": 5},
        {"kernel_size": 7, "stride": 2, "upsampler_kernel_size": 4},
        {"upsampler": "subpixel", "upsampler_kernel_size": 2},
        {"upsampler": "linear", "upsampler_kernel_size": 10, "stride": 3},
        {"upsampler": "learned", "upsampler_kernel_size": 6, "depth": 3, "stride": 2},
        {"upsampler": "subpixel", "share_window_samples": 16},
        {"share_window_samples": 24, "padding": "valid", "glu_padding": "valid"},
    ],
    ids=str,
)
@pytest.mark.filterwarnings("ignore:TransposedConv1D")
def test_context_counts_kernels_off_their_centre(options):
    model = built(channels=1, lstm_layers=0, **options)
    assert farthest_reach(model) <= model.context_samples


@pytest.mark.parametrize(
    ("upsampler", "padding", "window"),
    [
        *((upsampler, padding, None) for upsampler in UPSAMPLER_KINDS for padding in PADDINGS),
        ("subpixel", "same", 96),
    ],
)
def test_shifts_by_the_grid_shift_the_output(upsampler, padding, window):
    model = built(upsampler=upsampler, padding=padding, lstm_layers=0, share_window_samples=window)
    margin, shift = model.context_samples, 3 * model.grid_samples
    x = noise(1, 2 * margin + 120, 2)
    y = model(np.pad(x, ((0, 0), (shift, 0), (0, 0))))[:, shift:]
    expected = model(x)
    inside = slice(margin, -margin)
    scale = np.abs(expected).max()
    # float32, the vectors' ends at other samples.
    np.testing.assert_allclose(y[:, inside], expected[:, inside], rtol=0, atol=1e-5 * scale)
    shift += model.grid_samples // 4
    other = model(np.pad(x, ((0, 0), (shift, 0), (0, 0))))[:, shift:]
    assert np.abs(other[:, inside] - expected[:, inside]).max() > 0.01 * scale


def naive_shares(mixture, estimates, window_samples):
    """Shares of (time,) by estimates (source, time), frame by frame."""
    hop = window_samples // 4
    window = np.sin(np.pi * np.arange(window_samples) / window_samples) ** 2
    padded = np.pad(np.stack([mixture, *estimates]), ((0, 0), (window_samples, window_samples)))
    added, divisor = np.zeros_like(padded[1:]), np.zeros(padded.shape[1])
    # Frame by frame, centred on the hops of the signal.
    first = window_samples + hop // 2 - window_samples // 2
    for start in range(first % hop, padded.shape[1] - window_samples + 1, hop):
        frame = slice(start, start + window_samples)
        spectra = np.fft.rfft(window * padded[:, frame])
        levels = 4 / window_samples * np.abs(spectra[1:]) + SILENCE
        shares = levels / levels.sum(axis=0)
        added[:, frame] += window * np.fft.irfft(shares * spectra[0])
        divisor[frame] += window**2
    return (added / np.maximum(divisor, 1e-12))[:, window_samples : window_samples + len(mixture)]


@pytest.mark.parametrize("padding", PADDINGS)
def test_shares_are_those_of_the_estimates_magnitudes(padding):
    options = {"padding": padding, "lstm_layers": 1}
    plain, model = built(**options), built(share_window_samples=32, **options)
    model.set_weights(plain.get_weights())
    x = noise(1, model.valid_length(203), 2)
    estimates, found = (keras.ops.convert_to_numpy(m.network(x)) for m in (plain, model))
    time = model.output_length(x.shape[1])
    start = (x.shape[1] - time) // 2
    for channel in range(2):
        expected = naive_shares(
            x[0, start : start + time, channel], estimates[0, :, :, channel].T, 32
        )
        np.testing.assert_allclose(found[0, :, :, channel].T, expected, atol=1e-5)


@pytest.mark.parametrize("time", [1, 37, 400])
def test_shares_sum_to_the_mixture_and_are_silent_with_it(time):
    model = built(share_window_samples=32)
    x = noise(2, time, 2) * np.array([1e-3, 1e3], "float32")[:, None, None]
    y = keras.ops.convert_to_numpy(model(x))
    np.testing.assert_allclose(y.sum(axis=2), x, rtol=0, atol=1e-5 * np.abs(x).max())
    np.testing.assert_allclose(y[0].sum(axis=1), x[0], rtol=0, atol=1e-8)
    silence = np.zeros((1, time, 2), "float32")
    assert np.abs(built()(silence)).max() > 0  # by its biases
    assert not np.any(model(silence))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"upsampler": "nearset"}, r"upsampler must be one of 'transposed',.*'nearset'"),
        ({"kernel_size": 3}, r"at least the stride.*kernel_size=3, stride=4"),
        ({"stride": 1}, r"stride must be an integer of at least 2"),
        ({"sources": ("bass", "bass")}, r"different names.*'bass', 'bass'"),
        ({"sources": ()}, r"at least one"),
        ({"padding": "causal"}, r"padding must be one of 'same', 'valid'.*'causal'"),
        ({"glu_padding": "full"}, r"glu_padding must be one of"),
        ({"channels": 0}, r"channels must be an integer of at least 1"),
        ({"width": 0.5}, r"width must be an integer"),
        ({"depth": 0}, r"depth must be"),
        ({"lstm_layers": -1}, r"lstm_layers must be an integer of at least 0"),
        ({"upsampler_kernel_size": 0}, r"upsampler_kernel_size must be"),
        ({"share_window_samples": 0}, r"share_window_samples must be an integer of at least 1"),
        ({"share_window_samples": 42}, r"multiple of 8 samples, but is 42"),
        ({"share_window_samples": 12}, r"multiple of 8 samples, but is 12"),
        (
            {"padding": "valid", "upsampler_kernel_size": 12},
            r"at most 8 with padding='valid'.*upsampler_kernel_size=12",
        ),
    ],
)
def test_wrong_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Demucs(**options)


def test_longest_upsampler_without_padding():
    # Trimming by 2 * 4 samples at the GLUs leaves room for a longer kernel.
    model = built(padding="valid", glu_padding="valid", upsampler_kernel_size=24)
    assert model(noise(1, 50, 2)).shape == (1, 50, 4, 2)
    with pytest.raises(ValueError, match="at most 24"):
        Demucs(padding="valid", glu_padding="valid", upsampler_kernel_size=28)


@pytest.mark.parametrize("shape", [(1, 100, 1), (1, 100, 3), (100, 2), (1, 0, 2), (1, 1, 100, 2)])
def test_inputs_of_another_shape_are_refused(shape):
    with pytest.raises(ValueError, match=r"takes \(batch, time, 2\) with at least one sample"):
        Demucs(width=4, depth=2)(np.zeros(shape, "float32"))
