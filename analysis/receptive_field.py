"""The effective receptive field: how far the input samples lie that an output sample heeds."""

import dataclasses
import math
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from tonezoo.audio.levels import measure as measure_level
from tonezoo.audio.resampling import decimate

if TYPE_CHECKING:
    import keras

PATCHES = 256
# Of models that do not tell: any period of their upsampling layers that divides it is averaged.
GRID_SAMPLES = 64
# Where the theoretical field is not known or has no end.
SEGMENT_SAMPLES = 16_384
# Samples of a batch of patches, which bounds the memory.
BATCH_SAMPLES = 2**16
# Standard deviations to each side.
EXTENT_SIGMAS = 2.0


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class ReceptiveField:
    """Where the input samples lie on which an output sample depends, and how much.

    Attributes:
        offsets: (n,) input samples relative to the output sample's place, consecutive.
        gradient: (n,) mean magnitude of the output sample's gradient there; the sum is 1.
        centre_samples: of the Gaussian that fits the gradient best.
        sigma_samples: its standard deviation.
        peak: its height.
        theoretical_samples: on which it can depend at most; None for all, or where it is unknown.
        patches: over how many the gradient was averaged.
        grid_samples: over how many consecutive places of the output sample.
    """

    offsets: np.ndarray
    gradient: np.ndarray
    centre_samples: float
    sigma_samples: float
    peak: float
    theoretical_samples: int | None
    patches: int
    grid_samples: int

    @property
    def gaussian(self) -> np.ndarray:
        """(n,) the Gaussian at the offsets."""
        return _gaussian(self.offsets, self.peak, self.centre_samples, self.sigma_samples)

    @property
    def inside(self) -> np.ndarray:
        """(n,) which offsets lie within two standard deviations of the Gaussian's centre."""
        return np.abs(self.offsets - self.centre_samples) <= EXTENT_SIGMAS * self.sigma_samples

    @property
    def erf_samples(self) -> int:
        """The effective receptive field: how many samples lie inside."""
        return int(self.inside.sum())

    @property
    def share_inside(self) -> float:
        """Of the gradient; 0.95 where it is a Gaussian, less where it has long tails."""
        return float(self.gradient[self.inside].sum())

    def to_json(self) -> dict[str, Any]:
        """Returns all of it in JSON types."""
        return {
            "erf_samples": self.erf_samples,
            "share_inside": self.share_inside,
            "sigma_samples": self.sigma_samples,
            "centre_samples": self.centre_samples,
            "peak": self.peak,
            "theoretical_samples": self.theoretical_samples,
            "patches": self.patches,
            "grid_samples": self.grid_samples,
            "first_offset": int(self.offsets[0]),
            "gradient": [float(f"{value:.6g}") for value in self.gradient],
        }


