"""The upsampling layers of a model: where they are, and which artifacts each brings by itself."""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from tonezoo.layers import (
    FilteredActivation1D,
    Interpolate1D,
    InterpolatedConv1D,
    InverseSTFT1D,
    Subpixel1D,
    SubpixelConv1D,
    TransposedConv1D,
    WeightNorm,
)
from tonezoo.layers.phase_imbalance import phase_imbalance

TRANSPOSED, SUBPIXEL, INTERPOLATED = "transposed", "subpixel", "interpolation"
INVERSE_STFT, OTHER = "inverse STFT", "other"
KINDS = {
    TransposedConv1D: TRANSPOSED,
    keras.layers.Conv1DTranspose: TRANSPOSED,
    SubpixelConv1D: SUBPIXEL,
    Subpixel1D: SUBPIXEL,
    InterpolatedConv1D: INTERPOLATED,
    Interpolate1D: INTERPOLATED,
    keras.layers.UpSampling1D: INTERPOLATED,
    InverseSTFT1D: INVERSE_STFT,
}
# What upsamples inside these is no layer by itself.
INSEPARABLE = (WeightNorm, FilteredActivation1D)
# Names under which layers state their factor.
FACTORS = ("factor", "strides", "size", "hop_samples")
# By which lengths may differ from the products of factors.
LENGTH_TOLERANCE = 0.2
# Input channels that a layer is measured with, and their samples.
MOST_CHANNELS = 64
SAMPLES = 64
# Root-mean-square of the phases around their mean, re the mean: -40 dB.
LEAST_IMBALANCE = 0.01
# Above it, images are filtering artifacts.
LEAST_IMAGE_DB = -60.0
# A level that is higher is not that of a low-pass, and says nothing of one.
MOST_DROOP_DB = 6.0


@dataclass(frozen=True, kw_only=True)
class UpsamplingLayer:
    """A layer, or a convolution and what shuffles its channels into time, inside a model.

    Attributes:
        name: of the layer.
        kind: "transposed", "subpixel", "interpolation", "inverse STFT" or "other".
        factor: how many output samples there are for each of its input.
        period: distance of its input's samples in samples of the model's output. Its lines are at
            the multiples of the model's rate over it.
        channels: of its input.
        call: the layer as a function of (batch, time, channels); None where it has no weights to
            tell what it does by itself, such as a shuffle behind an activation.
        output: where `call` is None, that of the layer in the model, (batch, time, channels).
        kernel_length: taps of a transposed convolution.
    """

    name: str
    kind: str
    factor: int
    period: int
    channels: int
    call: Callable | None
    output: np.ndarray | None
    kernel_length: int | None = None


@dataclass(frozen=True, kw_only=True)
class LayerFinding:
    """What an upsampling layer does by itself, measured with constants and impulses.

    Attributes:
        layer: which one.
        imbalance: standard deviation over the phases of the answer to a constant, re its mean, both
            root-mean-square over input and output channels, without biases; of a shuffle without a
            convolution before it, the same of its outputs in the model. 0 leaves no tones.
        droop_db: power of the answer to white noise at half the input's rate re that at 0 Hz.
        image_db: sine of a quarter of the input's rate in: energy of its images above half the
            input's rate re that of the sine.
    """

    layer: UpsamplingLayer
    imbalance: float
    droop_db: float | None = None
    image_db: float | None = None

    @property
    def artifact(self) -> str:
        """The artifact that it brings: "tonal", "filtering" or "none"."""
        if self.imbalance > LEAST_IMBALANCE:
            return "tonal"
        if self.image_db is not None and self.image_db > LEAST_IMAGE_DB:
            return "filtering"
        return "none"

    @property
    def sentence(self) -> str:
        """Which artifact the layer brings, and what to change."""
        layer = self.layer
        name = f"{layer.name} ({layer.kind}, x{layer.factor})"
        if layer.kind == INVERSE_STFT:
            return f"{name}: no upsampling layer but an inverse transform; it brings no artifact."
        if self.artifact == "tonal":
            return f"{name}: tonal artifacts. {self._tonal_cause()}"
        if self.artifact == "filtering":
            return f"{name}: filtering artifacts. {self._filtering_cause()}"
        return f"{name}: no artifact by itself; its phases are even."

    def _tonal_cause(self) -> str:
        layer, level_db = self.layer, 20 * np.log10(self.imbalance)
        if layer.call is None:
            return (
                f"In the model the means of its {layer.factor} phases differ, by "
                f"{level_db:+.0f} dB re themselves: tones every 1/{layer.period} of the output's "
                "rate. A SubpixelConv1D in its place, which starts with even phases, or "
                "interpolation and a convolution start without them."
            )
        tones = (
            f"A constant comes out with tones of {level_db:+.0f} dB re itself, every 1/"
            f"{layer.period} of the output's rate."
        )
        length = layer.kernel_length
        if layer.kind == TRANSPOSED and length is not None and length % layer.factor:
            overlap = "leaves gaps" if length < layer.factor else "overlaps in part"
            return (
                f"Its length, {length}, is no multiple of its stride: it {overlap}, and no weights "
                f"but unequal ones avoid tones. {tones} Take a length of {2 * layer.factor} and "
                "calm_start before training, or interpolation and a convolution."
            )
        if layer.kind in (TRANSPOSED, SUBPIXEL):
            overlap = " (no overlap)" if length == layer.factor else ""
            return (
                f"The weights of its {layer.factor} phases differ{overlap}. {tones} "
                "Start the training with calm_start, leave biases out before it, or take "
                "interpolation and a convolution."
            )
        return f"{tones} Take a layer whose phases have equal sums."

    def _filtering_cause(self) -> str:
        cause = f"Images of a quarter of its input's rate come out at {self.image_db:+.0f} dB"
        if self.droop_db is not None and self.droop_db < MOST_DROOP_DB:
            cause += f", half its input's rate itself at {self.droop_db:+.1f} dB re 0 Hz"
        cause += "; no tones."
        if self.layer.kind in (TRANSPOSED, SUBPIXEL):
            return f"{cause} Its phases are alike, as after calm_start; training makes them differ."
        return f"{cause} Layers behind it have to make up for it, or a longer interpolator."


