"""Finding out what recordings of music are: strokes, notes, or phrases with a tempo and a key.

Names are believed (`Tonight - 136 BPM - A minor.ogg`, `eb2.wav`); what they do not tell is
measured with librosa.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np

from tonezoo.audio.folders import find_audio
from tonezoo.audio.reader import read_audio
from tonezoo.audio.resampling import resample
from tonezoo.extras import import_extra

# A recording of drums with so many onsets is a loop, one with fewer a stroke.
ONSETS_OF_A_LOOP = 4
# A recording with a pitch in this share of its frames, which varies by less, is a note.
VOICED_SHARE, SAME_PITCH_SEMITONES = 0.5, 0.7
PITCHED_S = 0.8
LONGEST_READ_S = 30.0
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
