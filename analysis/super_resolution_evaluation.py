"""Scores of a super-resolution model beside the spline, that plus white noise, and the sinc."""

import dataclasses
import re
from collections.abc import Callable, Iterable, Mapping

import numpy as np

from tonezoo.analysis.listening_metrics import estoi, missing_packages, mos_lqo, visqol
from tonezoo.analysis.metrics import (
    METRICS,
    low_band_error_db,
    lsd,
    lsd_hop512,
    lsd_kuleshov,
    snr_db,
)
from tonezoo.analysis.probes import Probes, probe
from tonezoo.analysis.published import published_scores
from tonezoo.analysis.scores import Scores
from tonezoo.audio.resampling import LOW_PASSES, check_low_pass, decimate, resample, upsample_spline

NOISE_LEVELS_DBFS = (-48, -54, -60, -66, -72, -78)
NOISE_ROWS = tuple(f"spline + noise at {level} dBFS" for level in NOISE_LEVELS_DBFS)
BASELINES = ("spline", *NOISE_ROWS, "sinc (soxr)")
# More would not fit into 80 columns. The two other distances say what the first one says, and the
# low-band error is told in words.
SHOWN = ("snr_db", "lsd", "mos_lqo_nb", "mos_lqo_wb", "visqol", "estoi")
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
    strength_db: float = 0.0,
    as_by_default: bool = True,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> "SuperResolutionScores":
    """Scores a model, the cubic spline, that plus white noise, and soxr's sinc on the same clips.

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
        strength_db: of what `enhance` makes up, to be written down.
        as_by_default: False if that is not the strength which the model has unasked: the files are
            then named after it.
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
    >>> evaluation.rows[:3]
    ('repeated samples', 'spline', 'spline + noise at -48 dBFS')
    >>> evaluation.values.shape  # (row, clip, metric)
    (9, 1, 9)
    """
    if not clips:
        raise ValueError("There is no clip to evaluate on: `clips` is empty.")
    if ratio < 2:
        raise ValueError(f"The ratio of high to low rate must be 2 or more, received {ratio}.")
    check_low_pass(low_pass)
    # First: a model that fails them is not worth minutes of scoring.
    probes = probe(enhance, ratio=ratio, sample_rate_hz=sample_rate_hz)
    missing = missing_packages()
    available = [key not in missing for key in METRICS]
    keys = [key for key in METRICS if key not in missing]
    values = np.full((1 + len(BASELINES), len(clips), len(METRICS)), np.nan)
    for done, (name, samples) in enumerate(clips.items(), 1):
        rng = np.random.default_rng([seed, *name.encode()])
        try:
            reference, estimates = _estimates(enhance, samples, ratio, low_pass, rng)
            for row, estimate in enumerate(estimates):
                values[row, done - 1, available] = measure(
                    reference, estimate, ratio=ratio, sample_rate_hz=sample_rate_hz, keys=keys
                )
        except ValueError as error:
            raise ValueError(f"Clip {name}: {error}") from error
        if progress:
            progress(done, len(clips))
    return SuperResolutionScores(
        title=f"{model_name}, x{ratio} to {sample_rate_hz} Hz",
        rows=(model_name, *BASELINES),
        items=tuple(clips),
        metrics=METRICS,
        values=values,
        item_word="clip",
        shown=SHOWN,
        published=published_scores(ratio),
        facts={
            "ratio": ratio,
            "sample_rate_hz": sample_rate_hz,
            "low_rate_hz": sample_rate_hz / ratio,
            "low_pass": low_pass,
            "strength_db": strength_db,
            "seed": seed,
        },
        packages=("pesq", "visqol-python", "pystoi"),
        seed=seed,
        stem=evaluation_stem(low_pass, None if as_by_default else strength_db),
        probes=probes,
        missing=missing,
    )


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class SuperResolutionScores(Scores):
    """Scores of a model, the spline, the spline plus noise, and the sinc, on the same clips.

    Attributes:
        probes: what the model makes of silence and of noise.
        missing: metric -> why it has no values, and how to get them.
    """

    probes: Probes
    missing: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def beaten_by_noise(self) -> tuple[str, ...]:
        """Returns the noise rows that equal or beat the model in both LSD (Eq. 8) and PESQ wb.

        Empty if none does.

        Raises:
            ValueError: PESQ wb has no value, so that it cannot be told.
        """
        distance, pesq = self.column("lsd"), self.column("mos_lqo_wb")
        if np.isnan(pesq[0]):
            remedy = [self.missing[key] for key in ("mos_lqo_wb",) if key in self.missing]
            raise ValueError(" ".join(["The model cannot be judged without PESQ wb.", *remedy]))
        beaten = (distance <= distance[0]) & (pesq >= pesq[0])
        names = [self.rows[row] for row in np.flatnonzero(beaten)]
        return tuple(name for name in names if name in NOISE_ROWS)

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
    def beside_the_spline(self) -> list[str]:
        """In which metrics is the model better than the plain spline, and in which worse?"""
        return [
            f"{word} than the plain spline in {'; '.join(found) or 'nothing'}."
            for word, found in zip(("Better", "Worse"), self.comparison(), strict=True)
        ]

    @property
    def low_band(self) -> list[str]:
        """How well is what the input holds kept? One sentence, none without a valid clip."""
        model, spline = self.column("low_band_error_db")[:2]
        if np.isnan(model):
            return []
        return [
            f"Below 0.75 of the input's Nyquist frequency the model's error is {model:.1f} dB, the "
            f"spline's {spline:.1f} dB, of the target's energy there."
        ]

    @property
    def findings(self) -> list[str]:
        return [*self.beside_the_spline, *self.low_band, *self.probes.sentences]

    @property
    def notes(self) -> list[str]:
        facts = self.facts
        return [
            f"x{facts['ratio']} to {facts['sample_rate_hz']} Hz, low-pass {facts['low_pass']}, "
            f"what is made up at {facts['strength_db']:g} dB, float output.",
            *super().notes,
            "White noise is Gaussian; dBFS is its RMS re amplitude 1.0.",
            "Rows named paper are published on the paper's own test sets: not comparable clip by "
            "clip.",
            *dict.fromkeys(self.missing.values()),
        ]

    def to_json(self) -> dict:
        return {**super().to_json(), "probes": dataclasses.asdict(self.probes)}


