"""A blind listening test of pairs as one HTML page that holds its sounds and needs nothing else."""

import base64
import hashlib
import importlib.resources
import io
import itertools
import json
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tonezoo.audio.folders import find_audio
from tonezoo.audio.reader import read_audio
from tonezoo.files import atomic_path

QUESTION = "Which of the two do you prefer?"
PAGE_NAME, KEY_NAME = "index.html", "key.json"
# Of the results that the page saves.
COLUMNS = ("test", "listener", "trial", "clip", "left", "right", "choice", "seconds", "seed")
CHOICES = ("left", "right", "none")
# To which all versions of a clip are brought, unless a peak would pass the second.
LEVEL_DBFS = -23.0
PEAK_DBFS = -1.0
CODE_BYTES = 5
# Where there is a file for each system.
ONLY_CLIP = "clip"
MOST_CHANNELS = 2


@dataclass(frozen=True, eq=False)
class Stimuli:
    """The sounds of a test: every clip by every system, at one level.

    Attributes:
        systems: their names.
        clips: clip -> system -> samples (time, channels).
        sample_rate_hz: of all of them.
        level_dbfs: clip -> RMS of each of its versions.
    """

    systems: tuple[str, ...]
    clips: dict[str, dict[str, np.ndarray]]
    sample_rate_hz: int
    level_dbfs: dict[str, float]


def write_listening_test(
    paths: Sequence[str | os.PathLike],
    out: str | os.PathLike,
    *,
    seed: int = 0,
    question: str = QUESTION,
) -> Stimuli:
    """Writes a blind A/B test: index.html for the listeners, key.json for whoever scores it.

    Each listener answers every pair of systems for every clip. The order of the pairs and which of
    the two is A depend on the seed and on the listener's name; each system is A in about half.
    The page holds the sounds as FLAC of 16 bits and neither names of systems nor of clips: the
    results that it saves have codes, whose meaning is in the key.

    Args:
        paths: a file for each system, or a folder for each with equally named files, at least two.
        out: folder of the two files.
        seed: of codes and orders, 0 or more.
        question: that is asked of each pair.

    Raises:
        ValueError: less than two systems, files and folders mixed, clips that one system lacks,
            different rates, lengths or channels, silence, or a folder with the key of another test.

    Source: the user study of "Upsampling Artifacts in Neural Audio Synthesis".
    """
    stimuli = matched(read_stimuli(paths))
    page, key = listening_page(stimuli, seed=seed, question=question)
    out = Path(out)
    if (out / KEY_NAME).exists() and read_key(out / KEY_NAME)["test"] != key["test"]:
        raise ValueError(
            f"{out} holds another listening test, whose results need its {KEY_NAME}. Choose "
            "another folder, or remove it first."
        )
    for name, text in ((PAGE_NAME, page), (KEY_NAME, json.dumps(key, indent=2) + "\n")):
        with atomic_path(out / name) as temporary:
            temporary.write_text(text, encoding="utf-8")
    return stimuli


def read_stimuli(paths: Sequence[str | os.PathLike]) -> Stimuli:
    """Reads the sounds of a test as they are; see `write_listening_test`."""
    chosen = [Path(path) for path in paths]
    if len(chosen) < 2:
        raise ValueError(
            f"A listening test compares at least two systems, received {len(chosen)}. Give a file "
            "for each, or a folder for each with equally named files."
        )
    names = system_names(chosen)
    folders = [path.is_dir() for path in chosen]
    if any(folders) and not all(folders):
        raise ValueError(
            f"{chosen[folders.index(False)]} is no folder, but {chosen[folders.index(True)]} is. "
            "Give a file for each system or a folder for each."
        )
    files = [clip_files(path) if path.is_dir() else {ONLY_CLIP: path} for path in chosen]
    everything = dict.fromkeys(itertools.chain(*files))
    for name, found in zip(names, files, strict=True):
        if missing := [clip for clip in everything if clip not in found]:
            raise ValueError(
                f"{name} lacks {len(missing)} of the {len(everything)} clips, {missing[0]} for "
                "one. Every folder needs the same names; suffixes may differ."
            )
    sounds = {
        clip: {name: read_audio(found[clip]) for name, found in zip(names, files, strict=True)}
        for clip in everything
    }
    _check_alike(
        {(clip, name): files[names.index(name)][clip] for clip in sounds for name in names}, sounds
    )
    rate_hz = next(rate_hz for versions in sounds.values() for _, rate_hz in versions.values())
    clips = {clip: {name: x for name, (x, _) in of.items()} for clip, of in sounds.items()}
    return Stimuli(tuple(names), clips, rate_hz, {})


def system_names(paths: Sequence[Path]) -> list[str]:
    """Returns a name for each path, with as many of its folders as tell them apart.

    Raises:
        ValueError: the same path twice.

    Example:

    >>> system_names([Path("a/out.wav"), Path("b/out.wav")])
    ['a/out', 'b/out']
    """
    parts = [path.absolute().with_suffix("").parts for path in paths]
    if twice := [path for path, count in Counter(parts).items() if count > 1]:
        raise ValueError(f"{Path(*twice[0])} was given twice. Give every system once.")
    depth = next(n for n in itertools.count(1) if len({part[-n:] for part in parts}) == len(parts))
    return ["/".join(part[-depth:]) for part in parts]


