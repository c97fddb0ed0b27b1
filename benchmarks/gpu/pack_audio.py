"""Packs recordings into few megabytes of FLAC, so that every speaker is among them.

    python benchmarks/gpu/pack_audio.py speech .gpu/audio [--megabytes 16] [--sample-rate-hz 16000]

Copies recordings, mono and at the rate that is trained at. Every folder has an equal share of the
size, of which a small folder leaves the rest to the others; the recording that goes beyond it is
cut. What is held out of training is copied as well, so that a run on the copy is told to hold it
out as one on the original is.
"""

import argparse
import shutil
from collections import defaultdict
from pathlib import Path

import numpy as np
import soundfile

from tonezoo.audio.reader import read_audio
from tonezoo.audio.resampling import resample_sharply
from tonezoo.files import atomic_path
from tonezoo.recipes.data.layouts import find_clips

# A patch of 8192 samples at 16 kHz is half a second long.
SHORTEST_S = 1.0


def by_folder(paths: list[Path]) -> list[list[Path]]:
    """Returns the files of each folder, the folders with the least audio first."""
    folders = defaultdict(list)
    for path in paths:
        folders[path.parent].append(path)
    return sorted(folders.values(), key=lambda files: sum(path.stat().st_size for path in files))


def read_mono(path: Path, sample_rate_hz: int) -> tuple[np.ndarray, int]:
    """Returns a recording, mono and at most at a rate, and its rate."""
    samples, rate_hz = read_audio(path)
    mono = samples.mean(axis=1)
    if rate_hz > sample_rate_hz:
        mono, rate_hz = resample_sharply(mono, rate_hz, sample_rate_hz), sample_rate_hz
    return mono, rate_hz


def write_flac(target: Path, samples: np.ndarray, rate_hz: int) -> int:
    """Writes FLAC of 16 bits; returns its size in bytes."""
    with atomic_path(target) as temporary:
        soundfile.write(temporary, samples, rate_hz, format="FLAC", subtype="PCM_16")
    return target.stat().st_size


def pack(path: Path, target: Path, sample_rate_hz: int, most_bytes: float) -> int:
    """Packs a recording, its end cut off where it is too large; returns its size in bytes.

    Of one that would be shorter than `SHORTEST_S` nothing is written: 0.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    samples, rate_hz = read_mono(path, sample_rate_hz)
    while len(samples) >= SHORTEST_S * rate_hz:
        size = write_flac(target, samples, rate_hz)
        if size <= most_bytes:
            return size
        samples = samples[: int(0.97 * len(samples) * most_bytes / size)]
    target.unlink(missing_ok=True)
    return 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=Path, help="folder of audio")
    parser.add_argument("target", type=Path, help="folder to be made")
    parser.add_argument("--megabytes", type=float, default=16.0)
    parser.add_argument("--sample-rate-hz", type=int, default=16_000)
    options = parser.parse_args()
    if options.target.exists():
        raise SystemExit(f"{options.target} exists. Remove it, or name another folder.")
    try:
        split = find_clips(options.source, layout="folder")
    except ValueError as error:
        raise SystemExit(str(error)) from error
    folders = by_folder(list(split.train))
    left = options.megabytes * 1e6
    packed, missing = 0, 0
    try:
        for count, files in zip(range(len(folders), 0, -1), folders, strict=True):
            share = left / count
            sizes = []
            for path in files:
                target = options.target / path.relative_to(split.root).with_suffix(".flac")
                size = pack(path, target, options.sample_rate_hz, share - sum(sizes))
                sizes += [size] if size else []
            left -= sum(sizes)
            packed += len(sizes)
            missing += not sizes
    except BaseException:
        shutil.rmtree(options.target, ignore_errors=True)
        raise
    print(
        f"Packed {packed} of {sum(map(len, folders))} files, "
        f"{options.megabytes - left / 1e6:.1f} MB; {missing} folders are missing."
    )


if __name__ == "__main__":
    main()
