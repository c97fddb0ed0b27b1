"""A procedural corpus of speech-like and string-like clips: the embedded data of demo and tests.

Nothing is recorded: voiced sounds are glottal pulses through formant resonators whose frequencies
glide from phone to phone, unvoiced sounds are shaped noise up to the Nyquist frequency, strings
are sums of decaying inharmonic partials. The bands above 2 kHz follow from those below: they share
pulses, envelopes and partials, so that a super-resolution model has something to learn.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

# Mean formants in Hz of an adult male voice, after the usual tables; two higher resonances fill
# the band to 8 kHz and move little.
VOWELS_HZ = np.array(
    [
        (730, 1090, 2440, 3400, 4500),
        (530, 1840, 2480, 3500, 4600),
        (270, 2290, 3010, 3700, 4700),
        (570, 840, 2410, 3300, 4400),
        (300, 870, 2240, 3300, 4400),
        (640, 1190, 2390, 3400, 4500),
        (490, 1350, 1690, 3300, 4400),
    ],
    dtype="float64",
)
HIGH_RESONANCES_HZ = (5600.0, 6900.0)
BANDWIDTHS_HZ = np.array((70, 100, 140, 200, 260, 380, 500), dtype="float64")
FORMANT_LEVELS_DB = np.array((0, -4, -9, -13, -17, -21, -25), dtype="float64")

# Centre and width in Hz, level in dB and duration in s of the noise of s, sh, f, h, t and k.
FRICATIVES = (
    *((5800, 1700, -13, 0.11), (3300, 1300, -12, 0.11), (4500, 3800, -22, 0.09)),
    *((1600, 1300, -20, 0.07), (4800, 2200, -12, 0.03), (2200, 1100, -12, 0.03)),
)

SCALE_SEMITONES = (0, 2, 4, 7, 9)
ROOM_NOISE_DB = -72.0
PEAK = 0.8


def procedural_corpus(
    *, seed: int = 0, clips: int = 32, segment_s: float = 4.0, sample_rate_hz: int = 16_000
) -> dict[str, np.ndarray]:
    """Returns made-up clips by name, three of speech to one of struck strings.

    Clip i is a pure function of `seed`, i, the duration and the rate: more clips never change the
    first ones. Samples lie on the grid of 16-bit audio, so that a WAV file holds them exactly and
    machines whose sines differ in the last bit agree.

    Args:
        seed: 0 or more.
        clips: number of clips, 1 or more.
        segment_s: duration of a clip in seconds, at least 0.1.
        sample_rate_hz: at least 8000; content ends at 8 kHz or at the Nyquist frequency.

    Returns:
        name -> float32 (time,), peak 0.8, such as "speech_000" or "strings_003".

    Raises:
        ValueError: an argument is out of range.

    Example:

    >>> corpus = procedural_corpus(clips=4, segment_s=0.5)
    >>> list(corpus)
    ['speech_000', 'speech_001', 'speech_002', 'strings_003']
    >>> corpus["speech_000"].shape, corpus["speech_000"].dtype
    ((8000,), dtype('float32'))
    """
    return dict(_clips(seed, clips, segment_s, sample_rate_hz))


def write_corpus(
    folder: str | os.PathLike,
    *,
    seed: int = 0,
    clips: int = 32,
    segment_s: float = 4.0,
    sample_rate_hz: int = 16_000,
) -> tuple[Path, ...]:
    """Writes the clips of `procedural_corpus` as 16-bit WAV files, which hold them exactly.

    Args:
        folder: where the files go; created if needed. The others are those of `procedural_corpus`.

    Returns:
        the paths written, in the order of the clips.

    Raises:
        ValueError: an argument is out of range, or the folder cannot be written.

    Example:

    >>> import tempfile
    >>> paths = write_corpus(tempfile.mkdtemp(), clips=1, segment_s=0.1)
    >>> [path.name for path in paths]
    ['speech_000.wav']
    """
    import soundfile

    from tonezoo.files import atomic_path

    paths = []
    for name, samples in _clips(seed, clips, segment_s, sample_rate_hz):
        paths.append(Path(folder) / f"{name}.wav")
        with atomic_path(paths[-1]) as temporary:
            soundfile.write(temporary, samples, sample_rate_hz, subtype="PCM_16")
    return tuple(paths)


def _clips(seed, clips, segment_s, sample_rate_hz) -> Iterator[tuple[str, np.ndarray]]:
    for name, value, least in (
        ("seed", seed, 0),
        ("clips", clips, 1),
        ("segment_s", segment_s, 0.1),
        ("sample_rate_hz", sample_rate_hz, 8000),
    ):
        if value < least:
            raise ValueError(f"{name}={value} is too small: give at least {least}.")
    for index in range(clips):
        rng = np.random.default_rng((seed, index))
        kind, synthesize = ("strings", _strings) if index % 4 == 3 else ("speech", _speech)
        samples = synthesize(rng, round(segment_s * sample_rate_hz), sample_rate_hz)
        samples *= PEAK / np.max(np.abs(samples))
        samples += rng.normal(0.0, 10 ** (ROOM_NOISE_DB / 20), len(samples))
        yield f"{kind}_{index:03d}", (np.round(samples * 2**15) / 2**15).astype("float32")


def _speech(rng: np.random.Generator, length: int, rate_hz: int) -> np.ndarray:
    """Syllables of one voice: a consonant, a vowel gliding to the next, now and then a pause."""
    voice_hz, tract = rng.uniform(90, 240), rng.uniform(0.95, 1.2)
    vowels_hz = np.hstack([VOWELS_HZ, np.tile(HIGH_RESONANCES_HZ, (len(VOWELS_HZ), 1))]) * tract
    samples = np.zeros(length)
    start_s, formants_hz = 0.02, vowels_hz[rng.integers(len(vowels_hz))]
    while start_s * rate_hz < length:
        loudness = rng.uniform(0.4, 1.0)
        if rng.random() < 0.7:
            consonant = FRICATIVES[rng.integers(len(FRICATIVES))]
            start_s += add_noise(samples, rng, consonant, start_s, loudness, rate_hz)
        target_hz = vowels_hz[rng.integers(len(vowels_hz))]
        pitch_hz = voice_hz * rng.uniform(0.85, 1.2)
        duration_s = rng.uniform(0.1, 0.3)
        pulses = _pulses(rng, start_s, duration_s, pitch_hz)
        add_voice(samples, pulses, (formants_hz, target_hz), loudness, rate_hz)
        start_s += duration_s + (rng.uniform(0.1, 0.35) if rng.random() < 0.2 else 0.01)
        formants_hz = target_hz
    return without_rumble(samples, rate_hz)


def _pulses(
    rng: np.random.Generator, start_s: float, duration_s: float, pitch_hz: float
) -> tuple[np.ndarray, np.ndarray]:
    """Times in s and positions in the vowel, 0 to 1, of the glottal pulses of a falling contour."""
    slope, wander = rng.uniform(-0.25, 0.1), rng.uniform(0.0, 0.03)
    grid = np.linspace(0.0, 1.0, 200)
    contour_hz = pitch_hz * (1 + slope * grid + wander * np.sin(2 * np.pi * 5 * duration_s * grid))
    cycles = np.cumsum(contour_hz) * duration_s / len(grid)
    position = np.interp(np.arange(1, int(cycles[-1]) + 1), cycles, grid)
    jitter = rng.normal(0.0, 0.005, len(position)) / pitch_hz
    return start_s + duration_s * position + jitter, position


def add_voice(samples, pulses, formants_hz, loudness, rate_hz) -> None:
    """Adds the response of the formant resonators, in parallel, to every glottal pulse.

    A pulse excites a resonator to a damped sine. Frequencies hold still within a response and
    glide from one to the next; times fall between samples, so that the pitch has no grid.

    Args:
        samples: (time,), changed in place.
        pulses: times in s and positions in the vowel from 0 to 1, which set loudness and glide.
        formants_hz: the seven resonances at which the vowel begins and those to which it glides.
        loudness: a factor.
        rate_hz: of `samples`.

    Example:

    >>> samples, schwa_hz = np.zeros(800), np.arange(500.0, 7000.0, 1000.0)
    >>> add_voice(samples, (np.array([0.01]), np.array([0.5])), (schwa_hz, schwa_hz), 1.0, 16_000)
    >>> bool(samples[:160].any()), bool(samples[160:].any())
    (False, True)
    """
    times_s, position = pulses
    begin, end = formants_hz
    glide = np.clip(3 * position, 0.0, 1.0)[:, None]
    frequency_hz = begin * (1 - glide) + end * glide
    envelope = loudness * np.sin(np.pi * np.clip(position, 0.02, 0.98)) ** 0.5
    audible = frequency_hz < 0.48 * rate_hz
    level = envelope[:, None] * audible * 10 ** (FORMANT_LEVELS_DB / 20)
    first = np.ceil(times_s * rate_hz).astype("int64")
    lag_s = (first[:, None] + np.arange(round(0.016 * rate_hz))) / rate_hz - times_s[:, None]
    response = np.zeros_like(lag_s)
    for formant, bandwidth_hz in enumerate(BANDWIDTHS_HZ):
        phase = 2 * np.pi * frequency_hz[:, formant, None] * lag_s
        # A short rise rounds off the glottal closure: no step, hence no hard edge at high formants.
        shape = np.exp(-np.pi * bandwidth_hz * lag_s) * (1 - np.exp(-lag_s / 1e-4))
        response += level[:, formant, None] * shape * np.sin(phase)
    for offset, row in zip(first, response, strict=True):
        add(samples, row, offset)


def add_noise(samples, rng, consonant, start_s, loudness, rate_hz) -> float:
    """Adds one consonant, noise with a spectral hump over a weak floor.

    Args:
        samples: (time,), changed in place.
        rng: draws the noise.
        consonant: one of FRICATIVES.
        start_s: where in `samples` it begins, in seconds.
        loudness: a factor.
        rate_hz: of `samples`.

    Returns:
        its duration in seconds.

    Example:

    >>> duration_s = add_noise(
    ...     np.zeros(8000), np.random.default_rng(0), FRICATIVES[0], 0.1, 1.0, 16_000
    ... )
    >>> 0.07 < duration_s < 0.16
    True
    """
    centre_hz, width_hz, level_db, typical_s = consonant
    duration_s = typical_s * rng.uniform(0.7, 1.4)
    length = round(duration_s * rate_hz)
    frequency_hz = np.fft.rfftfreq(length, 1 / rate_hz)
    hump = np.exp(-0.5 * ((frequency_hz - centre_hz) / width_hz) ** 2) + 0.04
    hump *= 1 / (1 + (frequency_hz / 8500) ** 8)
    noise = np.fft.irfft(np.fft.rfft(rng.normal(0.0, 1.0, length)) * hump, length)
    noise *= 10 ** (level_db / 20) * loudness / np.sqrt(np.mean(noise**2))
    position = np.linspace(0.0, 1.0, length)
    # Bursts (short) decay, fricatives swell and fade.
    envelope = np.exp(-4 * position) if typical_s < 0.05 else np.sin(np.pi * position)
    add(samples, noise * envelope, round(start_s * rate_hz))
    return duration_s


def without_rumble(samples: np.ndarray, rate_hz: int) -> np.ndarray:
    """Removes what lies below 60 Hz: the pulses all push the same way, lips radiate no pressure.

    Args:
        samples: (time,).
        rate_hz: of `samples`.

    Returns:
        samples of the same shape.

    Example:

    >>> float(abs(without_rumble(np.ones(100), 8000)).max())
    0.0
    """
    frequency_hz = np.fft.rfftfreq(len(samples), 1 / rate_hz)
    gain = frequency_hz**4 / (frequency_hz**4 + 60**4)
    return np.fft.irfft(np.fft.rfft(samples) * gain, len(samples))


def _strings(rng: np.random.Generator, length: int, rate_hz: int) -> np.ndarray:
    """Struck strings: notes of a pentatonic scale, each a sum of decaying stretched partials."""
    samples = np.zeros(length)
    root_hz, strike = rng.uniform(80, 160), rng.uniform(0.1, 0.2)
    inharmonicity = 10 ** rng.uniform(-4.3, -3.5)
    start_s = 0.02
    while start_s * rate_hz < length:
        degree = rng.integers(3 * len(SCALE_SEMITONES))
        octave, step = divmod(int(degree), len(SCALE_SEMITONES))
        note_hz = root_hz * 2 ** (octave + SCALE_SEMITONES[step] / 12)
        offset = round(start_s * rate_hz)
        ring = min(length - offset, 2 * rate_hz)
        note = struck_string(note_hz, strike, inharmonicity, ring, rate_hz)
        add(samples, rng.uniform(0.3, 1.0) * note, offset)
        start_s += rng.choice((0.125, 0.25, 0.5)) * rng.uniform(0.95, 1.05)
    return samples


def struck_string(note_hz, strike, inharmonicity, length, rate_hz) -> np.ndarray:
    """Partials k f sqrt(1 + B k^2); harder struck low, damped faster high.

    Args:
        note_hz: f.
        strike: where the string is struck, as a share of its length.
        inharmonicity: B.
        length: of the note in samples; its last 50 ms are faded out.
        rate_hz: partials beyond its Nyquist frequency are left out.

    Returns:
        float64 (time,).

    Example:

    >>> struck_string(110.0, 0.15, 1e-4, 1000, 16_000).shape
    (1000,)
    """
    k = np.arange(1, 61)
    frequency_hz = k * note_hz * np.sqrt(1 + inharmonicity * k**2)
    k, frequency_hz = k[frequency_hz < 0.48 * rate_hz], frequency_hz[frequency_hz < 0.48 * rate_hz]
    amplitude = np.abs(np.sin(np.pi * k * strike)) / k**0.9
    decay_s = 1.2 / (1 + 0.0009 * frequency_hz)
    # exp(s t) at t = (block + offset) is a product of two short tables: one matrix product instead
    # of a sine per sample and partial.
    rotation = (2j * np.pi * frequency_hz - 1 / decay_s) / rate_hz
    block = 128
    blocks = np.exp(np.outer(np.arange(0, length, block), rotation))
    note = ((blocks * amplitude) @ np.exp(np.outer(rotation, np.arange(block)))).imag
    note = note.reshape(-1)[:length]  # (blocks, block) -> (time,)
    fade = min(length, rate_hz // 20)
    note[-fade:] *= np.linspace(1.0, 0.0, fade)
    return note


def add(samples: np.ndarray, piece: np.ndarray, offset: int) -> None:
    """Adds `piece` to `samples` in place at `offset`, 0 or more, cut where it passes the end.

    Example:

    >>> samples = np.zeros(3)
    >>> add(samples, np.ones(5), 1)
    >>> samples.tolist()
    [0.0, 1.0, 1.0]
    """
    end = min(len(samples), offset + len(piece))
    if offset < end:
        samples[offset:end] += piece[: end - offset]
