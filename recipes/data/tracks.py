"""Multitrack music: folders with one file per source, and MUSDB18's stem files."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from tonezoo.audio import SOURCES
from tonezoo.audio.folders import AUDIO_SUFFIXES, is_audio, left_out_line
from tonezoo.audio.reader import AudioReader, read_audio
from tonezoo.audio.resampling import resample
from tonezoo.files import walk_files
from tonezoo.recipes.data.layouts import DataSplit, composed, held_out

TRACK_LAYOUTS = ("folder", "musdb")
STEM_SUFFIX = ".stem.mp4"
# The order of the streams in a stem file of MUSDB18.
STEM_STREAMS = ("mixture", *SOURCES)
# The usual 14 of the 100 training tracks of MUSDB18, as in the package musdb.
VALIDATION_TRACKS = frozenset(
    {
        "ANiMAL - Rockshow",
        "Actions - One Minute Smile",
        "Alexander Ross - Goodbye Bolero",
        "Clara Berry And Wooldog - Waltz For My Victims",
        "Fergessen - Nos Palpitants",
        "James May - On The Line",
        "Johnny Lokke - Promises & Lies",
        "Leaf - Summerghost",
        "Meaxic - Take A Step",
        "Patrick Talbot - A Reason To Leave",
        "Skelpolu - Human Mistakes",
        "Traffic Experiment - Sirens",
        "Triviul - Angelsaint",
        "Young Griffo - Pennies",
    }
)


def find_tracks(
    root: str | os.PathLike,
    *,
    sources: Sequence[str],
    layout: str = "auto",
    hold_out: str | Iterable[str] = (),
    report: Callable[[str], None] = print,
) -> DataSplit:
    """Returns the tracks under a folder, split by a layout known by name.

    A track is a folder with audio files named after sources (drums.wav, vocals.flac ...; others,
    such as mixture.wav, are not looked at), or a stem file of MUSDB18 (NAME.stem.mp4).

    - `musdb`: MUSDB18 (stem files) or MUSDB18-HQ (WAV), with the folders train and test: of train
      86 tracks train and the usual 14 are for validation; test is tested on.
    - `folder`: every track trains, except those held out, which are the test set.
    - `auto`: `musdb` where there are the folders train and test, else `folder`.

    Args:
        root: the folder.
        sources: names of the sources.
        layout: "auto" or one of the names above.
        hold_out: shell patterns, as in `tonezoo.recipes.data.layouts.find_clips`.
        report: called with a line where sources are left out because their format is not read.

    Raises:
        ValueError: no such folder, no track in it, not the layout asked for, a pattern that matches
            nothing, or nothing left to train on.

    Example:

    >>> import pathlib, tempfile
    >>> root = pathlib.Path(tempfile.mkdtemp())
    >>> for name in ("a/drums.wav", "a/bass.wav", "b/drums.wav", "notes/notes.txt"):
    ...     (root / name).parent.mkdir(exist_ok=True)
    ...     (root / name).touch()
    >>> tracks = find_tracks(root, sources=("drums", "bass"), hold_out="b")
    >>> [path.name for path in tracks.train], [path.name for path in tracks.test], tracks.layout
    (['a'], ['b'], 'folder')
    """
    if layout not in ("auto", *TRACK_LAYOUTS):
        raise ValueError(f"Unknown layout {layout!r}. Known: auto, {', '.join(TRACK_LAYOUTS)}.")
    root = Path(root)
    if not root.is_dir():
        raise ValueError(f"There is no folder {root}. Give the folder that holds the tracks.")
    paths, left_out = _track_paths(root, sources)
    if left_out and paths:
        report(left_out)
    if not paths:
        raise ValueError(
            f"No track was found in {root} or below. A track is a folder with one file per source "
            f"({', '.join(sources)}; {', '.join(AUDIO_SUFFIXES)}) or a file NAME{STEM_SUFFIX}. "
            f"{left_out or ''}".rstrip()
        )
    subsets = {name: [p for p in paths if p.parent == root / name] for name in ("train", "test")}
    if layout == "auto":
        layout = "musdb" if all(subsets.values()) else "folder"
    validation: list[Path] = []
    if layout == "musdb":
        if not subsets["train"]:
            raise ValueError(
                f"{root} is not MUSDB18: it has no tracks in {root / 'train'}. Give the folder "
                'that holds train and test, or use layout="folder".'
            )
        usual = {p for p in subsets["train"] if track_name(Path(p.name)) in VALIDATION_TRACKS}
        train, validation = [p for p in subsets["train"] if p not in usual], sorted(usual)
        test = subsets["test"]
    else:
        train, test = paths, []
    patterns = (hold_out,) if isinstance(hold_out, str) else hold_out
    test = sorted(held_out(root, paths, patterns, "tracks").union(test))
    train = sorted(set(train).difference(test))
    validation = sorted(set(validation).difference(test))
    if not train:
        raise ValueError(
            f"Nothing is left to train on in {root}: its {len(paths)} tracks ({layout} layout) are "
            "all held out or set apart. Hold out less, or give a folder with more tracks."
        )
    return DataSplit(
        train=tuple(train),
        test=tuple(test),
        layout=layout,
        root=root,
        validation=tuple(validation),
    )


def track_name(path: Path) -> str:
    """Returns the name of a track: its folder's, or its stem file's without suffix."""
    return path.as_posix().removesuffix(STEM_SUFFIX)


def _track_paths(root: Path, sources: Sequence[str]) -> tuple[list[Path], str | None]:
    """Returns the tracks, and a line on the sources that are left out, if any."""
    found, of_sources, names = set(), [], {composed(source) for source in sources}
    for path in walk_files(root):
        if path.name.endswith(STEM_SUFFIX):
            found.add(path)
        elif composed(path.stem) in names:
            of_sources.append(path)
    found.update(path.parent for path in of_sources if is_audio(path))
    return sorted(found), left_out_line(of_sources, root)


def source_files(track: Path, sources: Sequence[str]) -> dict[str, Path]:
    """Returns source -> file of a track's folder.

    Raises:
        ValueError: a source has no file, or several.
    """
    files = {}
    for source in sources:
        found = [
            path
            for path in sorted(track.iterdir())
            if composed(path.stem) == composed(source) and is_audio(path)
        ]
        if not found:
            raise ValueError(
                f"{track} lacks {source}. Give it a file {source}.wav, a silent one where the "
                "track has no such source."
            )
        if len(found) > 1:
            raise ValueError(
                f"{track} has {found[0].name} and {found[1].name}. Keep one file per source."
            )
        files[source] = found[0]
    return files


def read_track(
    track: Path, *, sources: Sequence[str], sample_rate_hz: int, channels: int, report=print
) -> np.ndarray:
    """Returns the sources of a track, float32 (source, time, channels), at a rate.

    Sources that are shorter than the longest are silent to its end.

    Args:
        track: a folder, or a stem file.
        sources: names, in the order of the result.
        sample_rate_hz: the result's rate; others are resampled.
        channels: the result's; mono is copied to all channels, more channels are averaged to mono.
        report: called with a line where sources differ in length.

    Raises:
        ValueError: a source is missing or cannot be read, or its channels do not fit.
    """
    stems = {}
    for source, (samples, rate_hz) in _decoded(track, sources):
        stems[source] = fit_channels(
            resample(np.ascontiguousarray(samples), rate_hz, sample_rate_hz), channels, track
        )
    lengths = {source: len(samples) for source, samples in stems.items()}
    longest = max(lengths.values())
    if longest == 0:
        raise ValueError(f"{track} holds less than one sample at {sample_rate_hz} Hz.")
    short = [source for source in sources if lengths[source] < longest]
    if short:
        missing_s = (longest - min(lengths.values())) / sample_rate_hz
        report(
            f"{track}: {', '.join(short)} shorter than the longest source, by {missing_s:.2f} s at "
            "most; taken as silent there."
        )
    padded = [np.pad(stems[s], ((0, longest - lengths[s]), (0, 0))) for s in sources]
    return np.stack(padded).astype("float32", copy=False)


def fit_channels(samples: np.ndarray, channels: int, name) -> np.ndarray:
    """Returns samples (time, any channels) with `channels` channels.

    Raises:
        ValueError: neither mono nor as many as asked for, unless mono is.
    """
    if samples.shape[1] == channels:
        return samples
    if channels == 1:
        return samples.mean(axis=1, keepdims=True)
    if samples.shape[1] == 1:
        return np.repeat(samples, channels, axis=1)
    raise ValueError(
        f"{name} has {samples.shape[1]} channels, but the model takes {channels}. Mix it down to "
        f"{channels} channels or to mono."
    )


def _decoded(track: Path, sources: Sequence[str]) -> Iterator:
    """Yields each source with its samples (time, channels) and its rate."""
    if track.is_dir():
        for source, path in source_files(track, sources).items():
            yield source, read_audio(path)
        return
    foreign = sorted(set(sources) - set(STEM_STREAMS))
    if foreign:
        raise ValueError(
            f"{track} has no source {', '.join(foreign)}: stem files hold {', '.join(SOURCES)}."
        )
    stempeg = import_stempeg()
    try:
        stems, rate_hz = stempeg.read_stems(str(track), dtype=np.float32)
    # What ffmpeg's wrapper raises for a bad file has no common base class.
    except Exception as error:
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise ValueError(f"{track} cannot be decoded by ffmpeg: {reason[-1]}.") from error
    if stems.ndim != 3 or len(stems) != len(STEM_STREAMS):
        raise ValueError(
            f"{track} holds {len(stems) if stems.ndim == 3 else 1} streams of audio instead of "
            f"{len(STEM_STREAMS)} ({', '.join(STEM_STREAMS)}). Get a complete copy."
        )
    for source in sources:
        yield source, (stems[STEM_STREAMS.index(source)], int(rate_hz))


def import_stempeg():
    """Returns the module stempeg, which decodes the stem files of MUSDB18.

    Raises:
        ImportError: it, or ffmpeg, is missing; says what to install.
    """
    try:
        import stempeg
    except ImportError as error:
        raise ImportError(
            'Stem files (.stem.mp4) need the package musdb: pip install "tonezoo[musdb]". WAV '
            "folders, such as MUSDB18-HQ, do not."
        ) from error
    except RuntimeError as error:
        raise ImportError(
            "Stem files (.stem.mp4) need ffmpeg and ffprobe on the path: apt install ffmpeg, brew "
            "install ffmpeg. WAV folders, such as MUSDB18-HQ, do not."
        ) from error
    return stempeg


def plays_in_place(track: Path, sources: Sequence[str], sample_rate_hz: int) -> bool:
    """Tells whether a track can be read from its files at any position, at that rate."""
    if not track.is_dir():
        return False
    lengths = set()
    for path in source_files(track, sources).values():
        with AudioReader(path) as audio:
            if audio.sample_rate_hz != sample_rate_hz or not audio.seeks_exactly:
                return False
            lengths.add(audio.frames)
    return len(lengths) == 1
