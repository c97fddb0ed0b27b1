"""Upsampling and downsampling layers for audio, on (batch, time, channels), in keras.ops only."""

from tonezoo.layers.calm_start import CalmedLayer, calm_start
from tonezoo.layers.decimate import Decimate1D
from tonezoo.layers.filtered_activation import FilteredActivation1D
from tonezoo.layers.fold_upsampling import fold_upsampling
from tonezoo.layers.folded_conv import FoldedConv1D
from tonezoo.layers.initializers import ICNR, Rescaled, TransposedICNR
from tonezoo.layers.interpolate import Interpolate1D
from tonezoo.layers.interpolated_conv import InterpolatedConv1D
from tonezoo.layers.mel import MelSpectrogram1D
from tonezoo.layers.multiscale_conv import MultiscaleConv1D
from tonezoo.layers.noise_path import NoisePath1D
from tonezoo.layers.phase_shuffle import PhaseShuffle1D
from tonezoo.layers.recurrent import BidirectionalLSTM
from tonezoo.layers.short_time import STFT1D, InverseSTFT1D
from tonezoo.layers.snake_beta import SnakeBeta1D
from tonezoo.layers.subpixel import Subpixel1D
from tonezoo.layers.subpixel_conv import SubpixelConv1D
from tonezoo.layers.superpixel import Superpixel1D
from tonezoo.layers.transposed_conv import TransposedConv1D
from tonezoo.layers.upsampler import UPSAMPLER_KINDS, upsampler
from tonezoo.layers.weight_norm import WeightNorm

__all__ = [
    "BidirectionalLSTM",
    "CalmedLayer",
    "Decimate1D",
    "FilteredActivation1D",
    "FoldedConv1D",
    "ICNR",
    "Interpolate1D",
    "InterpolatedConv1D",
    "InverseSTFT1D",
    "MelSpectrogram1D",
    "MultiscaleConv1D",
    "NoisePath1D",
    "PhaseShuffle1D",
    "Rescaled",
    "STFT1D",
    "SnakeBeta1D",
    "Subpixel1D",
    "SubpixelConv1D",
    "Superpixel1D",
    "TransposedConv1D",
    "TransposedICNR",
    "UPSAMPLER_KINDS",
    "WeightNorm",
    "calm_start",
    "fold_upsampling",
    "upsampler",
]
