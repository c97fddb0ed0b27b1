"""The cases of the fuzzing campaign: what lies in a folder, and the command that is given it.

A case is a pure function of the seed, its kind and its number, so that each can be run again alone.
"""

import dataclasses
import random
import shutil
from collections.abc import Callable
from pathlib import Path

from fuzzing.audio import AudioInput, encode, write_audio
from fuzzing.models import write_model

BATCH_FILES = 8
FOLDER_FILES = 5


@dataclasses.dataclass(frozen=True, kw_only=True)
class Fixtures:
    """Intact things, never changed: an exported model of ratio 4 to 16 kHz, and a training run."""

    model: Path
    run: Path


@dataclasses.dataclass(frozen=True, kw_only=True)
class Case:
    """A command line and what it is to be judged by.

    Attributes:
        name: kind:number.
        folder: holds all that belongs to the case; `folder / "work"` is the working directory.
        words: the command line after `tonezoo`.
        inputs: the audio files given to `enhance`, where they are known.
        must_pass: paths of intact inputs that have to be enhanced.
        terminal: whether the output looks to the command like a terminal of `columns` columns.
    """

    name: str
    folder: Path
    words: list[str]
    inputs: tuple[AudioInput, ...] = ()
    must_pass: tuple[Path, ...] = ()
    terminal: bool = False
    columns: int = 80
    description: str = ""


def build_case(name: str, seed: int, folder: Path, fixtures: Fixtures) -> Case:
    """Writes the inputs of a case into a new folder."""
    kind, number = name.split(":")
    (folder / "work").mkdir(parents=True)
    rng = random.Random(f"{seed}:{name}")
    case = KINDS[kind](rng, seed, int(number), folder, fixtures)
    return dataclasses.replace(
        case, name=name, terminal=rng.random() < 0.5, columns=rng.choice((20, 80, 300))
    )


def mutated_file(seed: int, number: int, folder: Path) -> AudioInput:
    """Writes mutated file `number` of the campaign, the same in each case that has it."""
    return write_audio(random.Random(f"{seed}:audio:{number}"), folder, label=f"f{number}")


def _file(rng, seed, number, folder, fixtures) -> Case:
    return _enhance(rng, [mutated_file(seed, number, folder / "in")], folder, fixtures)


def _batch(rng, seed, number, folder, fixtures) -> Case:
    numbers = range(BATCH_FILES * number, BATCH_FILES * (number + 1))
    files = [mutated_file(seed, number, folder / "in") for number in numbers]
    return _enhance(rng, files, folder, fixtures)


def _enhance(rng, files, folder, fixtures) -> Case:
    """Enhances files with options that are all right."""
    model = fixtures.run if rng.random() < 0.1 else fixtures.model
    format = rng.choice(("wav", "wav", "flac", "ogg"))
    options = ["--out", str(folder / "out"), "--model", str(model), "--format", format]
    if rng.random() < 0.3:
        depths = {"wav": ("float", "24", "16"), "flac": ("24", "16"), "ogg": ("lossy",)}
        options += ["--bit-depth", rng.choice(depths[format])]
    if downsample := rng.random() < 0.7:
        options.append("--downsample")
    options += rng.choice(
        (
            [],
            [],
            ["--whole"],
            ["--segment-s", "0.2"],
            ["--segment-s", "0.3"],
            ["--segment-s", "1e9"],
        )
    )
    if rng.random() < 0.1:
        (folder / "out").mkdir()
        for file in files:
            (folder / "out" / f"{file.path.stem}.{format}").write_text("as before")
    return Case(
        name="",
        folder=folder,
        words=["enhance", *options, "--", *(str(file.path) for file in files)],
        inputs=tuple(files),
        must_pass=tuple(file.path for file in files if _has_to_pass(file, format, downsample)),
        description="; ".join(file.description for file in files),
    )


