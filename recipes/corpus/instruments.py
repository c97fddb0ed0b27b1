"""The instruments of the procedural songs: what plays the scores of `song_notes`.

Drums of decaying sines and shaped noise, bass, keys and strings that are sums of partials, and a
voice of glottal pulses through formant resonators. Timbres and places in the stereo image are drawn
for each track.
"""

import dataclasses
from collections.abc import Callable

import numpy as np

from tonezoo.recipes.corpus.notes import CLOSED_HAT, KICK, OPEN_HAT, SNARE, Note
from tonezoo.recipes.corpus.speech import (
    FRICATIVES,
    HIGH_RESONANCES_HZ,
    VOWELS_HZ,
    add,
    add_noise,
    add_voice,
    struck_string,
    without_rumble,
)

HIGHEST_SUB_HZ = 75.0


def panned(mono: np.ndarray, position: float) -> np.ndarray:
    """(time,) -> (time, 2) of equal power at any position from -1, left, to 1, right."""
    angle = (position + 1) * np.pi / 4
    return mono[:, None] * np.array([np.cos(angle), np.sin(angle)], dtype="float32")


def _shaped(tone: np.ndarray, attack_s: float, release_s: float, rate_hz: int) -> np.ndarray:
    """A copy of (time, ...) that begins and ends at zero without a corner."""
    shaped = tone.copy()
    shape = (-1,) + (1,) * (tone.ndim - 1)
    attack, release = (min(len(tone), round(s * rate_hz)) for s in (attack_s, release_s))
    rise = np.sin(np.linspace(0.0, np.pi / 2, attack, dtype="float32")) ** 2
    fall = np.cos(np.linspace(0.0, np.pi / 2, release, dtype="float32")) ** 2
    shaped[:attack] *= rise.reshape(shape)
    shaped[len(tone) - release :] *= fall.reshape(shape)
    return shaped


def _partials(frequency_hz, amplitude, decay_s, phase, length, rate_hz) -> np.ndarray:
    """Sums decaying sines, (partials,) -> float32 (time,); leaves out those near the Nyquist.

    As in `struck_string`, exp(s t) at t = (block + offset) is a product of two short tables.
    """
    audible = frequency_hz < 0.48 * rate_hz
    rotation = ((2j * np.pi * frequency_hz - 1 / decay_s) / rate_hz)[audible]
    start = (amplitude * np.exp(1j * phase))[audible]
    block = 256
    blocks = np.exp(np.outer(np.arange(0, length, block), rotation)) * start
    offsets = np.exp(np.outer(rotation, np.arange(block)))
    # Phases are exact to double precision in the tables; only their product is single.
    tone = (blocks.astype("complex64") @ offsets.astype("complex64")).imag
    return tone.reshape(-1)[:length]  # (blocks, block) -> (time,)


def _play(
    stem: np.ndarray,
    notes: tuple[Note, ...],
    tone: Callable[[Note, int], np.ndarray],
    envelope_s: tuple[float, float],
    rate_hz: int,
) -> None:
    """Adds every note; `tone` makes one (time, 2) a pitch, as long as the longest of its notes."""
    attack_s, release_s = envelope_s
    lengths = {note: round((note.duration_s + release_s) * rate_hz) for note in notes}
    tones = {}
    for note in sorted(notes, key=lambda note: -lengths[note]):
        if note.pitch not in tones:
            tones[note.pitch] = tone(note, lengths[note])
        piece = _shaped(tones[note.pitch][: lengths[note]], attack_s, release_s, rate_hz)
        add(stem, np.float32(note.velocity) * piece, round(note.start_s * rate_hz))


def play_drums(stem, rng, notes, rate_hz) -> None:
    hits = _drum_hits(rng, rate_hz)
    for note in notes:
        variants = hits[int(note.pitch)]
        hit = variants[rng.integers(len(variants))]
        if note.pitch == OPEN_HAT:
            hit = _shaped(hit[: round((note.duration_s + 0.03) * rate_hz)], 0.0, 0.03, rate_hz)
        # Harder strokes are louder by more than in proportion.
        add(stem, np.float32(note.velocity**1.5) * hit, round(note.start_s * rate_hz))


