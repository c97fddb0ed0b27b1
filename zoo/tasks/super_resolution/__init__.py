"""Super-resolution: a low-rate recording in, a high-rate one out."""

import dataclasses
import math
import numbers

from tonezoo.tasks.base import Facts, Task, fact, option

LARGEST_STRENGTH_DB = 20.0
# A sample rate in a file header is a whole number, 16000 / 6 is not.
RATE_TOLERANCE_HZ = 1.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class SuperResolutionFacts(Facts):
    """Facts of a super-resolution model.

    Attributes:
        ratio: upsampling ratio.
        low_rate_hz: rate of the input.
        interpolation: what the model adds to, "cubic" or "sinc".
        strength_db: of what the model makes up, where nothing else is asked for.
    """

    ratio: int = fact(least=1)
    low_rate_hz: float = fact(least=1e-3)
    interpolation: str
    strength_db: float = fact(most=LARGEST_STRENGTH_DB, default=0.0)


def check_strength(strength_db: float | None) -> None:
    """Checks the strength of what a model makes up; None is always good.

    Raises:
        ValueError: it is not a finite number of at most 20.
    """
    if strength_db is None:
        return
    is_number = isinstance(strength_db, numbers.Real) and not isinstance(strength_db, bool)
    if not is_number or not -math.inf < strength_db <= LARGEST_STRENGTH_DB:
        raise ValueError(
            f"The strength is {strength_db!r} dB. Give a finite number of at most "
            f"{LARGEST_STRENGTH_DB:g}: 0 as trained, less for less of what the model makes up."
        )


def strength_option(show_default: str):
    """Returns the option of the strength in dB, None being what `show_default` says."""
    return option(
        None,
        "Level of what the model makes up above the band of its input, re as trained; at most 20.",
        flag="--strength",
        metavar="DB",
        show_default=show_default,
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class EnhanceOptions:
    """What `tonezoo enhance` takes; see `tonezoo.tasks.super_resolution.files.enhance_files`."""

    segment_s: float = option(10.0, "Seconds of audio computed at once, 0.01 or more.")
    whole: bool = option(False, "Compute each file in one call.", flag="--whole")
    strength_db: float | None = strength_option("the model's own")
    downsample: bool = option(
        False,
        "Accept rates above the model's input, and make up anew what it cannot hold.",
        flag="--downsample",
    )

    def __post_init__(self):
        check_strength(self.strength_db)


@dataclasses.dataclass(frozen=True, kw_only=True)
class SuperResolutionEvaluationOptions:
    """What evaluating a super-resolution model takes.

    Attributes:
        ratio: checked against the model's, where given.
        low_pass: filter of the low rate, see `tonezoo.audio.resampling.decimate`.
        strength_db: of what the model makes up; None for the model's own.
    """

    ratio: int | None = option(None, "Checked against the model's ratio.", show_default=False)
    low_pass: str = option(
        "chebyshev", "Filter of the low rate: chebyshev, butterworth, fft or soxr."
    )

    strength_db: float | None = strength_option("the model's own")

    def __post_init__(self):
        from tonezoo.audio.resampling import check_low_pass

        check_low_pass(self.low_pass)
        check_strength(self.strength_db)


@dataclasses.dataclass(frozen=True, kw_only=True)
class SuperResolutionExportOptions:
    """What exporting a super-resolution model takes.

    Attributes:
        strength_db: becomes the exported model's own; None for 0, as trained.
    """

    strength_db: float | None = strength_option("0")

    def __post_init__(self):
        check_strength(self.strength_db)


class SuperResolution(Task):
    """Super-resolution of recordings, with models that correct an interpolation."""

    name = "super_resolution"
    title = "super-resolution"
    verb, doing, done = "enhance", "enhancing", "enhanced"
    help = "Upsample audio files; the shipped models take speech from 4 or 8 to 16 kHz."
    default_models = ("band_extender_speech_x4", "band_extender_speech_x2")
    facts = SuperResolutionFacts
    file_options = EnhanceOptions
    evaluation_options = SuperResolutionEvaluationOptions
    export_options = SuperResolutionExportOptions

    def default_model(self, sample_rate_hz=None):
        """Returns the one for the lowest rate that holds the signal, else for the highest rate."""
        from tonezoo.audio.checks import check_rate_hz
        from tonezoo.serving.manifest import read_facts, resolve_version

        if sample_rate_hz is None:
            return self.default_models[0]
        check_rate_hz(sample_rate_hz)
        names = {
            read_facts(resolve_version(name))["low_rate_hz"]: name for name in self.default_models
        }
        enough = [rate_hz for rate_hz in names if rate_hz >= sample_rate_hz - RATE_TOLERANCE_HZ]
        return names[min(enough) if enough else max(names)]

    def describe(self, model):
        return {
            "ratio": model.ratio,
            "low_rate_hz": model.sample_rate_hz / model.ratio,
            "interpolation": model.interpolation,
        }

    def signatures(self, model):
        from tonezoo.tasks.super_resolution.signatures import signatures

        return signatures(model)

    def output(self, outputs, facts):
        import numpy as np

        return np.asarray(outputs["waveform"])

    def golden_samples(self, model):
        return 1 + 1200 // model.ratio

    def engine(self, call, facts, name):
        from tonezoo.tasks.super_resolution.engine import SuperResolver

        return SuperResolver(
            call,
            ratio=facts.ratio,
            sample_rate_hz=facts.sample_rate_hz,
            grid_samples=facts.grid_samples,
            context_samples=facts.context_samples,
            name=name,
            interpolation=facts.interpolation,
            strength_db=facts.strength_db,
        )

    def served_engine(self, predict, facts, name, requests_in_flight):
        def call_padded(low, lengths):
            inputs = {"waveform": low, "lengths": lengths}
            return self.output(predict("with_lengths", inputs), facts)

        engine = super().served_engine(predict, facts, name, requests_in_flight)
        engine.call_padded = call_padded
        return engine

    def process_files(self, paths, out_dir, engine, options, **settings):
        from tonezoo.tasks.super_resolution.files import enhance_files

        return enhance_files(
            paths,
            out_dir,
            engine,
            segment_s=None if options.whole else options.segment_s,
            downsample=options.downsample,
            strength_db=options.strength_db,
            **settings,
        )

    def evaluate(self, path, engine, options, **settings):
        from tonezoo.tasks.super_resolution.evaluation import evaluate_model

        return evaluate_model(
            path,
            model=engine,
            ratio=options.ratio,
            low_pass=options.low_pass,
            strength_db=options.strength_db,
            **settings,
        )


TASK = SuperResolution()
