"""Songs composed from recordings of your own: strokes, notes, loops and sung phrases.

Command:  python -m tonezoo.recipes.corpus.collage FOLDER --drums hits --vocals phrases
Needs:    librosa, pip install "tonezoo[eval]"

Real songs as stems are few; single sounds are many. A track takes tempo, key and chords from
`song_notes`, whose drum and bass parts are played with the recorded strokes and notes, while
phrases and loops are brought to its tempo and its key and laid over it. What there are no
recordings of is played by the instruments of the procedural songs. Some songs have the deep bass of
electronic music, some its long kick. The parts start and stop.
"""

import argparse
import functools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from tonezoo.audio.resampling import resample
from tonezoo.recipes.corpus.instruments import PLAYERS, electronic_kick, panned, play_sub_bass
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
from tonezoo.recipes.corpus.recordings import (
    Phrase,
    RecordedNote,
    Recording,
    Stroke,
    find_recordings,
    read_mono,
)
from tonezoo.recipes.corpus.songs import balanced_stems, write_tracks
from tonezoo.recipes.corpus.speech import add

# Centroids of the spectrum that tell kicks, snares and cymbals apart.
KICK_BELOW_HZ, SNARE_BELOW_HZ = 1000.0, 4500.0
# How far a note is moved from the one that was recorded, and a phrase from its tempo.
FARTHEST_SEMITONES = 9
LARGEST_STRETCH = 1.3
# How far a stroke is tuned, drawn once for each kind.
LARGEST_TUNING_SEMITONES = 5.0
SUB_BASS_SHARE = 0.4
ELECTRONIC_KICK_SHARE = 0.5
NO_KICK_SHARE = 0.2
RECORDED_SHARE = 0.8
FADE_S = 0.01
BARS_OF_A_SECTION = 4
PLAYS_SHARE = 0.75


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

    def _moved(self, recording: Recording, semitones: float) -> np.ndarray:
        """Returns a recording played faster or slower, and so higher or lower, (time,)."""
        faster = 2 ** (semitones / 12)
        return resample(self.whole(recording), self.rate_hz * faster, self.rate_hz)

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
    """Adds a drum part to (time, 2), played with a stroke of each kind, drawn and tuned once.

    Some parts have the kick of electronic music, and some have none.
    """
    strokes = library.strokes()
    kinds = {
        KICK: [r for r in strokes if r.centroid_hz < KICK_BELOW_HZ],
        SNARE: [r for r in strokes if KICK_BELOW_HZ <= r.centroid_hz < SNARE_BELOW_HZ],
        CLOSED_HAT: [r for r in strokes if r.centroid_hz >= SNARE_BELOW_HZ],
    }
    chosen = {kind: found[rng.integers(len(found))] for kind, found in kinds.items() if found}
    places = {kind: rng.uniform(-0.3, 0.3) for kind in kinds}
    limit = LARGEST_TUNING_SEMITONES
    tuned = {
        kind: library.moved(stroke, round(rng.uniform(-limit, limit), 1))
        for kind, stroke in chosen.items()
    }
    if rng.random() < ELECTRONIC_KICK_SHARE:
        tuned[KICK] = electronic_kick(rng, library.rate_hz).astype("float32")
    if rng.random() < NO_KICK_SHARE:
        tuned.pop(KICK, None)
    for note in notes:
        kind = CLOSED_HAT if note.pitch == OPEN_HAT else int(note.pitch)
        if kind in tuned:
            stroke = np.float32(note.velocity**1.5) * tuned[kind]
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


def major_of(song: Song) -> int:
    """Returns the pitch class of a song's key, or of its relative major."""
    return (song.key + 3 * song.is_minor) % 12


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
    section = round(4 * BARS_OF_A_SECTION * song.beat_s * rate_hz)
    samples = len(next(iter(stems.values())))
    # The last is half as long as the others or longer.
    edges = section * np.arange(max(1, round(samples / section)))
    sounds = np.array([[part.any() for part in np.split(x, edges[1:])] for x in stems.values()])
    plays = rng.random(sounds.shape) < PLAYS_SHARE
    silent = ~plays.any(axis=0)
    plays[rng.integers(len(stems)), silent] = True
    # A stem that is never heard could not be levelled.
    unheard = ~(plays & sounds).any(axis=1)
    plays[unheard, sounds[unheard].argmax(axis=1)] = True
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
        if source == "bass" and rng.random() < SUB_BASS_SHARE:
            play_sub_bass(stem, rng, score[source], library.rate_hz)
        elif ways and rng.random() < RECORDED_SHARE:
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

    Example:

    >>> import tempfile
    >>> import soundfile
    >>> hits = tempfile.mkdtemp()
    >>> soundfile.write(f"{hits}/kick.wav", np.sin(np.arange(2000) / 20), 8000)
    >>> song, = write_collages(
    ...     tempfile.mkdtemp(), {"drums": [hits]}, tracks=1, track_s=1.0, sample_rate_hz=8000)
    >>> sorted(path.name for path in song.iterdir())
    ['bass.wav', 'drums.wav', 'other.wav', 'vocals.wav']
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
