"""What is fed to a model to hear its artifacts: silence, a constant, noise, a recording."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tonezoo.analysis.artifacts.lines import LEAST_FFT, LEAST_SPACING_BINS

SILENCE, ONES, NOISE = "silence", "ones", "noise"
SIGNALS = (SILENCE, ONES, NOISE)
# Root mean square of the noise. A separator takes mixtures brought to 1.
NOISE_RMS = 0.1
SEPARATION_RMS = 1.0
# Input with more channels than this is no audio but features.
MOST_AUDIO_CHANNELS = 2
# Shares of the output cut off at either end, where borders have their own artifacts.
BORDER = 1 / 16
FIRST_SAMPLES, FIRST_FRAMES = 8192, 64
# What TensorFlow's errors begin with.
GRAPH_ERRORS = ("Graph execution error", "Detected at node")


@dataclass(frozen=True, kw_only=True)
class ProbedModel:
    """A model as a function, with what its probes have to know.

    Attributes:
        name: for titles.
        call: function from (batch, time, channels), float32, to (batch, time, ...) or several of
            these.
        channels: of the input.
        sample_rate_hz: rate of the output.
        input_samples: the one length that it takes, None for any.
        features: function from audio (1, time, 1) to the input, of models that take features.
        noise_rms: level of the noise.
        model: the Keras model whose layers are looked at, None for a function alone.
    """

    name: str
    call: Callable[[np.ndarray], Any]
    channels: int
    sample_rate_hz: float
    input_samples: int | None = None
    features: Callable[[np.ndarray], np.ndarray] | None = None
    noise_rms: float = NOISE_RMS
    model: Any = field(default=None, repr=False)

    @property
    def takes_audio(self) -> bool:
        """Whether its input is a waveform."""
        return self.features is None and self.channels <= MOST_AUDIO_CHANNELS

    @property
    def first_input(self) -> np.ndarray:
        """Noise to compute with once, to see lengths and layers, (1, time, channels)."""
        samples = self.input_samples or (FIRST_SAMPLES if self.takes_audio else FIRST_FRAMES)
        return self.signal(NOISE, samples)

    def signal(self, name: str, samples: int) -> np.ndarray:
        """Returns a probe of `samples` input samples, (1, samples, channels).

        Silence and noise are those of a waveform, of which a model that takes features is given
        the features; ones are its input itself.
        """
        shape = (1, samples, self.channels)
        if name == ONES:
            return np.ones(shape, "float32")
        if self.features is not None:
            shape = (1, samples * self.model.hop_samples, 1)
        noise = np.random.default_rng(0).standard_normal(shape)
        waveform = ((0 if name == SILENCE else self.noise_rms) * noise).astype("float32")
        return waveform if self.features is None else self.features(waveform)[:, :samples]

    def input_of(self, audio: np.ndarray) -> np.ndarray:
        """Returns what the model takes for a recording (time, channels) at its input's rate.

        Raises:
            ValueError: its input is not made of audio.
        """
        if self.features is not None:
            return self.features(audio.mean(axis=1)[None, :, None].astype("float32"))
        if not self.takes_audio:
            raise ValueError(
                f"{self.name} takes {self.channels} features at each step, which a recording "
                f"cannot be made into. Its inputs can be {', '.join(SIGNALS)}."
            )
        if audio.shape[1] != self.channels:
            audio = np.repeat(audio.mean(axis=1, keepdims=True), self.channels, axis=1)
        return audio[None].astype("float32")

    def answer(self, name: str, inputs: np.ndarray) -> np.ndarray:
        """Returns what the model makes of an input, (time, channels), in parts if it has to.

        Raises:
            ValueError: it fails, or its output is not finite; the message names the probe.
        """
        length = self.input_samples
        if length is None:
            parts = [inputs]
        else:
            parts = [inputs[:, i : i + length] for i in range(0, inputs.shape[1], length)]
            parts = [part for part in parts if part.shape[1] == length]
        try:
            given = [self.call(part) for part in parts]
        # Whatever a user's model raises.
        except Exception as error:
            raise ValueError(
                f"{self.name} fails on {name}: {_reason(error)} Leave this input out with "
                "--inputs, or mend the model."
            ) from error
        if not given:
            raise ValueError(
                f"{self.name} takes {length} samples at once, but {name} has {inputs.shape[1]}."
            )
        output = np.concatenate([joined(each, self.name) for each in given], axis=1)[0]
        wrong = np.count_nonzero(~np.isfinite(output))
        if wrong:
            raise ValueError(
                f"{self.name} makes {wrong} NaN or infinite samples of {name}, of {output.size}. "
                "If it divides by the level of its input, keep that from being zero."
            )
        return output


def joined(outputs, name: str) -> np.ndarray:
    """Returns the outputs of a model as one array (batch, time, all channels), float64.

    Raises:
        ValueError: an output has no time axis, or they differ in length.
    """
    import keras

    arrays = [keras.ops.convert_to_numpy(each) for each in keras.tree.flatten(outputs)]
    if any(each.ndim < 2 for each in arrays) or len({each.shape[1] for each in arrays}) != 1:
        shapes = ", ".join(str(each.shape) for each in arrays)
        raise ValueError(
            f"{name} gives {shapes}; outputs have to be (batch, time, ...) of one length. Wrap it "
            "in a model that returns the audio alone."
        )
    flat = [each.reshape(*each.shape[:2], -1).astype("float64") for each in arrays]
    return np.concatenate(flat, axis=2)


def _reason(error: Exception) -> str:
    """Returns what an error says, without the calls that TensorFlow lists before it."""
    lines = [line for line in str(error).splitlines() if line[:1].strip()]
    said = [line for line in lines if not line.startswith(GRAPH_ERRORS)]
    return " ".join(said)[:300] or type(error).__name__


def samples_needed(longest_period: int) -> int:
    """Returns how many output samples lines of that period are measured in, borders included."""
    return int(8 * max(LEAST_SPACING_BINS * longest_period, LEAST_FFT) / (1 - 2 * BORDER))


def without_borders(output: np.ndarray) -> np.ndarray:
    """Returns the middle of an output, where no border is near, (time, channels)."""
    cut = int(len(output) * BORDER)
    return output[cut : len(output) - cut]
