"""Super-resolution: a low-rate recording in, a high-rate one out."""

import dataclasses

from tonezoo.tasks.base import Facts, Task, fact, option


@dataclasses.dataclass(frozen=True, kw_only=True)
class SuperResolutionFacts(Facts):
    """Facts of a super-resolution model.

    Attributes:
        ratio: upsampling ratio.
        low_rate_hz: rate of the input.
    """

    ratio: int = fact(least=1)
    low_rate_hz: float = fact(least=1e-3)


@dataclasses.dataclass(frozen=True, kw_only=True)
class EnhanceOptions:
    """What `tonezoo enhance` takes; see `tonezoo.tasks.super_resolution.files.enhance_files`."""

    chunk_s: float = option(10.0, "Seconds of audio computed at once, 0.01 or more.")
    whole: bool = option(False, "Compute each file in one call.", flag="--whole")
    downsample: bool = option(
        False,
        "Accept rates above the model's input, and make up anew what it cannot hold.",
        flag="--downsample",
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class SuperResolutionEvaluationOptions:
    """What evaluating a super-resolution model takes.

    Attributes:
        ratio: checked against the model's, where given.
        low_pass: filter of the low rate, see `tonezoo.audio.resampling.decimate`.
    """

    ratio: int | None = option(None, "Checked against the model's ratio.", show_default=False)
    low_pass: str = option(
        "chebyshev", "Filter of the low rate: chebyshev, butterworth, fft or soxr."
    )

    def __post_init__(self):
        from tonezoo.audio.resampling import check_low_pass

        check_low_pass(self.low_pass)


class SuperResolution(Task):
    """Super-resolution of recordings, with models that correct an interpolation."""

    name = "super_resolution"
    title = "super-resolution"
    verb, doing, done = "enhance", "enhancing", "enhanced"
    help = "Upsample audio files with a model; the shipped one takes speech from 4 to 16 kHz."
    default_model = "mu_gan_speech_x4"
    facts = SuperResolutionFacts
    file_options = EnhanceOptions
    evaluation_options = SuperResolutionEvaluationOptions

    def describe(self, model):
        return {"ratio": model.ratio, "low_rate_hz": model.sample_rate_hz / model.ratio}

    def signatures(self, model):
        from tonezoo.tasks.super_resolution.signatures import signatures

        return signatures(model)

    def output(self, outputs, facts):
        return outputs["waveform"].numpy()

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
        )

    def process_files(self, paths, out_dir, engine, options, **settings):
        from tonezoo.tasks.super_resolution.files import enhance_files

        return enhance_files(
            paths,
            out_dir,
            engine,
            chunk_s=None if options.whole else options.chunk_s,
            downsample=options.downsample,
            **settings,
        )

    def evaluate(self, path, engine, options, **settings):
        from tonezoo.tasks.super_resolution.evaluation import evaluate_model

        return evaluate_model(
            path, model=engine, ratio=options.ratio, low_pass=options.low_pass, **settings
        )


TASK = SuperResolution()