def _has_to_pass(file, format, downsample):
    most_channels = {"wav": 1024, "flac": 8, "ogg": 8}[format]
    least_rate_hz, highest_rate_hz = 100, 192_000 if downsample else 4001
    if file.frames is None or file.channels > most_channels:
        return False
    # Less than a sample at 4 kHz is nothing.
    lasts = file.frames * 4000 >= file.rate_hz
    return lasts and least_rate_hz <= file.rate_hz <= highest_rate_hz


def _folder(rng, seed, number, folder, fixtures) -> Case:
    """Evaluates on a folder of mutated files and, in most cases, intact ones."""
    data = folder / "data"
    for index in range(FOLDER_FILES * number, FOLDER_FILES * (number + 1)):
        mutated_file(seed, index, data / rng.choice((".", "a", "a/b", ".hidden", "wav48/p225")))
    if rng.random() < 0.8:
        _write_clip(rng, data / "intact.wav")
    words = ["evaluate", str(rng.choice((fixtures.model, fixtures.run))), "--data", str(data)]
    if rng.random() < 0.7 or words[1] == str(fixtures.run):
        words += ["--out", str(folder / "out")]
    words += rng.choice(([], [], ["--ratio", "4"], ["--ratio", "2"]))
    return Case(name="", folder=folder, words=words)


def _write_clip(rng, path, rate_hz=16_000):
    import numpy as np

    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(rng.getrandbits(32)).standard_normal((6000, 1))
    path.write_bytes(encode(0.1 * noise, rate_hz, "WAV", "PCM_16"))
    return path


def _model(rng, seed, number, folder, fixtures) -> Case:
    """Gives a damaged model or run to one of the three commands."""
    command = rng.choice(("verify", "verify", "enhance", "evaluate"))
    intact = fixtures.run if command != "verify" and rng.random() < 0.6 else fixtures.model
    description = write_model(rng, intact, folder / "model")
    path = str(rng.choice((folder / "model", folder / "model", folder / "model" / "1")))
    if command == "verify":
        words = [command, path]
    elif command == "enhance":
        low = _write_clip(rng, folder / "in" / "low.wav", rate_hz=4000)
        words = [command, str(low), "--out", str(folder / "out"), "--model", path]
    else:
        data = _write_clip(rng, folder / "data" / "clip.wav").parent
        words = [command, path, "--data", str(data), "--out", str(folder / "out")]
    return Case(name="", folder=folder, words=words, description=description)


NUMBERS = (
    "nan",
    "inf",
    "-inf",
    "-1",
    "0",
    "-0",
    "1e-9",
    "1e9",
    "1e400",
    "0.2",
    "3",
    "1_0",
    "ten",
    "",
)
JUNK = ("--no-such-option", "-x", "-", "--", "", "--help", "-h", "=", "--out=", "\x00", "ü" * 300)


def _command(rng, seed, number, folder, fixtures) -> Case:
    """Draws a command line from the options of the three commands, right and wrong ones."""
    places = _places(rng, folder, fixtures)
    command = rng.choice(("enhance", "enhance", "enhance", "evaluate", "verify"))
    words = _words(rng, command, places)
    disturbances = rng.choice((0, 0, 0, 1, 2))
    if command == "evaluate" or disturbances:
        # Without `--out` a run is written to, and a word out of place makes any path the `--out`.
        words = _with_copies(words, folder, fixtures)
    for _ in range(disturbances):
        _disturb(rng, words, places)
    # The kernel takes no NUL byte in an argument.
    words = [word.replace("\x00", "") for word in words]
    return Case(name="", folder=folder, words=[command, *words])


