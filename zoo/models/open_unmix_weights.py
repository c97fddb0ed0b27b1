"""Weights of the PyTorch package openunmix, brought into `tonezoo.models.open_unmix.OpenUnmix`."""

from collections.abc import Mapping

import numpy as np

from tonezoo.models.torch_weights import assign, lstm_pairs

# Counts of batches, and what a checkpoint holds of its transform; no weights.
IGNORED = ("num_batches_tracked", "sample_rate", "stft.window", "transform.0.window")
REMEDY = (
    "Build the model with the width, the LSTM layers and the bins of the checkpoint: "
    "width is the size of fc1.weight's first axis, input_bins that of input_mean. Checkpoints of "
    "version 1.0 and later fit, but for causal ones (unidirectional)."
)


def load_torch_weights(model, states: Mapping[str, Mapping]) -> None:
    """Gives a built Open-Unmix the weights of the PyTorch package's networks.

    Those that are published under the names umx and umxhq are of 512 units, those of umxl of 1024;
    all were trained on samples as they are in the file, at 44.1 kHz: build the model with
    mixture_level="file".

    Args:
        model: an `OpenUnmix`, built.
        states: a `state_dict()` for each source of the model: name to tensor or array.

    Raises:
        ValueError: a source is missing or unknown; a weight is missing, of another shape, or left
            over; a model that is not built. The message names it.

    Example:

        model = tonezoo.create_model("open_unmix", mixture_level="file")
        load_torch_weights(
            model, {s: torch.load(f"{s}.pth", weights_only=True) for s in model.sources})
    """
    if not model.built:
        raise ValueError("The model has no variables yet. Call model.build((None, None, 2)) first.")
    if set(states) != set(model.sources):
        raise ValueError(
            f"The model separates {', '.join(model.sources)}, but there are weights of "
            f"{', '.join(states)}. Give those of each source."
        )
    for source, network in zip(model.sources, model.mask_networks, strict=True):
        arrays = {
            name: np.asarray(value)
            for name, value in states[source].items()
            if not name.endswith(IGNORED)
        }
        try:
            assign(_pairs(network), arrays, REMEDY)
        except ValueError as error:
            raise ValueError(f"{source}: {error}") from error


def _pairs(network):
    """Returns (variable, names of arrays, conversion) of all weights of a source's network."""
    pairs = lstm_pairs(network.lstm, "lstm")
    for name, layer in (("input", network.scale_input), ("output", network.scale_output)):
        pairs.append((layer.mean, (f"{name}_mean",), np.asarray))
        pairs.append((layer.scale, (f"{name}_scale",), np.asarray))
    for number, (dense, norm) in enumerate(zip(network.dense, network.norms, strict=True), 1):
        pairs.append((dense.kernel, (f"fc{number}.weight",), np.transpose))
        for variable, name in (
            (norm.gamma, "weight"),
            (norm.beta, "bias"),
            (norm.moving_mean, "running_mean"),
            (norm.moving_variance, "running_var"),
        ):
            pairs.append((variable, (f"bn{number}.{name}",), np.asarray))
    return pairs
