"""Open-Unmix: source separation by an LSTM on the spectrogram, one network for each source.

Source: F.-R. Stöter, S. Uhlich, A. Liutkus, Y. Mitsufuji, "Open-Unmix: A Reference Implementation
for Music Source Separation" (JOSS 2019), and the sizes of its published code.
"""

from typing import Any

import keras
from keras import layers, ops

from tonezoo.arguments import integer
from tonezoo.audio import SOURCES
from tonezoo.layers import BidirectionalLSTM
from tonezoo.layers.initializers import bounded_bias, bounded_kernel
from tonezoo.models.spectrogram_separator import BinScaling, SpectrogramSeparator
from tonezoo.registry import ModelEntry

DROPOUT = 0.4


class OpenUnmixMask(layers.Layer):
    """The network of one source: magnitudes (batch, frames, channel, bin) to a mask, 0 or more.

    Bins below `input_bins`, shifted and scaled each; a linear layer to `width`, normalised, tanh;
    `lstm_layers` bidirectional LSTMs, beside what went into them; a linear layer to `width`,
    normalised, ReLU; a linear layer to all bins of all channels, normalised; each bin scaled and
    shifted, ReLU.
    """

    def __init__(self, width: int, input_bins: int, lstm_layers: int, **kwargs):
        super().__init__(**kwargs)
        self.width, self.input_bins = width, input_bins
        dtype = self.dtype_policy
        self.scale_input = BinScaling(False, dtype=dtype)
        self.lstm = [
            BidirectionalLSTM(
                width // 2,
                kernel_initializer=bounded_kernel(width // 2),
                recurrent_initializer=bounded_kernel(width // 2),
                bias_initializer=bounded_bias(width // 2),
                dtype=dtype,
            )
            for _ in range(lstm_layers)
        ]
        self.dropouts = [layers.Dropout(DROPOUT, dtype=dtype) for _ in self.lstm[1:]]
        self.norms = [layers.BatchNormalization(-1, 0.9, 1e-5, dtype=dtype) for _ in range(3)]
        self.scale_output = BinScaling(True, mean=1.0, dtype=dtype)

    def build(self, input_shape):
        _, _, channels, bins = input_shape
        sizes = (channels * self.input_bins, self.width, 2 * self.width, channels * bins)
        self.dense = [
            layers.Dense(
                outputs,
                use_bias=False,
                kernel_initializer=bounded_kernel(inputs),
                dtype=self.dtype_policy,
            )
            for inputs, outputs in ((sizes[0], sizes[1]), (sizes[2], sizes[1]), sizes[1::2])
        ]
        self.scale_input.build((None, None, channels, self.input_bins))
        shape: tuple[int | None, ...] = (None, None, self.width)
        for lstm in self.lstm:
            lstm.build(shape)
        for dense, norm, size in zip(
            self.dense, self.norms, (sizes[0], *sizes[2:0:-1]), strict=True
        ):
            dense.build((None, None, size))
            norm.build((None, None, dense.units))
        self.scale_output.build(input_shape)
        self.built = True

    def call(self, magnitudes, training=False):
        batch, frames, channels, bins = ops.shape(magnitudes)
        x = self.scale_input(magnitudes[..., : self.input_bins])
        # (batch, frames, channel, bin) -> (batch, frames, channel * bin)
        x = ops.reshape(x, (batch, frames, channels * self.input_bins))
        x = ops.tanh(self.norms[0](self.dense[0](x), training=training))
        y = x
        for number, lstm in enumerate(self.lstm):
            if number:
                y = self.dropouts[number - 1](y, training=training)
            y = lstm(y, training=training)
        x = ops.concatenate([x, y], axis=-1)
        x = ops.relu(self.norms[1](self.dense[1](x), training=training))
        x = self.norms[2](self.dense[2](x), training=training)
        x = ops.reshape(x, (batch, frames, channels, bins))
        return ops.relu(self.scale_output(x))


@keras.saving.register_keras_serializable(package="tonezoo")
class OpenUnmix(SpectrogramSeparator):
    """Separates a mixture by masks of its spectrogram, and by a Wiener filter between the sources.

    Args:
        width: of the layers; the LSTMs have half of it in each direction.
        lstm_layers: number of bidirectional LSTMs, with dropout between them in training.
        input_bins: the lowest bins, which the networks see; 1487 end at 16 kHz.
        sources, channels, window_samples, hop_samples, wiener_iterations, mixture_level,
            sample_rate_hz: see `SpectrogramSeparator`.

    Input: (batch, time, channels), any time of at least 1. Output: (batch, time, source, channels).

    Raises:
        ValueError: an odd width, more input bins than there are, or what `SpectrogramSeparator`
            raises.

    Example:

    >>> import numpy as np
    >>> model = OpenUnmix(width=4, lstm_layers=1, window_samples=64, hop_samples=16, input_bins=20)
    >>> model(np.zeros((1, 101, 2), "float32")).shape
    TensorShape([1, 101, 4, 2])
    """

    def __init__(
        self,
        *,
        width: int = 512,
        lstm_layers: int = 3,
        input_bins: int = 1487,
        sources: tuple[str, ...] = SOURCES,
        channels: int = 2,
        sample_rate_hz: int = 44_100,
        **kwargs,
    ):
        super().__init__(
            sources=sources, channels=channels, sample_rate_hz=sample_rate_hz, **kwargs
        )
        self.width = integer("width", width)
        self.lstm_layers = integer("lstm_layers", lstm_layers)
        self.input_bins = integer("input_bins", input_bins)
        if width % 2 or input_bins > self.bins:
            raise ValueError(
                f"width must be even and input_bins at most {self.bins}, those of a window of "
                f"{self.window_samples}. Received: width={width}, input_bins={input_bins}"
            )
        self.mask_networks = [self.mask_network() for _ in self.sources]

    def mask_network(self):
        return OpenUnmixMask(self.width, self.input_bins, self.lstm_layers, dtype=self.dtype_policy)

    def get_config(self):
        names = ("width", "lstm_layers", "input_bins")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


PRESETS: dict[str, dict[str, Any]] = {
    "umx": {},
    "umx_vocals": {"sources": ("vocals",), "wiener_iterations": 0},
    "small": {"width": 128, "lstm_layers": 2},
    "tiny": {
        "width": 8,
        "lstm_layers": 1,
        "window_samples": 512,
        "hop_samples": 128,
        "input_bins": 186,
    },
}

ENTRY = ModelEntry(
    name="open_unmix",
    model=OpenUnmix,
    presets=PRESETS,
    parameters={
        "umx": 35_589_792,
        "umx_vocals": 8_897_448,
        "small": 4_640_416,
        "tiny": 42_552,
    },
    paper_presets=("umx", "umx_vocals"),
    sample_rate_hz=44_100,
    source="Stöter et al. 2019, Open-Unmix: A Reference Implementation for Music Source Separation",
)
