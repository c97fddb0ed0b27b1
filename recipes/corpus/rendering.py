"""The scores of the procedural stems played with a soundfont by FluidSynth: more lifelike stems.

Command:  python -m tonezoo.recipes.corpus.rendering FOLDER --tracks 50 --seed 0
Needs:    the program fluidsynth, a General MIDI soundfont, pip install "tonezoo[fluidsynth]"
"""

import argparse
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType

import numpy as np

from tonezoo.extras import import_extra
from tonezoo.recipes.corpus.notes import Note, check_corpus, random_stream, song_notes
from tonezoo.recipes.corpus.songs import balanced_stems, write_tracks

SOUNDFONT_FOLDERS = (
    "/usr/share/sounds/sf2",
    "/usr/share/soundfonts",
    "/usr/local/share/soundfonts",
    "/opt/homebrew/share/soundfonts",
)
INSTALL = (
    "Install it and a soundfont: apt install fluidsynth fluid-soundfont-gm, or brew install "
    "fluid-synth and a General MIDI soundfont (.sf2)."
)
HIGHEST_RATE_HZ = 96_000  # of FluidSynth

# General MIDI programs from 0; those of drums are the kits that most soundfonts have. Synthetic
# strings and leads are left out: common soundfonts have their channels in opposite phase.
PROGRAMS = {
    "drums": (0, 8, 16, 24, 25, 32, 40),
    "bass": tuple(range(32, 40)),
    "other": (0, 1, 2, 4, 5, 16, 17, 18, 19, 24, 25, 26, 48, 49),
    "vocals": (52, 52, 53, 53, 54, 54, 85),
}
DRUM_CHANNEL = 9
TICKS_PER_BEAT, TEMPO_US = 960, 500_000  # 1920 ticks a second
PAN, REVERB, MODULATION = 10, 91, 1
LOWEST_HZ = 20.0


