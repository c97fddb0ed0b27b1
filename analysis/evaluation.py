"""Evaluation of a super-resolution model beside the spline and the spline plus white noise."""

import dataclasses
import functools
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from tonezoo.analysis.evaluation_table import markdown_table, rich_table
from tonezoo.analysis.metrics import (
    METRICS,
    import_pesq,
    low_band_error_db,
    lsd,
    lsd_hop512,
    lsd_kuleshov,
    mos_lqo,
    snr_db,
)
from tonezoo.analysis.probes import Probes, probe
from tonezoo.analysis.published import published_scores
from tonezoo.analysis.reporting import finite_or_none, package_versions
from tonezoo.audio.resampling import LOW_PASSES, check_low_pass, decimate, upsample_spline
from tonezoo.files import atomic_path

NOISE_LEVELS_DBFS = (-48, -54, -60, -66, -72, -78)
BOOTSTRAP_RESAMPLES = 2000
VERSIONED = ("tonezoo", "keras", "tensorflow", "numpy", "scipy", "pesq")
# As in training. Scores with it are a model's own, those with others a remark on them.
DEFAULT_LOW_PASS = LOW_PASSES[0]


def evaluate(
    enhance: Callable[[np.ndarray], np.ndarray],
    clips: Mapping[str, np.ndarray],
    *,
    ratio: int,
    sample_rate_hz: int,
    model_name: str,
    low_pass: str = DEFAULT_LOW_PASS,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> "Evaluation":
    """Scores a model, the cubic spline, and the spline plus white noise on the same clips.

    Each clip is cropped to a multiple of `ratio`, decimated as in training, and brought back by the
    model and by the spline that the models contain. The noise rows add white Gaussian noise of -48
    to -78 dBFS (RMS re amplitude 1.0) to the spline: noise alone lowers the log-spectral distance,
    so a model has to beat them in LSD and PESQ together. Nothing is rounded or clipped. Before the
    clips come silence and noise, see `tonezoo.analysis.probes.probe`.

    Args:
        enhance: function from low-rate float32 (time,) to high-rate samples (time * ratio,).
        clips: name and high-rate mono samples (time,), full scale 1.0, of each clip.
        ratio: high rate / low rate, 2 or more.
        sample_rate_hz: the high rate.
        model_name: name of the model's row.
        low_pass: filter before the decimation, see `tonezoo.audio.resampling.decimate`.
        seed: seed of noise and bootstrap; a clip's noise depends on its name, not on its place.
        progress: called after each clip with the number of finished and of all clips.

    Raises:
        ValueError: there is no clip, an unknown low-pass, a clip is too short to be decimated (28
            samples), not mono or not finite, or the model fails or returns another length or
            non-finite samples. The message names the clip or the probe signal.

    Example:

    >>> import numpy as np
    >>> clips = {"tone": np.sin(0.1 * np.arange(800))}
    >>> evaluation = evaluate(
    ...     lambda low: np.repeat(low, 2),
    ...     clips,
    ...     ratio=2,
    ...     sample_rate_hz=16_000,
    ...     model_name="repeated samples",
    ... )
    >>> evaluation.row_names[:3]
    ('repeated samples', 'spline', 'spline + noise at -48 dBFS')
    >>> evaluation.scores.shape  # (row, clip, metric)
    (8, 1, 7)
    """
    if not clips:
        raise ValueError("There is no clip to evaluate on: `clips` is empty.")
    if ratio < 2:
        raise ValueError(f"The ratio of high to low rate must be 2 or more, received {ratio}.")
    check_low_pass(low_pass)
    # First: a model that fails them is not worth minutes of scoring.
    probes = probe(enhance, ratio=ratio, sample_rate_hz=sample_rate_hz)
    try:
        import_pesq()
        remarks = ()
    except ImportError as error:
        remarks = (str(error),)
    scores = []
    for name, samples in clips.items():
        rng = np.random.default_rng([seed, *name.encode()])
        try:
            reference, estimates = _estimates(enhance, samples, ratio, low_pass, rng)
            scores.append(
                [
                    _measure(reference, estimate, sample_rate_hz, ratio, with_pesq=not remarks)
                    for estimate in estimates
                ]
            )
        except ValueError as error:
            raise ValueError(f"Clip {name}: {error}") from error
        if progress:
            progress(len(scores), len(clips))
    return Evaluation(
        model_name=model_name,
        ratio=ratio,
        sample_rate_hz=sample_rate_hz,
        low_pass=low_pass,
        seed=seed,
        clip_names=tuple(clips),
        # (clip, row, metric) -> (row, clip, metric)
        scores=np.array(scores).swapaxes(0, 1),
        probes=probes,
        remarks=remarks,
    )


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Evaluation:
    """Scores of a model and of the baselines on the same clips.

    Attributes:
        scores: (row, clip, metric), rows as in `row_names`, metrics as in `METRICS`; nan where a
            metric has no value.
        probes: what the model makes of silence and of noise.
        remarks: what is missing and how to get it.
    """

    model_name: str
    ratio: int
    sample_rate_hz: int
    low_pass: str
    seed: int
    clip_names: tuple[str, ...]
    scores: np.ndarray
    probes: Probes
    remarks: tuple[str, ...] = ()

    @property
    def row_names(self) -> tuple[str, ...]:
        noise = (f"spline + noise at {level} dBFS" for level in NOISE_LEVELS_DBFS)
        return (self.model_name, "spline", *noise)

    @property
    def valid_clips(self) -> np.ndarray:
        """Which clips enter a metric's means: those with a finite value in every row.

        Shape (clip, metric).
        """
        return np.isfinite(self.scores).all(axis=0)

    @functools.cached_property
    def summary(self) -> np.ndarray:
        """Mean over the valid clips and its 95 % bootstrap interval, (row, metric, 3).

        The last axis is mean, low end, high end: percentiles 2.5 and 97.5 of the means of 2000
        resamples of the clips, drawn alike for all rows. nan where no clip is valid.
        """
        rng = np.random.default_rng(self.seed)
        result = np.full((len(self.scores), len(METRICS), 3), np.nan)
        for metric, valid in enumerate(self.valid_clips.T):
            count = int(valid.sum())
            if count:
                values = self.scores[:, valid, metric]
                # How often each clip is drawn, (resample, clip).
                draws = rng.multinomial(count, np.full(count, 1 / count), BOOTSTRAP_RESAMPLES)
                means = values @ draws.T / count
                result[:, metric, 0] = values.mean(axis=1)
                result[:, metric, 1:] = np.percentile(means, [2.5, 97.5], axis=1).T
        return result

    def beaten_by_noise(self) -> tuple[str, ...]:
        """Returns the noise rows that equal or beat the model in both LSD (Eq. 8) and PESQ wb.

        Empty if none does.

        Raises:
            ValueError: PESQ wb has no value, so that it cannot be told.
        """
        keys = list(METRICS)
        distance, pesq = (self.summary[:, keys.index(key), 0] for key in ("lsd", "mos_lqo_wb"))
        if np.isnan(pesq[0]):
            raise ValueError(
                " ".join(("The model cannot be judged without PESQ wb.", *self.remarks))
            )
        beaten = (distance <= distance[0]) & (pesq >= pesq[0])
        return tuple(self.row_names[row] for row in np.flatnonzero(beaten) if row >= 2)

    @property
    def verdict(self) -> str:
        """One sentence: does the model beat the spline plus noise?"""
        try:
            rows = self.beaten_by_noise()
        except ValueError as error:
            return str(error)
        if rows:
            return (
                f"{self.model_name} is no better than noise: in both LSD, paper Eq. 8, and PESQ wb "
                f"it is equalled or beaten by {'; '.join(rows)}."
            )
        return (
            f"{self.model_name} is better than noise: no noise row equals it in both LSD, paper "
            "Eq. 8, and PESQ wb."
        )

    @property
    def comparison(self) -> list[str]:
        """In which metrics is the model's mean better than the spline's, and in which worse?"""
        better, worse = [], []
        means = zip(METRICS.values(), *self.summary[:2, :, 0], strict=True)
        for metric, model, spline in means:
            if np.isfinite(model) and model != spline:
                is_better = (model > spline) == metric.higher_is_better
                text = f"{metric.title}: {model:.2f} against {spline:.2f}"
                (better if is_better else worse).append(text)
        return [
            f"{word} than the plain spline in {'; '.join(found) or 'nothing'}."
            for word, found in (("Better", better), ("Worse", worse))
        ]

    @property
    def low_band(self) -> list[str]:
        """How well is what the input holds kept? One sentence, none without a valid clip."""
        model, spline = self.summary[:2, list(METRICS).index("low_band_error_db"), 0]
        if np.isnan(model):
            return []
        return [
            f"Below 0.75 of the input's Nyquist frequency the model's error is {model:.1f} dB, the "
            f"spline's {spline:.1f} dB, of the target's energy there."
        ]

    @property
    def gaps(self) -> list[str]:
        """Which metrics lack a value on some of the clips, one sentence per item."""
        clips = len(self.clip_names)
        return [
            f"{metric.title}: {valid.sum()} of {clips} clips have a finite value in every row, the "
            "others are left out."
            for metric, valid in zip(METRICS.values(), self.valid_clips.T, strict=True)
            if not valid.all()
        ]

    @property
    def notes(self) -> list[str]:
        """What a reader of the table has to know, one note per item."""
        return [
            *self.comparison,
            *self.low_band,
            *self.probes.sentences,
            f"x{self.ratio} to {self.sample_rate_hz} Hz, low-pass {self.low_pass}, float output; "
            f"means over {len(self.clip_names)} clips and 95 % bootstrap intervals "
            f"({BOOTSTRAP_RESAMPLES} resamples of the clips).",
            "White noise is Gaussian; dBFS is its RMS re amplitude 1.0.",
            *(f"{metric.title}: {metric.definition}." for metric in METRICS.values()),
            "Rows named paper are published on the paper's own test sets: not comparable clip by "
            "clip.",
            *self.gaps,
            *self.remarks,
        ]

    def to_json(self) -> dict:
        """Returns everything as JSON types, null where a value is not finite."""
        rows = []
        for name, scores, summary in zip(self.row_names, self.scores, self.summary, strict=True):
            cells = {}
            for key, per_clip, (mean, low, high) in zip(METRICS, scores.T, summary, strict=True):
                cells[key] = {
                    "mean": finite_or_none(mean),
                    "interval_95": [finite_or_none(low), finite_or_none(high)],
                    "per_clip": [finite_or_none(value) for value in per_clip],
                }
            rows.append({"name": name, "metrics": cells})
        return {
            "model": self.model_name,
            "ratio": self.ratio,
            "sample_rate_hz": self.sample_rate_hz,
            "low_rate_hz": self.sample_rate_hz / self.ratio,
            "low_pass": self.low_pass,
            "seed": self.seed,
            "metrics": {key: metric._asdict() for key, metric in METRICS.items()},
            "clips": list(self.clip_names),
            "rows": rows,
            "paper": published_scores(self.ratio),
            "verdict": self.verdict,
            "probes": dataclasses.asdict(self.probes),
            "notes": self.notes,
            "versions": package_versions(VERSIONED),
        }

    def to_markdown(self) -> str:
        """Returns the table, the verdict and the notes as Markdown."""
        return markdown_table(self)

    def print(self, console=None) -> None:
        """Prints the table, the verdict and the notes to a rich console, or to standard output."""
        from rich.console import Console

        (console or Console()).print(rich_table(self))

    def write(self, folder: str | os.PathLike) -> list[Path]:
        """Writes a JSON and a Markdown file into a folder, each whole or not at all.

        Returns:
            Their paths; they are named as `evaluation_names` says.
        """
        texts = json.dumps(self.to_json(), indent=2, allow_nan=False), self.to_markdown()
        targets = [Path(folder, name) for name in evaluation_names(self.low_pass)]
        for target, text in zip(targets, texts, strict=True):
            with atomic_path(target) as path:
                path.write_text(text + "\n", encoding="utf-8")
        return targets


def evaluation_names(low_pass: str) -> tuple[str, str]:
    """Returns the names of the files with the scores of a low-pass, JSON and Markdown.

    Example:

    >>> evaluation_names("chebyshev"), evaluation_names("soxr")
    (('evaluation.json', 'evaluation.md'), ('evaluation_soxr.json', 'evaluation_soxr.md'))
    """
    stem = "evaluation" if low_pass == DEFAULT_LOW_PASS else f"evaluation_{low_pass}"
    return f"{stem}.json", f"{stem}.md"


def _estimates(enhance, samples, ratio, low_pass, rng) -> tuple[np.ndarray, list[np.ndarray]]:
    """Returns the cropped reference and the signal of each row."""
    samples = np.asarray(samples, "float32")
    if samples.ndim != 1 or not np.isfinite(samples).all():
        raise ValueError(
            f"a clip must be mono (time,) and finite, received the shape {samples.shape} and "
            f"{np.count_nonzero(~np.isfinite(samples))} NaN or infinite samples."
        )
    reference = samples[: len(samples) // ratio * ratio]
    low = decimate(reference, ratio, low_pass)
    spline = upsample_spline(low, ratio)
    noise = rng.standard_normal(len(reference))
    noisy = [spline + 10 ** (level / 20) * noise for level in NOISE_LEVELS_DBFS]
    return reference, [enhance(low), spline, *noisy]


def _measure(reference, estimate, sample_rate_hz, ratio, *, with_pesq: bool) -> list[float]:
    """Returns the metrics in the order of METRICS."""
    scores = [score(reference, estimate) for score in (snr_db, lsd, lsd_hop512, lsd_kuleshov)]
    scores.append(low_band_error_db(reference, estimate, ratio))
    for band in ("nb", "wb"):
        pesq = mos_lqo(reference, estimate, sample_rate_hz, band) if with_pesq else np.nan
        scores.append(pesq)
    return scores
