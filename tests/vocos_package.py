"""The PyTorch package `vocos`, without what it reads and writes files with, and its weights."""

import importlib
import sys
import types
from unittest import mock

import numpy as np

# Imported for pretrained models and their own mel spectrograms, neither of which is wanted here.
UNUSED = {
    "torchaudio": (),
    "torchaudio.functional": (),
    "torchaudio.functional.functional": ("_hz_to_mel", "_mel_to_hz"),
    "torchaudio.transforms": (),
    "encodec": ("EncodecModel",),
    "huggingface_hub": ("hf_hub_download",),
    "yaml": (),
}


def modules():
    """Returns the package's modules of the network and of its head.

    Raises:
        ImportError: it, or PyTorch, is not installed.
    """
    stubs = {name: types.ModuleType(name) for name in UNUSED}
    for name, attributes in UNUSED.items():
        vars(stubs[name]).update(dict.fromkeys(attributes))
    with mock.patch.dict(sys.modules, stubs):
        return importlib.import_module("vocos.models"), importlib.import_module("vocos.heads")


def network(model):
    """Returns PyTorch's network of the sizes of a `tonezoo.models.vocos.Vocos`, random."""
    models, heads = modules()
    backbone = models.VocosBackbone(
        model.bands, model.width, model.expansion * model.width, len(model.blocks)
    )
    head = heads.ISTFTHead(model.width, 4 * model.hop_samples, model.hop_samples)
    return backbone.eval(), head.eval()


def take_weights(model, backbone, head) -> None:
    """Gives a built model of ours the weights of PyTorch's."""

    def convolution(layer):
        # (filter, channel, tap) -> (tap, channel, filter)
        return [layer.weight.detach().numpy().transpose(2, 1, 0), layer.bias.detach().numpy()]

    def dense(layer):
        return [layer.weight.detach().numpy().T, layer.bias.detach().numpy()]

    def norm(layer):
        return [layer.weight.detach().numpy(), layer.bias.detach().numpy()]

    model.first.set_weights(convolution(backbone.embed))
    model.first_norm.set_weights(norm(backbone.norm))
    for ours, theirs in zip(model.blocks, backbone.convnext, strict=True):
        # Of a depthwise convolution the channels are where Keras has them, the filters are 1.
        taps, bias = convolution(theirs.dwconv)
        ours.conv.set_weights([np.swapaxes(taps, 1, 2), bias])
        ours.norm.set_weights(norm(theirs.norm))
        ours.widen.set_weights(dense(theirs.pwconv1))
        ours.narrow.set_weights(dense(theirs.pwconv2))
        ours.scale.assign(theirs.gamma.detach().numpy())
    model.last_norm.set_weights(norm(backbone.final_layer_norm))
    model.head.set_weights(dense(head.out))
