"""Evaluation of a source separation model beside the mixture shared out among the sources."""

import dataclasses
import functools
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path, PurePath

import numpy as np

from tonezoo.analysis.evaluation_table import NO_VALUE, markdown_row
from tonezoo.analysis.published import SEPARATION_SDR
from tonezoo.analysis.reporting import finite_or_none, package_versions
from tonezoo.analysis.separation_metrics import (
    BSS_EVAL,
    SEPARATION_METRICS,
    WINDOW_S,
    bss_eval_frames,
    check_sources,
    import_museval,
    si_sdr_db,
)
from tonezoo.files import atomic_path

VERSIONED = ("tonezoo", "keras", "tensorflow", "numpy", "scipy", "museval")
# The others are in the JSON file.
TABLES = ("sdr_db", "si_sdr_db")


def evaluate_separation(
    separate: Callable[[np.ndarray], Mapping[str, np.ndarray]],
    tracks: Mapping[str, Callable[[], Mapping[str, np.ndarray]]],
    *,
    sources: Sequence[str],
    sample_rate_hz: int,
    model_name: str,
    details: Mapping[str, object] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> "SeparationEvaluation":
    """Scores a model, and the mixture divided by the number of sources, on the same tracks.

    A track's mixture is the sum of its references. The row "mixture / N" takes the mixture, divided
    by the number of sources, for the estimate of each: what can be had without separating. Nothing
    is rounded or clipped.

    Args:
        separate: function from a mixture, float32 (time, channels), to the estimate
            (time, channels) of each source.
        tracks: name of each track, and a function that returns the reference (time, channels), full
            scale 1.0, of each source. It is called when the track's turn comes, so that one track
            at a time is in memory. Names become those of files, folders before a slash included.
        sources: names of the sources, two or more, in the order of tables.
        sample_rate_hz: sample rate of all signals.
        model_name: name of the model's row.
        details: options to be written down, such as shifts and overlap: names and JSON types.
        progress: called after each track with the number of finished and of all tracks.

    Raises:
        ValueError: there is no track, fewer than two sources, details that JSON cannot hold, a name
            that cannot be a file's, references or estimates of other sources, of another shape,
            empty or not finite, or the model fails. The message names the track.
        ImportError: museval or ffmpeg is missing.
    """
    sources, details = tuple(sources), dict(details or {})
    _check_arguments(tracks, sources, sample_rate_hz, details)
    import_museval()
    frames, si_sdr, samples = [], [], []
    for name, load in tracks.items():
        try:
            references = check_sources(load(), "reference", sources)
            mixture = sum(references.values()).astype("float32")
            shared_out = dict.fromkeys(sources, mixture / len(sources))
            estimates = separate(mixture)
            rows = [_measure(references, row, sample_rate_hz) for row in (estimates, shared_out)]
        except ValueError as error:
            raise ValueError(f"Track {name}: {error}") from error
        frames.append(np.array([row[0] for row in rows]))
        si_sdr.append([row[1] for row in rows])
        samples.append(len(mixture))
        if progress:
            progress(len(frames), len(tracks))
    return SeparationEvaluation(
        model_name=model_name,
        sources=sources,
        sample_rate_hz=sample_rate_hz,
        details=details,
        track_names=tuple(tracks),
        track_samples=tuple(samples),
        frames=tuple(frames),
        # (track, row, source) -> (row, track, source)
        si_sdr_db=np.array(si_sdr).swapaxes(0, 1),
    )


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class SeparationEvaluation:
    """Scores of a model and of the mixture / N on the same tracks.

    Attributes:
        details: options of the separation.
        track_samples: length of each track.
        frames: of each track (row, source, measure, frame), rows as in `row_names`, measures as in
            `tonezoo.analysis.separation_metrics.BSS_EVAL`; nan where there is no value.
        si_sdr_db: (row, track, source); nan where the reference is silent.

    Example: of a track, two sources in three frames, in one of which there is silence.

    >>> import numpy as np
    >>> sdr = np.array([[[2.0, 3.0, np.nan], [4.0, 8.0, np.nan]], np.zeros((2, 3))])
    >>> evaluation = SeparationEvaluation(
    ...     model_name="model",
    ...     sources=("drums", "bass"),
    ...     sample_rate_hz=44_100,
    ...     track_names=("a",),
    ...     track_samples=(3 * 44_100,),
    ...     frames=(np.repeat(sdr[:, :, None], 4, axis=2),),
    ...     si_sdr_db=np.zeros((2, 1, 2)),
    ... )
    >>> evaluation.per_source[:, :, 0]  # SDR: (row, source)
    array([[2.5, 6. ],
           [0. , 0. ]])
    >>> evaluation.means[:, 0]
    array([4.25, 0.  ])
    """

    model_name: str
    sources: tuple[str, ...]
    sample_rate_hz: int
    details: Mapping[str, object] = dataclasses.field(default_factory=dict)
    track_names: tuple[str, ...]
    track_samples: tuple[int, ...]
    frames: tuple[np.ndarray, ...]
    si_sdr_db: np.ndarray

    @property
    def baseline_name(self) -> str:
        return f"mixture / {len(self.sources)}"

    @property
    def row_names(self) -> tuple[str, str]:
        return self.model_name, self.baseline_name

    @functools.cached_property
    def scores(self) -> np.ndarray:
        """Score of each track, (row, track, source, metric), metrics as in `SEPARATION_METRICS`.

        Those of BSSEval are the median over the frames that have a value; nan where none has.
        """
        medians = [_nanmedian(frames) for frames in self.frames]
        # (track, row, source, measure) -> (row, track, source, measure)
        bss_eval = np.array(medians).swapaxes(0, 1)
        return np.concatenate([bss_eval, self.si_sdr_db[..., None]], axis=-1)

    @property
    def valid_tracks(self) -> np.ndarray:
        """Which tracks enter a source's medians: those with a value in both rows.

        Shape (track, source, metric).
        """
        return ~np.isnan(self.scores).any(axis=0)

    @functools.cached_property
    def per_source(self) -> np.ndarray:
        """Median over the valid tracks, (row, source, metric); nan where no track is valid."""
        # (row, track, source, metric) -> (row, source, metric, track)
        return _nanmedian(np.moveaxis(np.where(self.valid_tracks, self.scores, np.nan), 1, -1))

    @property
    def present_sources(self) -> np.ndarray:
        """Which sources are not silent in all tracks, (source,)."""
        # SI-SDR lacks a value where the reference is silent, and only there.
        return ~np.isnan(self.si_sdr_db).all(axis=(0, 1))

    @functools.cached_property
    def means(self) -> np.ndarray:
        """Mean over the present sources of `per_source`, (row, metric).

        nan where a present source has no value: a mean without it could not be compared.
        """
        if not self.present_sources.any():
            return np.full((2, len(SEPARATION_METRICS)), np.nan)
        with np.errstate(invalid="ignore"):
            return self.per_source[:, self.present_sources].mean(axis=1)

    @property
    def verdict(self) -> str:
        """One sentence: is the model better than the mixture / N in SDR, and in which sources?"""
        model, baseline = self.means[:, 0]
        if np.isnan(model):
            return f"{self.model_name} cannot be judged: the mean SDR has no value."
        better, worse = [], []
        scores = self.per_source[:, self.present_sources, 0].T
        names = np.array(self.sources)[self.present_sources]
        for source, (of_model, of_baseline) in zip(names, scores, strict=True):
            (better if of_model > of_baseline else worse).append(str(source))
        return (
            f"{self.model_name} has a mean SDR of {model:.2f} dB, the {self.baseline_name} of "
            f"{baseline:.2f} dB; it is better in {', '.join(better) or 'no source'}, no better in "
            f"{', '.join(worse) or 'none'}."
        )

    @property
    def gaps(self) -> list[str]:
        """Which frames, tracks and sources lack a value, one sentence per item."""
        sentences = []
        total = sum(frames.shape[-1] for frames in self.frames)
        # Of any source: those without a value in one frame mostly have none together.
        valued = [
            sum(int((~np.isnan(f[row, :, 0])).any(axis=0).sum()) for f in self.frames)
            for row in range(2)
        ]
        if min(valued) < total:
            counts = "; ".join(
                f"{name}: {count}" for name, count in zip(self.row_names, valued, strict=True)
            )
            sentences.append(
                "museval gives no source a value in a frame where any reference or estimate is "
                f"silent: of {total} frames, these have one: {counts}."
            )
        for source in np.flatnonzero(self.present_sources):
            for metric, (key, (title, *_)) in enumerate(SEPARATION_METRICS.items()):
                valid = self.valid_tracks[:, source, metric]
                if key in TABLES and not valid.all():
                    sentences.append(
                        f"{title}, {self.sources[source]}: {valid.sum()} of {len(valid)} tracks "
                        "have a value in both rows, the others are left out."
                    )
        silent = [s for s, p in zip(self.sources, self.present_sources, strict=True) if not p]
        if silent:
            sentences.append(f"Silent in all tracks and left out of means: {', '.join(silent)}.")
        return sentences

    @property
    def notes(self) -> list[str]:
        """What a reader of the tables has to know, one note per item."""
        options = "; ".join(f"{name} {value}" for name, value in self.details.items())
        seconds = sum(self.track_samples) / self.sample_rate_hz
        versions = ", ".join(
            f"{name} {version}" for name, version in package_versions(VERSIONED).items()
        )
        return [
            *([f"Options: {options}."] if options else []),
            f"{self.sample_rate_hz} Hz, float output. Tracks ({len(self.track_names)}, "
            f"{seconds:.0f} s): {'; '.join(self.track_names)}.",
            "Of each source the median over tracks; the mean is that of the sources' medians.",
            f"{self.baseline_name}: each source's estimate is the mixture, the sum of the "
            "references, divided by the number of sources.",
            *(f"{metric.title}: {metric.definition}." for metric in SEPARATION_METRICS.values()),
            "Rows named paper are published mean SDRs (Pons et al. 2021, Table 1) on the 50 test "
            "tracks of MUSDB18: not comparable with other data.",
            *self.gaps,
            f"Versions: {versions}.",
        ]

    def to_json(self) -> dict:
        """Returns everything but the frames as JSON types, null where a value is not finite."""
        rows = []
        for row, name in enumerate(self.row_names):
            cells = {}
            for metric, key in enumerate(SEPARATION_METRICS):
                per_source = zip(self.sources, self.per_source[row, :, metric], strict=True)
                per_track = zip(self.sources, self.scores[row, :, :, metric].T, strict=True)
                cells[key] = {
                    "mean": finite_or_none(self.means[row, metric]),
                    "per_source": {source: finite_or_none(value) for source, value in per_source},
                    "per_track": {s: [finite_or_none(value) for value in v] for s, v in per_track},
                }
            rows.append({"name": name, "metrics": cells})
        return {
            "model": self.model_name,
            "sources": list(self.sources),
            "sample_rate_hz": self.sample_rate_hz,
            "details": dict(self.details),
            "metrics": {key: metric._asdict() for key, metric in SEPARATION_METRICS.items()},
            "tracks": list(self.track_names),
            "track_s": [samples / self.sample_rate_hz for samples in self.track_samples],
            "rows": rows,
            "paper": {name: {"sdr_db": sdr} for name, sdr in SEPARATION_SDR.items()},
            "verdict": self.verdict,
            "notes": self.notes,
            "versions": package_versions(VERSIONED),
        }

    def to_markdown(self) -> str:
        """Returns the tables, the verdict and the notes as Markdown."""
        lines = [f"# {self.model_name}, separation into {', '.join(self.sources)}", ""]
        for title, columns, rows in self._tables():
            lines += [
                markdown_row([title, *columns]),
                markdown_row(["---", *("---:" for _ in columns)]),
                *(markdown_row([name, *cells]) for name, cells in rows),
                "",
            ]
        lines += [f"**{self.verdict}**", ""]
        return "\n".join(lines + [f"- {note}" for note in self.notes])

    def print(self, console=None) -> None:
        """Prints the tables, the verdict and the notes to a rich console, or to standard output."""
        from rich.box import SIMPLE_HEAD
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        console = console or Console()
        for title, columns, rows in self._tables():
            table = Table(box=SIMPLE_HEAD, padding=0)
            table.add_column(Text(title), max_width=28)
            for column in columns:
                table.add_column(Text(column), justify="right", min_width=7)
            for name, cells in rows:
                # Text, because a name in square brackets would be read as markup.
                style = "bold" if name == self.model_name else None
                table.add_row(*map(Text, [name, *cells]), style=style)
            console.print(table)
        console.print(Text(self.verdict, style="bold"))
        console.print(Text("\n".join(self.notes), style="dim"))

    def write(self, folder: str | os.PathLike) -> list[Path]:
        """Writes evaluation.json, evaluation.md and museval/TRACK.json, each whole or not at all.

        The latter hold the model's frames in museval's own format (`TrackStore`), which has NaN for
        a value that is not finite. Those of other tracks, from another evaluation, are let be.

        Returns:
            Their paths.

        Raises:
            ValueError: they cannot be written there.
            ImportError: museval or ffmpeg is missing.
        """
        folder = Path(folder)
        texts = {
            folder / "evaluation.json": json.dumps(self.to_json(), indent=2, allow_nan=False),
            folder / "evaluation.md": self.to_markdown(),
        }
        for track, name in enumerate(self.track_names):
            texts[folder / "museval" / f"{name}.json"] = self._track_store(track).json
        for target, text in texts.items():
            with atomic_path(target) as path:
                path.write_text(text + "\n", encoding="utf-8")
        return list(texts)

    def _track_store(self, track: int):
        """Returns the model's frames of a track as museval's TrackStore."""
        window_s = min(WINDOW_S, self.track_samples[track] / self.sample_rate_hz)
        store = import_museval().TrackStore(self.track_names[track], win=window_s, hop=WINDOW_S)
        for source, frames in zip(self.sources, self.frames[track][0], strict=True):
            store.add_target(source, dict(zip(BSS_EVAL, frames.tolist(), strict=True)))
        store.validate()
        return store

    def _tables(self) -> Iterator[tuple[str, list[str], list[tuple[str, list[str]]]]]:
        """Yields title, columns, and name and cells of each row, the paper's at the end."""
        columns = [*self.sources, "mean"]
        for key in TABLES:
            metric = list(SEPARATION_METRICS).index(key)
            scores = zip(self.per_source[..., metric], self.means[:, metric], strict=True)
            rows = [
                (name, [_cell(value) for value in (*per_source, mean)])
                for name, (per_source, mean) in zip(self.row_names, scores, strict=True)
            ]
            if key == "sdr_db":
                for name, sdr in SEPARATION_SDR.items():
                    rows.append((f"paper {name}", [NO_VALUE] * len(self.sources) + [_cell(sdr)]))
            yield SEPARATION_METRICS[key].title, columns, rows


def _check_arguments(tracks, sources, sample_rate_hz, details) -> None:
    if not tracks:
        raise ValueError("There is no track to evaluate on: `tracks` is empty.")
    if len(set(sources)) < max(2, len(sources)):
        raise ValueError(f"`sources` must be two or more different names, received {sources}.")
    if not isinstance(sample_rate_hz, int | np.integer) or sample_rate_hz < 1:
        raise ValueError(
            f"The sample rate must be a whole number of Hz, received {sample_rate_hz}."
        )
    try:
        json.dumps(details, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ValueError(f"`details` cannot be written as JSON ({error}): {details}.") from error
    for name in tracks:
        path = PurePath(name)
        if not path.name or path.is_absolute() or ".." in path.parts:
            raise ValueError(
                f"Track {name!r}: a file is named after it, so it must be a relative path without "
                "'..'. Choose another name."
            )


def _measure(references, estimates, sample_rate_hz) -> tuple[list, list]:
    """Returns the frames (source, measure, frame) and the SI-SDR (source,)."""
    frames = bss_eval_frames(references, estimates, sample_rate_hz)
    return (
        [[frames[source][name] for name in BSS_EVAL] for source in references],
        [si_sdr_db(references[source], estimates[source]) for source in references],
    )


def _nanmedian(values: np.ndarray) -> np.ndarray:
    """Returns the median over the last axis of what is not nan; nan where everything is."""
    nothing = np.isnan(values).all(axis=-1)
    with np.errstate(invalid="ignore"):
        # nanmedian warns of slices that have no value.
        medians = np.nanmedian(np.where(nothing[..., None], 0, values), axis=-1)
    return np.where(nothing, np.nan, medians)


def _cell(value: float) -> str:
    return NO_VALUE if np.isnan(value) else f"{value:.2f}"
