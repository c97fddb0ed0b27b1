"""Packs recordings into few megabytes of FLAC, so that every speaker is among them.

    python benchmarks/gpu/pack_audio.py speech .gpu/audio [--megabytes 28] [--sample-rate-hz 16000]

Copies folders of recordings, mono and at the rate that is trained at, round after round one file of
each folder, until the size is reached. What is held out of training is copied as well, so that a
run on the copy is told to hold it out as one on the original is.
"""

import argparse
import itertools
import shutil
from collections import defaultdict
from pathlib import Path

import soundfile

from tonezoo.audio.reader import read_audio
from tonezoo.audio.resampling import resample_sharply
from tonezoo.files import atomic_path
from tonezoo.recipes.data.layouts import find_clips


def in_rounds(paths: list[Path]) -> list[Path]:
    """Returns the files so that the first of every folder come first, then the second ones."""
    folders = defaultdict(list)
    for path in paths:
        folders[path.parent].append(path)
    rounds = itertools.zip_longest(*folders.values())
    return [path for files in rounds for path in files if path is not None]


def pack(path: Path, target: Path, sample_rate_hz: int) -> int:
    """Writes a recording as mono FLAC of 16 bits; returns its size in bytes."""
    samples, rate_hz = read_audio(path)
    mono = samples.mean(axis=1)
    if rate_hz > sample_rate_hz:
        mono, rate_hz = resample_sharply(mono, rate_hz, sample_rate_hz), sample_rate_hz
    target.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(target) as temporary:
        soundfile.write(temporary, mono, rate_hz, format="FLAC", subtype="PCM_16")
    return target.stat().st_size


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=Path, help="folder of audio")
    parser.add_argument("target", type=Path, help="folder to be made")
    parser.add_argument("--megabytes", type=float, default=28.0)
    parser.add_argument("--sample-rate-hz", type=int, default=16_000)
    options = parser.parse_args()
    if options.target.exists():
        raise SystemExit(f"{options.target} exists. Remove it, or name another folder.")
    try:
        split = find_clips(options.source, layout="folder")
    except ValueError as error:
        raise SystemExit(str(error)) from error
    clips = in_rounds(list(split.train))
    left = options.megabytes * 1e6
    packed = set()
    try:
        for path in clips:
            target = options.target / path.relative_to(split.root).with_suffix(".flac")
            left -= pack(path, target, options.sample_rate_hz)
            if left < 0:
                target.unlink()
                break
            packed.add(path)
    except BaseException:
        shutil.rmtree(options.target, ignore_errors=True)
        raise
    missing = {path.parent for path in clips} - {path.parent for path in packed}
    print(
        f"Packed {len(packed)} of {len(clips)} files, {options.megabytes - left / 1e6:.1f} MB; "
        f"{len(missing)} folders are missing."
    )


if __name__ == "__main__":
    main()
