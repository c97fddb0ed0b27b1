"""Every layer, block and model, declared once, in tiny configurations, on any Keras backend."""

import zlib
from collections.abc import Callable
from dataclasses import dataclass

import keras
import numpy as np

from tonezoo import layers
from tonezoo.models import (
    audio_unet,
    band_extender,
    conv_next,
    demucs,
    demucs_blocks,
    mel_gan,
    mel_gan_discriminator,
    mu_gan,
    mu_gan_autoencoder,
    mu_gan_discriminator,
    open_unmix,
    sams_net,
    speech_discriminator,
    vocos,
    wave_unet,
)
from tonezoo.training import classifier_loss

METHODS = ("nearest", "linear", "cubic", "sinc", "kaiser", "stretch", "learned")


@dataclass(frozen=True, kw_only=True)
class Case:
    """One configuration of a layer or model, on which all contracts are checked.

    Attributes:
        name: unique; it names the test.
        make: builds the layer, without variables yet.
        channels: input channels.
        time: input length of the contracts that need but one.
        output_length: output length as a function of the input's; None if the output has no time.
        accepted: further input lengths that it takes.
        refused: input lengths that it answers with a ValueError.
        slow: left out of the fast tests, where others are much like it.
    """

    name: str
    make: Callable[[], keras.layers.Layer]
    channels: int = 3
    time: int = 12
    output_length: Callable[[int], int] | None
    accepted: tuple[int, ...] = (1, 7)
    refused: tuple[int, ...] = (0,)
    slow: bool = False

    def sample(self, time: int | None = None) -> np.ndarray:
        """Returns normal noise (2, time, channels), the same in every process."""
        shape = (2, self.time if time is None else time, self.channels)
        return self._random().standard_normal(shape).astype("float32")

    def built(self) -> keras.layers.Layer:
        """Returns the layer with its variables, moved off the zeros and ones that they start at."""
        keras.utils.set_random_seed(0)
        layer = self.make()
        layer.build((None, self.time, self.channels))
        random = self._random()
        for variable in layer.weights:
            noise = random.normal(0, 0.05, variable.shape)
            # Moving variances have to stay positive, and biases keep few ReLUs from all being dead.
            variable.assign_add(abs(noise) if noise.ndim == 1 else noise)
        return layer

    def _random(self) -> np.random.Generator:
        return np.random.default_rng(zlib.crc32(self.name.encode()))


def times(factor: int) -> Callable[[int], int]:
    return lambda time: time * factor


