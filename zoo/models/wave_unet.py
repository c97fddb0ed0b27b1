"""Wave-U-Net: source separation by a U-net that decimates and interpolates a waveform.

Source: D. Stoller, S. Ewert, S. Dixon, "Wave-U-Net: A Multi-Scale Neural Network for End-to-End
Audio Source Separation" (ISMIR 2018), and the lengths and widths of its published code.
"""

from typing import Any

import keras
from keras import layers, ops

from tonezoo.arguments import integer, one_of
from tonezoo.audio import SOURCES
from tonezoo.layers import Interpolate1D
from tonezoo.models.base import SeparationModel, centre
from tonezoo.registry import ModelEntry

INTERPOLATIONS = ("linear", "learned")


@keras.saving.register_keras_serializable(package="tonezoo")
class WaveUnet(SeparationModel):
    """Separates a mixture into its sources: convolutions, decimation, interpolation, skips.

    `levels` times a convolution with LeakyReLU(0.2), of which every second sample goes on; the same
    once more at the bottom; `levels` times interpolation by 2, the features of that resolution
    beside it, and a convolution with LeakyReLU(0.2). The mixture beside them, a convolution of
    length 1 with tanh gives each source. With `context` nothing is padded: the network sees more
    than it answers, 147,443 samples for 16,389 at full size, N samples are interpolated to 2 N - 1,
    and skips are cropped. A call pads its input with zeros on both sides for that.

    A mixture of standard deviation 1 has peaks that a tanh does not reach: it is divided by
    `headroom` and the sources are multiplied by it (ASSUMED; the original takes the samples of the
    file as they are). `tonezoo.separate` and the exported model bring a mixture there.

    Args:
        sources: names of the sources, in the order of the output.
        channels: audio channels, 1 or 2 as a rule.
        levels: number of halvings of the resolution.
        width: filters of the first convolution; the i-th has i times as many.
        down_kernel_size, up_kernel_size: odd lengths of the convolutions on the way down and up.
        interpolation: "linear", or "learned": a weight per channel between two neighbours.
        context: False for zero padding before every convolution instead.
        difference: True to compute the last source as the mixture minus all others.
        headroom: largest output, re the standard deviation of the mixture.
        sample_rate_hz: rate that it is trained at; the network's numbers do not depend on it.

    Input: (batch, time, channels), any time of at least 1. Output: (batch, time, source, channels),
    float32 also under mixed precision.

    Raises:
        ValueError: an option out of its range, or an input of another shape.

    Example:

    >>> import numpy as np
    >>> model = WaveUnet(levels=2, width=4)
    >>> model(np.zeros((1, 101, 2), "float32")).shape, model.valid_length(101)
    (TensorShape([1, 101, 4, 2]), 211)
    """

    def __init__(
        self,
        *,
        sources: tuple[str, ...] = SOURCES,
        channels: int = 2,
        levels: int = 12,
        width: int = 24,
        down_kernel_size: int = 15,
        up_kernel_size: int = 5,
        interpolation: str = "linear",
        context: bool = True,
        difference: bool = True,
        headroom: float = 10.0,
        sample_rate_hz: int = 22_050,
        **kwargs,
    ):
        super().__init__(sources, channels, sample_rate_hz=sample_rate_hz, **kwargs)
        if len(self.sources) == 1 and difference:
            raise ValueError(
                "The difference from the mixture needs two sources or more. Pass difference=False "
                f"for {self.sources[0]} alone."
            )
        self.levels = integer("levels", levels)
        self.width = integer("width", width)
        self.down_kernel_size = integer("down_kernel_size", down_kernel_size)
        self.up_kernel_size = integer("up_kernel_size", up_kernel_size)
        if down_kernel_size % 2 == 0 or up_kernel_size % 2 == 0:
            raise ValueError(
                "Kernel sizes must be odd, so that skips are in step with what they are put beside."
                f" Received: {down_kernel_size=}, {up_kernel_size=}"
            )
        if not headroom > 0:
            raise ValueError(f"headroom must be above 0. Received: headroom={headroom!r}")
        self.interpolation = one_of("interpolation", interpolation, INTERPOLATIONS)
        self.context = context
        self.difference = difference
        self.headroom = headroom
        filters = [width * (level + 1) for level in range(levels)]
        self.down_convs = [self._conv(count, down_kernel_size) for count in filters]
        self.bottleneck = self._conv(width * (levels + 1), down_kernel_size)
        self.interpolations = [
            Interpolate1D(2, interpolation, "aligned", dtype=self.dtype_policy) for _ in filters
        ]
        self.up_convs = [self._conv(count, up_kernel_size) for count in reversed(filters)]
        outputs = channels * (len(self.sources) - difference)
        self.output_conv = self._conv(outputs, 1)

    def _conv(self, filters: int, kernel_size: int) -> layers.Conv1D:
        return layers.Conv1D(
            filters,
            kernel_size,
            padding="valid" if self.context else "same",
            data_format="channels_last",
            dtype=self.dtype_policy,
        )

    def build(self, input_shape):
        if self.built:
            return
        channels, skips = self.channels, []
        for conv in [*self.down_convs, self.bottleneck]:
            conv.build((None, None, channels))
            channels = conv.filters
            skips.append(channels)
        skips.pop()
        for interpolate, conv in zip(self.interpolations, self.up_convs, strict=True):
            interpolate.build((None, None, channels))
            conv.build((None, None, skips.pop() + channels))
            channels = conv.filters
        self.output_conv.build((None, None, self.channels + channels))
        self.built = True

    @property
    def grid_samples(self) -> int:
        return 2**self.levels

    @property
    def context_samples(self) -> int:
        spacings = [2**level for level in range(self.levels)]
        down = self.down_kernel_size // 2 * (sum(spacings) + self.grid_samples)
        # An interpolated sample lies between two that are twice as far apart.
        up = (self.up_kernel_size // 2 + 2) * sum(spacings)
        return down + up

    def valid_length(self, length):
        if not self.context:
            # Rounded up without negative numbers, which ONNX divides otherwise.
            return (length + self.grid_samples - 1) // self.grid_samples * self.grid_samples
        for _ in range(self.levels):
            # 2 N - 1 samples or more before the convolution.
            length = (length + self.up_kernel_size - 1) // 2 + 1
        length = length + self.down_kernel_size - 1
        for _ in range(self.levels):
            length = 2 * length - 1 + self.down_kernel_size - 1
        return length

    def output_length(self, length: int) -> int:
        if not self.context:
            return length
        for _ in range(self.levels):
            length = (length - self.down_kernel_size + 2) // 2
        length -= self.down_kernel_size - 1
        for _ in range(self.levels):
            length = 2 * length - 1 - (self.up_kernel_size - 1)
        return length

    @property
    def _margin(self) -> int:
        """Samples at each end of a valid length for which there is no output."""
        valid = self.valid_length(1)
        return (valid - self.output_length(valid)) // 2

    def network(self, x, training=False):
        """Returns the sources of x (batch, a valid length, channels), without padding it.

        (batch, `output_length` of that length, source, channels): the middle of the input's time.
        """
        mixture = ops.cast(x, self.variable_dtype)
        x, skips = mixture / self.headroom, []
        for conv in self.down_convs:
            x = ops.leaky_relu(conv(x), 0.2)
            skips.append(x)
            x = x[:, ::2]
        x = ops.leaky_relu(self.bottleneck(x), 0.2)
        for interpolate, conv in zip(self.interpolations, self.up_convs, strict=True):
            x = interpolate(x)
            if self.context:
                # The last output of the interpolation lies beyond the last sample.
                x = x[:, :-1]
            x = ops.concatenate([centre(skips.pop(), ops.shape(x)[1]), x], axis=-1)
            x = ops.leaky_relu(conv(x), 0.2)
        mixture = centre(mixture, ops.shape(x)[1])
        x = ops.concatenate([ops.cast(mixture / self.headroom, x.dtype), x], axis=-1)
        y = self.headroom * ops.tanh(ops.cast(self.output_conv(x), self.variable_dtype))
        batch, time, _ = ops.shape(y)
        # (batch, time, source * channels) -> (batch, time, source, channels)
        y = ops.reshape(y, (batch, time, len(self.sources) - self.difference, self.channels))
        if self.difference:
            last = mixture[:, :, None] - ops.sum(y, axis=2, keepdims=True)
            y = ops.concatenate([y, last], axis=2)
        return y

    def call(self, waveform, training=False):
        self.check_waveform(waveform.shape)
        x = ops.cast(waveform, self.variable_dtype)
        batch, time, channels = ops.shape(x)
        # Whatever the length, the first sample is at the same place of the decimation's grid.
        before, valid = self._margin, self.valid_length(time)
        left = ops.zeros((batch, before, channels), x.dtype)
        right = ops.zeros((batch, valid - time - before, channels), x.dtype)
        x = ops.concatenate([left, x, right], axis=1)
        return self.network(x, training=training)[:, :time]

    def get_config(self):
        names = (
            *("levels", "width", "down_kernel_size", "up_kernel_size"),
            *("interpolation", "context", "difference", "headroom"),
        )
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


VOCALS = ("accompaniment", "vocals")

PRESETS: dict[str, dict[str, Any]] = {
    "m6": {},
    "m5": {"sources": VOCALS, "interpolation": "learned"},
    "m4": {"sources": VOCALS},
    "m1": {"sources": VOCALS, "channels": 1, "context": False, "difference": False},
    # A step of training takes about twice the time of one of the small Demucs.
    "small": {"levels": 9, "width": 8, "context": False, "sample_rate_hz": 44_100},
    "tiny": {"levels": 3, "width": 4, "context": False, "sample_rate_hz": 44_100},
}

ENTRY = ModelEntry(
    name="wave_unet",
    model=WaveUnet,
    presets=PRESETS,
    parameters={
        "m6": 10_263_498,
        "m5": 10_265_550,
        "m4": 10_263_390,
        "m1": 10_263_028,
        "small": 514_706,
        "tiny": 7_746,
    },
    paper_presets=("m6", "m5", "m4", "m1"),
    sample_rate_hz=22_050,
    source="Stoller et al. 2018, Wave-U-Net: A Multi-Scale Neural Network for End-to-End Audio "
    "Source Separation",
)