def receptive_field(
    model: "keras.Model",
    clips: Iterable[np.ndarray],
    *,
    patches: int = PATCHES,
    segment_samples: int | None = None,
    grid_samples: int | None = None,
    seed: int = 0,
) -> ReceptiveField:
    """Measures the effective receptive field of a model on TensorFlow, in inference mode.

    The magnitudes of the gradients of single output samples with respect to the input, averaged
    over patches of the clips and over the places of the output sample on the model's grid, to which
    superpixel and upsampling layers respond differently; the sum made 1. A Gaussian is fitted by
    least squares: the effective field is what lies within two standard deviations of its centre.

    Of a super-resolution model the input is the interpolated signal, and the addition of it to the
    output is left out. Outputs of several channels or sources take turns; the input's channels are
    summed. Where the output has another length, its places are scaled to the input's.

    Args:
        model: an audio model of tonezoo but a vocoder, or a Keras model from (batch, time,
            channels) to (batch, time, channels).
        clips: mono signals (time,) at the model's rate: the high one of super-resolution.
        patches: drawn from the clips, each with a single output sample.
        segment_samples: length of a patch, with zeros around a clip that is shorter; None for the
            theoretical field, or 16,384 where that is not known.
        grid_samples: consecutive places of the output sample; None for those that the model tells,
            else 64.
        seed: of the draw.

    Raises:
        ValueError: a model with another number of inputs or outputs, of other shapes, or too short
            for its grid; gradients that are NaN, infinite or zero; no clips; another backend.

    Example: the field of a convolution is its kernel.

    >>> import keras
    >>> model = keras.Sequential([keras.Input((None, 1)), keras.layers.Conv1D(1, 3)])
    >>> model.set_weights([np.array([1.0, 2.0, 1.0]).reshape(3, 1, 1), np.zeros(1)])
    >>> field = receptive_field(model, [np.ones(1000, "float32")], patches=64)
    >>> field.offsets.tolist(), field.gradient.tolist()
    ([-1, 0, 1], [0.25, 0.5, 0.25])

    Source: "Adversarial Audio Super-Resolution with Unsupervised Feature Losses", Figure 6, after
    Luo et al., "Understanding the Effective Receptive Field" (2016).
    """
    import keras

    if keras.backend.backend() != "tensorflow":
        raise ValueError(
            f"Receptive fields are measured on TensorFlow, but Keras runs on "
            f"{keras.backend.backend()}. Set KERAS_BACKEND=tensorflow."
        )
    probed = _probed(model)
    grid = grid_samples or probed.grid_samples
    length = probed.fixed_samples or -(-(segment_samples or probed.segment_samples) // grid) * grid
    inputs = [probed.prepare(np.asarray(clip, "float32")) for clip in clips]
    if not inputs:
        raise ValueError("No clips were given. Give at least one.")
    sums = np.zeros(2 * length - 1)
    rng = np.random.default_rng(seed)
    gradients = _gradient_function(probed, grid)
    size = max(1, BATCH_SAMPLES // length)
    for first in range(0, patches, size):
        index = np.arange(first, min(first + size, patches))
        batch = np.stack([_patch(inputs, length, grid, rng) for _ in index])
        gradient, places = gradients(batch, index * grid // patches, index)
        for row, place in zip(np.abs(gradient).sum(axis=2, dtype="float64"), places, strict=True):
            sums[length - 1 - place : 2 * length - 1 - place] += row
    return _field(sums, length, probed.theoretical_samples, patches, grid)


def with_fresh_weights(model: "keras.Model", seed: int = 0) -> "keras.Model":
    """Returns a model of the same configuration with random weights; seeds Keras.

    Raises:
        ValueError: Keras cannot make it anew from its configuration.
    """
    import keras

    from tonezoo.models.base import AudioModel

    keras.utils.set_random_seed(seed)
    try:
        fresh = type(model).from_config(model.get_config())
        if isinstance(model, AudioModel):
            fresh.build((None, None, model.channels))
    # Whatever the user's own class raises.
    except Exception as error:
        raise ValueError(
            f"{type(model).__name__} cannot be built anew from its get_config "
            f"({type(error).__name__}: {error}), so it is not known how it was before training."
        ) from error
    return fresh


@dataclasses.dataclass(frozen=True)
class _Probed:
    """What is measured of a model.

    Attributes:
        function: from (batch, time, channels) to outputs (batch, time, ...).
        prepare: from a clip (time,) to the function's input, (time, channels).
        grid_samples, theoretical_samples: of the model, as far as it tells.
        fixed_samples: the only length that the function takes; None for any.
    """

    function: Callable
    prepare: Callable[[np.ndarray], np.ndarray]
    grid_samples: int = GRID_SAMPLES
    theoretical_samples: int | None = None
    fixed_samples: int | None = None

    @property
    def segment_samples(self) -> int:
        if self.theoretical_samples is None:
            return SEGMENT_SAMPLES
        return self.theoretical_samples + self.grid_samples


def _probed(model) -> _Probed:
    from tonezoo.models.base import AudioModel, SuperResolutionModel, VocodingModel

    if isinstance(model, VocodingModel):
        raise ValueError(
            f"{type(model).__name__} takes mel spectrograms. Receptive fields are measured in "
            "samples, of models that take a waveform."
        )
    if not isinstance(model, AudioModel):
        return _probed_keras_model(model)
    facts = (model.grid_samples, model.receptive_field_samples)
    if isinstance(model, SuperResolutionModel):

        def interpolated(clip):
            low = decimate(clip[: len(clip) // model.ratio * model.ratio], model.ratio)
            return np.asarray(model.interpolate(low[None, :, None]))[0]

        return _Probed(model.correction, interpolated, *facts)

    def normalised(clip):
        level = measure_level([clip[:, None]])[2]
        return np.repeat(level.normalise(clip)[:, None], model.channels, axis=1)

    return _Probed(lambda x: model(x, training=False), normalised, *facts)


def _probed_keras_model(model) -> _Probed:
    name = type(model).__name__
    for what in ("inputs", "outputs"):
        found = getattr(model, what, None) or [None]
        if len(found) != 1:
            raise ValueError(
                f"{name} has {len(found)} {what}, but the receptive field is that of one output "
                "with respect to one input. Give a keras.Model with one of each."
            )
    shape = getattr(model, "input_shape", None) or (None, None, 1)
    if len(shape) != 3 or shape[2] is None:
        raise ValueError(f"{name} takes {shape}, but models of (batch, time, channels) are needed.")
    return _Probed(
        lambda x: model(x, training=False),
        lambda clip: np.repeat(clip[:, None], shape[2], axis=1),
        fixed_samples=shape[1],
    )


def _patch(inputs, length: int, grid: int, rng: np.random.Generator) -> np.ndarray:
    """Returns (length, channels) of an input; all of one that is shorter, with zeros around it."""
    samples = inputs[rng.integers(len(inputs))]
    if (missing := length - len(samples)) > 0:
        return np.pad(samples, ((missing // 2, missing - missing // 2), (0, 0)))
    # On the grid, as the model sees the whole clip.
    start = grid * rng.integers((len(samples) - length) // grid + 1)
    return samples[start : start + length]


def _gradient_function(probed: _Probed, grid: int) -> Callable:
    """Returns a function from patches, phases and numbers to gradients and places in the input."""
    import tensorflow as tf

    # Without AutoGraph, which rewrites the messages of errors.
    @tf.function(reduce_retracing=True, autograph=False)
    def compute(x, phases, numbers):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = probed.function(x)
            _check_output(y, x.shape[1], grid)
            y = tf.reshape(y, (tf.shape(y)[0], y.shape[1], -1))
            places = y.shape[1] // 2 - grid // 2 + phases
            row = tf.range(tf.shape(y)[0])
            picked = tf.gather_nd(y, tf.stack([row, places, numbers % tf.shape(y)[2]], axis=1))
            total = tf.reduce_sum(picked)
        return tape.gradient(total, x, unconnected_gradients="zero"), places, tf.shape(y)[1]

    def gradients(patches, phases, numbers):
        as_int = [tf.constant(values, tf.int32) for values in (phases, numbers)]
        gradient, places, outputs = (t.numpy() for t in compute(tf.constant(patches), *as_int))
        if not np.isfinite(gradient).all():
            raise ValueError(
                "The gradient of the model is NaN or infinite. If it divides by the level or takes "
                "a root or logarithm of its input, keep that from being zero."
            )
        inputs = patches.shape[1]
        # Whole: a convolution without padding loses samples at the ends and has a spacing of 1.
        spacing = round(inputs / outputs) if inputs > outputs else 1 / round(outputs / inputs)
        centred = spacing * (places - (outputs - 1) / 2) + (inputs - 1) / 2
        return gradient, np.round(centred).astype(int)

    return gradients


def _check_output(y, input_samples: int, grid: int) -> None:
    shape = getattr(y, "shape", None)
    if shape is None or len(shape) not in (3, 4):
        got = f"the shape {tuple(shape)}" if shape is not None else f"a {type(y).__name__}"
        raise ValueError(
            f"The model returns {got}, but one output of (batch, time, channels) is needed."
        )
    if shape[1] < 2 * grid:
        raise ValueError(
            f"The model makes {shape[1]} samples of {input_samples}, too few to look at {grid} "
            f"neighbours in their middle: {2 * grid} are needed. Give a model that takes longer "
            "inputs, or the period of its upsampling layers, the product of their strides, as "
            "grid_samples."
        )


def _field(sums, length, theoretical_samples, patches, grid) -> ReceptiveField:
    found = np.flatnonzero(sums)
    if not len(found):
        raise ValueError(
            "The gradient of the model is zero: its output does not depend on its input. Were its "
            "weights initialised with zeros?"
        )
    offsets = np.arange(found[0], found[-1] + 1) - (length - 1)
    gradient = sums[found[0] : found[-1] + 1] / sums.sum()
    peak, centre, sigma = fit_gaussian(offsets, gradient)
    return ReceptiveField(
        offsets=offsets,
        gradient=gradient,
        centre_samples=centre,
        sigma_samples=sigma,
        peak=peak,
        theoretical_samples=theoretical_samples,
        patches=patches,
        grid_samples=grid,
    )


def fit_gaussian(offsets: np.ndarray, values: np.ndarray) -> tuple[float, float, float]:
    """Returns peak, centre and standard deviation of the Gaussian of the least square error.

    Args:
        offsets: (n,) ascending.
        values: (n,) at least 0, not all of them 0.

    Example:

    >>> x = np.arange(-30, 31)
    >>> [round(v, 3) for v in fit_gaussian(x, 0.5 * np.exp(-0.5 * ((x - 2) / 4.5) ** 2))]
    [0.5, 2.0, 4.5]
    """
    from scipy.optimize import least_squares

    centre = float((offsets * values).sum() / values.sum())
    spread = math.sqrt(float((np.square(offsets - centre) * values).sum() / values.sum()))
    top = float(values.max())

    def error(parameters):
        return (_gaussian(offsets, *parameters) - values) / top

    # Values with a narrow peak on wide tails have a minimum of the error for each.
    fits = []
    for sigma in np.geomspace(0.5, max(spread, 0.5), 5):
        start = (top, float(offsets[values.argmax()]), sigma)
        bounds = ((0, offsets[0] - 1, 0.1), (np.inf, offsets[-1] + 1, np.inf))
        fits.append(least_squares(error, start, bounds=bounds, x_scale=(top, 1, 1)))
    peak, centre, sigma = min(fits, key=lambda fit: fit.cost).x
    return float(peak), float(centre), float(sigma)


def _gaussian(offsets, peak, centre, sigma) -> np.ndarray:
    return peak * np.exp(-0.5 * np.square((offsets - centre) / sigma))