def clip_files(folder: Path) -> dict[str, Path]:
    """Returns clip -> file of a system's folder.

    Raises:
        ValueError: no audio, or two files that differ in their suffix alone.
    """
    found: dict[str, Path] = {}
    for path in find_audio(folder).files:
        clip = path.relative_to(folder).with_suffix("").as_posix()
        if clip in found:
            raise ValueError(
                f"{path} and {found[clip]} are both {clip}. Keep one file for each clip."
            )
        found[clip] = path
    return found


def _check_alike(paths: dict, sounds: dict) -> None:
    first_path, first_hz = None, None
    for clip, versions in sounds.items():
        other_path, other = None, None
        for name, (samples, rate_hz) in versions.items():
            path = paths[clip, name]
            if first_hz is None:
                first_path, first_hz = path, rate_hz
            if other is None:
                other_path, other = path, samples
            if rate_hz != first_hz:
                raise ValueError(
                    f"{path} has {rate_hz} Hz, {first_path} {first_hz} Hz. Resample to one rate "
                    "first: listeners are to hear the systems, not how a browser resamples."
                )
            if samples.shape != other.shape:
                raise ValueError(
                    f"{path} has {samples.shape[0]} samples in {samples.shape[1]} channels, "
                    f"{other_path} {other.shape[0]} in {other.shape[1]}. All versions of a clip "
                    "need the same length and channels, or those tell them apart."
                )
            if samples.shape[1] > MOST_CHANNELS:
                raise ValueError(f"{path} has {samples.shape[1]} channels. Give mono or stereo.")
            if not samples.any():
                raise ValueError(f"{path} is silent: it has no level to match. Leave its clip out.")


def matched(stimuli: Stimuli) -> Stimuli:
    """Returns the sounds with all versions of a clip at the same RMS.

    It is -23 dBFS, or less where a peak of one version would pass -1 dBFS.
    """
    clips, levels_dbfs = {}, {}
    for clip, versions in stimuli.clips.items():
        rms = {
            k: float(np.sqrt(np.mean(np.square(x, dtype="float64")))) for k, x in versions.items()
        }
        crest = max(float(np.abs(x).max()) / rms[k] for k, x in versions.items())
        level = min(10 ** (LEVEL_DBFS / 20), 10 ** (PEAK_DBFS / 20) / crest)
        clips[clip] = {k: x * (level / rms[k]) for k, x in versions.items()}
        levels_dbfs[clip] = float(20 * np.log10(level))
    return Stimuli(stimuli.systems, clips, stimuli.sample_rate_hz, levels_dbfs)


def listening_page(stimuli: Stimuli, *, seed: int, question: str) -> tuple[str, dict]:
    """Returns the text of the page and the key to its codes."""
    encoded = {
        (clip, system): _flac(samples, stimuli.sample_rate_hz)
        for clip, versions in stimuli.clips.items()
        for system, samples in versions.items()
    }
    digest = hashlib.sha256(json.dumps([seed, question, *map(str, encoded)]).encode())
    for sound in encoded.values():
        digest.update(sound)
    rng = np.random.default_rng((seed, int.from_bytes(digest.digest())))
    clip_codes = {clip: rng.bytes(CODE_BYTES).hex() for clip in stimuli.clips}
    sound_codes = {key: rng.bytes(CODE_BYTES).hex() for key in encoded}
    pairs = []
    for clip, code in clip_codes.items():
        for couple in itertools.combinations(stimuli.systems, 2):
            first, second = sorted(sound_codes[clip, system] for system in couple)
            pairs.append({"clip": code, "first": first, "second": second})
    test = {
        "test": digest.hexdigest()[: 2 * CODE_BYTES],
        "seed": seed,
        "question": question,
        "columns": COLUMNS,
        # Sorted by code, the order tells nothing of the systems.
        "pairs": sorted(pairs, key=lambda pair: tuple(pair.values())),
        "audio": {
            code: base64.b64encode(encoded[key]).decode()
            for key, code in sorted(sound_codes.items(), key=lambda item: item[1])
        },
    }
    template = importlib.resources.files("tonezoo.analysis") / "listening_test.html"
    # A closing tag in the question would end the script.
    page = template.read_text(encoding="utf-8").replace(
        "{{test}}", json.dumps(test).replace("<", r"\u003c")
    )
    key = {
        "test": test["test"],
        "seed": seed,
        "question": question,
        "systems": list(stimuli.systems),
        "clips": {
            code: {"name": clip, "level_dbfs": round(stimuli.level_dbfs[clip], 2)}
            for clip, code in clip_codes.items()
        },
        "sounds": {
            code: {"clip": clip_codes[clip], "system": system}
            for (clip, system), code in sound_codes.items()
        },
    }
    return page, key


def read_key(path: str | os.PathLike) -> dict:
    """Returns the key to the codes of a listening test.

    Raises:
        ValueError: it is missing, or none.
    """
    remedy = f"Give the {KEY_NAME} that `tonezoo listen` wrote beside the page."
    try:
        key = json.loads(Path(path).read_text(encoding="utf-8"))
        sounds, clips = key["sounds"], key["clips"]
        is_key = all(
            sound["clip"] in clips and sound["system"] in key["systems"]
            for sound in sounds.values()
        )
        texts = (key["test"], key["question"])
        if not (is_key and sounds and all(isinstance(text, str) for text in texts)):
            raise KeyError("sounds")
    except OSError as error:
        raise ValueError(f"Cannot read {path}: {error.strerror}. {remedy}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} is no key of a listening test. {remedy}") from error
    return key


def _flac(samples: np.ndarray, sample_rate_hz: int) -> bytes:
    import soundfile

    file = io.BytesIO()
    soundfile.write(file, samples, sample_rate_hz, format="FLAC", subtype="PCM_16")
    return file.getvalue()
