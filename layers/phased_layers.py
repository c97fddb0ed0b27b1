"""Finds the layers of a model whose phases have kernels of their own."""

from dataclasses import dataclass

import keras
import numpy as np
from keras import ops

from tonezoo.layers.folded_conv import FoldedConv1D
from tonezoo.layers.graphs import consumers, is_graph
from tonezoo.layers.phase_imbalance import (
    phase_imbalance,
    subpixel_phase_sums,
    transposed_phase_sums,
)
from tonezoo.layers.subpixel import Subpixel1D
from tonezoo.layers.subpixel_conv import SubpixelConv1D
from tonezoo.layers.weight_norm import WeightNorm


@dataclass(frozen=True, kw_only=True)
class PhasedLayer:
    """A transposed convolution, or one whose outputs become successive samples.

    Attributes:
        layer: with the weights `kernel` and, maybe, `bias`.
        weight_norm: the layer around it, if there is one.
        kind: "transposed", kernel (taps, filters, channels), or "subpixel", kernel (taps, channels,
            factor * filters).
        factor: upsampling factor, at least 2.
    """

    layer: keras.layers.Layer
    weight_norm: WeightNorm | None = None
    kind: str
    factor: int

    @property
    def name(self) -> str:
        """Where the layer is in its model."""
        return self.layer.path

    @property
    def kernel(self) -> np.ndarray:
        """The kernel that the layer computes with."""
        normed = self.weight_norm
        kernel = self.layer.kernel if normed is None else normed.normalised_kernel()
        return ops.convert_to_numpy(kernel)

    @property
    def imbalance(self) -> float:
        """See `tonezoo.layers.phase_imbalance.phase_imbalance`."""
        sums = {"transposed": transposed_phase_sums, "subpixel": subpixel_phase_sums}[self.kind]
        return phase_imbalance(sums(self.kernel, self.factor))


def find_phased_layers(model: keras.Model) -> list[PhasedLayer]:
    """Returns the transposed and subpixel convolutions of a built model that upsample.

    Transposed convolutions and `SubpixelConv1D` are found wherever they are, in the attributes of
    subclassed models too. A convolution followed by nothing but `Subpixel1D`, or a reshape from
    (T, factor * F) to (T * factor, F), is found in Sequential and functional models: elsewhere
    Keras does not know what follows what.

    >>> model = keras.Sequential([
    ...     keras.Input((None, 2)),
    ...     keras.layers.Conv1DTranspose(3, 8, 4, padding="same"),
    ...     keras.layers.Conv1D(4, 3, padding="same"),
    ...     Subpixel1D(2),
    ... ])
    >>> [(found.kind, found.factor) for found in find_phased_layers(model)]
    [('transposed', 4), ('subpixel', 2)]
    """
    everything = model._flatten_layers()
    factors = {}
    for graph in filter(is_graph, everything):
        factors.update(_factors_of_shuffles(graph))
    found, seen = [], set()
    for outer in everything:
        weight_norm = outer if isinstance(outer, WeightNorm) else None
        layer = outer if weight_norm is None else outer.layer
        if id(layer) in seen:
            continue
        seen.add(id(layer))
        if isinstance(layer, keras.layers.Conv1DTranspose):
            kind, factor = "transposed", layer.strides[0]
        elif isinstance(layer, SubpixelConv1D):
            kind, factor = "subpixel", layer.factor
        else:
            kind, factor = "subpixel", factors.get(id(layer), 1)
        if factor > 1 and layer.built:
            found.append(
                PhasedLayer(layer=layer, weight_norm=weight_norm, kind=kind, factor=factor)
            )
    return found


def _factors_of_shuffles(graph) -> dict[int, int]:
    """Returns id of a convolution -> factor by which all that follows it makes channels time."""
    factors = {}
    for outer, after in consumers(graph).items():
        layer = outer.layer if isinstance(outer, WeightNorm) else outer
        convolves = type(layer) in (keras.layers.Conv1D, FoldedConv1D)
        if convolves and layer.data_format == "channels_last":
            found = {_factor_of_shuffle(follower, layer.filters) for follower in after}
            if len(found) == 1:
                factors[id(layer)] = found.pop()
    return factors


def _factor_of_shuffle(layer, channels: int) -> int:
    if type(layer) is Subpixel1D:
        return layer.factor
    if type(layer) is keras.layers.Reshape and len(layer.target_shape) == 2:
        filters = layer.target_shape[1]
        return channels // filters if filters > 0 and channels % filters == 0 else 1
    return 1
