"""Scores of a source separation model beside the mixture shared out among the sources."""

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import PurePath

import numpy as np

from tonezoo.analysis.published import SEPARATION_SDR
from tonezoo.analysis.scores import Scores
from tonezoo.analysis.separation_metrics import (
    BSS_EVAL,
    SEPARATION_METRICS,
    WINDOW_S,
    bss_eval_frames,
    check_sources,
    import_museval,
    si_sdr_db,
)

# Read nothing into the others: they rest on filters that made-up and decoded music does not fix.
SHOWN = ("sdr_db", "si_sdr_db")


def evaluate_separation(
    separate: Callable[[np.ndarray], Mapping[str, np.ndarray]],
    tracks: Mapping[str, Callable[[], Mapping[str, np.ndarray]]],
    *,
    sources: Sequence[str],
    sample_rate_hz: int,
    model_name: str,
    details: Mapping[str, object] | None = None,
    skip: Callable[[str], None] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> "SeparationScores":
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
        skip: called with the reason where a track's function raises a ValueError, and the track is
            left out; None to raise it.
        progress: called after each track with the number of finished and of all tracks.

    Raises:
        ValueError: there is no track, or none that can be read, fewer than two sources, details
            that JSON cannot hold, a name that cannot be a file's, references or estimates of other
            sources, of another shape, empty or not finite, or the model fails. The message names
            the track.
        ImportError: museval or ffmpeg is missing.
    """
    sources, details = tuple(sources), dict(details or {})
    _check_arguments(tracks, sources, sample_rate_hz, details)
    import_museval()
    measured, problems = {}, []
    for done, (name, load) in enumerate(tracks.items(), 1):
        try:
            references = load()
        except ValueError as error:
            if skip is None:
                raise ValueError(f"Track {name}: {error}") from error
            problems.append(f"Skipped: {error}")
            skip(problems[-1])
        else:
            try:
                measured[name] = _score(separate, references, sources, sample_rate_hz)
            except ValueError as error:
                raise ValueError(f"Track {name}: {error}") from error
        if progress:
            progress(done, len(tracks))
    if not measured:
        raise ValueError(f"None of the {len(tracks)} tracks can be used. {problems[0]}")
    frames, si_sdr, track_samples = zip(*measured.values(), strict=True)
    return separation_scores(
        model_name=model_name,
        sources=sources,
        sample_rate_hz=sample_rate_hz,
        tracks=tuple(measured),
        track_samples=track_samples,
        frames=frames,
        # (track, row, source) -> (row, track, source)
        si_sdr_db=np.array(si_sdr).swapaxes(0, 1),
        details=details,
    )


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class SeparationScores(Scores):
    """Scores of a model and of the mixture / N on the same tracks, with museval's frames.

    Attributes:
        frames: of each track (row, source, measure, frame), measures as in
            `tonezoo.analysis.separation_metrics.BSS_EVAL`; nan where there is no value.
        track_samples: length of each track.
        sample_rate_hz: rate of the tracks.
    """

    frames: tuple[np.ndarray, ...]
    track_samples: tuple[int, ...]
    sample_rate_hz: int

    @property
    def verdict(self) -> str:
        """One sentence: is the model better than the mixture / N in SDR, and in which sources?"""
        model, baseline = self.column("sdr_db")
        if np.isnan(model):
            return f"{self.model_name} cannot be judged: the mean SDR has no value."
        better, worse = [], []
        sdr = self.per_part[:, :, list(self.metrics).index("sdr_db"), 0]
        for part in np.flatnonzero(self.present):
            of_model, of_baseline = sdr[:, part]
            (better if of_model > of_baseline else worse).append(self.parts[part])
        return (
            f"{self.model_name} has a mean SDR of {model:.2f} dB, the {self.rows[1]} of "
            f"{baseline:.2f} dB; it is better in {', '.join(better) or 'no source'}, no better in "
            f"{', '.join(worse) or 'none'}."
        )

    @property
    def gaps(self) -> list[str]:
        """Which frames, tracks and sources lack a value, one sentence per item."""
        total = sum(frames.shape[-1] for frames in self.frames)
        # Of any source: those without a value in one frame mostly have none together.
        valued = [
            sum(int((~np.isnan(f[row, :, 0])).any(axis=0).sum()) for f in self.frames)
            for row in range(2)
        ]
        if min(valued) == total:
            return super().gaps
        counts = "; ".join(
            f"{name}: {count}" for name, count in zip(self.rows, valued, strict=True)
        )
        return [
            "museval gives no source a value in a frame where any reference or estimate is silent: "
            f"of {total} frames, these have one: {counts}.",
            *super().gaps,
        ]

    def files(self) -> dict[str, str]:
        """Returns path -> text: the scores, and museval/TRACK.json with the model's frames.

        The latter are in museval's own format (`TrackStore`), which has NaN for a value that is not
        finite. Those of other tracks, from another evaluation, are let be.

        Raises:
            ImportError: museval or ffmpeg is missing.
        """
        stores = {
            f"museval/{name}.json": self._track_store(track).json
            for track, name in enumerate(self.items)
        }
        return {**super().files(), **stores}

    def _track_store(self, track: int):
        """Returns the model's frames of a track as museval's TrackStore."""
        window_s = min(WINDOW_S, self.track_samples[track] / self.sample_rate_hz)
        store = import_museval().TrackStore(self.items[track], win=window_s, hop=WINDOW_S)
        for source, frames in zip(self.parts, self.frames[track][0], strict=True):
            store.add_target(source, dict(zip(BSS_EVAL, frames.tolist(), strict=True)))
        store.validate()
        return store


def separation_scores(
    *,
    model_name: str,
    sources: Sequence[str],
    sample_rate_hz: int,
    tracks: Sequence[str],
    track_samples: Sequence[int],
    frames: Sequence[np.ndarray],
    si_sdr_db: np.ndarray,
    details: Mapping[str, object] | None = None,
) -> SeparationScores:
    """Returns the scores of a model and of the mixture / N from what was measured.

    Of a source the median over tracks counts, and of a track that over the frames with a value; the
    summary is the mean of the sources' medians.

    Args:
        model_name: name of the model's row.
        sources: their names.
        sample_rate_hz: rate of the tracks.
        tracks: their names.
        track_samples: length of each track.
        frames: of each track (row, source, measure, frame), see `SeparationScores`.
        si_sdr_db: (row, track, source); nan where the reference is silent.
        details: options of the separation, as JSON types.

    Example: of a track, two sources in three frames, in one of which there is silence.

    >>> import numpy as np
    >>> sdr = np.array([[[2.0, 3.0, np.nan], [4.0, 8.0, np.nan]], np.zeros((2, 3))])
    >>> scores = separation_scores(
    ...     model_name="model",
    ...     sources=("drums", "bass"),
    ...     sample_rate_hz=44_100,
    ...     tracks=("a",),
    ...     track_samples=(3 * 44_100,),
    ...     frames=(np.repeat(sdr[:, :, None], 4, axis=2),),
    ...     si_sdr_db=np.zeros((2, 1, 2)),
    ... )
    >>> scores.per_part[:, :, 0, 0]  # SDR: (row, source)
    array([[2.5, 6. ],
           [0. , 0. ]])
    >>> scores.column("sdr_db")
    array([4.25, 0.  ])
    """
    details = dict(details or {})
    options = "; ".join(f"{name} {value}" for name, value in details.items())
    seconds = sum(track_samples) / sample_rate_hz
    baseline = f"mixture / {len(sources)}"
    # (track, row, source, measure) -> (row, track, source, measure)
    medians = np.array([_nanmedian(f) for f in frames]).swapaxes(0, 1)
    return SeparationScores(
        title=f"{model_name}, separation into {', '.join(sources)}",
        rows=(model_name, baseline),
        items=tuple(tracks),
        metrics=SEPARATION_METRICS,
        values=np.concatenate([medians, np.asarray(si_sdr_db)[..., None]], axis=-1),
        parts=tuple(sources),
        average="median",
        item_word="track",
        part_word="source",
        shown=SHOWN,
        published={name: {"sdr_db": sdr} for name, sdr in SEPARATION_SDR.items()},
        facts={
            "sample_rate_hz": sample_rate_hz,
            "details": details,
            "track_s": [samples / sample_rate_hz for samples in track_samples],
        },
        remarks=(
            *([f"Options: {options}."] if options else []),
            f"{sample_rate_hz} Hz, float output. Tracks ({len(tracks)}, {seconds:.0f} s): "
            f"{'; '.join(tracks)}.",
            f"{baseline}: each source's estimate is the mixture, the sum of the references, "
            "divided by the number of sources.",
            "Rows named paper are published mean SDRs (Pons et al. 2021, Table 1) on the 50 test "
            "tracks of MUSDB18: not comparable with other data.",
        ),
        packages=("museval",),
        frames=tuple(frames),
        track_samples=tuple(track_samples),
        sample_rate_hz=sample_rate_hz,
    )


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


def _score(separate, references, sources, sample_rate_hz) -> tuple[np.ndarray, list, int]:
    """Returns frames (row, source, measure, frame), SI-SDR (row, source) and length of a track."""
    references = check_sources(references, "reference", sources)
    mixture = sum(references.values()).astype("float32")
    shared_out = dict.fromkeys(sources, mixture / len(sources))
    frames, si_sdr = [], []
    for estimates in (separate(mixture), shared_out):
        measured = bss_eval_frames(references, estimates, sample_rate_hz)
        frames.append([[measured[source][name] for name in BSS_EVAL] for source in sources])
        si_sdr.append([si_sdr_db(references[source], estimates[source]) for source in sources])
    return np.array(frames), si_sdr, len(mixture)


def _nanmedian(values: np.ndarray) -> np.ndarray:
    """Returns the median over the last axis of what is not nan; nan where everything is."""
    nothing = np.isnan(values).all(axis=-1)
    with np.errstate(invalid="ignore"):
        # nanmedian warns of slices that have no value.
        medians = np.nanmedian(np.where(nothing[..., None], 0, values), axis=-1)
    return np.where(nothing, np.nan, medians)
