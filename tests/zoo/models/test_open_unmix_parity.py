"""Open-Unmix against the PyTorch package `openunmix`: the same weights give the same output."""

import sys
import types

import keras
import numpy as np
import pytest
import signals

from tonezoo.models.open_unmix import OpenUnmix
from tonezoo.models.open_unmix_weights import load_torch_weights
from tonezoo.models.wiener import wiener_filter

torch = pytest.importorskip("torch")
# The package imports it for files, which are not read here.
sys.modules.setdefault("torchaudio", types.ModuleType("torchaudio"))
model_module = pytest.importorskip("openunmix.model")
filtering = pytest.importorskip("openunmix.filtering")

SOURCES = ("vocals", "rest")
WINDOW, HOP, WIDTH, BINS = 256, 64, 16, 93


def torch_network(seed, channels=2, bins=BINS, **options):
    torch.manual_seed(seed)
    network = model_module.OpenUnmix(
        nb_bins=WINDOW // 2 + 1,
        nb_channels=channels,
        hidden_size=WIDTH,
        nb_layers=2,
        max_bin=bins,
        **options,
    ).eval()
    with torch.no_grad():
        # Off the ones and zeros at which scales and moving averages start.
        for name, tensor in network.state_dict().items():
            if "num_batches" not in name:
                tensor += 0.2 * torch.rand(tensor.shape)
    return network


def our_model(channels=2, **options):
    return OpenUnmix(
        sources=SOURCES,
        channels=channels,
        width=WIDTH,
        lstm_layers=2,
        input_bins=BINS,
        window_samples=WINDOW,
        hop_samples=HOP,
        **options,
    )


def pair(channels=2, **options):
    """Returns a model of ours and the networks whose weights it has."""
    networks = {source: torch_network(seed, channels) for seed, source in enumerate(SOURCES)}
    keras.utils.set_random_seed(0)
    model = our_model(channels, **options)
    model.build((None, None, channels))
    load_torch_weights(model, {s: network.state_dict() for s, network in networks.items()})
    return model, networks


@pytest.mark.parametrize("channels", [1, 2])
def test_the_networks_give_the_same_magnitudes(channels):
    model, networks = pair(channels)
    mixture = signals.noise(2, 3000, channels)
    magnitudes = model.training_target(mixture[:, :, None])
    expected = [
        # (batch, frames, source, channel, bin) -> (batch, channel, bin, frames)
        network(torch.from_numpy(np.array(magnitudes)[:, :, 0].transpose(0, 2, 3, 1))).detach()
        for network in networks.values()
    ]
    output = np.array(model.network(mixture)).transpose(2, 0, 3, 4, 1)
    np.testing.assert_allclose(output, np.stack(expected), atol=1e-4 * np.max(np.stack(expected)))


def random_spectra(channels, frames, sources=3, bins=9):
    rng = np.random.default_rng(channels)
    spectrum = rng.normal(0, 20, (2, 1, frames, channels, bins)).astype("float32")
    return spectrum, rng.uniform(0, 1, (1, frames, sources, channels, bins)).astype("float32")


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("iterations", [0, 1, 2])
def test_the_filter_gives_the_same_spectra(channels, iterations):
    spectrum, masks = random_spectra(channels, 300)
    # (part, batch, frames, channel, bin) -> (frames, bin, channel, part)
    mixture = torch.from_numpy(spectrum[:, 0].transpose(1, 3, 2, 0).astype("float64"))
    magnitudes = np.hypot(*spectrum)[0][:, None] * masks[0]
    estimates = torch.from_numpy(magnitudes.transpose(0, 3, 2, 1).astype("float64"))
    expected = np.array(filtering.wiener(estimates, mixture, iterations))
    # (frames, bin, channel, part, source) -> (part, frames, source, channel, bin)
    expected = expected.transpose(3, 0, 4, 2, 1)
    output = np.stack(wiener_filter(*spectrum, masks, iterations=iterations))[:, 0]
    np.testing.assert_allclose(output, expected, atol=1e-4 * np.abs(expected).max())


def test_checkpoints_of_another_kind_are_refused_and_change_nothing():
    model, networks = pair()
    states = {source: dict(network.state_dict()) for source, network in networks.items()}
    before = model.get_weights()
    for change, message in (
        (
            {"fc1.weight": states["rest"]["fc1.weight"][:8]},
            r"rest: fc1.weight makes .*16\).* width",
        ),
        ({"transformer.weight": np.zeros(3)}, "1 weights have no place .* transformer.weight"),
        ({"bn3.bias": None}, "rest: bn3.bias is missing"),
    ):
        rest = {**states["rest"], **change}
        rest = {name: value for name, value in rest.items() if value is not None}
        with pytest.raises(ValueError, match=message):
            load_torch_weights(model, {**states, "rest": rest})
    causal = torch_network(0, unidirectional=True).state_dict()
    with pytest.raises(ValueError, match=r"weight_ih_l0_reverse is missing.*unidirectional"):
        load_torch_weights(model, {**states, "rest": causal})
    with pytest.raises(ValueError, match="separates vocals, rest, but there are weights of vocals"):
        load_torch_weights(model, {"vocals": states["vocals"]})
    with pytest.raises(ValueError, match="no variables yet"):
        load_torch_weights(our_model(), states)
    for weight, same in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, same)
