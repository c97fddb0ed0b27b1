"""Made-up songs as notes: what drums, bass, chords and a singer play, in seconds.

A song has a tempo, a key and a chord progression that all four parts follow, so that stems overlap
in time and in pitch as those of real music do. `songs` plays the notes with synthesizers of its
own, `rendering` with a soundfont.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from tonezoo.audio import SOURCES

KICK, SNARE, CLOSED_HAT, OPEN_HAT = 36, 38, 42, 46

MAJOR, MINOR = (0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10)
# Degrees of the scale from 0, one chord per bar.
PROGRESSIONS = {
    MAJOR: ((0, 4, 5, 3), (0, 5, 3, 4), (5, 3, 0, 4), (1, 4, 0, 5), (0, 3, 0, 4), (0, 2, 3, 4)),
    MINOR: ((0, 5, 2, 6), (0, 3, 5, 4), (0, 6, 5, 6), (0, 3, 0, 6), (5, 6, 0, 0), (0, 2, 6, 3)),
}
# In sixteenths of a bar.
KICKS = ((0, 8), (0, 6, 8), (0, 4, 8, 12), (0, 3, 10), (0, 7, 10), (0, 8, 11), (0, 2, 8, 10))
# (beat, beats) within a bar.
BASS_RHYTHMS = (
    ((0, 4),),
    ((0, 1.5), (1.5, 0.5), (2, 1.5), (3.5, 0.5)),
    tuple((eighth / 2, 0.5) for eighth in range(8)),
    ((0, 0.75), (0.75, 0.75), (1.5, 1), (2.5, 0.5), (3, 1)),
    ((0, 1), (1, 1), (2, 1), (3, 1)),
    ((0, 0.5), (1.5, 0.5), (2.5, 1), (3.5, 0.5)),
)
CHORD_RHYTHMS = (
    ((0, 4),),
    ((0, 2), (2, 2)),
    ((0, 1.5), (1.5, 2.5)),
    ((0.5, 0.4), (1.5, 0.4), (2.5, 0.4), (3.5, 0.4)),
    ((0, 0.5), (1, 0.5), (1.5, 1), (3, 0.5)),
)
SUNG_BEATS = (0.5, 0.5, 0.5, 1.0, 1.0, 1.5, 2.0)

SHORTEST_NOTE_S = 0.05
REST_PROBABILITY = 0.1
# Shorter tracks have no room for rests of several seconds.
SHORTEST_WITH_REST_S = 6.0

# What the random numbers of a track are for, so that one part does not disturb another. None is 0:
# (seed, index, 0) would give the numbers of (seed, index), which `corpus` uses.
STREAMS = ("", "score", *SOURCES, "levels", "programs")


@dataclass(frozen=True)
class Note:
    """One note of a score.

    Args:
        start_s: seconds after the start of the track.
        duration_s: seconds until the note is released.
        pitch: as in MIDI, 69 is 440 Hz; of drums, the General MIDI percussion key.
        velocity: how hard it is played, above 0 and up to 1.

    Example:

    >>> Note(0.5, 0.25, 69.0, 0.8).pitch_hz
    440.0
    """

    start_s: float
    duration_s: float
    pitch: float
    velocity: float

    @property
    def pitch_hz(self) -> float:
        return 440.0 * 2 ** ((self.pitch - 69) / 12)


@dataclass(frozen=True)
class Song:
    """What all parts of a track follow.

    Args:
        beat_s: seconds of a beat.
        first_beat_s: when the first bar begins.
        key: the tonic's pitch class, 0 for C.
        scale: semitones of the scale's degrees above the tonic.
        chords: the degree, from 0, of the chord of each bar of four beats.
    """

    beat_s: float
    first_beat_s: float
    key: int
    scale: tuple[int, ...]
    chords: tuple[int, ...]

    @property
    def is_minor(self) -> bool:
        return self.scale == MINOR

    def pitch(self, degree: int) -> int:
        octave, step = divmod(degree, len(self.scale))
        return self.key + 12 * octave + self.scale[step]

    def chord(self, bar: int, degrees: tuple[int, ...] = (0, 2, 4)) -> list[int]:
        return [self.pitch(self.chords[bar] + degree) for degree in degrees]


# Start and length in beats, pitch, velocity.
_Event = tuple[float, float, float, float]


def random_stream(seed: int, index: int, purpose: str) -> np.random.Generator:
    """Returns the random numbers of one purpose in one track, independent of all others.

    Args:
        seed: of the corpus, 0 or more.
        index: of the track, 0 or more.
        purpose: "score", a source, "levels" or "programs".

    Raises:
        ValueError: an unknown purpose.

    Example:

    >>> a, b = (random_stream(0, 0, name).random() for name in ("drums", "bass"))
    >>> a == b, a == random_stream(0, 0, "drums").random()
    (False, True)
    """
    if purpose not in STREAMS[1:]:
        raise ValueError(f"Unknown purpose {purpose!r}: give one of {', '.join(STREAMS[1:])}.")
    return np.random.default_rng((seed, index, STREAMS.index(purpose)))


def check_corpus(*, seed: int, tracks: int, track_s: float, sample_rate_hz: int) -> None:
    """Checks the size of a corpus of stems.

    Args:
        seed: 0 or more.
        tracks: number of tracks, 1 or more.
        track_s: duration of a track in seconds, at least 1.
        sample_rate_hz: at least 8000.

    Raises:
        ValueError: an argument is out of range.

    Example:

    >>> check_corpus(seed=0, tracks=0, track_s=12.0, sample_rate_hz=44_100)
    Traceback (most recent call last):
    ValueError: tracks=0 is too small: give at least 1.
    """
    for name, value, least in (
        ("seed", seed, 0),
        ("tracks", tracks, 1),
        ("track_s", track_s, 1),
        ("sample_rate_hz", sample_rate_hz, 8000),
    ):
        if not value >= least:  # also of NaN
            raise ValueError(f"{name}={value} is too small: give at least {least}.")


def song_notes(seed: int, index: int, track_s: float) -> dict[str, tuple[Note, ...]]:
    """Composes one track: a pure function of its arguments.

    Tempo (80 to 150 beats a minute), key, mode, chords and patterns are drawn for each track. In
    one of ten, a part rests for some seconds of a track of 6 s or more.

    Args:
        seed: of the corpus, 0 or more.
        index: of the track, 0 or more.
        track_s: duration in seconds, at least 1.

    Returns:
        source -> notes in the order of their starts, at least one, none of which begins before 0
        or is released after `track_s`. The sources are drums, bass, other and vocals.

    Raises:
        ValueError: an argument is out of range.

    Example:

    >>> score = song_notes(seed=0, index=0, track_s=4.0)
    >>> list(score)
    ['drums', 'bass', 'other', 'vocals']
    >>> sorted({note.pitch for note in score["drums"]} - {36, 38, 42, 46})
    []
    """
    rng = random_stream(seed, index, "score")
    song = _song(rng, seed, index, track_s)
    parts = {"drums": _drums, "bass": _bass, "other": _other, "vocals": _vocals}
    score = {}
    for source, compose in parts.items():
        events = list(compose(rng, song, track_s))
        score[source] = _performed(rng, events, song, track_s)
    return score


def song_frame(seed: int, index: int, track_s: float) -> Song:
    """Returns tempo, key and chords of the track that `song_notes` composes.

    Raises:
        ValueError: an argument is out of range.

    Example:

    >>> frame = song_frame(seed=0, index=0, track_s=4.0)
    >>> frame.key, frame.is_minor, round(frame.beat_s, 2)
    (7, True, 0.56)
    """
    return _song(random_stream(seed, index, "score"), seed, index, track_s)


def _song(rng: np.random.Generator, seed: int, index: int, track_s: float) -> Song:
    check_corpus(seed=seed, tracks=index + 1, track_s=track_s, sample_rate_hz=8000)
    scale = (MAJOR, MINOR)[rng.integers(2)]
    progression = PROGRESSIONS[scale][rng.integers(len(PROGRESSIONS[scale]))]
    beat_s = 60 / rng.uniform(80, 150)
    bars = int(track_s / (4 * beat_s)) + 1
    return Song(
        beat_s=beat_s,
        first_beat_s=rng.uniform(0.02, 0.2),
        key=int(rng.integers(12)),
        scale=scale,
        chords=tuple(progression[bar % len(progression)] for bar in range(bars)),
    )


def _performed(rng, events: list[_Event], song: Song, track_s: float) -> tuple[Note, ...]:
    """Events in beats as notes in seconds, a little early or late, cut to the track."""
    notes = []
    for beat, beats, pitch, velocity in events:
        start_s = song.first_beat_s + beat * song.beat_s + float(rng.normal(0.0, 0.004))
        start_s = max(start_s, 0.0)
        duration_s = min(beats * song.beat_s, track_s - start_s)
        # The difference above can round up by one unit in the last place.
        while start_s + duration_s > track_s:
            duration_s = float(np.nextafter(duration_s, 0.0))
        velocity = float(np.clip(velocity * rng.uniform(0.85, 1.15), 0.05, 1.0))
        notes.append(Note(start_s, duration_s, float(pitch), velocity))
    notes = sorted(
        (note for note in notes if note.duration_s >= SHORTEST_NOTE_S),
        key=lambda note: (note.start_s, note.pitch),
    )
    # Drawn in any case, so that the numbers that follow do not depend on whether there is a rest.
    rests, rest_s, position = rng.random(), rng.uniform(2.0, 5.0), rng.random()
    if rests >= REST_PROBABILITY or track_s < SHORTEST_WITH_REST_S:
        return tuple(notes)
    rest_s = min(rest_s, track_s / 2)
    begin_s = position * (track_s - rest_s)
    return tuple(_with_rest(notes, begin_s, begin_s + rest_s)) or tuple(notes)


def _with_rest(notes: list[Note], begin_s: float, end_s: float) -> Iterator[Note]:
    for note in notes:
        before_s = begin_s - note.start_s
        if note.start_s >= end_s or note.duration_s <= before_s:
            yield note
        elif before_s >= SHORTEST_NOTE_S:
            yield Note(note.start_s, before_s, note.pitch, note.velocity)


def _from(low: int, pitch: int) -> int:
    """The pitch's octave that lies in the 12 semitones from `low`."""
    return low + (pitch - low) % 12


