"""Weights of the PyTorch package demucs, brought into `tonezoo.models.demucs.Demucs`."""

import re
from collections.abc import Mapping

import numpy as np

from tonezoo.models.torch_weights import assign, lstm_pairs

REMEDY = (
    "Build it with the depth, the layers, the widths, the kernel sizes and the biases of the "
    "PyTorch model."
)


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
    assign([*_conv_pairs(model, arrays), *_lstm_pairs(model)], arrays, REMEDY)


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
                    pairs.append((layer.bias, (f"{prefix}.{number}.bias",), np.asarray))
    return pairs


def _lstm_pairs(model):
    """Returns the pairs of the LSTM and of the linear layer behind it."""
    pairs = lstm_pairs(model.lstm, "lstm.lstm")
    if model.dense is not None:
        pairs.append((model.dense.kernel, ("lstm.linear.weight",), np.transpose))
        if model.dense.use_bias:
            pairs.append((model.dense.bias, ("lstm.linear.bias",), np.asarray))
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