def evaluation_stem(low_pass: str, strength_db: float | None = None) -> str:
    """Returns the name, without suffix, of the files with the scores of a low-pass and strength.

    Args:
        low_pass: of the test clips.
        strength_db: None for the model's own.

    Example:

    >>> evaluation_stem("chebyshev"), evaluation_stem("soxr"), evaluation_stem("soxr", -6.0)
    ('evaluation', 'evaluation_soxr', 'evaluation_soxr_-6dB')
    """
    parts = ["evaluation"]
    if low_pass != DEFAULT_LOW_PASS:
        parts.append(low_pass)
    if strength_db is not None:
        parts.append(f"{strength_db:g}dB")
    return "_".join(parts)


def is_evaluation(file_name: str) -> bool:
    """Tells whether a file is named as those that scores are written to.

    Example:

    >>> is_evaluation("evaluation_soxr_-6dB.md"), is_evaluation("evaluation_of_mine.md")
    (True, False)
    """
    low_passes = "|".join(LOW_PASSES)
    pattern = rf"evaluation(_({low_passes}))?(_[-+\d.e]+dB)?\.(json|md)"
    return re.fullmatch(pattern, file_name) is not None


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
    sinc = resample(low, 1000, 1000 * ratio)
    return reference, [enhance(low), spline, *noisy, sinc]


def measure(
    reference: np.ndarray,
    estimate: np.ndarray,
    *,
    ratio: int,
    sample_rate_hz: int,
    keys: Iterable[str] = tuple(METRICS),
) -> list[float]:
    """Returns some of `METRICS`, by default all, of a signal.

    Args:
        reference: true signal, (time,).
        estimate: signal to be judged, (time,).
        ratio: rate of both over the model's input rate.
        sample_rate_hz: rate of both.
        keys: of the metrics.

    Raises:
        ValueError: the shapes differ, or a signal is empty, not mono, or not finite.
        ImportError: a package that one of the metrics needs is missing.

    Example:

    >>> signals = np.ones(8), np.full(8, 1.5)
    >>> print(*measure(*signals, ratio=2, sample_rate_hz=16_000, keys=["snr_db"]))
    6.020599913279624
    """
    pair = reference, estimate
    measures = {
        "snr_db": lambda: snr_db(*pair),
        "lsd": lambda: lsd(*pair),
        "lsd_hop512": lambda: lsd_hop512(*pair),
        "lsd_kuleshov": lambda: lsd_kuleshov(*pair),
        "low_band_error_db": lambda: low_band_error_db(*pair, ratio),
        "mos_lqo_nb": lambda: mos_lqo(*pair, sample_rate_hz, "nb"),
        "mos_lqo_wb": lambda: mos_lqo(*pair, sample_rate_hz, "wb"),
        "visqol": lambda: visqol(*pair, sample_rate_hz),
        "estoi": lambda: estoi(*pair, sample_rate_hz),
    }
    return [measures[key]() for key in keys]