def _drum_hits(rng, rate_hz) -> dict[int, list[np.ndarray]]:
    """Percussion key -> strokes (time, 2) that differ in their noise."""
    kick_hz, sweep_hz, sweep_s = rng.uniform(42, 62), rng.uniform(90, 260), rng.uniform(0.02, 0.05)
    kick_decay_s = rng.uniform(0.07, 0.16)
    snare_hz, ring_s, rattle_s = (
        rng.uniform(160, 240),
        rng.uniform(0.03, 0.08),
        rng.uniform(0.05, 0.1),
    )
    rattle, snare_low_hz = rng.uniform(0.5, 1.0), rng.uniform(700, 1800)
    hat_low_hz, closed_s, open_s = rng.uniform(5000, 8500), rng.uniform(0.015, 0.04), 0.18
    snare_place, hat_place = rng.uniform(-0.15, 0.15), rng.choice((-1, 1)) * rng.uniform(0.15, 0.45)

    def seconds(duration_s):
        return np.arange(round(duration_s * rate_hz)) / rate_hz

    def kick():
        t = seconds(5 * kick_decay_s)
        beater = _band_noise(rng, len(t), 1500, 5000, rate_hz) * np.exp(-t / 0.003)
        skin = _falling_sine(t, kick_hz, sweep_hz, sweep_s) * np.exp(-t / kick_decay_s)
        return skin + 0.25 * beater

    def snare():
        t = seconds(6 * rattle_s)
        skin = sum(np.sin(2 * np.pi * snare_hz * k * t) / k for k in (1.0, 1.59, 2.14))
        noise = _band_noise(rng, len(t), snare_low_hz, 9500, rate_hz)
        return 0.45 * skin * np.exp(-t / ring_s) + 0.4 * rattle * noise * np.exp(-t / rattle_s)

    def hat(decay_s):
        t = seconds(6 * decay_s)
        return 0.2 * _band_noise(rng, len(t), hat_low_hz, 16_000, rate_hz) * np.exp(-t / decay_s)

    pieces = {
        KICK: (kick, 0.0),
        SNARE: (snare, snare_place),
        CLOSED_HAT: (lambda: hat(closed_s), hat_place),
        OPEN_HAT: (lambda: hat(open_s), hat_place),
    }
    hits = {}
    for key, (strike, place) in pieces.items():
        hits[key] = []
        for _ in range(3):
            mono = _shaped(_without_offset(strike()), 0.0005, 0.03, rate_hz)
            hits[key].append(panned(mono.astype("float32"), place))
    return hits


def _falling_sine(t: np.ndarray, lowest_hz: float, fall_hz: float, fall_s: float) -> np.ndarray:
    """A sine of lowest_hz + fall_hz exp(-t / fall_s), whose integral is its phase."""
    cycles = lowest_hz * t + fall_hz * fall_s * (1 - np.exp(-t / fall_s))
    return np.sin(2 * np.pi * cycles)


def _saturated(signal: np.ndarray, drive: float) -> np.ndarray:
    return np.tanh(drive * signal) / np.tanh(drive)


def _without_offset(hit: np.ndarray) -> np.ndarray:
    """Takes a smooth hump off, far below hearing, so that strokes do not add up to an offset."""
    hump = np.hanning(len(hit))
    return hit - hump * (hit.sum() / hump.sum())


def _band_noise(rng, length, low_hz, high_hz, rate_hz) -> np.ndarray:
    """Noise of unit variance with soft edges; at low rates the band moves below the Nyquist."""
    low_hz = min(low_hz, 0.3 * rate_hz)
    frequency_hz = np.maximum(np.fft.rfftfreq(length, 1 / rate_hz), 1.0)
    gain = 1 / (1 + (low_hz / frequency_hz) ** 4) / (1 + (frequency_hz / high_hz) ** 6)
    noise = np.fft.irfft(np.fft.rfft(rng.normal(0.0, 1.0, length)) * gain, length)
    return noise / np.sqrt(np.mean(noise**2))


def play_bass(stem, rng, notes, rate_hz) -> None:
    """A saw, a square or a plucked string, whose partials fade above some hundred Hz."""
    kind = ("saw", "square", "plucked")[rng.integers(3)]
    cutoff_hz, strike, place = rng.uniform(180, 420), rng.uniform(0.1, 0.3), rng.uniform(-0.1, 0.1)
    k = np.arange(1, 25)
    amplitude = {
        "saw": 1 / k,
        "square": (k % 2 + 0.15) / k,
        "plucked": np.abs(np.sin(np.pi * k * strike)) / k,
    }[kind]
    phase = rng.uniform(0, 2 * np.pi, len(k))

    def tone(note, length):
        frequency_hz = k * note.pitch_hz
        heard = amplitude / (1 + (frequency_hz / cutoff_hz) ** 3)
        sustain_s = 0.9 if kind == "plucked" else 4.0
        decay_s = sustain_s / (1 + 0.002 * frequency_hz)
        return panned(_partials(frequency_hz, heard, decay_s, phase, length, rate_hz), place)

    _play(stem, notes, tone, (0.006, 0.05), rate_hz)