def _drums(rng, song: Song, track_s: float) -> Iterator[_Event]:
    kicks = KICKS[rng.integers(len(KICKS))]
    snares = (8,) if rng.random() < 0.15 else (4, 12)
    hat_step = int(rng.choice((1, 2, 2, 2, 4)))
    open_hats = ((), (14,), (2, 6, 10, 14), (6,))[rng.integers(4)]
    for bar in range(len(song.chords)):
        fill = bar % 4 == 3 and rng.random() < 0.7
        extra = (int(rng.integers(16)),) if rng.random() < 0.3 else ()
        for step in sorted({*kicks, *extra}):
            yield 4 * bar + step / 4, 0.5, KICK, 0.9 if step % 8 == 0 else 0.75
        ghosts = (int(rng.choice((7, 9, 15))),) if rng.random() < 0.25 else ()
        for step in sorted({*snares, *ghosts}):
            yield 4 * bar + step / 4, 0.5, SNARE, 0.9 if step in snares else 0.3
        for step in range(0, 12 if fill else 16, hat_step):
            is_open = step in open_hats
            key, velocity = (
                (OPEN_HAT, 0.6) if is_open else (CLOSED_HAT, 0.5 + 0.2 * (step % 4 == 0))
            )
            # The next stroke closes an open hi-hat.
            yield 4 * bar + step / 4, hat_step / 4 if is_open else 0.25, key, velocity
        if fill:
            for step in range(13, 16):
                yield 4 * bar + step / 4, 0.25, SNARE, 0.2 * (step - 12) + 0.3


