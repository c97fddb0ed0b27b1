"""Songs composed from recordings of your own: strokes, notes, loops and sung phrases.

Command:  python -m tonezoo.recipes.corpus.collage FOLDER --drums hits --vocals phrases
Needs:    librosa, pip install "tonezoo[eval]"

Real songs as stems are few; single sounds are many. A track takes tempo, key and chords from
`song_notes`, whose drum and bass parts are played with the recorded strokes and notes, while
phrases and loops are brought to its tempo and its key and laid over it. What there are no
recordings of is played by the instruments of the procedural songs. The parts start and stop.
"""

import argparse
import functools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np

from tonezoo.audio.folders import find_audio
from tonezoo.audio.reader import read_audio
from tonezoo.audio.resampling import resample
from tonezoo.extras import import_extra
from tonezoo.recipes.corpus.instruments import PLAYERS, panned
from tonezoo.recipes.corpus.notes import (
    CLOSED_HAT,
    KICK,
    OPEN_HAT,
    SNARE,
    SOURCES,
    Note,
    Song,
    check_corpus,
    random_stream,
    song_frame,
    song_notes,
)
from tonezoo.recipes.corpus.songs import balanced_stems, write_tracks
from tonezoo.recipes.corpus.speech import add

# A recording of drums with so many onsets is a loop, one with fewer a stroke.
ONSETS_OF_A_LOOP = 4
# Centroids of the spectrum that tell kicks, snares and cymbals apart.
KICK_BELOW_HZ, SNARE_BELOW_HZ = 1000.0, 4500.0
# A recording with a pitch in this share of its frames, which varies by less, is a note.
VOICED_SHARE, SAME_PITCH_SEMITONES = 0.5, 0.7
PITCHED_S = 0.8
# How far a note is moved from the one that was recorded, and a phrase from its tempo.
FARTHEST_SEMITONES = 9
LARGEST_STRETCH = 1.3
RECORDED_SHARE = 0.8
LONGEST_READ_S = 30.0
FADE_S = 0.01
BARS_OF_A_SECTION = 4
PLAYS_SHARE = 0.75
ANALYSIS_RATE_HZ = 22_050

TEMPO_LABEL = re.compile(r"(\d{2,3}(?:\.\d+)?)[\s_-]*bpm", re.IGNORECASE)
PITCH_LABEL = re.compile(r"(?<![A-Za-z])([A-Ga-g][b#]?)(-?\d)(?!\d)")
KEY_LABEL = re.compile(r"(?<![A-Za-z])([A-G][b#]?)[\s_-]*(minor|major|min|maj)(?![a-z])")
PITCH_CLASSES = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
# Krumhansl and Kessler 1982: how well each degree fits a key.
KEY_PROFILES = {
    False: (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88),
    True: (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17),
}


@dataclass(frozen=True)
class Stroke:
    """A recorded stroke of a drum, and the centroid of the spectrum of its first 0.2 s."""

    path: Path
    centroid_hz: float


@dataclass(frozen=True)
class RecordedNote:
    """A recorded note, and its pitch as in MIDI."""

    path: Path
    pitch: float


@dataclass(frozen=True)
class Phrase:
    """A recorded phrase or loop, its tempo, and the pitch class of its key, None for drums."""

    path: Path
    tempo_bpm: float
    key: int | None


Recording = Stroke | RecordedNote | Phrase


def labelled_tempo(name: str) -> float | None:
    """Returns the tempo that a file's name tells, in beats per minute.

    >>> labelled_tempo("Tonight_-_136_BPM_-_A_minor.ogg"), labelled_tempo("take 136")
    (136.0, None)
    """
    found = TEMPO_LABEL.search(name)
    return float(found[1]) if found else None


def labelled_key(name: str) -> int | None:
    """Returns the pitch class of the key that a name tells; of a minor one, the relative major's.

    >>> [labelled_key(name) for name in ("136_BPM_-_A_minor.ogg", "in Eb major", "A_B")]
    [0, 3, None]
    """
    found = KEY_LABEL.search(name)
    if not found:
        return None
    return (pitch_class_of(found[1]) + 3 * found[2].startswith("min")) % 12


