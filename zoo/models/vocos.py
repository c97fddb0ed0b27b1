"""Vocos: a waveform from its mel spectrogram by an inverse short-time Fourier transform.

Source: H. Siuzdak, "Vocos: Closing the gap between time-domain and Fourier-based neural vocoders"
(2023).
"""

import math

import keras
from keras import layers, ops

from tonezoo.arguments import integer
from tonezoo.layers import InverseSTFT1D
from tonezoo.models.base import MEL_OVERLAP, VocodingModel
from tonezoo.models.conv_next import KERNEL_SIZE, ConvNextBlock, layer_norm
from tonezoo.registry import ModelEntry

# The paper's, of a transform of windows unscaled, where a sine of amplitude 1 has window / 4.
LARGEST_MAGNITUDE = 100.0


@keras.saving.register_keras_serializable(package="tonezoo")
class Vocos(VocodingModel):
    """Makes a waveform of a mel spectrogram without any upsampling layer.

    A convolution of 7 frames, layer norm, ConvNeXt blocks and layer norm, all at the rate of the
    frames; for each bin of each frame a magnitude exp(.), at most 100, and a phase; the inverse
    transform. What other vocoders leave at the multiples of their strides' rates it cannot leave:
    it is the control to compare them with.

    Unlike the paper's, it takes the spectrogram of `MelSpectrogram1D`, as MelGAN does; its kernels
    start as Keras's do; and 3 / 8 of a window at either end, where fewer frames overlap, fade.

    Args:
        bands: of the mel spectrogram.
        hop_samples: samples from a frame to the next; the window is four of them.
        width: channels of the network.
        blocks: number of ConvNeXt blocks.
        expansion: channels inside of a block relative to `width`.
        sample_rate_hz, lowest_hz, highest_hz: see `tonezoo.models.base.VocodingModel`.

    Input: (batch, frames, bands), logarithms of magnitudes as of `MelSpectrogram1D`, at least one
    frame. Output: (batch, frames * hop_samples, 1), float32 also under mixed precision.

    Raises:
        ValueError: an option out of its range, or an input of another shape.

    Source: Siuzdak 2023, section 3.

    Example:

    >>> import numpy as np
    >>> vocos = Vocos(bands=4, hop_samples=8, width=8, blocks=1)
    >>> vocos(np.zeros((1, 10, 4), "float32")).shape
    TensorShape([1, 80, 1])
    """

    def __init__(
        self,
        *,
        bands: int = 80,
        hop_samples: int = 256,
        width: int = 512,
        blocks: int = 8,
        expansion: int = 3,
        sample_rate_hz: int = 22_050,
        **kwargs,
    ):
        super().__init__(bands, hop_samples, sample_rate_hz=sample_rate_hz, **kwargs)
        self.width = integer("width", width)
        self.expansion = integer("expansion", expansion)
        blocks = integer("blocks", blocks)
        dtype, audio_dtype = self.dtype_policy, self.variable_dtype
        window_samples = MEL_OVERLAP * hop_samples
        self.inverse_stft = InverseSTFT1D(window_samples, hop_samples, dtype=audio_dtype)
        self.first = layers.Conv1D(
            width, KERNEL_SIZE, padding="same", data_format="channels_last", dtype=dtype
        )
        self.first_norm = layer_norm(dtype)
        self.blocks = [ConvNextBlock(expansion, dtype=dtype) for _ in range(blocks)]
        self.last_norm = layer_norm(dtype)
        self.head = layers.Dense(2 * self.inverse_stft.bins, dtype=audio_dtype)

    @property
    def context_samples(self) -> int:
        """Samples before and after a frame that it depends on, in whole frames."""
        convolutions = (len(self.blocks) + 1) * (KERNEL_SIZE // 2)
        return (convolutions + MEL_OVERLAP) * self.hop_samples

    def build(self, input_shape):
        if self.built:
            return
        shape = (input_shape[0], None)
        self.first.build((*shape, self.bands))
        for layer in (self.first_norm, *self.blocks, self.last_norm, self.head):
            layer.build((*shape, self.width))
        self.built = True

    def call(self, mel, training=False):
        self.check_mel(mel.shape)
        y = self.first_norm(self.first(mel))
        for block in self.blocks:
            y = block(y, training=training)
        y = self.head(self.last_norm(y))
        log_magnitude, phase = ops.split(y, 2, axis=-1)
        # In the scale of `STFT1D`, whose magnitudes are smaller by a quarter of the window.
        magnitude = ops.exp(ops.minimum(log_magnitude, math.log(LARGEST_MAGNITUDE)))
        magnitude = magnitude / self.hop_samples
        parts = [magnitude * ops.cos(phase), magnitude * ops.sin(phase)]
        return self.inverse_stft(ops.concatenate(parts, axis=-1))

    def get_config(self):
        return {
            **super().get_config(),
            "hop_samples": self.hop_samples,
            "width": self.width,
            "blocks": len(self.blocks),
            "expansion": self.expansion,
        }


PRESETS = {
    "full": {"bands": 100, "sample_rate_hz": 24_000},
    "small": {"width": 256, "blocks": 6},
    "tiny": {"width": 8, "blocks": 2},
}

ENTRY = ModelEntry(
    name="vocos",
    model=Vocos,
    presets=PRESETS,
    parameters={"full": 13_531_650, "small": 2_790_658, "tiny": 14_762},
    paper_presets=("full",),
    sample_rate_hz=22_050,
    source="Siuzdak 2023, Vocos: Closing the gap between time-domain and Fourier-based neural "
    "vocoders",
)