def _places(rng, folder, fixtures):
    """Returns paths of every sort that a command line may name."""
    low = _write_clip(rng, folder / "in" / "low.wav", rate_hz=4000)
    good = [str(low), str(_write_clip(rng, folder / "in" / "other.wav", rate_hz=2000))]
    shutil.copy(low, folder / "work" / "-low.wav")
    (folder / "file").write_text("a file")
    (folder / "empty").mkdir()
    (folder / "data").mkdir()
    _write_clip(rng, folder / "data" / "clip.wav")
    bad = [
        *(str(folder / name) for name in ("file", "empty", "data", "nowhere", "file/x.wav")),
        *("nowhere.wav", "-low.wav", "/dev/null", "/dev/zero", "/proc/self/mem", ".", "..", ""),
        *("/dev/fd/0", "~/low.wav", "*.wav", "x" * 300 + ".wav", "\udcff.wav"),
    ]
    return {
        "audio": good,
        "model": [str(fixtures.model), str(fixtures.model / "1"), str(fixtures.run)],
        "data": [str(folder / "data"), str(folder / "in")],
        "out": [str(folder / "out"), str(folder / "out" / "deep" / "er"), "out", "./out/../out"],
        "bad": bad,
        # Never a place outside the case's folder that can be written to.
        "bad out": [
            *(str(folder / name) for name in ("file", "file/x", "in", "data")),
            *("/dev/null", "/dev/full/x", "/proc/self/nowhere", "/sys/nowhere", "x" * 300),
        ],
    }


def _with_copies(words, folder, fixtures):
    """Copies the fixtures that are named into the case's folder; returns the words naming these."""
    for name, path in vars(fixtures).items():
        if any(str(path) in word for word in words):
            copy = shutil.copytree(path, folder / name)
            words = [word.replace(str(path), str(copy)) for word in words]
    return words


def _words(rng, command, places):
    """Returns arguments and options of a command, most of them right."""

    def one(kind, wrong="bad"):
        return rng.choice(places[kind] if rng.random() < 0.8 else places[wrong])

    def option(name, value, likely):
        return [rng.choice(([name, value], [f"{name}={value}"]))] if rng.random() < likely else []

    if command == "verify":
        return [one("model")]
    if command == "evaluate":
        groups = [
            [one("model")],
            *option("--data", one("data"), 0.95),
            *option("--out", one("out", "bad out"), 0.95),
            *option("--ratio", rng.choice(("4", "4", "2", *NUMBERS)), 0.3),
        ]
    else:
        files = rng.sample(places["audio"], rng.choice((1, 1, 2)))
        files += rng.sample(places["bad"], rng.choice((0, 0, 1, 2)))
        groups = [
            *([file] for file in files),
            *option("--out", one("out", "bad out"), 0.95),
            *option("--model", one("model"), 0.95),
            *option("--segment-s", rng.choice(NUMBERS), 0.4),
            *option("--format", rng.choice(("wav", "flac", "ogg", "mp3", "WAV", "xyz", "")), 0.4),
            *option("--bit-depth", rng.choice(("float", "24", "16", "lossy", "99", "-1", "")), 0.3),
            *([flag] for flag in ("--whole", "--downsample") if rng.random() < 0.3),
        ]
    rng.shuffle(groups)
    return [word for group in groups for word in group]


def _disturb(rng, words, places):
    """Drops, doubles, moves or spoils a word."""
    kind = rng.choice(("drop", "double", "shuffle", "junk", "junk", "cut"))
    position = rng.randrange(len(words)) if words else 0
    if kind == "junk" or not words:
        words.insert(position, rng.choice(JUNK + tuple(places["bad"])))
    elif kind == "drop":
        del words[position]
    elif kind == "double":
        words.insert(rng.randrange(len(words)), words[position])
    elif kind == "shuffle":
        rng.shuffle(words)
    elif "/dev/" not in words[position]:  # a file of another name could be made there
        # Of a path its last part, because the first depends on the machine.
        head, slash, tail = words[position].rpartition("/")
        words[position] = head + slash + tail[: rng.randrange(len(tail) + 1)]


KINDS: dict[str, Callable[..., Case]] = {
    "files": _file,
    "batches": _batch,
    "folders": _folder,
    "models": _model,
    "commands": _command,
}
