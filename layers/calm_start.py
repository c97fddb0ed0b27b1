"""Gives the upsampling layers of an untrained model the start that makes no tones."""

import math
from dataclasses import dataclass

import keras
import numpy as np

from tonezoo.layers.phased_layers import PhasedLayer, find_phased_layers


@dataclass(frozen=True, kw_only=True)
class CalmedLayer:
    """What `calm_start` did to a layer; its text is one line.

    Attributes:
        name: of the layer, with those of the layers around it.
        kind: "transposed" or "subpixel".
        factor: upsampling factor.
        imbalance_before, imbalance_after: of its phases, see
            `tonezoo.layers.phase_imbalance.phase_imbalance`; 0 makes no tone.
        note: why it was left as it is, or "".

    >>> up = {"name": "decoder/up", "kind": "transposed", "factor": 4}
    >>> print(CalmedLayer(**up, imbalance_before=1.732, imbalance_after=0.0))
    decoder/up: transposed x4, imbalance of the phases 1.73 -> 0
    """

    name: str
    kind: str
    factor: int
    imbalance_before: float
    imbalance_after: float
    note: str = ""

    def __str__(self) -> str:
        line = (
            f"{self.name}: {self.kind} x{self.factor}, imbalance of the phases "
            f"{self.imbalance_before:.3g}"
        )
        return line + (f", left: {self.note}" if self.note else f" -> {self.imbalance_after:.3g}")


def calm_start(model: keras.Model) -> list[CalmedLayer]:
    """Makes the phases of every transposed and subpixel convolution of a model alike, in place.

    A constant then comes out constant: there are no tones before training. Phase 0 keeps its
    weights and the others take them over, in a transposed convolution as `TransposedICNR` has them
    (w[j * strides + p] = w[j * strides]), in a subpixel convolution as `ICNR`
    (W[..., p * F + f] = W[..., f], its bias likewise). Each output sample is a sum of as many taps
    as before, drawn from the same distribution: the layer's output keeps the level that its
    initializer meant. A weight normalisation starts anew from these kernels.

    Transposed convolutions and `SubpixelConv1D` are found in every model; a `keras.layers.Conv1D`
    that is followed by `Subpixel1D` or by a reshape to (time * factor, filters), in Sequential and
    functional models. What cannot be calmed is left, with a note that says why: a transposed
    convolution whose length is no multiple of its strides, a grouped convolution before a shuffle.

    A trained model cannot be told from an untrained one, and loses what its phases have learnt:
    call this before training.

    Args:
        model: built; of any kind.

    Returns:
        One record for each such layer, those included that were calm.

    Raises:
        ValueError: a model that is not built, or one with nothing to calm.

    >>> keras.utils.set_random_seed(0)
    >>> up = keras.layers.Conv1DTranspose(3, 8, 4, padding="same", name="up")
    >>> model = keras.Sequential([keras.Input((None, 2)), up], name="model")
    >>> for record in calm_start(model):
    ...     print(record)
    model/up: transposed x4, imbalance of the phases 1.5 -> 0
    >>> np.array(model(np.ones((1, 9, 2))))[0, 8:12, 0].round(3)
    array([0.295, 0.295, 0.295, 0.295], dtype=float32)
    """
    if not model.built:
        raise ValueError(
            f"{model.name} has no weights yet: build it, or call it once, before calm_start."
        )
    found = find_phased_layers(model)
    records = [_calmed(layer) for layer in found]
    if all(record.note for record in records):
        left = "".join(f"\n{record}" for record in records)
        raise ValueError(
            f"There is nothing to calm in {model.name}: it has no transposed or subpixel "
            f"convolution that can be.{left}\nWhere a convolution and a shuffle are called in a "
            "method of yours, use tonezoo.layers.SubpixelConv1D there: Keras does not know what "
            "follows what."
        )
    return records


def _calmed(found: PhasedLayer) -> CalmedLayer:
    before, note = found.imbalance, _obstacle(found)
    if not note:
        kernel, factor = found.kernel, found.factor
        if found.kind == "transposed":
            found.layer.kernel.assign(np.repeat(kernel[::factor], factor, axis=0))
        else:
            found.layer.kernel.assign(_first_phase_everywhere(kernel, factor))
            if found.layer.use_bias:
                bias = keras.ops.convert_to_numpy(found.layer.bias)
                found.layer.bias.assign(_first_phase_everywhere(bias, factor))
        if found.weight_norm is not None:
            found.weight_norm.restart()
    return CalmedLayer(
        name=found.name,
        kind=found.kind,
        factor=found.factor,
        imbalance_before=before,
        imbalance_after=found.imbalance,
        note=note,
    )


def _first_phase_everywhere(weights: np.ndarray, factor: int) -> np.ndarray:
    filters = weights.shape[-1] // factor
    return np.tile(weights[..., :filters], (1,) * (weights.ndim - 1) + (factor,))


def _obstacle(found: PhasedLayer) -> str:
    """Returns why a layer cannot be calmed, or ""."""
    layer, factor = found.layer, found.factor
    length = layer.kernel_size[0]
    if found.kind == "transposed" and length % factor:
        nearest = factor * math.ceil(length / factor)
        return (
            f"its length {length} is no multiple of its strides {factor}, so that its phases have "
            f"different numbers of taps; take {nearest}"
        )
    if found.kind == "subpixel" and layer.groups > 1:
        return (
            f"its {layer.groups} groups give the phases different channels; take groups=1, or "
            "SubpixelConv1D"
        )
    return ""