def play_sub_bass(stem, rng, notes, rate_hz) -> None:
    """The bass of electronic music: a saturated sine below 75 Hz that falls into its pitch.

    Some begin as a kick does, with a deep fall, and some with a bright tone that is soon gone.
    """
    drive, fall, fall_s = (
        rng.uniform(0.3, 3.0),
        rng.uniform(0.0, 2.0) ** 2,
        rng.uniform(0.003, 0.03),
    )
    decay_s, release_s = rng.uniform(0.25, 3.0), rng.uniform(0.02, 0.15)
    attack_s = rng.uniform(0.0005, 0.006)
    bright, multiple, bright_s = rng.uniform(-0.6, 0.6), rng.integers(3, 20), rng.uniform(0.02, 0.3)
    # From staccato, as short as a kick, to legato.
    share = rng.uniform(0.15, 1.0)
    notes = [dataclasses.replace(note, duration_s=share * note.duration_s) for note in notes]

    def tone(note, length):
        frequency_hz = note.pitch_hz * 2.0 ** np.floor(np.log2(HIGHEST_SUB_HZ / note.pitch_hz))
        t = np.arange(length) / rate_hz
        sine = _falling_sine(t, frequency_hz, fall * frequency_hz, fall_s) * np.exp(-t / decay_s)
        upper = np.sin(2 * np.pi * multiple * frequency_hz * t) * np.exp(-t / bright_s)
        sound = _saturated(sine + max(bright, 0.0) * upper, drive)
        return panned(sound.astype("float32"), 0.0)

    _play(stem, notes, tone, (attack_s, release_s), rate_hz)


def electronic_kick(rng: np.random.Generator, rate_hz: int) -> np.ndarray:
    """Returns a kick of electronic music, (time,): long, and falling for as long as it sounds.

    It reaches as low as `play_sub_bass`, from which only its fall tells it apart.
    """
    lowest_hz, fall_hz, fall_s = rng.uniform(32, 55), rng.uniform(80, 300), rng.uniform(0.04, 0.15)
    drive, decay_s = rng.uniform(0.3, 3.0), rng.uniform(0.08, 0.35)
    t = np.arange(round(4 * decay_s * rate_hz)) / rate_hz
    sine = _falling_sine(t, lowest_hz, fall_hz, fall_s) * np.exp(-t / decay_s)
    return _shaped(_without_offset(_saturated(sine, drive)), 0.0005, 0.03, rate_hz)


def play_other(stem, rng, notes, rate_hz) -> None:
    """Piano, guitar, electric piano, organ or pad, one for each track."""
    instrument = (_strings, _strings, _electric_piano, _organ, _pad)[rng.integers(5)]
    tone, envelope_s = instrument(rng, rate_hz)
    _play(stem, notes, tone, envelope_s, rate_hz)


def _strings(rng, rate_hz):
    """Struck or plucked strings, low ones on the one side and high ones on the other."""
    strike, inharmonicity = rng.uniform(0.09, 0.25), 10 ** rng.uniform(-4.3, -3.5)
    centre, spread = rng.uniform(-0.2, 0.2), rng.choice((-1, 1)) * rng.uniform(0.4, 0.7)

    def tone(note, length):
        mono = struck_string(note.pitch_hz, strike, inharmonicity, length, rate_hz)
        place = centre + spread * np.tanh((note.pitch - 61) / 7)
        return panned(mono.astype("float32"), place)

    return tone, (0.001, 0.1)


def _electric_piano(rng, rate_hz):
    """A struck fork, whose highest partials are gone at once; slightly apart in the ears."""
    ratio = np.array([1.0, 2.0, 3.0, 4.0, 5.0, 7.1, 10.3])
    amplitude = np.array([1.0, 0.3, 0.2, 0.1, 0.05, 0.12, 0.05]) * rng.uniform(0.5, 2.5, 7)
    decay_s = np.array([1.5, 1.0, 0.6, 0.4, 0.3, 0.12, 0.06]) * rng.uniform(0.7, 1.3)
    beating_hz = rng.uniform(0.3, 0.8)

    def tone(note, length):
        # (channels, time) -> (time, channels)
        return np.stack(
            [
                _partials(
                    ratio * note.pitch_hz + side * beating_hz,
                    amplitude,
                    decay_s,
                    0.0,
                    length,
                    rate_hz,
                )
                for side in (-0.5, 0.5)
            ],
            axis=-1,
        )

    return tone, (0.002, 0.12)


