"""Songs composed from recordings: what is found out about them, and what becomes of them."""

import numpy as np
import pytest
import soundfile
from signals import noise, write_audio

from tonezoo.recipes.corpus import collage
from tonezoo.recipes.corpus.collage import Library, arranged, compose
from tonezoo.recipes.corpus.instruments import electronic_kick, play_sub_bass
from tonezoo.recipes.corpus.notes import CLOSED_HAT, KICK, Note, song_frame
from tonezoo.recipes.corpus.recordings import Phrase, find_recordings, look_at

RATE_HZ = 22_050


def decaying(samples, seconds=0.3):
    return samples * np.exp(-np.arange(len(samples)) / (seconds * RATE_HZ))


def tone(frequency_hz, seconds=1.0, partials=6):
    time_s = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    waves = [np.sin(2 * np.pi * k * frequency_hz * time_s) / k for k in range(1, partials + 1)]
    return 0.3 * np.sum(waves, axis=0)


def bright(seconds=0.2):
    return np.diff(noise(round(seconds * RATE_HZ) + 1), prepend=0)[1:]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A kick, a hi-hat, a loop of eight kicks; three notes; a phrase whose name tells all."""
    root = tmp_path_factory.mktemp("recordings")
    kick = decaying(tone(60, 0.3, partials=1), 0.1)
    files = {
        "drums/boom.wav": kick,
        "drums/tss.wav": decaying(bright(), 0.05),
        "drums/loop.wav": np.tile(np.pad(kick, (0, round(0.2 * RATE_HZ))), 8),
        "bass/low.wav": tone(55.0),
        "bass/middle_a2.wav": tone(110.0),
        "bass/high.wav": tone(220.0),
        "vocals/Oh - 120 BPM - A minor.wav": tone(440.0, 2.0),
    }
    for name, samples in files.items():
        write_audio(root / name, samples, RATE_HZ)
    return {source: [root / source] for source in ("drums", "bass", "vocals")}


@pytest.fixture(scope="module")
def found(folders):
    return {source: find_recordings(paths, source) for source, paths in folders.items()}


def test_strokes_loops_notes_and_phrases_are_told_apart(found):
    drums = {r.path.stem: r for r in found["drums"]}
    assert drums["boom"].centroid_hz < collage.KICK_BELOW_HZ
    assert drums["tss"].centroid_hz > collage.SNARE_BELOW_HZ
    assert isinstance(drums["loop"], Phrase) and drums["loop"].key is None
    assert drums["loop"].tempo_bpm == pytest.approx(120, rel=0.03)
    pitches = {r.path.stem: r.pitch for r in found["bass"]}
    assert pitches == pytest.approx({"low": 33, "middle_a2": 45, "high": 57}, abs=0.1)
    (phrase,) = found["vocals"]
    # C major is the relative of A minor.
    assert (phrase.tempo_bpm, phrase.key) == (120, 0)


def test_keys_are_measured_where_no_name_tells_them(tmp_path):
    # The triads of C, F and G are those of C major alone.
    chords = [
        (261.6, 329.6, 392.0),
        (349.2, 440.0, 523.3),
        (392.0, 493.9, 587.3),
        (261.6, 329.6, 392.0),
    ]
    samples = np.concatenate([sum(tone(f, 0.5, 2) for f in chord) for chord in chords])
    assert look_at(write_audio(tmp_path / "x.wav", 0.2 * samples, RATE_HZ), "vocals").key == 0


def test_notes_sound_at_the_pitch_of_the_score(found):
    library = Library(found, RATE_HZ)
    for pitch in (31, 40.5, 50):
        stem = np.zeros((RATE_HZ, 2), "float32")
        note = Note(0.1, 0.8, pitch, 1.0)
        collage.play_notes(stem, np.random.default_rng(0), [note], library, "bass")
        spectrum = np.abs(np.fft.rfft(stem[2205:].sum(axis=1), 8 * RATE_HZ))
        heard_hz = np.argmax(spectrum) / 8
        assert 12 * np.log2(heard_hz / note.pitch_hz) == pytest.approx(0, abs=0.3)
        assert not stem[:2200].any() and not stem[round(0.95 * RATE_HZ) :].any()


def test_some_drum_parts_have_no_kick(found):
    library, heard = Library(found, RATE_HZ), []
    notes = [Note(0.1, 0.1, kind, 1.0) for kind in (KICK, CLOSED_HAT)]
    for seed in range(30):
        stem = np.zeros((RATE_HZ, 2), "float32")
        collage.play_strokes(stem, np.random.default_rng(seed), notes, library)
        spectrum = np.abs(np.fft.rfft(stem[:, 0])) ** 2
        heard.append(spectrum[:200].sum() > 0.1 * spectrum.sum())
        assert stem.any()
    assert 1 < heard.count(False) < 12


def test_phrases_come_to_the_key_and_to_the_tempo(found):
    song = song_frame(0, 0, 12.0)
    stem = np.zeros((12 * RATE_HZ, 2), "float32")
    library = Library(found, RATE_HZ)
    collage.play_phrases(stem, np.random.default_rng(1), song, library, "vocals")
    mono = stem.sum(axis=1)
    heard = np.flatnonzero(np.abs(mono) > 0.05 * np.abs(mono).max())
    assert heard[0] / RATE_HZ == pytest.approx(song.first_beat_s, abs=0.05)
    # A4, the sixth degree of C major, in the song's key, or in its relative major.
    piece = mono[heard[0] : heard[0] + RATE_HZ]
    spectrum = np.abs(np.fft.rfft(piece * np.hanning(len(piece)), 8 * RATE_HZ))
    semitones = 12 * np.log2(np.argmax(spectrum) / 8 / 440)
    shift = round(semitones)
    assert abs(semitones - shift) < 0.3 and (shift - collage.major_of(song)) % 12 == 0
    # 2 s at 120 beats a minute are a bar.
    bars = np.flatnonzero(np.abs(mono[heard[0] :]) < 1e-6)[0] / RATE_HZ / (4 * song.beat_s)
    assert bars == pytest.approx(1, abs=0.1)


def test_parts_start_and_stop_without_clicks():
    song = song_frame(0, 0, 60.0)
    stems = {source: np.ones((60 * RATE_HZ, 2), "float32") for source in ("drums", "bass", "x")}
    gated = arranged(stems, np.random.default_rng(0), song, RATE_HZ)
    playing = np.array([stem[:, 0] for stem in gated.values()])
    assert (playing.sum(axis=0) > 0.99).all() and (playing.min(axis=1) < 1e-6).any()
    assert (playing.max(axis=1) > 0.999).all()
    assert np.abs(np.diff(playing, axis=1)).max() < 0.01


def crossings(signal):
    """Returns the samples where a signal passes zero."""
    return np.flatnonzero(np.diff(np.signbit(signal)))


@pytest.mark.parametrize("seed", range(4))
def test_an_electronic_kick_falls_and_a_deep_bass_holds_its_pitch(seed):
    kick = electronic_kick(np.random.default_rng(seed), 44_100)
    # Within 35 and 350 Hz: half a period is 63 to 630 samples.
    halves = np.diff(crossings(kick))[: len(kick) // 700]
    assert halves[-1] > 1.5 * halves[0] and 60 < halves.min() < halves.max() < 800
    assert abs(kick[0]) < 1e-3 and abs(kick[-1]) < 1e-3 and np.abs(kick).max() <= 1.01
    bass = np.zeros((3 * 44_100, 2), "float32")
    play_sub_bass(bass, np.random.default_rng(seed), [Note(0.0, 2.0, 33.0, 1.0)], 44_100)
    # A1, 55 Hz, has half periods of 401 samples; what else there is is above 160 Hz.
    sounding = low_passed(bass[np.abs(bass[:, 0]) > 0, 0], 110)
    late = np.diff(crossings(sounding))[6:12]
    assert np.abs(late - 401).max() < 20


def low_passed(signal, highest_hz):
    spectrum = np.fft.rfft(signal)
    spectrum[np.fft.rfftfreq(len(signal), 1 / 44_100) > highest_hz] = 0
    return np.fft.irfft(spectrum, len(signal))


def test_some_deep_basses_begin_bright():
    shares = []
    for seed in range(20):
        bass = np.zeros((3 * 44_100, 2), "float32")
        play_sub_bass(bass, np.random.default_rng(seed), [Note(0.0, 2.0, 33.0, 1.0)], 44_100)
        start = bass[:4410, 0]
        shares.append(1 - np.sum(low_passed(start, 250) ** 2) / np.sum(start**2))
    shares = np.sort(shares)
    assert shares[5] < 0.01 and shares[-5] > 0.03


def test_deep_basses_are_played_from_staccato_to_legato():
    sounding = []
    for seed in range(30):
        bass = np.zeros((3 * 8000, 2), "float32")
        play_sub_bass(bass, np.random.default_rng(seed), [Note(0.0, 2.0, 33.0, 1.0)], 8000)
        sounding.append(np.flatnonzero(bass[:, 0])[-1] / 8000)
    assert min(sounding) < 0.6 and max(sounding) > 1.7 and max(sounding) < 2.3


@pytest.mark.parametrize("seed", range(8))
def test_every_part_is_heard_where_it_sounds(seed):
    song = song_frame(0, 0, 20.0)
    section = round(16 * song.beat_s * RATE_HZ)
    # The rest of a section, too short to be one of its own, holds the last stroke alone.
    samples = 2 * section + RATE_HZ // 20
    stems = {name: np.zeros((samples, 2), "float32") for name in ("a", "b", "c")}
    stems["a"][: section // 2] = 1.0
    stems["b"][section + RATE_HZ : 2 * section] = 1.0
    stems["c"][-10:] = 1.0
    gated = arranged(stems, np.random.default_rng(seed), song, RATE_HZ)
    assert all(stem.any() for stem in gated.values())
    assert (gated["c"][-10:] > 0.9).all()


def test_a_song_is_a_function_of_its_seed_and_fills_up_with_made_up_parts(found):
    songs = [compose(seed, 0, 4.0, Library(found, RATE_HZ)) for seed in (0, 0, 1)]
    for source in ("drums", "bass", "other", "vocals"):
        assert songs[0][source].shape == (4 * RATE_HZ, 2) and songs[0][source].any()
        np.testing.assert_array_equal(songs[0][source], songs[1][source])
        assert not np.array_equal(songs[0][source], songs[2][source])
    assert np.abs(sum(songs[0].values())).max() == pytest.approx(0.8, rel=1e-4)


def test_the_command_writes_tracks_of_stems(folders, tmp_path, capsys):
    words = [f"--{source}={paths[0]}" for source, paths in folders.items()]
    options = ("--tracks", "1", "--track-s", "2", "--sample-rate-hz", str(RATE_HZ))
    collage.main([str(tmp_path / "songs"), *words, *options])
    assert capsys.readouterr().out == f"1 tracks in {tmp_path / 'songs'}\n"
    names = {path.stem for path in (tmp_path / "songs" / "track_000").iterdir()}
    assert names == {"drums", "bass", "other", "vocals"}
    samples, rate_hz = soundfile.read(tmp_path / "songs" / "track_000" / "vocals.wav")
    assert rate_hz == RATE_HZ and samples.shape == (2 * RATE_HZ, 2)


def test_what_cannot_be_composed_of_is_explained(tmp_path, folders):
    with pytest.raises(ValueError, match="No audio was found in"):
        collage.write_collages(tmp_path / "out", {"drums": [tmp_path]})
    with pytest.raises(ValueError, match=r"Unknown source 'flute'\. Give some of drums,"):
        collage.write_collages(tmp_path / "out", {"flute": folders["bass"]})
    with pytest.raises(SystemExit, match="There is no folder"):
        collage.main([str(tmp_path / "out"), "--bass", str(tmp_path / "nowhere")])
    assert not (tmp_path / "out").exists()