def find_upsampling(
    model: keras.Model, inputs: np.ndarray, output_samples: int
) -> list[UpsamplingLayer]:
    """Finds the layers that raise the rate while a model computes.

    Args:
        model: whose layers are watched.
        inputs: what it takes, best white noise: a shuffle is told by its outputs alone.
        output_samples: length of its output.

    Returns:
        The layers in the order in which the model calls them, each once.
    """
    seen: list[_Call] = []
    with _watched(model, seen):
        model(inputs, training=False)
    raising = [each for each in seen if each.factor is not None]
    found: dict[int, _Call] = {}
    for each in raising:
        inner = [other for other in raising if each in other.around]
        wrapped = any(isinstance(outer.layer, INSEPARABLE) for outer in each.around)
        if wrapped or (inner and not isinstance(each.layer, WeightNorm)):
            continue
        found.setdefault(id(each.layer), each)
    factors = [each.factor for each in found.values() if each.factor is not None]
    return [_described(each, seen, output_samples, factors) for each in found.values()]


def measure_layer(layer: UpsamplingLayer) -> LayerFinding:
    """Measures a layer by itself, with a constant and an impulse in each of up to 64 channels."""
    if layer.kind == INVERSE_STFT:
        return LayerFinding(layer=layer, imbalance=0.0)
    if layer.call is None:
        assert layer.output is not None
        return LayerFinding(
            layer=layer, imbalance=phase_imbalance(_phases(layer.output, layer.factor))
        )
    channels = min(layer.channels, MOST_CHANNELS)
    each = np.eye(layer.channels, dtype="float32")[:channels, None]
    impulses = np.zeros((channels, SAMPLES, layer.channels), "float32")
    impulses[:, SAMPLES // 2] = each[:, 0]
    offset = numbers(layer.call(np.zeros((1, SAMPLES, layer.channels), "float32")))
    constant = numbers(layer.call(np.repeat(each, SAMPLES, axis=1))) - offset
    answer = numbers(layer.call(impulses)) - offset
    first = SAMPLES // 2 * layer.factor
    # Bins of an input's rate over SAMPLES each.
    answer = answer[:, : SAMPLES * layer.factor]
    power = np.mean(np.abs(np.fft.rfft(answer, axis=1)) ** 2, axis=(0, 2))
    sine = SAMPLES // 4
    images = [k * SAMPLES + sign * sine for k in range(1, layer.factor) for sign in (-1, 1)]
    image_power = sum(power[bin_] for bin_ in images if bin_ < len(power))
    return LayerFinding(
        layer=layer,
        imbalance=phase_imbalance(_phases(constant[:, first : first + layer.factor], layer.factor)),
        droop_db=_db(power[SAMPLES // 2], power[0]),
        image_db=_db(image_power, power[sine]),
    )


def _phases(output: np.ndarray, factor: int) -> np.ndarray:
    """Returns the mean over time of each phase of (batch, time, channels), the phase first."""
    steps = output.shape[1] // factor
    whole = output[:, : steps * factor]
    return whole.reshape(len(output), steps, factor, -1).mean(axis=1).swapaxes(0, 1)


@dataclass(eq=False)
class _Call:
    """A call of a layer while its model computed."""

    layer: Any
    taken: Any
    given: Any
    around: tuple["_Call", ...]

    @property
    def factor(self) -> int | None:
        """How many times as many samples it gives, None unless that is a whole number above 1."""
        if len(self.taken.shape) != 3 or len(self.given.shape) != 3:
            return None
        before, after = self.taken.shape[1], self.given.shape[1]
        inner = self.layer.layer if isinstance(self.layer, WeightNorm) else self.layer
        for name in FACTORS:
            stated = np.ravel(getattr(inner, name, ()))
            if len(stated) == 1 and isinstance(stated[0], (int, np.integer)) and stated[0] > 1:
                return int(stated[0]) if after > before else None
        return after // before if after > before and after % before == 0 else None


@contextmanager
def _watched(model: keras.Model, seen: list[_Call]) -> Iterator[None]:
    """Notes every call of a layer of a model, those inside others included."""
    running: list[_Call] = []

    def watch(layer):
        compute = layer.call

        def call(*inputs, **options):
            given = next((x for x in (*inputs, *options.values()) if hasattr(x, "shape")), None)
            note = _Call(layer, given, None, tuple(running))
            running.append(note)
            try:
                output = compute(*inputs, **options)
            finally:
                running.pop()
            if given is not None and hasattr(output, "shape"):
                note.given = output
                seen.append(note)
            return output

        layer.__dict__["call"] = call

    layers = list(_operations(model))
    for layer in layers:
        watch(layer)
    try:
        yield
    finally:
        for layer in layers:
            del layer.__dict__["call"]


def _operations(model: keras.Model) -> Iterator:
    """Returns the layers below a model, and the operations of its graphs that are no layers."""
    seen = {id(model)}
    for part in (model, *model._flatten_layers(include_self=False)):
        for operation in (part, *getattr(part, "operations", ())):
            if id(operation) not in seen and not isinstance(operation, keras.layers.InputLayer):
                seen.add(id(operation))
                yield operation


def _described(
    found: _Call, seen: list[_Call], output_samples: int, factors: Sequence[int]
) -> UpsamplingLayer:
    layer, factor = found.layer, found.factor
    inner = layer.layer if isinstance(layer, WeightNorm) else layer
    kind = next((KINDS[cls] for cls in type(inner).__mro__ if cls in KINDS), OTHER)
    # A layer, or keras.ops.reshape in a graph, which is an operation of that name.
    if type(inner).__name__ == "Reshape":
        kind = SUBPIXEL
    call: Callable | None = layer
    channels, name = found.taken.shape[2], layer_path(layer)
    if kind == SUBPIXEL and not isinstance(inner, SubpixelConv1D):
        call = None
        before = next((each for each in seen if each.given is found.taken), None)
        if before is not None and isinstance(before.layer, keras.layers.Conv1D):
            outer = before.around[-1].layer if before.around else None
            conv = outer if isinstance(outer, WeightNorm) else before.layer
            channels, name = before.taken.shape[2], f"{layer_path(conv)} + {name}"
            call = _shuffled(conv, found.given.shape[2])
    assert factor is not None
    return UpsamplingLayer(
        name=name,
        kind=kind,
        factor=factor,
        period=_period(factor, factors, output_samples / found.taken.shape[1]),
        channels=channels,
        call=call,
        output=numbers(found.given) if call is None else None,
        kernel_length=inner.kernel_size[0] if kind == TRANSPOSED else None,
    )


def _period(factor: int, factors: Sequence[int], ratio: float) -> int:
    """Returns the output samples per input sample of a layer, a product of factors.

    Convolutions without padding make lengths that are no multiples of each other: of all products
    of the layers' factors, the layer's own among them, it is the one nearest to what the lengths
    say; that itself where a layer behind lowers the rate again, so that none is near.
    """
    products = {factor}
    others = list(factors)
    others.remove(factor)
    for other in others:
        products |= {product * other for product in products}
    nearest = min(products, key=lambda product: abs(math.log(product / ratio)))
    return nearest if abs(nearest / ratio - 1) < LENGTH_TOLERANCE else max(2, round(ratio))


def _shuffled(conv: Callable, filters: int) -> Callable:
    """Returns a convolution whose outputs are shuffled into time, `filters` at each step."""

    def call(inputs):
        y = conv(inputs)
        return keras.ops.reshape(y, (y.shape[0], -1, filters))

    return call


def layer_path(layer) -> str:
    """Returns where a layer is in its model."""
    return getattr(layer, "path", None) or layer.name


def numbers(output) -> np.ndarray:
    """Returns a tensor as float64."""
    return keras.ops.convert_to_numpy(output).astype("float64")


def _db(power: float, reference: float) -> float:
    return float(10 * np.log10(max(power, 1e-20) / max(reference, 1e-20)))
