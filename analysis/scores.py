"""A table of scores, rows x items x metrics, with its summary, verdict, JSON and Markdown."""

import dataclasses
import functools
import json
import os
from collections.abc import Iterable, Mapping
from importlib import metadata
from pathlib import Path

import numpy as np

from tonezoo.analysis.metrics import Metric
from tonezoo.analysis.score_tables import markdown_tables, print_tables
from tonezoo.files import atomic_path
from tonezoo.text import printable

AVERAGES = ("mean", "median")
BOOTSTRAP_RESAMPLES = 2000
PACKAGES = ("tonezoo", "keras", "tensorflow", "numpy", "scipy")


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Scores:
    """Scores of a model and of what it is compared with, on the same items.

    A task with more to say overrides `verdict`, `findings` or `files`.

    Attributes:
        title: heading of the table.
        rows: names, the model's first; the second, with "the" in front, is what it has to beat.
        items: names of what was scored, such as clips.
        metrics: key -> title, definition and direction of each metric.
        values: (row, item, metric), or (row, item, part, metric) with `parts`; nan where a metric
            has no value.
        parts: names of what every item consists of, such as the sources of a track. Each is
            averaged over items by itself; the summary is the mean of these over the parts.
        average: over items, "mean", with a bootstrap interval, or "median".
        item_word: what an item is called in sentences and keys of the JSON.
        part_word: the same of a part.
        shown: keys of the metrics in tables, all by default; the others are in the JSON alone.
        published: row -> metric -> value from papers, for tables and JSON.
        facts: JSON's entries of the task's own, such as a rate.
        remarks: sentences for the notes.
        packages: whose versions the JSON tells, beside those of `PACKAGES`.
        seed: of the bootstrap.
        stem: name of the files that `write` writes, without suffix.

    Raises:
        ValueError: no item, an unknown average, or values of another shape.

    Example:

    >>> from tonezoo.analysis.metrics import METRICS
    >>> scores = Scores(
    ...     title="gain, 16000 Hz",
    ...     rows=("gain", "input"),
    ...     items=("a", "b"),
    ...     metrics={"snr_db": METRICS["snr_db"]},
    ...     values=np.array([[[30.0], [34.0]], [[10.0], [14.0]]]),
    ... )
    >>> scores.summary[:, 0, 0].tolist()  # (row, metric, 3): average, and its interval
    [32.0, 12.0]
    >>> scores.verdict
    'gain is better than the input in SNR (dB): 32.00 against 12.00; worse in nothing.'
    >>> print(scores.to_markdown().splitlines()[4])
    | gain | 32.00 [30.00, 34.00] |
    """

    title: str
    rows: tuple[str, ...]
    items: tuple[str, ...]
    metrics: Mapping[str, Metric]
    values: np.ndarray
    parts: tuple[str, ...] = ()
    average: str = "mean"
    item_word: str = "item"
    part_word: str = "part"
    shown: tuple[str, ...] = ()
    published: Mapping[str, Mapping[str, float]] = dataclasses.field(default_factory=dict)
    facts: Mapping[str, object] = dataclasses.field(default_factory=dict)
    remarks: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    seed: int = 0
    stem: str = "evaluation"

    def __post_init__(self):
        if not self.items:
            raise ValueError(f"There is no {self.item_word} to evaluate on.")
        if self.average not in AVERAGES:
            raise ValueError(
                f"average must be one of {', '.join(AVERAGES)}, but is {self.average!r}."
            )
        counts = [len(self.rows), len(self.items), len(self.parts), len(self.metrics)]
        expected = tuple(counts if self.parts else np.delete(counts, 2).tolist())
        if np.shape(self.values) != expected:
            axes = f"(row, item, {'part, ' if self.parts else ''}metric)"
            raise ValueError(
                f"The values must be {axes}, {expected}; received the shape "
                f"{np.shape(self.values)}."
            )

    @property
    def model_name(self) -> str:
        return self.rows[0]

    @functools.cached_property
    def _by_part(self) -> np.ndarray:
        """The values, (row, item, part, metric), of one part where there are none."""
        values = np.asarray(self.values, "float64")
        return values if self.parts else values[:, :, None]

    @functools.cached_property
    def valid(self) -> np.ndarray:
        """Which items enter an average, (item, part, metric): those with a value in every row.

        For means it has to be finite. Without parts their axis has length 1.
        """
        has_value = np.isfinite(self._by_part) if self.average == "mean" else ~self._missing
        return np.all(has_value, axis=0)

    @property
    def _missing(self) -> np.ndarray:
        return np.isnan(self._by_part)

    @property
    def present(self) -> np.ndarray:
        """Which parts have a value anywhere, (part,); the others are left out of the summary."""
        return ~np.all(self._missing, axis=(0, 1, 3))

    @functools.cached_property
    def per_part(self) -> np.ndarray:
        """Average of each part over its valid items, and its interval, (row, part, metric, 3).

        The last axis is average, low end, high end. The interval is that of the mean: percentiles
        2.5 and 97.5 of the means of 2000 resamples of the items, drawn alike for all rows. nan
        where there is none.
        """
        result = np.full((*np.delete(self._by_part.shape, 1), 3), np.nan)
        rng = np.random.default_rng(self.seed)
        for part, metric in np.ndindex(self.valid.shape[1:]):
            valid = self.valid[:, part, metric]
            count = int(valid.sum())
            if not count:
                continue
            values = self._by_part[:, valid, part, metric]
            if self.average == "median":
                with np.errstate(invalid="ignore"):
                    result[:, part, metric, 0] = np.median(values, axis=1)
                continue
            # How often each item is drawn, (resample, item).
            draws = rng.multinomial(count, np.full(count, 1 / count), BOOTSTRAP_RESAMPLES)
            means = values @ draws.T / count
            result[:, part, metric, 0] = values.mean(axis=1)
            result[:, part, metric, 1:] = np.percentile(means, [2.5, 97.5], axis=1).T
        return result

    @functools.cached_property
    def summary(self) -> np.ndarray:
        """Average and its interval, (row, metric, 3), as `per_part`.

        With parts the mean over those that are present, without an interval; nan where a present
        part has no value: a mean without it could not be compared.
        """
        if not self.parts:
            return self.per_part[:, 0]
        result = np.full((len(self.rows), len(self.metrics), 3), np.nan)
        if self.present.any():
            with np.errstate(invalid="ignore"):
                result[..., 0] = self.per_part[..., 0][:, self.present].mean(axis=1)
        return result

    def column(self, key: str) -> np.ndarray:
        """Returns the averages of a metric, (row,)."""
        return self.summary[:, list(self.metrics).index(key), 0]

    def comparison(self) -> tuple[list[str], list[str]]:
        """Returns in which metrics the model is better than the second row, and in which worse."""
        better, worse = [], []
        for metric, model, other in zip(
            self.metrics.values(), *self.summary[:2, :, 0], strict=True
        ):
            if np.isfinite(model) and model != other:
                is_better = (model > other) == metric.higher_is_better
                text = f"{metric.title}: {model:.2f} against {other:.2f}"
                (better if is_better else worse).append(text)
        return better, worse

    @property
    def verdict(self) -> str:
        """One sentence: is the model better than the second row?"""
        if len(self.rows) < 2:
            return f"There is nothing to compare {self.model_name} with."
        better, worse = ("; ".join(found) or "nothing" for found in self.comparison())
        return f"{self.model_name} is better than the {self.rows[1]} in {better}; worse in {worse}."

    @property
    def findings(self) -> list[str]:
        """What else the values say, one sentence an item."""
        return []

    @property
    def gaps(self) -> list[str]:
        """Which metrics and parts lack a value on some of the items, one sentence an item."""
        found: dict[tuple, list[str]] = {}
        for part, metric in np.ndindex(self.valid.shape[1:]):
            valid = self.valid[:, part, metric]
            if self.present[part] and not valid.all():
                titles = found.setdefault((part, *valid.tolist()), [])
                titles.append(list(self.metrics.values())[metric].title)
        finite = "a finite value" if self.average == "mean" else "a value"
        sentences = [
            f"{'; '.join(titles)}{', ' + self.parts[part] if self.parts else ''}: {sum(valid)} of "
            f"{len(self.items)} {self.item_word}s have {finite} in every row, the others are left "
            "out."
            for (part, *valid), titles in found.items()
        ]
        absent = [self.parts[part] for part in np.flatnonzero(~self.present) if self.parts]
        if absent:
            sentences.append(
                f"Without a value in any {self.item_word}, hence left out of means: "
                f"{', '.join(absent)}."
            )
        return sentences

    @property
    def notes(self) -> list[str]:
        """What a reader of the table has to know, one note an item."""
        count = f"{len(self.items)} {self.item_word}{'s' if len(self.items) > 1 else ''}"
        if self.average == "mean":
            averaging = (
                f"Means over {count} and 95 % bootstrap intervals ({BOOTSTRAP_RESAMPLES} resamples "
                f"of the {self.item_word}s)."
            )
        else:
            averaging = f"Medians over {count}."
        if self.parts:
            averaging += f" The mean is that of the {self.part_word}s' {self.average}s."
        return [
            *self.findings,
            *self.remarks,
            averaging,
            *(f"{metric.title}: {metric.definition}." for metric in self.metrics.values()),
            *self.gaps,
        ]

    def to_json(self) -> dict:
        """Returns everything as JSON types, null where a value is not finite."""
        rows = []
        for row, name in enumerate(self.rows):
            cells = {key: self._json_cell(row, index) for index, key in enumerate(self.metrics)}
            rows.append({"name": name, "metrics": cells})
        return {
            "model": self.model_name,
            **self.facts,
            "metrics": {key: metric._asdict() for key, metric in self.metrics.items()},
            "item_word": self.item_word,
            f"{self.item_word}s": list(self.items),
            **({f"{self.part_word}s": list(self.parts)} if self.parts else {}),
            "rows": rows,
            "paper": {name: dict(values) for name, values in self.published.items()},
            "verdict": self.verdict,
            "notes": self.notes,
            "versions": package_versions((*PACKAGES, *self.packages)),
        }

    def _json_cell(self, row: int, metric: int) -> dict:
        average, *interval = map(finite_or_none, self.summary[row, metric])
        per_item = [
            [finite_or_none(value) for value in values]
            for values in self._by_part[row, :, :, metric].T
        ]
        if self.parts:
            averages = map(finite_or_none, self.per_part[row, :, metric, 0])
            return {
                "mean": average,
                f"per_{self.part_word}": dict(zip(self.parts, averages, strict=True)),
                f"per_{self.item_word}": dict(zip(self.parts, per_item, strict=True)),
            }
        return {
            "mean" if self.average == "mean" else "median": average,
            **({"interval_95": interval} if self.average == "mean" else {}),
            f"per_{self.item_word}": per_item[0],
        }

    def to_markdown(self) -> str:
        """Returns the tables, the verdict and the notes as Markdown."""
        packages = package_versions((*PACKAGES, *self.packages)).items()
        versions = ", ".join(f"{name} {version}" for name, version in packages)
        notes = [*self.notes, f"Versions: {versions}."]
        lines = [f"# {self.title}", "", *markdown_tables(self), f"**{self.verdict}**", ""]
        return "\n".join([*lines, *(f"- {note}" for note in notes)])

    def print(self, console=None) -> None:
        """Prints the tables, the verdict and the notes to a rich console, or to standard output."""
        print_tables(self, console)

    def files(self) -> dict[str, str]:
        """Returns path in a folder -> text of the files that `write` writes."""
        return {
            f"{self.stem}.json": json.dumps(self.to_json(), indent=2, allow_nan=False),
            f"{self.stem}.md": self.to_markdown(),
        }

    def write(self, folder: str | os.PathLike) -> list[Path]:
        """Writes the scores as JSON and Markdown into a folder, each file whole or not at all.

        Returns:
            The paths.

        Raises:
            ValueError: they cannot be written there.
        """
        texts = {Path(folder, name): text for name, text in self.files().items()}
        for target, text in texts.items():
            with atomic_path(target) as path:
                path.write_text(printable(text) + "\n", encoding="utf-8")
        return list(texts)


def finite_or_none(value: float) -> float | None:
    """Returns a number that JSON can hold, None for nan and infinity.

    Example:

    >>> finite_or_none(np.float64(0.5)), finite_or_none(float("nan"))
    (0.5, None)
    """
    return float(value) if np.isfinite(value) else None


def package_versions(packages: Iterable[str]) -> dict[str, str | None]:
    """Returns the versions of installed packages, None for those that are missing.

    Example:

    >>> package_versions(["no-such-package"])
    {'no-such-package': None}
    """
    versions: dict[str, str | None] = {}
    for package in packages:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = None
    return versions
