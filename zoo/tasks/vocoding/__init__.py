"""Vocoding: a mel spectrogram in, a waveform out."""

import dataclasses

from tonezoo.audio.folders import AUDIO_SUFFIXES
from tonezoo.tasks.base import Facts, Task, fact, option
from tonezoo.tasks.vocoding.mels import SUFFIX


@dataclasses.dataclass(frozen=True, kw_only=True)
class VocodingFacts(Facts):
    """Facts of a vocoder, those of its mel spectrograms; `channels` are their bands.

    Attributes:
        hop_samples, window_samples: of the transform that they are made of.
        lowest_hz, highest_hz: edges of the lowest and the highest band.
    """

    hop_samples: int = fact(least=1)
    window_samples: int = fact(least=1)
    lowest_hz: float = fact(least=0)
    highest_hz: float = fact(least=0)


@dataclasses.dataclass(frozen=True, kw_only=True)
class VocodeOptions:
    """What `tonezoo vocode` takes; see `tonezoo.tasks.vocoding.files.vocode_files`."""

    segment_s: float = option(10.0, "Seconds of audio computed at once, 0.01 or more.")


class Vocoding(Task):
    """Waveforms from mel spectrograms, given as they are or made of a recording."""

    name = "vocoding"
    title = "vocoding"
    verb, doing, done = "vocode", "vocoding", "vocoded"
    help = (
        "Make audio of mel spectrograms (.npy), or of audio by way of its mel spectrogram (copy "
        "synthesis)."
    )
    input_suffixes = (*AUDIO_SUFFIXES, SUFFIX)
    facts = VocodingFacts
    file_options = VocodeOptions
    inference_input = "mel"

    def describe(self, model):
        front_end = model.front_end
        return {
            "hop_samples": model.hop_samples,
            "window_samples": front_end.stft.window_samples,
            "lowest_hz": front_end.lowest_hz,
            "highest_hz": front_end.highest_hz or model.sample_rate_hz / 2,
        }

    def signatures(self, model):
        from tonezoo.tasks.vocoding.signatures import signatures

        return signatures(model)

    def output(self, outputs, facts):
        import numpy as np

        return np.asarray(outputs["waveform"])

    def golden_samples(self, model):
        return 9

    def engine(self, call, facts, name):
        from tonezoo.tasks.vocoding.engine import Vocoder

        return Vocoder(call, facts, name)

    def served_engine(self, predict, facts, name, requests_in_flight):
        engine = super().served_engine(predict, facts, name, requests_in_flight)
        engine.front_end = lambda x: predict("mel_spectrogram", {"waveform": x})["mel"]
        return engine

    def process_files(self, paths, out_dir, engine, options, **settings):
        from tonezoo.tasks.vocoding.files import vocode_files

        return vocode_files(paths, out_dir, engine, segment_s=options.segment_s, **settings)

    def evaluate(self, path, engine, options, **settings):
        from tonezoo.tasks.vocoding.evaluation import evaluate_vocoder

        return evaluate_vocoder(path, engine, **settings)


TASK = Vocoding()
