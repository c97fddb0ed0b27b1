"""A procedural corpus of four-stem music: the embedded data of source separation.

Nothing is recorded. The scores of `song_notes` are played by the instruments of
`tonezoo.recipes.corpus.instruments`. Timbres, levels and places in the stereo image are drawn for
each track.
"""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from tonezoo.recipes.corpus.instruments import PLAYERS
from tonezoo.recipes.corpus.notes import SOURCES, check_corpus, random_stream, song_notes
from tonezoo.recipes.corpus.speech import PEAK

# Loudness of the stems beside each other where they sound; each track deviates by some dB.
LEVELS_DB = {"drums": 0.0, "bass": -1.0, "other": -2.0, "vocals": 0.0}
LEVEL_DEVIATION_DB = 2.5
# A frame this far below the loudest one of its stem is a rest.
REST_DB = -40.0
FADE_OUT_S = 0.01


def procedural_stems(
    *, seed: int = 0, tracks: int = 24, track_s: float = 12.0, sample_rate_hz: int = 44_100
) -> dict[str, dict[str, np.ndarray]]:
    """Returns made-up songs by name, each as the stems of drums, bass, other and vocals.

    Track i is a pure function of `seed`, i, the duration and the rate: more tracks never change
    the first ones. Notes do not depend on the rate.

    Args:
        seed: 0 or more.
        tracks: number of tracks, 1 or more.
        track_s: duration of a track in seconds, at least 1.
        sample_rate_hz: at least 8000; partials that would pass the Nyquist frequency are left out.

    Returns:
        name, such as "track_000" -> source -> float32 (time, 2). The sum of the stems has peak 0.8.

    Raises:
        ValueError: an argument is out of range.

    Example:

    >>> corpus = procedural_stems(tracks=2, track_s=1.0, sample_rate_hz=8000)
    >>> list(corpus), list(corpus["track_000"])
    (['track_000', 'track_001'], ['drums', 'bass', 'other', 'vocals'])
    >>> corpus["track_000"]["bass"].shape
    (8000, 2)
    >>> print(f"{abs(sum(corpus['track_000'].values())).max():.3f}")
    0.800
    """
    return dict(_tracks(seed, tracks, track_s, sample_rate_hz))


def write_stems(
    folder: str | os.PathLike,
    *,
    seed: int = 0,
    tracks: int = 24,
    track_s: float = 12.0,
    sample_rate_hz: int = 44_100,
) -> tuple[Path, ...]:
    """Writes the tracks of `procedural_stems` as folders of WAV files of 32-bit floats.

    Args:
        folder: where the folders of the tracks go; created if needed. The other arguments are
            those of `procedural_stems`.

    Returns:
        the folders written, in the order of the tracks: drums.wav, bass.wav, other.wav and
        vocals.wav in each. A folder is complete or absent.

    Raises:
        ValueError: an argument is out of range, a track's folder exists or cannot be written.

    Example:

    >>> import tempfile
    >>> paths = write_stems(tempfile.mkdtemp(), tracks=1, track_s=1.0, sample_rate_hz=8000)
    >>> [path.name for path in paths], sorted(path.name for path in paths[0].iterdir())
    (['track_000'], ['bass.wav', 'drums.wav', 'other.wav', 'vocals.wav'])
    """
    tracks_made = _tracks(seed, tracks, track_s, sample_rate_hz)
    return write_tracks(folder, tracks_made, sample_rate_hz)


def write_tracks(
    folder: str | os.PathLike,
    tracks: Iterable[tuple[str, dict[str, np.ndarray]]],
    sample_rate_hz: int,
) -> tuple[Path, ...]:
    """Writes tracks as they come, each as a folder of stems that is complete or absent.

    Args:
        folder: where the folders of the tracks go; created if needed.
        tracks: names and stems, source -> (time, channels), made one after the other.
        sample_rate_hz: rate of all stems.

    Returns:
        the folders written.

    Raises:
        ValueError: a track's folder exists or cannot be written.

    Example:

    >>> import tempfile
    >>> stems = {"drums": np.zeros((100, 2)), "bass": np.zeros((100, 2))}
    >>> paths = write_tracks(tempfile.mkdtemp(), [("silence", stems)], 8000)
    >>> sorted(path.name for path in paths[0].iterdir())
    ['bass.wav', 'drums.wav']
    """
    import soundfile

    from tonezoo.files import atomic_path

    paths = []
    for name, stems in tracks:
        paths.append(Path(folder) / name)
        with atomic_path(paths[-1], folder=True) as temporary:
            for source, samples in stems.items():
                path = temporary / f"{source}.wav"
                soundfile.write(path, samples, sample_rate_hz, subtype="FLOAT")
    return tuple(paths)


