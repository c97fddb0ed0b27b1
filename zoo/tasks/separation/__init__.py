"""Source separation: a mixture in, its sources out."""

import dataclasses
import math

from tonezoo.audio.levels import MIXTURE_LEVELS
from tonezoo.tasks.base import Facts, Task, fact, option

OVERLAP = 0.25
LARGEST_OVERLAP = 0.95
MIN_SEGMENT_S = 0.1
MOST_SHIFTS = 100
# Of the original; what a model was trained on may be shorter.
SEGMENT_S = 10.0
CLIP_MODES = ("none", "clamp", "rescale")
# On one system or another they end a name or begin another folder.
NOT_IN_FILE_NAMES = "/\\\0"


@dataclasses.dataclass(frozen=True, kw_only=True)
class SeparationFacts(Facts):
    """Facts of a separation model.

    Attributes:
        sources: their names, in the order of the model's output.
        segment_samples: what the model sees at once, where nothing else is asked for.
        mixture_level: "standard" or "file", see `tonezoo.models.base.SeparationModel`.

    Raises:
        ValueError: another level, or a source that is no name of a file.
    """

    sources: tuple[str, ...]
    segment_samples: int = fact(least=1)
    mixture_level: str = "standard"

    def __post_init__(self):
        # Files are called by them, and facts may come from elsewhere: a manifest, or a server.
        for source in self.sources:
            if source in (".", "..") or set(source) & set(NOT_IN_FILE_NAMES):
                raise ValueError(
                    f"A source is called {source!r}, which no file can be. Do not use a model that "
                    "comes from someone else; call the sources of your own without / and \\."
                )
        if self.mixture_level not in MIXTURE_LEVELS:
            raise ValueError(
                f"mixture_level must be one of {', '.join(MIXTURE_LEVELS)}, but is "
                f"{self.mixture_level!r}. Use the tonezoo that the model was made with."
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class SeparationOptions:
    """How a signal is cut, and how often it is separated.

    Attributes:
        segment_s: seconds of audio that the model sees at once, 0.1 or more; None for 10 s.
            What lies on both sides is given to its convolutions beside that.
        overlap: share of a segment that it has in common with the next one, 0 to 0.95. The two are
            cross-faded, weighted by triangles.
        shifts: so many times the signal is separated, each time starting up to 0.5 s later, and the
            results are averaged; 0 for once, as it is.
        seed: of the shifts.

    Raises:
        ValueError: one of them is out of its range.

    Source: Défossez et al. 2019, section 4.4 (shifts: "randomized equivariant stabilization").
    """

    segment_s: float | None = option(
        None,
        "Audio seen at once, 0.1 s or more; memory grows with it.",
        metavar="SECONDS",
        show_default="10",
    )
    overlap: float = option(OVERLAP, "Share of a segment in common with the next.")
    shifts: int = option(0, "Average over so many shifts of the audio; time grows with it.")
    seed: int = 0

    def __post_init__(self):
        if self.segment_s is not None and not MIN_SEGMENT_S <= self.segment_s < math.inf:
            raise ValueError(
                f"The segment is {self.segment_s} s. Give {MIN_SEGMENT_S} s or more, or None."
            )
        if not 0 <= self.overlap <= LARGEST_OVERLAP:
            raise ValueError(
                f"The overlap is {self.overlap}. Give a share of the segment from 0 to "
                f"{LARGEST_OVERLAP}."
            )
        if not isinstance(self.shifts, int) or not 0 <= self.shifts <= MOST_SHIFTS:
            raise ValueError(
                f"The number of shifts is {self.shifts}. Give a whole number from 0 to "
                f"{MOST_SHIFTS}: time grows with it."
            )
        if self.seed < 0:
            raise ValueError(f"The seed is {self.seed}. Give 0 or more.")


@dataclasses.dataclass(frozen=True, kw_only=True)
class SeparateOptions(SeparationOptions):
    """What `tonezoo separate` takes; see `tonezoo.tasks.separation.files.separate_files`."""

    sources: list[str] | None = option(
        None, "Write these alone, such as vocals,bass; repeatable.", show_default="all"
    )
    two_stems: str | None = option(
        None,
        "Write SOURCE and no_SOURCE, the sum of all others, instead.",
        metavar="SOURCE",
        show_default=False,
    )
    residual: bool = option(
        False, "Write the mixture minus all written stems as well.", flag="--residual"
    )
    clip_mode: str = option(
        "none",
        "Above full scale: none keeps it (whole numbers clamp it), clamp, or rescale, by one "
        "factor for all stems of a file.",
    )

    def source_names(self) -> list[str]:
        """Returns the sources that are named, none for all."""
        return [name.strip() for names in self.sources or () for name in names.split(",")]


class Separation(Task):
    """Separation of mixtures into their sources."""

    name = "separation"
    title = "separation"
    verb, doing, done = "separate", "separating", "separated"
    help = "Separate audio files into their sources, each at its own rate, channels and length."
    default_models = ("demucs_small_music",)
    facts = SeparationFacts
    file_options = SeparateOptions
    evaluation_options = SeparationOptions
    inference_signature = "normalized"

    def describe(self, model):
        segment_samples = model.valid_length(round(SEGMENT_S * model.sample_rate_hz))
        return {
            "sources": tuple(model.sources),
            "segment_samples": segment_samples,
            "mixture_level": model.mixture_level,
        }

    def signatures(self, model):
        from tonezoo.tasks.separation.signatures import signatures

        return signatures(model)

    def output(self, outputs, facts):
        import numpy as np

        return np.stack([np.asarray(outputs[name]) for name in facts.sources], axis=2)

    def golden_samples(self, model):
        # Several frames of the innermost resolution, and an odd number of samples.
        return 3 * model.grid_samples + 1

    def engine(self, call, facts, name):
        from tonezoo.tasks.separation.engine import Separator

        return Separator(
            call,
            sources=facts.sources,
            channels=facts.channels,
            sample_rate_hz=facts.sample_rate_hz,
            segment_samples=facts.segment_samples,
            grid_samples=facts.grid_samples,
            context_samples=facts.context_samples,
            mixture_level=facts.mixture_level,
            name=name,
        )

    def served_engine(self, predict, facts, name, requests_in_flight):
        from tonezoo.tasks.separation.engine import SEGMENTS_AT_ONCE

        # A call holds several segments, each a request; one more call has them ready.
        calls = 1 + -(-requests_in_flight // SEGMENTS_AT_ONCE)
        return super().served_engine(predict, facts, name, calls)

    def process_files(self, paths, out_dir, engine, options, **settings):
        from tonezoo.pretrained import engine_for
        from tonezoo.tasks.separation.files import separate_files

        return separate_files(
            paths,
            out_dir,
            engine_for(self.name, engine),
            sources=options.source_names(),
            two_stems=options.two_stems,
            residual=options.residual,
            options=options,
            clip_mode=options.clip_mode,
            **settings,
        )

    def output_name(self, stem, format):
        return stem

    def written(self, output, facts, options, format):
        from tonezoo.tasks.separation.files import stem_files, stem_weights

        stems = stem_weights(facts.sources, options.source_names(), options.two_stems)
        return stem_files(output, stems, options.residual, format)

    def evaluate(self, path, engine, options, **settings):
        from tonezoo.tasks.separation.evaluation import evaluate_separator

        return evaluate_separator(path, engine, options=options, **settings)


TASK = Separation()