def labelled_pitch(name: str) -> float | None:
    """Returns the pitch of a note that a file's name tells, as in MIDI, C4 being 60.

    >>> [labelled_pitch(name) for name in ("eb2_vl3.flac", "A1.wav", "bass_c.flac")]
    [39.0, 33.0, None]
    """
    found = PITCH_LABEL.search(name)
    return 12.0 * (int(found[2]) + 1) + pitch_class_of(found[1]) if found else None


def pitch_class_of(name: str) -> int:
    return PITCH_CLASSES[name[0].upper()] + {"b": -1, "#": 1}.get(name[1:], 0)


def major_of(song: Song) -> int:
    """Returns the pitch class of a song's key, or of its relative major."""
    return (song.key + 3 * song.is_minor) % 12


def find_recordings(folders: Sequence[str | Path], source: str) -> list[Recording]:
    """Returns the audio files under folders, each looked at once.

    Args:
        folders: of recordings of one source.
        source: "drums", "bass", "other" or "vocals".

    Raises:
        ValueError: a folder without audio, or a damaged file.
    """
    return [look_at(path, source) for folder in folders for path in find_audio(folder).files]


def look_at(path: Path, source: str) -> Recording:
    """Returns what can be found out about a recording by its name and by listening to it."""
    librosa = import_librosa()
    samples = read_mono(path, ANALYSIS_RATE_HZ)
    if source == "drums" and count_onsets(samples) < ONSETS_OF_A_LOOP:
        start = samples[: ANALYSIS_RATE_HZ // 5]
        centroid = librosa.feature.spectral_centroid(y=start, sr=ANALYSIS_RATE_HZ)
        return Stroke(path, float(np.mean(centroid)))
    tempo_bpm, key = labelled_tempo(path.name), labelled_key(path.name)
    if source in ("bass", "other") and tempo_bpm is None:
        pitch = labelled_pitch(path.name)
        pitch = single_pitch(samples) if pitch is None else pitch
        if pitch is not None:
            return RecordedNote(path, pitch)
    if tempo_bpm is None:
        tempo_bpm = float(librosa.feature.tempo(y=samples, sr=ANALYSIS_RATE_HZ)[0])
    if key is None and source != "drums":
        key = measured_key(samples)
    return Phrase(path, tempo_bpm, key)


def import_librosa() -> ModuleType:
    """Returns the module librosa, or raises ImportError with the extra to install."""
    return import_extra("librosa", "eval", "Listening to recordings needs")


def count_onsets(samples: np.ndarray) -> int:
    from librosa.onset import onset_detect

    return len(onset_detect(y=samples, sr=ANALYSIS_RATE_HZ))


def single_pitch(samples: np.ndarray) -> float | None:
    """Returns the pitch of a recording that is one note, as in MIDI, or None."""
    import librosa

    frequency_hz, voiced, _ = librosa.pyin(
        samples[: round(PITCHED_S * ANALYSIS_RATE_HZ)], fmin=30.0, fmax=1000.0, sr=ANALYSIS_RATE_HZ
    )
    if voiced.mean() < VOICED_SHARE:
        return None
    pitches = 69 + 12 * np.log2(frequency_hz[voiced] / 440)
    spread = np.percentile(pitches, 75) - np.percentile(pitches, 25)
    return float(np.median(pitches)) if spread < SAME_PITCH_SEMITONES else None


def measured_key(samples: np.ndarray) -> int:
    """Returns the pitch class of the best key; of a minor one, its relative major."""
    import librosa

    chroma = librosa.feature.chroma_stft(y=samples, sr=ANALYSIS_RATE_HZ).mean(axis=1)
    fits = [
        (np.corrcoef(np.roll(profile, tonic), chroma)[0, 1], (tonic + 3 * is_minor) % 12)
        for is_minor, profile in KEY_PROFILES.items()
        for tonic in range(12)
    ]
    return max(fits)[1]


def read_mono(path: Path, sample_rate_hz: int) -> np.ndarray:
    """Returns the start of a recording, (time,) at a rate, with peak 1 unless it is silent."""
    samples, rate_hz = read_audio(path)
    mono = samples[: round(LONGEST_READ_S * rate_hz)].mean(axis=1)
    mono = resample(mono, rate_hz, sample_rate_hz).astype("float32")
    return mono / max(np.abs(mono).max(initial=0), 1e-9)


class Library:
    """Recordings by source, and what is made of them, kept while songs are composed.

    Args:
        recordings: source -> recordings; sources without any are left to the procedural players.
        sample_rate_hz: of the songs.
    """

    def __init__(self, recordings: Mapping[str, Sequence[Recording]], sample_rate_hz: int):
        self.recordings = {source: list(found) for source, found in recordings.items() if found}
        self.rate_hz = sample_rate_hz
        self._read = functools.lru_cache(maxsize=None)(lambda path: read_mono(path, sample_rate_hz))
        self.moved = functools.lru_cache(maxsize=256)(self._moved)
        self.fitted = functools.lru_cache(maxsize=256)(self._fitted)

    def strokes(self) -> list[Stroke]:
        return [r for r in self.recordings.get("drums", ()) if isinstance(r, Stroke)]

    def notes(self, source: str) -> list[RecordedNote]:
        return [r for r in self.recordings.get(source, ()) if isinstance(r, RecordedNote)]

    def phrases(self, source: str) -> list[Phrase]:
        return [r for r in self.recordings.get(source, ()) if isinstance(r, Phrase)]

    def whole(self, recording: Recording) -> np.ndarray:
        """Returns a recording as it is, (time,)."""
        return self._read(recording.path)

    def _moved(self, note: RecordedNote, semitones: float) -> np.ndarray:
        """Returns a note played faster or slower, and so higher or lower, (time,)."""
        faster = 2 ** (semitones / 12)
        return resample(self.whole(note), self.rate_hz * faster, self.rate_hz)

    def _fitted(self, phrase: Phrase, stretch: float, semitones: int) -> np.ndarray:
        """Returns a phrase `stretch` times as fast and some semitones higher, (time,)."""
        from librosa.effects import pitch_shift, time_stretch

        samples = time_stretch(self.whole(phrase), rate=stretch)
        if semitones:
            samples = pitch_shift(samples, sr=self.rate_hz, n_steps=semitones)
        return samples


def play_strokes(
    stem: np.ndarray, rng: np.random.Generator, notes: Sequence[Note], library: Library
) -> None:
    """Adds a drum part to (time, 2), played with a stroke of each kind, drawn once."""
    strokes = library.strokes()
    kinds = {
        KICK: [r for r in strokes if r.centroid_hz < KICK_BELOW_HZ],
        SNARE: [r for r in strokes if KICK_BELOW_HZ <= r.centroid_hz < SNARE_BELOW_HZ],
        CLOSED_HAT: [r for r in strokes if r.centroid_hz >= SNARE_BELOW_HZ],
    }
    chosen = {kind: found[rng.integers(len(found))] for kind, found in kinds.items() if found}
    places = {kind: rng.uniform(-0.3, 0.3) for kind in kinds}
    for note in notes:
        kind = CLOSED_HAT if note.pitch == OPEN_HAT else int(note.pitch)
        if kind in chosen:
            stroke = np.float32(note.velocity**1.5) * library.whole(chosen[kind])
            add(stem, panned(stroke, places[kind]), round(note.start_s * library.rate_hz))


def play_notes(
    stem: np.ndarray,
    rng: np.random.Generator,
    notes: Sequence[Note],
    library: Library,
    source: str,
) -> None:
    """Adds a part to (time, 2), played with the recorded notes of one folder, drawn once."""
    found = library.notes(source)
    folders = sorted({r.path.parent for r in found})
    folder = folders[rng.integers(len(folders))]
    instrument = [r for r in found if r.path.parent == folder]
    place = rng.uniform(-0.3, 0.3)
    for note in notes:
        recording = min(instrument, key=lambda r: abs(r.pitch - note.pitch))
        semitones = note.pitch - recording.pitch
        # In another octave rather than far from how it sounded.
        semitones -= 12 * round(semitones / 12) * (abs(semitones) > FARTHEST_SEMITONES)
        samples = library.moved(recording, round(semitones, 1))
        samples = samples[: round(note.duration_s * library.rate_hz)].copy()
        fade_out(samples, library.rate_hz)
        add(
            stem,
            panned(np.float32(note.velocity) * samples, place),
            round(note.start_s * library.rate_hz),
        )


def play_phrases(
    stem: np.ndarray, rng: np.random.Generator, song: Song, library: Library, source: str
) -> None:
    """Adds phrases or loops to (time, 2), at the song's tempo and in its key, from bar to bar."""
    phrases = library.phrases(source)
    place, bar = rng.uniform(-0.3, 0.3), 0
    while bar < len(song.chords):
        start_s = song.first_beat_s + 4 * bar * song.beat_s
        phrase = phrases[rng.integers(len(phrases))]
        semitones = 0
        if phrase.key is not None:
            semitones = (major_of(song) - phrase.key + 6) % 12 - 6
        stretch = stretch_to(60 / song.beat_s, phrase.tempo_bpm)
        samples = library.fitted(phrase, round(stretch, 2), int(semitones)).copy()
        fade_out(samples, library.rate_hz)
        add(stem, panned(samples, place), round(start_s * library.rate_hz))
        bars = len(samples) / library.rate_hz / (4 * song.beat_s)
        bar += max(1, int(np.ceil(bars - 0.25))) + int(rng.integers(2))


def stretch_to(tempo_bpm: float, recorded_bpm: float) -> float:
    """Returns how much faster a phrase is played: to the tempo, its double or its half.

    >>> stretch_to(120, 100), stretch_to(150, 72), stretch_to(80, 136)
    (1.2, 1.0416666666666667, 1.1764705882352942)
    """
    stretch = tempo_bpm / recorded_bpm
    stretch *= 2.0 ** -round(np.log2(stretch))
    return float(np.clip(stretch, 1 / LARGEST_STRETCH, LARGEST_STRETCH))


def fade_out(samples: np.ndarray, rate_hz: int) -> None:
    fade = min(len(samples), round(FADE_S * rate_hz))
    samples[len(samples) - fade :] *= np.linspace(1.0, 0.0, fade, dtype="float32")


def arranged(
    stems: dict[str, np.ndarray], rng: np.random.Generator, song: Song, rate_hz: int
) -> dict[str, np.ndarray]:
    """Returns stems that start and stop, in sections of four bars, at least one playing in each."""
    section_s = 4 * BARS_OF_A_SECTION * song.beat_s
    samples = len(next(iter(stems.values())))
    edges = np.arange(0, samples, round(section_s * rate_hz))
    plays = rng.random((len(stems), len(edges))) < PLAYS_SHARE
    silent = ~plays.any(axis=0)
    plays[rng.integers(len(stems)), silent] = True
    # A stem that never plays could not be levelled.
    plays[~plays.any(axis=1), 0] = True
    fade = np.ones(2 * round(FADE_S * rate_hz) + 1)
    result = {}
    for (source, stem), play in zip(stems.items(), plays, strict=True):
        gate = np.repeat(play.astype("float64"), np.diff([*edges, samples]))
        padded = np.pad(gate, len(fade) // 2, mode="edge")
        gate = np.convolve(padded, fade / len(fade), mode="valid")
        result[source] = stem * gate[:, None].astype("float32")
    return result


def compose(seed: int, index: int, track_s: float, library: Library) -> dict[str, np.ndarray]:
    """Returns the stems of one song, source -> float32 (time, 2): a function of its arguments."""
    song = song_frame(seed, index, track_s)
    score = song_notes(seed, index, track_s)
    stems = {}
    for source in SOURCES:
        rng = random_stream(seed, index, source)
        stem = np.zeros((round(track_s * library.rate_hz), 2), dtype="float32")
        ways = []
        if source == "drums" and library.strokes():
            ways.append(functools.partial(play_strokes, stem, rng, score[source], library))
        if source in ("bass", "other") and library.notes(source):
            ways.append(functools.partial(play_notes, stem, rng, score[source], library, source))
        if library.phrases(source):
            ways.append(functools.partial(play_phrases, stem, rng, song, library, source))
        if ways and rng.random() < RECORDED_SHARE:
            ways[rng.integers(len(ways))]()
        if not stem.any():
            PLAYERS[source](stem, rng, score[source], library.rate_hz)
        stems[source] = stem
    levels = random_stream(seed, index, "levels")
    return balanced_stems(arranged(stems, levels, song, library.rate_hz), levels, library.rate_hz)


def write_collages(
    folder: str | Path,
    recordings: Mapping[str, Sequence[str | Path]],
    *,
    seed: int = 0,
    tracks: int = 24,
    track_s: float = 24.0,
    sample_rate_hz: int = 44_100,
) -> tuple[Path, ...]:
    """Composes songs of recordings and writes them as folders of WAV files of 32-bit floats.

    Args:
        folder: where the folders of the tracks go; created if needed.
        recordings: source ("drums", "bass", "other", "vocals") -> folders of audio.
        seed: 0 or more; track i is a function of it, of i, the duration, the rate and the
            recordings.
        tracks: number of tracks, 1 or more.
        track_s: duration of a track in seconds, at least 1.
        sample_rate_hz: at least 8000.

    Returns:
        the folders written: drums.wav, bass.wav, other.wav and vocals.wav in each.

    Raises:
        ValueError: an argument is out of range, an unknown source, a folder without audio, a
            damaged recording, or a track's folder that exists or cannot be written.
        ImportError: librosa is missing.
    """
    check_corpus(seed=seed, tracks=tracks, track_s=track_s, sample_rate_hz=sample_rate_hz)
    unknown = sorted(set(recordings) - set(SOURCES))
    if unknown:
        raise ValueError(f"Unknown source {unknown[0]!r}. Give some of {', '.join(SOURCES)}.")
    found = {source: find_recordings(paths, source) for source, paths in recordings.items()}
    library = Library(found, sample_rate_hz)

    def composed() -> Iterator[tuple[str, dict[str, np.ndarray]]]:
        for index in range(tracks):
            yield f"track_{index:03d}", compose(seed, index, track_s, library)

    return write_tracks(folder, composed(), sample_rate_hz)


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs `write_collages` from the command line and prints where the tracks are.

    Raises:
        SystemExit: an argument is wrong, with the reason on stderr.
    """
    parser = argparse.ArgumentParser(
        prog="python -m tonezoo.recipes.corpus.collage",
        description="Compose four-stem songs from recordings of strokes, notes, loops and phrases.",
    )
    parser.add_argument("folder", help="where the folders of the tracks go")
    for option in ("--drums", "--bass", "--other", "--vocals"):
        parser.add_argument(option, nargs="+", default=(), help="folders of recordings")
    parser.add_argument("--tracks", type=int, default=24, help="number of tracks (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="another seed, other songs")
    parser.add_argument("--track-s", type=float, default=24.0, help="seconds (%(default)s)")
    parser.add_argument("--sample-rate-hz", type=int, default=44_100, help="%(default)s")
    options = vars(parser.parse_args(arguments))
    recordings = {source: options.pop(source) for source in SOURCES}
    try:
        paths = write_collages(
            options.pop("folder"), {s: f for s, f in recordings.items() if f}, **options
        )
    except (ImportError, ValueError) as error:
        raise SystemExit(str(error)) from error
    print(f"{len(paths)} tracks in {paths[0].parent}")


if __name__ == "__main__":
    main()
