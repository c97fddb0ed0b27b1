"""MelGAN's discriminator: the same network at three scales of the waveform.

Source: K. Kumar et al., "MelGAN" (NeurIPS 2019), section 3.2, and its published code.
"""

import itertools
from typing import Any

import keras
from keras import layers, ops

from tonezoo.arguments import integer
from tonezoo.layers import PhaseShuffle1D, WeightNorm
from tonezoo.layers.initializers import bounded_bias, bounded_kernel
from tonezoo.layers.padding import reflect_ends
from tonezoo.registry import ModelEntry

SLOPE = 0.2
FIRST_KERNEL_SIZE, DOWN_KERNEL_SIZE, LATE_KERNEL_SIZE, LAST_KERNEL_SIZE = 15, 41, 5, 3
STRIDE, CHANNELS_OF_A_GROUP = 4, 4
POOL_SAMPLES = 4


@keras.saving.register_keras_serializable(package="tonezoo")
class MelGanDiscriminator(keras.Model):
    """Tells real waveforms from made-up ones at full, half and quarter rate.

    At each scale a convolution of length 15; grouped ones of length 41 and stride 4, each of four
    times as many filters as the one before, up to `most_filters`; one of length 5, and one of
    length 3 to the logits. All are followed by LeakyReLU(0.2) but the last. The lower scales see
    averages over 4 samples, 2 apart.

    Args:
        width: filters of the first convolution, a multiple of 4.
        downsamplings: number of grouped convolutions.
        most_filters: limit of the filters.
        scales: number of scales.
        shuffle_radius: of a `PhaseShuffle1D` behind every activation but the last one, in training;
            0 for none (WaveGAN's; not MelGAN's).
        weight_norm: whether the kernels are normalised, see `tonezoo.layers.WeightNorm`.

    Input: (batch, time, 1). Output: the mean logit of each scale, (batch, scales); `activations`
    gives the logits themselves and what lies before them.

    Raises:
        ValueError: an option out of its range, or an input of another shape.

    Example:

    >>> import numpy as np
    >>> discriminator = MelGanDiscriminator(width=4, downsamplings=1, most_filters=16)
    >>> activations = discriminator.activations(np.zeros((2, 64, 1), "float32"))
    >>> len(activations), len(activations[0]), activations[2][-1].shape
    (3, 4, TensorShape([2, 4, 1]))
    """

    def __init__(
        self,
        *,
        width: int = 16,
        downsamplings: int = 4,
        most_filters: int = 1024,
        scales: int = 3,
        shuffle_radius: int = 0,
        weight_norm: bool = True,
        **kwargs,
    ):
        super().__init__(autocast=False, **kwargs)
        self.width = integer("width", width)
        if width % CHANNELS_OF_A_GROUP:
            raise ValueError(
                f"width must be a multiple of {CHANNELS_OF_A_GROUP}, the channels of a group. "
                f"Received: width={width}"
            )
        self.downsamplings = integer("downsamplings", downsamplings)
        self.most_filters = integer("most_filters", most_filters)
        self.scales = integer("scales", scales)
        self.shuffle_radius = integer("shuffle_radius", shuffle_radius, least=0)
        self.weight_norm = weight_norm
        self.stacks = [self._stack() for _ in range(scales)]
        # One for each activation: they draw shifts of their own.
        self.shuffles = [
            [PhaseShuffle1D(shuffle_radius, dtype=self.dtype_policy) for _ in stack[:-1]]
            for stack in self.stacks
        ]

    def _stack(self) -> list:
        filters = [min(self.width * 4**i, self.most_filters) for i in range(self.downsamplings + 1)]
        return [
            self._conv(1, filters[0], FIRST_KERNEL_SIZE),
            *(
                self._conv(before, after, DOWN_KERNEL_SIZE, STRIDE, before // CHANNELS_OF_A_GROUP)
                for before, after in itertools.pairwise(filters)
            ),
            self._conv(filters[-1], filters[-1], LATE_KERNEL_SIZE),
            self._conv(filters[-1], 1, LAST_KERNEL_SIZE),
        ]

    def _conv(self, channels, filters, kernel_size, strides: int = 1, groups: int = 1):
        fan_in = channels // groups * kernel_size
        layer = layers.Conv1D(
            filters,
            kernel_size,
            strides,
            groups=groups,
            data_format="channels_last",
            kernel_initializer=bounded_kernel(fan_in),
            bias_initializer=bounded_bias(fan_in),
            dtype=self.dtype_policy,
        )
        return WeightNorm(layer) if self.weight_norm else layer

    def build(self, input_shape):
        if self.built:
            return
        for stack in self.stacks:
            shape = (input_shape[0], None, 1)
            for layer in stack:
                layer.build(shape)
                shape = layer.compute_output_shape((*shape[:1], 1000, shape[2]))
                shape = (shape[0], None, shape[2])
        self.built = True

    def activations(self, waveform, training=False) -> list[list]:
        """Returns what each scale makes of (batch, time, 1), layer by layer, the logits last."""
        x = ops.cast(waveform, self.compute_dtype)
        found = []
        for stack, shuffles in zip(self.stacks, self.shuffles, strict=True):
            found.append(_through(stack, shuffles, x, training))
            x = halved(x)
        return found

    def call(self, waveform, training=False):
        if len(waveform.shape) != 3 or waveform.shape[2] != 1 or waveform.shape[1] == 0:
            raise ValueError(
                "MelGanDiscriminator takes (batch, time, 1) with at least one sample, but got "
                f"{tuple(waveform.shape)}."
            )
        logits = [stack[-1] for stack in self.activations(waveform, training=training)]
        means = [ops.mean(ops.cast(part, self.variable_dtype), axis=(1, 2)) for part in logits]
        return ops.stack(means, axis=1)

    def compute_output_shape(self, input_shape):
        return (input_shape[0], self.scales)

    def get_config(self):
        names = (
            *("width", "downsamplings", "most_filters", "scales"),
            *("shuffle_radius", "weight_norm"),
        )
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


def _through(stack, shuffles, x, training) -> list:
    activations = []
    for number, layer in enumerate(stack):
        convolution = layer.layer if isinstance(layer, WeightNorm) else layer
        margin = convolution.kernel_size[0] // 2
        if number == 0:
            x = reflect_ends(x, margin, margin)
        else:
            x = ops.pad(x, ((0, 0), (margin, margin), (0, 0)))
        x = layer(x)
        if number < len(stack) - 1:
            x = ops.leaky_relu(x, SLOPE)
            activations.append(x)
            x = shuffles[number](x, training=training)
    return [*activations, x]


def halved(x):
    """Returns the means of (batch, time, 1) over 4 samples, 2 apart, less at the ends."""

    def pooled(y):
        padded = ops.pad(y, ((0, 0), (1, 1 + ops.shape(y)[1] % 2), (0, 0)))
        return ops.average_pool(
            padded, POOL_SAMPLES, 2, padding="valid", data_format="channels_last"
        )

    return pooled(x) / pooled(ops.ones_like(x[:, :, :1]))


PRESETS: dict[str, dict[str, Any]] = {
    "full": {},
    "quarter": {"width": 4, "most_filters": 256},
    "tiny": {"width": 4, "downsamplings": 1, "most_filters": 16},
}

ENTRY = ModelEntry(
    name="mel_gan_discriminator",
    model=MelGanDiscriminator,
    presets=PRESETS,
    parameters={"full": 16_924_086, "quarter": 1_281_906, "tiny": 12_258},
    paper_presets=("full",),
    sample_rate_hz=22_050,
    source="Kumar et al. 2019, MelGAN: Generative Adversarial Networks for Conditional Waveform "
    "Synthesis",
)