def divided_by(factor: int) -> Callable[[int], int]:
    return lambda time: -(-time // factor)


LAYERS = [
    *(
        Case(
            name=f"Interpolate1D-{method}",
            make=lambda method=method: layers.Interpolate1D(3, method),
            output_length=times(3),
        )
        for method in METHODS
    ),
    *(
        Case(
            name=f"InterpolatedConv1D-{method}-{form}",
            make=lambda method=method, form=form: layers.InterpolatedConv1D(
                2, 5, 3, method, form=form
            ),
            output_length=times(3),
        )
        for method in METHODS
        for form in ("plain", "polyphase")
    ),
    Case(
        name="InterpolatedConv1D-linear-zeros",
        make=lambda: layers.InterpolatedConv1D(2, 5, 3, "linear", ends="zeros"),
        output_length=times(3),
    ),
    Case(
        name="TransposedConv1D-same",
        make=lambda: layers.TransposedConv1D(2, 6, 3),
        output_length=times(3),
    ),
    Case(
        name="TransposedConv1D-same-gaps",
        make=lambda: layers.TransposedConv1D(2, 2, 3),
        output_length=times(3),
    ),
    Case(
        name="TransposedConv1D-valid",
        make=lambda: layers.TransposedConv1D(2, 5, 3, padding="valid"),
        output_length=lambda time: 3 * (time - 1) + 5,
    ),
    Case(
        name="Subpixel1D",
        make=lambda: layers.Subpixel1D(3),
        output_length=times(3),
        channels=6,
    ),
    Case(
        name="SubpixelConv1D",
        make=lambda: layers.SubpixelConv1D(2, 3, 3),
        output_length=times(3),
    ),
    Case(name="Superpixel1D", make=lambda: layers.Superpixel1D(3), output_length=divided_by(3)),
    Case(
        name="FoldedConv1D",
        make=lambda: layers.FoldedConv1D(2, 9, fold=4),
        output_length=times(1),
    ),
    Case(name="MultiscaleConv1D", make=lambda: layers.MultiscaleConv1D(8), output_length=times(1)),
    Case(
        name="MultiscaleConv1D-strided",
        make=lambda: layers.MultiscaleConv1D(4, (3, 4), (1, 1), strides=2),
        output_length=divided_by(2),
    ),
    *(
        Case(
            name=f"PhaseShuffle1D-{per}",
            make=lambda per=per: layers.PhaseShuffle1D(2, per, seed=1),
            output_length=times(1),
        )
        for per in ("batch", "example", "channel")
    ),
    Case(
        name="FilteredActivation1D",
        make=lambda: layers.FilteredActivation1D("relu"),
        output_length=times(1),
    ),
    Case(
        name="FilteredActivation1D-snake",
        make=lambda: layers.FilteredActivation1D(layers.SnakeBeta1D()),
        output_length=times(1),
    ),
    *(
        Case(
            name=f"SnakeBeta1D-{form}",
            make=lambda form=form: layers.SnakeBeta1D(antiderivative=form == "antiderivative"),
            output_length=times(1),
        )
        for form in ("plain", "antiderivative")
    ),
    *(
        Case(
            name=f"Decimate1D-{grid}",
            make=lambda grid=grid: layers.Decimate1D(3, grid),
            output_length=divided_by(3),
        )
        for grid in ("half_pixel", "aligned")
    ),
    Case(
        name="NoisePath1D",
        make=lambda: layers.NoisePath1D(2, 6, 2),
        output_length=times(6),
    ),
    Case(
        name="STFT1D",
        make=lambda: layers.STFT1D(12, 4),
        channels=1,
        output_length=divided_by(4),
    ),
    Case(
        name="InverseSTFT1D",
        make=lambda: layers.InverseSTFT1D(12, 4),
        channels=14,
        output_length=times(4),
    ),
    Case(
        name="MelSpectrogram1D",
        make=lambda: layers.MelSpectrogram1D(3, 32, 8, 8000),
        channels=1,
        output_length=divided_by(8),
    ),
    Case(
        name="WeightNorm",
        make=lambda: layers.WeightNorm(layers.TransposedConv1D(2, 6, 3)),
        output_length=times(3),
        refused=(),
    ),
    Case(
        name="BidirectionalLSTM",
        make=lambda: layers.BidirectionalLSTM(4),
        output_length=times(1),
    ),
]

BLOCKS = [
    *(
        Case(
            name=f"DownBlock-{downsampling}",
            make=lambda downsampling=downsampling: mu_gan.DownBlock(8, downsampling),
            output_length=divided_by(2),
        )
        for downsampling in mu_gan.DOWNSAMPLING
    ),
    Case(
        name="ConvNextBlock",
        make=lambda: conv_next.ConvNextBlock(),
        output_length=times(1),
        refused=(),
    ),
    Case(name="UpBlock", make=lambda: mu_gan.UpBlock(8), output_length=times(2)),
    *(
        Case(
            name=f"DemucsEncoderBlock-{padding}",
            make=lambda padding=padding: demucs_blocks.DemucsEncoderBlock(
                4, 3, kernel_size=8, stride=4, glu_kernel_size=1, padding=padding
            ),
            output_length=divided_by(4) if padding == "same" else lambda time: (time - 4) // 4,
            accepted=(8, 17),
            refused=(),
        )
        for padding in demucs.PADDINGS
    ),
    *(
        Case(
            name=f"DemucsDecoderBlock-{kind}",
            make=lambda kind=kind: demucs_blocks.DemucsDecoderBlock(
                4, 3, kind=kind, kernel_size=8, stride=4, glu_kernel_size=3
            ),
            output_length=times(4),
            refused=(),
        )
        for kind in ("transposed", "linear", "subpixel")
    ),
]

MODELS = [
    *(
        Case(
            name=f"MuGanGenerator-{downsampling}",
            make=lambda downsampling=downsampling: mu_gan.MuGanGenerator(
                down_filters=(8, 8), up_filters=(16, 8), ratio=3, downsampling=downsampling
            ),
            channels=1,
            output_length=times(3),
            slow=downsampling == "strided",
        )
        for downsampling in mu_gan.DOWNSAMPLING
    ),
    Case(
        name="MuGanGenerator-band_kept",
        make=lambda: mu_gan.MuGanGenerator(
            down_filters=(8, 8), up_filters=(16, 8), ratio=3, **mu_gan.BAND_KEPT
        ),
        channels=1,
        output_length=times(3),
    ),
    Case(
        name="MuGanAutoencoder",
        make=lambda: mu_gan_autoencoder.MuGanAutoencoder(down_filters=(8, 8), up_filters=(16, 8)),
        channels=1,
        output_length=times(1),
    ),
    Case(
        name="MuGanDiscriminator",
        make=lambda: mu_gan_discriminator.MuGanDiscriminator(
            segment_samples=16, stem_filters=8, block_filters=(8, 16), dense_units=4
        ),
        channels=1,
        time=16,
        output_length=None,
        accepted=(),
        refused=(0, 1, 15, 32),
    ),
    Case(
        name="SpeechDiscriminator",
        make=lambda: speech_discriminator.SpeechDiscriminator(
            **speech_discriminator.PRESETS["tiny"]
        ),
        channels=1,
        time=48,
        output_length=None,
    ),
    Case(
        name="MelGanGenerator",
        make=lambda: mel_gan.MelGanGenerator(bands=3, width=8, strides=(4, 2), blocks=2),
        output_length=times(8),
    ),
    Case(
        name="MelGanGenerator-subpixel",
        make=lambda: mel_gan.MelGanGenerator(
            bands=3,
            width=4,
            strides=(4,),
            blocks=1,
            upsampler="subpixel",
            weight_norm=False,
            filtered_activations=True,
        ),
        output_length=times(4),
        slow=True,
    ),
    Case(
        name="Vocos",
        make=lambda: vocos.Vocos(bands=3, hop_samples=8, width=4, blocks=1),
        output_length=times(8),
    ),
    Case(
        name="MelGanDiscriminator",
        make=lambda: mel_gan_discriminator.MelGanDiscriminator(
            width=4, downsamplings=1, most_filters=8, scales=2, shuffle_radius=1
        ),
        channels=1,
        time=48,
        output_length=None,
    ),
    Case(
        name="AudioUnet",
        make=lambda: audio_unet.AudioUnet(filters=(4, 8), kernel_sizes=(9, 5), ratio=3),
        channels=1,
        output_length=times(3),
    ),
    Case(
        name="BandExtender",
        make=lambda: band_extender.BandExtender(width=4, blocks=1, window_samples=16, ratio=3),
        channels=1,
        output_length=times(3),
    ),
    *(
        Case(
            name=f"Demucs-{kind}",
            make=lambda kind=kind: demucs.Demucs(
                sources=("a", "b", "c"), width=4, depth=2, upsampler=kind
            ),
            channels=2,
            time=40,
            output_length=times(1),
            slow=kind not in ("transposed", "subpixel"),
        )
        for kind in layers.UPSAMPLER_KINDS
    ),
    *(
        Case(
            name=f"Demucs-valid-{glu_padding}",
            make=lambda glu_padding=glu_padding: demucs.Demucs(
                width=4, depth=2, padding="valid", glu_padding=glu_padding, channels=1
            ),
            channels=1,
            time=40,
            output_length=times(1),
            slow=glu_padding == "valid",
        )
        for glu_padding in demucs.PADDINGS
    ),
    *(
        Case(
            name=f"WaveUnet-{interpolation}-{'context' if context else 'same'}",
            make=lambda interpolation=interpolation, context=context: wave_unet.WaveUnet(
                sources=("a", "b"),
                levels=2,
                width=4,
                interpolation=interpolation,
                context=context,
                difference=context,
            ),
            channels=2,
            time=40,
            output_length=times(1),
            slow=not context,
        )
        for interpolation, context in (("learned", True), ("linear", False))
    ),
    *(
        Case(
            name=f"{kind.__name__}-{channels}",
            make=lambda kind=kind, channels=channels, options=options: kind(
                sources=("a", "b"),
                channels=channels,
                window_samples=32,
                hop_samples=8,
                input_bins=13,
                **options,
            ),
            channels=channels,
            time=40,
            output_length=times(1),
            slow=channels == 1,
        )
        for channels in (1, 2)
        for kind, options in (
            # For stereo a second LSTM, with dropout before it: exporting each takes seconds.
            (open_unmix.OpenUnmix, {"width": 4, "lstm_layers": channels}),
            (sams_net.SamsNet, {"width": 6, "blocks": 1, "slices": 2}),
        )
    ),
    Case(
        name="Demucs-modified-shares",
        make=lambda: demucs.Demucs(width=4, depth=2, modified=True, share_window_samples=32),
        channels=2,
        time=40,
        output_length=times(1),
        slow=True,
    ),
]

CASES = LAYERS + BLOCKS + MODELS

# What else Keras has to find in a saved file: it does not take one signal to another.
OTHERS = (
    lambda: layers.ICNR("he_normal", 3),
    lambda: layers.TransposedICNR("he_normal", 3),
    lambda: layers.Rescaled("he_normal", 0.2),
    lambda: classifier_loss.ClassifierFeatureLoss(3),
)