def balanced_stems(
    stems: dict[str, np.ndarray], rng: np.random.Generator, sample_rate_hz: int
) -> dict[str, np.ndarray]:
    """Sets stems to about equal loudness where they sound, give or take some dB, and a mix peak.

    Args:
        stems: source -> (time, 2), none silent, of equal lengths.
        rng: draws the deviations.
        sample_rate_hz: rate of the stems.

    Returns:
        source -> float32 (time, 2), faded out over the last 10 ms. Their sum has peak 0.8.

    Raises:
        ValueError: a stem is silent or not finite.

    Example:

    >>> wave = np.sin(np.arange(8000) / 9)[:, None] * np.ones(2)
    >>> stems = {"drums": wave, "bass": 0.001 * wave}
    >>> balanced = balanced_stems(stems, np.random.default_rng(0), 8000)
    >>> print(f"{abs(balanced['drums'] + balanced['bass']).max():.3f}")
    0.800
    """
    balanced = {}
    for source, samples in stems.items():
        deviation_db = np.clip(rng.normal(0.0, LEVEL_DEVIATION_DB), -6.0, 6.0)
        loudness = _loudness(samples, sample_rate_hz)
        if not 0 < loudness < np.inf:
            raise ValueError(f"The stem {source} has loudness {loudness}: give one that sounds.")
        gain = 10 ** ((LEVELS_DB[source] + deviation_db) / 20) / loudness
        balanced[source] = samples * np.float32(gain)
        fade = round(FADE_OUT_S * sample_rate_hz)
        balanced[source][-fade:] *= np.linspace(1.0, 0.0, fade, dtype="float32")[:, None]
    peak = np.max(np.abs(sum(balanced.values())))
    return {s: (x * (PEAK / peak)).astype("float32") for s, x in balanced.items()}


def _loudness(samples: np.ndarray, rate_hz: int) -> float:
    """Root mean square over the frames of 0.1 s that are not rests."""
    size = rate_hz // 10
    frames = samples[: len(samples) // size * size].reshape(-1, 2 * size)  # (frames, time*channels)
    power = np.einsum("ft,ft->f", frames, frames) / frames.shape[1]
    sounding = power[power >= 10 ** (REST_DB / 10) * power.max()]
    return float(np.sqrt(sounding.mean()))


def _tracks(
    seed: int, tracks: int, track_s: float, rate_hz: int
) -> Iterator[tuple[str, dict[str, np.ndarray]]]:
    check_corpus(seed=seed, tracks=tracks, track_s=track_s, sample_rate_hz=rate_hz)
    for index in range(tracks):
        score = song_notes(seed, index, track_s)
        stems = {}
        for source in SOURCES:
            stems[source] = np.zeros((round(track_s * rate_hz), 2), dtype="float32")
            rng = random_stream(seed, index, source)
            PLAYERS[source](stems[source], rng, score[source], rate_hz)
            if source != "bass":
                _add_room(stems[source], rng, rate_hz)
        levels = random_stream(seed, index, "levels")
        yield f"track_{index:03d}", balanced_stems(stems, levels, rate_hz)


def _add_room(stem: np.ndarray, rng: np.random.Generator, rate_hz: int) -> None:
    """Adds some echoes off walls, other ones in each ear, which give a stem its width."""
    dry, level = stem.copy(), 10 ** (rng.uniform(-20, -11) / 20)
    for channel in range(2):
        for delay_s in np.cumsum(rng.uniform(0.003, 0.012, 8)):
            echo = rng.choice((-1, 1)) * level * np.exp(-delay_s / 0.03)
            offset = round(delay_s * rate_hz)
            stem[offset:, channel] += np.float32(echo) * dry[:-offset, rng.integers(2)]
