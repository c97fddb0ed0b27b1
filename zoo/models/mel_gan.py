"""MelGAN's generator: a waveform from its mel spectrogram, by upsampling layers of any kind.

Source: K. Kumar et al., "MelGAN: Generative Adversarial Networks for Conditional Waveform
Synthesis" (NeurIPS 2019), and the sizes of its published code.
"""

import math
from typing import Any

import keras
from keras import layers, ops

from tonezoo.arguments import integer, one_of
from tonezoo.layers import UPSAMPLER_KINDS, FilteredActivation1D, WeightNorm, upsampler
from tonezoo.layers.initializers import bounded_bias, bounded_kernel
from tonezoo.layers.padding import reflect_ends
from tonezoo.models.base import VocodingModel
from tonezoo.registry import ModelEntry

SLOPE = 0.2
END_KERNEL_SIZE, RESIDUAL_KERNEL_SIZE, RESIDUAL_GROWTH = 7, 3, 3


def leaky_relu(x):
    return ops.leaky_relu(x, SLOPE)


class MelGanResidualBlock(layers.Layer):
    """A convolution of length 1, plus what a dilated one and one of length 1 make of the input.

    Args:
        filters: channels in and out.
        dilation: samples between the three taps.
        make: returns a convolution of so many channels, filters, taps and dilation.
        activation: layer without weights.
    """

    def __init__(self, filters: int, dilation: int, make, activation, **kwargs):
        super().__init__(**kwargs)
        self.dilation = dilation
        self.activation = activation
        self.shortcut = make(filters, filters, 1)
        self.dilated = make(filters, filters, RESIDUAL_KERNEL_SIZE, dilation)
        self.mixing = make(filters, filters, 1)

    def build(self, input_shape):
        for layer in (self.shortcut, self.dilated, self.mixing):
            layer.build(input_shape)
        self.built = True

    def call(self, x):
        y = reflect_ends(self.activation(x), self.dilation, self.dilation)
        y = self.activation(self.dilated(y))
        return self.shortcut(x) + self.mixing(y)