def _organ(rng, rate_hz):
    """Nine drawbars; their phases differ between the ears as through a turning loudspeaker."""
    ratio = np.array([0.5, 1.5, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0])
    amplitude = rng.integers(0, 9, 9) / 8 / np.sqrt(ratio)
    amplitude[2] = 1.0
    phases = rng.uniform(-0.7, 0.7, (2, 9))
    turning_hz = rng.uniform(0.2, 0.6)

    def tone(note, length):
        frequency_hz = ratio * note.pitch_hz
        sides = (
            _partials(frequency_hz + detune, amplitude, np.full(9, 1e3), phase, length, rate_hz)
            for detune, phase in zip((0.0, turning_hz), phases, strict=True)
        )
        return np.stack(list(sides), axis=-1)  # (channels, time) -> (time, channels)

    return tone, (0.008, 0.06)


def _pad(rng, rate_hz):
    """Two saws out of tune with each other, each more in one ear, that swell slowly."""
    k = np.arange(1, 33)
    cutoff_hz, detune, attack_s = (
        rng.uniform(1000, 4000),
        rng.uniform(1e-3, 4e-3),
        rng.uniform(0.03, 0.2),
    )
    phases = rng.uniform(0, 2 * np.pi, (2, len(k)))

    def tone(note, length):
        a, b = (
            _partials(
                k * note.pitch_hz * ratio,
                1 / k / (1 + (k * note.pitch_hz / cutoff_hz) ** 2),
                np.full(len(k), 1e3),
                phase,
                length,
                rate_hz,
            )
            for ratio, phase in zip((1.0, 1 + detune), phases, strict=True)
        )
        return np.stack([a + 0.35 * b, 0.35 * a + b], axis=-1)  # (time, channels)

    return tone, (attack_s, 0.25)


def play_vocals(stem, rng, notes, rate_hz) -> None:
    """One singer: most notes begin with a consonant, each has its vowel."""
    pitch = np.mean([note.pitch for note in notes])
    # Shorter throats sing higher.
    tract = np.interp(pitch, (50, 72), (0.95, 1.18)) * rng.uniform(0.97, 1.03)
    vowels_hz = np.hstack([VOWELS_HZ, np.tile(HIGH_RESONANCES_HZ, (len(VOWELS_HZ), 1))]) * tract
    vibrato = rng.uniform(4.8, 6.3), rng.uniform(0.15, 0.5)
    samples = np.zeros(len(stem))
    formants_hz = vowels_hz[rng.integers(len(vowels_hz))]
    for note in notes:
        start_s, end_s = note.start_s, note.start_s + note.duration_s
        if note.duration_s > 0.25 and rng.random() < 0.6:
            consonant = FRICATIVES[rng.integers(len(FRICATIVES))]
            start_s += 0.8 * add_noise(samples, rng, consonant, start_s, note.velocity, rate_hz)
        target_hz = vowels_hz[rng.integers(len(vowels_hz))].copy()
        # Singers open the mouth where the note would pass the first formant.
        target_hz[0] = max(target_hz[0], 1.05 * note.pitch_hz)
        pulses = _sung_pulses(rng, start_s, end_s - start_s, note.pitch_hz, vibrato)
        add_voice(samples, pulses, (formants_hz, target_hz), note.velocity, rate_hz)
        formants_hz = target_hz
    stem += panned(without_rumble(samples, rate_hz).astype("float32"), rng.uniform(-0.1, 0.1))


def _sung_pulses(rng, start_s, duration_s, pitch_hz, vibrato) -> tuple[np.ndarray, np.ndarray]:
    """Times in s and positions, for `add_voice`, of the glottal pulses of one note.

    The pitch slides up to the note, and a vibrato sets in after a while. Positions rush through
    the attack and the release and stay in the middle of the vowel while the note is held.
    """
    vibrato_hz, depth_semitones = vibrato
    grid_s = np.linspace(0.0, duration_s, max(64, round(400 * duration_s)))
    slide = -rng.uniform(0.0, 1.5) * np.exp(-grid_s / 0.04)
    depth = depth_semitones * np.clip((grid_s - 0.2) / 0.3, 0.0, 1.0)
    wave = np.sin(2 * np.pi * (vibrato_hz * grid_s + rng.random()))
    contour_hz = pitch_hz * 2 ** ((slide + depth * wave) / 12)
    cycles = np.cumsum(contour_hz) * duration_s / len(grid_s)
    time_s = np.interp(np.arange(1, int(cycles[-1]) + 1), cycles, grid_s)
    attack_s, release_s = min(0.08, duration_s / 3), min(0.12, duration_s / 3)
    knots_s = (0.0, attack_s, duration_s - release_s, duration_s)
    position = np.interp(time_s, knots_s, (0.0, 0.5, 0.5, 1.0))
    jitter_s = rng.normal(0.0, 0.003, len(time_s)) / pitch_hz
    return start_s + time_s + jitter_s, position


# Each adds its notes to a stem (time, 2) in place.
PLAYERS = {"drums": play_drums, "bass": play_bass, "other": play_other, "vocals": play_vocals}
