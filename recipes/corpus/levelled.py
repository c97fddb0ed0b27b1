"""Real songs with their stems at the levels of the procedural ones.

Command:  python -m tonezoo.recipes.corpus.levelled FOLDER --songs songs

Stems as they come from a studio may be tens of decibels apart before they are mixed, and those of
one song louder than those of another. In training the sources of several songs are mixed: the
quiet ones would not be heard, and not be learnt.
"""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from tonezoo.audio import SOURCES
from tonezoo.recipes.corpus.notes import random_stream
from tonezoo.recipes.corpus.songs import balanced_stems, write_tracks
from tonezoo.recipes.data.tracks import find_tracks, read_track


def write_levelled(
    folder: str | Path, songs: str | Path, *, seed: int = 0, sample_rate_hz: int = 44_100
) -> tuple[Path, ...]:
    """Writes every song of a folder anew, its stems set to levels by `balanced_stems`.

    A stem that is silent in the whole song stays silent.

    Args:
        folder: where the folders of the songs go; created if needed.
        songs: a folder of tracks, as in `tonezoo.recipes.data.tracks.find_tracks`.
        seed: 0 or more, of how far each stem is from the usual level.
        sample_rate_hz: of what is written.

    Returns:
        the folders written: drums.wav, bass.wav, other.wav and vocals.wav in each.

    Raises:
        ValueError: no songs, a song that cannot be read or lacks a source, one with nothing but
            silence, or a folder that exists or cannot be written.

    Example:

    >>> import tempfile
    >>> from tonezoo.recipes.corpus.songs import write_stems
    >>> songs = tempfile.mkdtemp()
    >>> song, = write_stems(songs, tracks=1, track_s=1.0, sample_rate_hz=8000)
    >>> song, = write_levelled(tempfile.mkdtemp(), songs, sample_rate_hz=8000)
    >>> sorted(path.name for path in song.iterdir())
    ['bass.wav', 'drums.wav', 'other.wav', 'vocals.wav']
    """
    split = find_tracks(songs, sources=SOURCES, layout="folder")

    def levelled() -> Iterator[tuple[str, dict[str, np.ndarray]]]:
        for index, path in enumerate(split.train):
            tracks = read_track(path, sources=SOURCES, sample_rate_hz=sample_rate_hz, channels=2)
            stems = dict(zip(SOURCES, tracks, strict=True))
            sounding = {source: stem for source, stem in stems.items() if stem.any()}
            if not sounding:
                raise ValueError(f"All stems of {path} are silent. Take the song out.")
            rng = random_stream(seed, index, "levels")
            yield path.name, stems | balanced_stems(sounding, rng, sample_rate_hz)

    return write_tracks(folder, levelled(), sample_rate_hz)


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs `write_levelled` from the command line and prints where the songs are.

    Raises:
        SystemExit: an argument is wrong, with the reason on stderr.
    """
    parser = argparse.ArgumentParser(
        prog="python -m tonezoo.recipes.corpus.levelled",
        description="Write songs anew with their stems at equal levels, give or take some dB.",
    )
    parser.add_argument("folder", help="where the folders of the songs go")
    parser.add_argument("--songs", required=True, help="folder of songs as stems")
    parser.add_argument("--seed", type=int, default=0, help="other levels (%(default)s)")
    parser.add_argument("--sample-rate-hz", type=int, default=44_100, help="%(default)s")
    options = vars(parser.parse_args(arguments))
    try:
        paths = write_levelled(options.pop("folder"), options.pop("songs"), **options)
    except ValueError as error:
        raise SystemExit(str(error)) from error
    print(f"{len(paths)} songs in {paths[0].parent}")


if __name__ == "__main__":
    main()