@keras.saving.register_keras_serializable(package="tonezoo")
class MelGanGenerator(VocodingModel):
    """Makes a waveform of a mel spectrogram: upsampling layers with residual blocks between them.

    A convolution of length 7; for each stride LeakyReLU(0.2), an upsampling layer that halves the
    channels, and `blocks` residual blocks of dilation 1, 3, 9 ...; LeakyReLU, a convolution of
    length 7 and tanh. Convolutions see the signal mirrored at its ends.

    Args:
        bands: of the mel spectrogram.
        width: channels of the first convolution.
        strides: factors of the upsampling layers; their product is the hop of the spectrogram.
        blocks: residual blocks after each upsampling layer.
        upsampler: one of `tonezoo.layers.UPSAMPLER_KINDS`: "transposed" has twice the stride as its
            length, an interpolation one more, and "subpixel" three taps at the low rate.
        use_bias: False for no biases anywhere: their copies are the loudest tones at
            initialisation.
        weight_norm: whether the kernels are normalised, see `tonezoo.layers.WeightNorm`.
        filtered_activations: True for LeakyReLUs at twice the rate, without aliases, as BigVGAN's:
            see `tonezoo.layers.FilteredActivation1D` (not MelGAN's).
        sample_rate_hz, lowest_hz, highest_hz: see `tonezoo.models.base.VocodingModel`.

    Input: (batch, frames, bands), logarithms of magnitudes as of `MelSpectrogram1D`, at least one
    frame. Output: (batch, frames * hop, 1), from -1 to 1, float32 also under mixed precision.

    Raises:
        ValueError: an option out of its range, or an input of another shape.

    Source: Kumar et al. 2019, section 3.1; the upsampling layers, Pons et al. 2021.

    Example:

    >>> import numpy as np
    >>> generator = MelGanGenerator(bands=4, width=8, strides=(4, 2), upsampler="nearest")
    >>> generator(np.zeros((1, 10, 4), "float32")).shape
    TensorShape([1, 80, 1])
    """

    def __init__(
        self,
        *,
        bands: int = 80,
        width: int = 512,
        strides: tuple[int, ...] = (8, 8, 2, 2),
        blocks: int = 3,
        upsampler: str = "transposed",
        use_bias: bool = True,
        weight_norm: bool = True,
        filtered_activations: bool = False,
        sample_rate_hz: int = 22_050,
        **kwargs,
    ):
        width = integer("width", width)
        strides = tuple(integer("strides", stride) for stride in strides)
        if not strides or width % 2 ** len(strides):
            raise ValueError(
                "width must be a multiple of 2 ** len(strides), and there must be a stride. "
                f"Received: width={width}, strides={strides}"
            )
        super().__init__(bands, math.prod(strides), sample_rate_hz=sample_rate_hz, **kwargs)
        self.strides = strides
        self.width = width
        self.residual_blocks = integer("blocks", blocks, least=0)
        self.upsampler = one_of("upsampler", upsampler, UPSAMPLER_KINDS)
        self.use_bias = use_bias
        self.weight_norm = weight_norm
        self.filtered_activations = filtered_activations
        self.activation = (
            FilteredActivation1D(leaky_relu, dtype=self.dtype_policy)
            if filtered_activations
            else layers.Activation(leaky_relu, dtype=self.dtype_policy)
        )
        self.first = self._convolution(bands, width, END_KERNEL_SIZE)
        self.upsamplers, self.stages = [], []
        for level, stride in enumerate(self.strides):
            filters = width // 2 ** (level + 1)
            self.upsamplers.append(self._upsampler(2 * filters, filters, stride))
            self.stages.append(
                [
                    MelGanResidualBlock(
                        filters,
                        RESIDUAL_GROWTH**number,
                        self._convolution,
                        self.activation,
                        dtype=self.dtype_policy,
                    )
                    for number in range(blocks)
                ]
            )
        self.last = self._convolution(filters, 1, END_KERNEL_SIZE)

    @property
    def context_samples(self) -> int:
        """Samples before and after a frame that it depends on, in whole frames."""
        margin = END_KERNEL_SIZE // 2
        beyond = max(self.activation.context) if self.filtered_activations else 0
        spacing, reach = self.hop_samples, margin * self.hop_samples + margin + beyond
        for layer, stride, stage in zip(self.upsamplers, self.strides, self.stages, strict=True):
            inner = layer.layer if isinstance(layer, WeightNorm) else layer
            reach += (beyond + max(inner.context)) * spacing
            spacing //= stride
            reach += sum(2 * beyond + block.dilation for block in stage) * spacing
        return (reach // self.hop_samples + 1) * self.hop_samples

    def _convolution(self, channels: int, filters: int, kernel_size: int, dilation: int = 1):
        return self._normalised(
            layers.Conv1D(
                filters,
                kernel_size,
                dilation_rate=dilation,
                data_format="channels_last",
                **self._options(channels * kernel_size),
            )
        )

    def _upsampler(self, channels: int, filters: int, stride: int):
        sizes = {"transposed": 2 * stride, "subpixel": 3}
        size = sizes.get(self.upsampler, 2 * stride + 1)
        # PyTorch counts the outputs of a transposed convolution.
        fan_in = size * (filters if self.upsampler == "transposed" else channels)
        return self._normalised(
            upsampler(self.upsampler, filters, size, stride, **self._options(fan_in))
        )

    def _options(self, fan_in: int) -> dict[str, Any]:
        return {
            "use_bias": self.use_bias,
            "kernel_initializer": bounded_kernel(fan_in),
            "bias_initializer": bounded_bias(fan_in),
            "dtype": self.dtype_policy,
        }

    def _normalised(self, layer):
        return WeightNorm(layer) if self.weight_norm else layer

    def build(self, input_shape):
        if self.built:
            return
        shape = (input_shape[0], None, self.bands)
        self.first.build(shape)
        for level, (layer, stage) in enumerate(zip(self.upsamplers, self.stages, strict=True)):
            layer.build((*shape[:2], self.width // 2**level))
            for block in stage:
                block.build((*shape[:2], self.width // 2 ** (level + 1)))
        self.last.build((*shape[:2], self.width // 2 ** len(self.strides)))
        self.built = True

    def call(self, mel, training=False):
        self.check_mel(mel.shape)
        margin = END_KERNEL_SIZE // 2
        x = ops.cast(mel, self.compute_dtype)
        x = self.first(reflect_ends(x, margin, margin))
        for layer, stage in zip(self.upsamplers, self.stages, strict=True):
            x = layer(self.activation(x))
            for block in stage:
                x = block(x)
        x = self.last(reflect_ends(self.activation(x), margin, margin))
        return ops.tanh(ops.cast(x, self.variable_dtype))

    def get_config(self):
        names = ("width", "strides", "upsampler", "use_bias", "weight_norm", "filtered_activations")
        return {
            **super().get_config(),
            **{name: getattr(self, name) for name in names},
            "blocks": self.residual_blocks,
        }


def without_weight_norm(generator: MelGanGenerator) -> MelGanGenerator:
    """Returns a generator of the same numbers without the normalisation.

    >>> import numpy as np
    >>> generator = MelGanGenerator(bands=4, width=4, strides=(8,), blocks=1)
    >>> mel = np.ones((1, 5, 4), "float32")
    >>> bool(np.allclose(without_weight_norm(generator)(mel), generator(mel), atol=1e-5))
    True
    """
    if not generator.built:
        generator.build((None, None, generator.bands))
    plain = type(generator).from_config({**generator.get_config(), "weight_norm": False})
    plain.build((None, None, generator.bands))
    for new, old in zip(_kernel_layers(plain), _kernel_layers(generator), strict=True):
        inner = old.layer if isinstance(old, WeightNorm) else old
        new.set_weights(inner.get_weights())
        if isinstance(old, WeightNorm):
            new.weights[0].assign(old.normalised_kernel())
    return plain


def _kernel_layers(generator: MelGanGenerator) -> list:
    """Returns the layers with kernels, in order."""
    found = [generator.first]
    for layer, stage in zip(generator.upsamplers, generator.stages, strict=True):
        found.append(layer)
        for block in stage:
            found += [block.shortcut, block.dilated, block.mixing]
    return [*found, generator.last]


PRESETS: dict[str, dict[str, Any]] = {
    "full": {},
    "small": {"width": 128},
    "tiny": {"width": 16, "blocks": 1},
}

ENTRY = ModelEntry(
    name="mel_gan",
    model=MelGanGenerator,
    presets=PRESETS,
    parameters={"full": 4_266_050, "small": 322_514, "tiny": 12_161},
    paper_presets=("full",),
    sample_rate_hz=22_050,
    source="Kumar et al. 2019, MelGAN: Generative Adversarial Networks for Conditional Waveform "
    "Synthesis",
)