def _bass(rng, song: Song, track_s: float) -> Iterator[_Event]:
    rhythm = BASS_RHYTHMS[rng.integers(len(BASS_RHYTHMS))]
    low, length = int(rng.integers(28, 34)), rng.uniform(0.7, 0.98)
    for bar in range(len(song.chords)):
        root, _, fifth = (_from(low, pitch) for pitch in song.chord(bar))
        for beat, beats in rhythm:
            choices = (root, root, root, root, fifth, root + 12)
            pitch = root if beat == 0 else int(rng.choice(choices))
            yield 4 * bar + beat, beats * length, pitch, 0.9 if beat == 0 else 0.75


def _other(rng, song: Song, track_s: float) -> Iterator[_Event]:
    """Chords, held or struck in a rhythm, or broken into eighths or sixteenths."""
    low = int(rng.integers(50, 62))
    degrees = (0, 2, 4, 6) if rng.random() < 0.3 else (0, 2, 4)
    rhythm = CHORD_RHYTHMS[rng.integers(len(CHORD_RHYTHMS))]
    broken, step = rng.random() < 0.4, float(rng.choice((0.25, 0.5, 0.5)))
    order = rng.integers(3)
    for bar in range(len(song.chords)):
        chord = sorted(_from(low, pitch) for pitch in song.chord(bar, degrees))
        if not broken:
            for beat, beats in rhythm:
                for pitch in chord:
                    yield 4 * bar + beat, 0.97 * beats, pitch, 0.6
            continue
        ladder = [*chord, chord[0] + 12]
        ladder = (ladder, ladder[::-1], [*ladder, *ladder[-2:0:-1]])[order]
        for stroke in range(round(4 / step)):
            pitch = ladder[stroke % len(ladder)]
            yield 4 * bar + stroke * step, 1.5 * step, pitch, 0.7 if stroke % 4 == 0 else 0.55


def _vocals(rng, song: Song, track_s: float) -> Iterator[_Event]:
    """Phrases of a few notes that wander along the scale and come to rest, then a breath."""
    low = int(rng.choice((48, 52, 58, 62)))
    steps = [song.pitch(degree) for degree in range(70) if low <= song.pitch(degree) <= low + 15]
    place = int(rng.integers(len(steps) // 4, 3 * len(steps) // 4))
    beats_in_all = 4 * len(song.chords)
    beat = float(rng.choice((0.0, 0.0, 1.0, 2.0, 4.0)))
    if track_s < SHORTEST_WITH_REST_S:
        beat = 0.0
    while beat < beats_in_all:
        for remaining in range(int(rng.integers(3, 9)), 0, -1):
            beats = float(rng.choice(SUNG_BEATS)) + (1.0 if remaining == 1 else 0.0)
            place += int(rng.choice((-3, -2, -1, -1, -1, 0, 1, 1, 1, 2, 3)))
            place = min(max(place, 0), len(steps) - 1)
            if beat % 2 == 0 and beat < beats_in_all:
                classes = {pitch % 12 for pitch in song.chord(int(beat // 4))}
                tones = [at for at, pitch in enumerate(steps) if pitch % 12 in classes]
                place = min(tones, key=lambda at: abs(at - place))
            yield beat, 0.95 * beats, steps[place], 0.8
            beat += beats
        beat += float(rng.choice((1.0, 1.5, 2.0, 3.0)))
