"""Weights of the PyTorch package demucs, brought into `tonezoo.models.demucs.Demucs`."""

import re
from collections.abc import Mapping

import numpy as np


def load_torch_weights(model, state: Mapping) -> None:
    """Gives a built Demucs the weights of a PyTorch one of the same architecture.

    That is `demucs.demucs.Demucs` with glu=True, gelu=False, rewrite=True, norm_starts beyond the
    depth, dconv_mode=0, resample=False, normalize=False, its LSTM layers and widths ours; its
    context c makes kernels of 2 c + 1 taps before the decoder's GLUs (padding="valid",
    glu_padding="same"). Weights of the original release of 2019 (padding="valid",
    glu_padding="valid") have the same names but for the numbers, which are taken by their order.

    Args:
        model: a `Demucs` with the transposed upsampler, built.
        state: its `state_dict()`: name to tensor or array.

    Raises:
        ValueError: a weight is missing, of another shape, or left over; the message names it. A
            model that is not built, or of another upsampler.

    Example:

        load_torch_weights(model, torch.load("demucs.th", weights_only=True))
    """
    if not model.built or model.upsampler != "transposed":
        raise ValueError(
            "The PyTorch model has transposed convolutions. Pass a Demucs with "
            f"upsampler='transposed', built. Received: upsampler={model.upsampler!r}, "
            f"built={model.built}"
        )
    arrays = {name: np.asarray(value) for name, value in state.items()}
    pairs = [*_conv_pairs(model, arrays), *_lstm_pairs(model, arrays)]
    unused = sorted(set(arrays) - {name for _, names, _ in pairs for name in names})
    if unused:
        raise ValueError(
            f"{len(unused)} weights have no place in this model, {unused[0]} for one. Build it "
            "with the depth, the layers and the biases of the PyTorch model."
        )
    values = [
        (variable, names, convert(*(arrays[name] for name in names)))
        for variable, names, convert in pairs
    ]
    for variable, names, value in values:
        if value.shape != tuple(variable.shape):
            raise ValueError(
                f"{' + '.join(names)} makes {value.shape}, but {variable.path} is "
                f"{tuple(variable.shape)}. Build the model with the widths and kernel sizes of the "
                "PyTorch model."
            )
    for variable, _, value in values:
        variable.assign(value)


def _conv_pairs(model, arrays):
    """Returns (variable, names of arrays, conversion) of all convolutions."""
    pairs = []
    for side, blocks, names in (
        ("encoder", model.encoder, ("conv", "glu_conv")),
        ("decoder", model.decoder, ("glu_conv", "upsampler")),
    ):
        for index, block in enumerate(blocks):
            prefix = f"{side}.{index}"
            numbers = _numbers(prefix, arrays, expected=len(names))
            for name, number in zip(names, numbers, strict=True):
                layer = getattr(block, name)
                # torch: (out, in, taps); transposed (in, out, taps), ours (taps, out, in)
                pairs.append((layer.kernel, (f"{prefix}.{number}.weight",), np.transpose))
                if layer.use_bias:
                    bias = _known(f"{prefix}.{number}.bias", arrays)
                    pairs.append((layer.bias, (bias,), np.asarray))
    return pairs


def _lstm_pairs(model, arrays):
    """Returns (variable, names of arrays, conversion) of the LSTM and the linear layer behind it.

    Both order the gates input, forget, cell, output; PyTorch has two biases, Keras their sum.
    """
    pairs = []
    for number, lstm in enumerate(model.lstm):
        for index, suffix in enumerate(("", "_reverse")):
            kinds = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
            names = [f"lstm.lstm.{kind}_l{number}{suffix}" for kind in kinds]
            for variables, name in zip(
                (lstm.kernels, lstm.rnn.cell.recurrent_kernels), names, strict=False
            ):
                pairs.append((variables[index], (_known(name, arrays),), np.transpose))
            if lstm.use_bias:
                biases = tuple(_known(name, arrays) for name in names[2:])
                pairs.append((lstm.biases[index], biases, np.add))
    if model.dense is not None:
        pairs.append((model.dense.kernel, (_known("lstm.linear.weight", arrays),), np.transpose))
        if model.dense.use_bias:
            pairs.append((model.dense.bias, (_known("lstm.linear.bias", arrays),), np.asarray))
    return pairs


def _numbers(prefix, arrays, expected):
    """Returns the numbers of a block's layers that have weights, in order."""
    pattern = re.compile(rf"{re.escape(prefix)}\.(\d+)\.weight")
    found = sorted(int(match[1]) for match in map(pattern.fullmatch, arrays) if match)
    if len(found) != expected:
        raise ValueError(
            f"{prefix} has {len(found)} convolutions, but {expected} are needed. Build the model "
            "with the depth of the PyTorch model, whose blocks must have a convolution before a "
            "GLU and no DConv branches."
        )
    return found


def _known(name, arrays):
    if name not in arrays:
        raise ValueError(
            f"{name} is missing. Build the model with the LSTM layers and the biases of the "
            "PyTorch model."
        )
    return name