def render_stems(
    folder: str | os.PathLike,
    *,
    soundfont: str | os.PathLike | None = None,
    seed: int = 0,
    tracks: int = 24,
    track_s: float = 12.0,
    sample_rate_hz: int = 44_100,
) -> tuple[Path, ...]:
    """Renders the scores of `song_notes` and writes folders of WAV files, as `write_stems` does.

    Instruments are drawn for each track; the choir, or a synthesizer, sings the vocals. With the
    same version of FluidSynth, the same soundfont and the same arguments the stems are the same.

    Args:
        folder: where the folders of the tracks go; created if needed.
        soundfont: a General MIDI soundfont (.sf2). None takes the first of the usual folders.
        seed: 0 or more.
        tracks: number of tracks, 1 or more.
        track_s: duration of a track in seconds, at least 1.
        sample_rate_hz: 8000 to 96000.

    Returns:
        the folders written, in the order of the tracks: drums.wav, bass.wav, other.wav and
        vocals.wav in each, stereo, 32-bit float, of exactly the duration asked for; the sum of a
        track's stems has peak 0.8. A folder is complete or absent.

    Raises:
        ValueError: an argument is out of range, the program fluidsynth or the soundfont is missing
            or fails, a track's folder exists or cannot be written.
        ImportError: the package mido is missing.

    Example:

    >>> render_stems("stems", soundfont="nowhere.sf2", tracks=1)
    Traceback (most recent call last):
    ValueError: The soundfont nowhere.sf2 is not a file. ...
    """
    check_corpus(seed=seed, tracks=tracks, track_s=track_s, sample_rate_hz=sample_rate_hz)
    if sample_rate_hz > HIGHEST_RATE_HZ:
        raise ValueError(
            f"sample_rate_hz={sample_rate_hz} is too large: give at most {HIGHEST_RATE_HZ}."
        )
    soundfont = _soundfont(soundfont)
    program = shutil.which("fluidsynth")
    if program is None:
        raise ValueError(f"The program fluidsynth is not on the PATH. {INSTALL}")
    import_mido()
    command = [program, "-ni", "-q", "-g", "0.4", "-O", "float", "-r", str(sample_rate_hz)]
    # Only the samples that a part plays are loaded: soundfonts hold hundreds of megabytes.
    command += ["-o", "synth.dynamic-sample-loading=1"]

    def rendered() -> Iterator[tuple[str, dict[str, np.ndarray]]]:
        for index in range(tracks):
            rng = random_stream(seed, index, "programs")
            stems = {}
            for source, notes in song_notes(seed, index, track_s).items():
                with tempfile.TemporaryDirectory() as temporary:
                    score, wave = Path(temporary) / "score.mid", Path(temporary) / "stem.wav"
                    _write_midi(score, source, notes, rng)
                    _run([*command, "-F", str(wave), str(soundfont), str(score)])
                    stems[source] = _read(wave, round(track_s * sample_rate_hz), soundfont)
            levels = random_stream(seed, index, "levels")
            yield f"track_{index:03d}", balanced_stems(stems, levels, sample_rate_hz)

    return write_tracks(folder, rendered(), sample_rate_hz)


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs `render_stems` from the command line and prints where the tracks are.

    Args:
        arguments: those of the command line; None takes them from there.

    Raises:
        SystemExit: an argument is wrong or something is missing, with the reason on stderr.

    Example:

    >>> main(["stems", "--soundfont", "nowhere.sf2"])
    Traceback (most recent call last):
    SystemExit: The soundfont nowhere.sf2 is not a file. ...
    """
    parser = argparse.ArgumentParser(
        prog="python -m tonezoo.recipes.corpus.rendering",
        description="Render made-up four-stem songs with FluidSynth and a soundfont.",
    )
    parser.add_argument("folder", help="where the folders of the tracks go")
    parser.add_argument("--tracks", type=int, default=24, help="number of tracks (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="another seed, other songs")
    parser.add_argument("--track-s", type=float, default=12.0, help="seconds (%(default)s)")
    parser.add_argument("--sample-rate-hz", type=int, default=44_100, help="%(default)s")
    parser.add_argument("--soundfont", help="an .sf2 file (that of the system)")
    options = vars(parser.parse_args(arguments))
    try:
        paths = render_stems(options.pop("folder"), **options)
    except (ImportError, ValueError) as error:
        raise SystemExit(str(error)) from error
    print(f"{len(paths)} tracks in {paths[0].parent}")


def _soundfont(path: str | os.PathLike | None) -> Path:
    if path is not None:
        if not Path(path).is_file():
            raise ValueError(f"The soundfont {path} is not a file. {INSTALL}")
        # FluidSynth reports success with a file that it cannot read, and takes its default.
        with open(path, "rb") as file:
            header = file.read(12)
        if header[:4] != b"RIFF" or header[8:] != b"sfbk":
            raise ValueError(f"{path} is not a soundfont. {INSTALL}")
        return Path(path)
    for folder in SOUNDFONT_FOLDERS:
        found = sorted(Path(folder).glob("*.sf2"))
        if found:
            return found[0]
    raise ValueError(f"No soundfont in {', '.join(SOUNDFONT_FOLDERS)}. {INSTALL}")


def import_mido() -> ModuleType:
    """Returns the module mido, or raises ImportError with the extra to install."""
    return import_extra("mido", "fluidsynth", "MIDI files need")


def _write_midi(path: Path, source: str, notes: Sequence[Note], rng: np.random.Generator) -> None:
    """Writes a standard MIDI file of one part, with its program, its place and its room."""
    mido = import_mido()
    channel = DRUM_CHANNEL if source == "drums" else 0
    program = int(rng.choice(PROGRAMS[source]))
    spread, room = {"drums": (8, 50), "bass": (6, 15), "other": (40, 80), "vocals": (8, 90)}[source]
    controls = {
        PAN: 64 + int(rng.integers(-spread, spread + 1)),
        REVERB: int(rng.integers(room + 1)),
        # Choirs move by themselves; a synthesizer needs a vibrato to sing.
        MODULATION: int(rng.integers(20, 60)) if source == "vocals" and program > 79 else 0,
    }
    track = mido.MidiTrack([mido.MetaMessage("set_tempo", tempo=TEMPO_US)])
    track.append(mido.Message("program_change", channel=channel, program=program))
    for control, value in controls.items():
        track.append(mido.Message("control_change", channel=channel, control=control, value=value))
    now = 0
    for tick, kind, pitch, velocity in _events(notes):
        track.append(
            mido.Message(kind, channel=channel, note=pitch, velocity=velocity, time=tick - now)
        )
        now = tick
    mido.MidiFile(type=0, ticks_per_beat=TICKS_PER_BEAT, tracks=[track]).save(path)


def _events(notes: Sequence[Note]) -> list[tuple[int, str, int, int]]:
    """(tick, message, key, velocity) in the order of time, ends before beginnings."""
    per_s = TICKS_PER_BEAT * 1e6 / TEMPO_US
    next_start, events = {}, []
    for note in sorted(notes, key=lambda note: -note.start_s):
        start, key = round(note.start_s * per_s), round(note.pitch)
        # A key that is struck again is released before: one release would end both notes.
        end = round((note.start_s + note.duration_s) * per_s)
        end = min(end, next_start.get(key, end))
        next_start[key] = start
        if end > start:
            events.append((start, "note_on", key, max(1, round(127 * note.velocity**0.5))))
            events.append((end, "note_off", key, 0))
    return sorted(events, key=lambda event: (event[0], event[1] == "note_on", event[2]))


def _run(command: Sequence[str]) -> None:
    finished = subprocess.run(command, capture_output=True, text=True, errors="replace")
    if finished.returncode != 0:
        reason = (finished.stderr or finished.stdout).strip()[-500:]
        raise ValueError(f"{command[0]} fails ({reason}). {INSTALL}")


def _read(path: Path, length: int, soundfont: Path) -> np.ndarray:
    """Reads (time, 2), cut or filled to `length`, without the offset that some samples have."""
    from tonezoo.audio.reader import read_audio

    samples, sample_rate_hz = read_audio(path) if path.is_file() else (np.zeros((0, 2)), 0)
    if not samples.any():
        raise ValueError(
            f"fluidsynth renders silence: {soundfont} may be damaged or no General MIDI soundfont. "
            "Give another one."
        )
    frequency_hz = np.fft.rfftfreq(len(samples), 1 / sample_rate_hz)[:, None]
    gain = frequency_hz**4 / (frequency_hz**4 + LOWEST_HZ**4)
    samples = np.fft.irfft(np.fft.rfft(samples, axis=0) * gain, len(samples), axis=0)
    missing = max(0, length - len(samples))
    return np.pad(samples[:length], ((0, missing), (0, 0))).astype("float32")


if __name__ == "__main__":
    main()
