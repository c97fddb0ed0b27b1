import importlib.util
import shutil
import sys

import numpy as np
import pytest
import soundfile

from tonezoo.recipes.corpus import rendering as stem_rendering
from tonezoo.recipes.corpus.notes import SOURCES, Note, random_stream, song_notes
from tonezoo.recipes.corpus.rendering import render_stems
from tonezoo.recipes.corpus.songs import balanced_stems, procedural_stems, write_stems

RATE_HZ = 22_050
TRACK_S = 3.0


@pytest.fixture(scope="module")
def corpus():
    return procedural_stems(tracks=6, track_s=TRACK_S, sample_rate_hz=RATE_HZ)


def share(samples, low_hz, high_hz, rate_hz=RATE_HZ):
    """The share of the energy of (time, channels) that lies between two frequencies."""
    power = np.sum(np.abs(np.fft.rfft(samples, axis=0)) ** 2, axis=1)
    frequency_hz = np.fft.rfftfreq(len(samples), 1 / rate_hz)
    return power[(frequency_hz >= low_hz) & (frequency_hz < high_hz)].sum() / power.sum()


def assert_equal_tracks(a, b):
    assert list(a) == list(b) == list(SOURCES)
    for source in SOURCES:
        np.testing.assert_array_equal(a[source], b[source])


def test_the_same_seed_gives_the_same_bits_and_another_seed_does_not(corpus):
    again = procedural_stems(tracks=1, track_s=TRACK_S, sample_rate_hz=RATE_HZ)
    other = procedural_stems(tracks=1, track_s=TRACK_S, sample_rate_hz=RATE_HZ, seed=1)
    assert_equal_tracks(again["track_000"], corpus["track_000"])
    for source in SOURCES:
        assert not np.array_equal(other["track_000"][source], corpus["track_000"][source])


def test_a_track_does_not_depend_on_how_many_there_are(corpus):
    fewer = procedural_stems(tracks=3, track_s=TRACK_S, sample_rate_hz=RATE_HZ)
    assert list(fewer) == ["track_000", "track_001", "track_002"]
    for name in fewer:
        assert_equal_tracks(fewer[name], corpus[name])


def test_stems_are_stereo_of_the_duration_asked_for_and_their_sum_has_peak_0_8(corpus):
    for stems in corpus.values():
        assert list(stems) == ["drums", "bass", "other", "vocals"]
        for samples in stems.values():
            assert samples.dtype == np.float32
            assert samples.shape == (round(TRACK_S * RATE_HZ), 2)
            assert np.all(np.isfinite(samples))
            assert np.all(np.abs(samples.mean(axis=0)) < 3e-3)
            assert np.all(samples[-1] == 0)
        assert np.max(np.abs(sum(stems.values()))) == pytest.approx(0.8, rel=1e-5)


def test_no_stem_is_silent_or_drowns_the_others(corpus):
    for stems in corpus.values():
        loudness_db = [10 * np.log10(np.mean(samples**2)) for samples in stems.values()]
        assert min(loudness_db) > -45
        assert max(loudness_db) - min(loudness_db) < 20


def test_stems_of_a_track_and_tracks_of_a_stem_are_unlike(corpus):
    for index, name in enumerate(corpus):
        mono = np.array([corpus[name][source].sum(axis=1) for source in SOURCES])
        assert np.all(np.abs(np.corrcoef(mono) - np.eye(4)) < 0.5)
        for other in list(corpus)[index + 1 :]:
            for source, samples in corpus[name].items():
                pair = np.corrcoef(samples.sum(axis=1), corpus[other][source].sum(axis=1))
                assert abs(pair[0, 1]) < 0.5


def test_stems_have_the_spectra_of_their_sources(corpus):
    for stems in corpus.values():
        assert share(stems["bass"], 0, 500) > 0.9
        assert share(stems["bass"], 3000, RATE_HZ) < 1e-3
        assert share(stems["drums"], 0, 120) > 0.05
        assert share(stems["drums"], 2000, RATE_HZ) > 0.01
        assert share(stems["other"], 100, 4000) > 0.8
        assert share(stems["vocals"], 150, 4000) > 0.8


def test_stems_are_stereo(corpus):
    for stems in corpus.values():
        for source in ("drums", "other", "vocals"):
            left, right = stems[source].T
            assert not np.allclose(left, right, rtol=0.05, atol=1e-3)


def test_sounds_begin_where_the_score_has_them():
    """Before its first note a stem is silent, after it is not; drums rise at every kick."""
    for index, stems in enumerate(procedural_stems(tracks=3, track_s=2.0).values()):
        score = song_notes(0, index, 2.0)
        for source, samples in stems.items():
            first = round(score[source][0].start_s * 44_100)
            # Pulses lead by a jitter of some microseconds, and the filter of the voice rings.
            assert np.max(np.abs(samples[: max(0, first - 100)]), initial=0.0) < 0.01
            assert np.max(np.abs(samples[first : first + 8820])) > 0.01
        for note in score["drums"]:
            at = round(note.start_s * 44_100)
            if note.pitch == 36 and 0.02 < note.start_s < 1.9:
                before, after = (
                    np.mean(stems["drums"][part] ** 2)
                    for part in (slice(at - 220, at), slice(at + 44, at + 1000))
                )
                assert after > before


def test_bass_notes_end_without_clicks(corpus):
    """A step has energy at all frequencies; the bass has next to none above 5 kHz."""
    for stems in corpus.values():
        spectrum = np.fft.rfft(stems["bass"], axis=0)
        spectrum[np.fft.rfftfreq(len(stems["bass"]), 1 / RATE_HZ) < 5000] = 0
        clicks = np.fft.irfft(spectrum, len(stems["bass"]), axis=0)
        assert np.max(np.abs(clicks)) < 0.01 * np.max(np.abs(stems["bass"]))


def test_another_rate_changes_the_sampling_and_not_the_music():
    high = procedural_stems(tracks=2, track_s=2.0, sample_rate_hz=44_100)
    low = procedural_stems(tracks=2, track_s=2.0, sample_rate_hz=22_050)
    for name in high:
        # The bass has no partials that the lower rate cannot hold: every other sample will do.
        a, b = high[name]["bass"][::2].sum(axis=1), low[name]["bass"].sum(axis=1)
        assert np.corrcoef(a, b)[0, 1] > 0.999


@pytest.mark.parametrize("sample_rate_hz", [8000, 11_025, 48_000])
def test_other_sample_rates(sample_rate_hz):
    (stems,) = procedural_stems(tracks=1, track_s=1.01, sample_rate_hz=sample_rate_hz).values()
    for samples in stems.values():
        assert samples.shape == (round(1.01 * sample_rate_hz), 2)
        assert np.all(np.isfinite(samples))
        assert np.any(samples)


@pytest.mark.parametrize("track_s", [1.0, 5.5, 12.0])
def test_notes_lie_within_the_track_and_within_the_range_of_their_source(track_s):
    ranges = {"drums": (36, 46), "bass": (28, 56), "other": (50, 84), "vocals": (48, 77)}
    for index in range(50):
        score = song_notes(3, index, track_s)
        assert list(score) == list(SOURCES)
        for source, notes in score.items():
            assert notes
            starts_s = [note.start_s for note in notes]
            assert starts_s == sorted(starts_s)
            for note in notes:
                assert note.start_s >= 0
                assert note.duration_s > 0
                assert note.start_s + note.duration_s <= track_s
                assert 0 < note.velocity <= 1
                assert ranges[source][0] <= note.pitch <= ranges[source][1]


def test_songs_keep_to_a_key_and_differ_in_key_and_tempo():
    keys, kicks_s = set(), set()
    for index in range(20):
        score = song_notes(0, index, 12.0)
        classes = {int(n.pitch) % 12 for s in ("bass", "other", "vocals") for n in score[s]}
        fits = [
            root
            for root in range(12)
            if {(c - root) % 12 for c in classes} <= {0, 2, 4, 5, 7, 9, 11}
        ]
        assert fits
        keys.add(fits[0])
        kicks_s.add(round(score["drums"][-1].start_s - score["drums"][0].start_s, 3))
    assert len(keys) > 4
    assert len(kicks_s) > 15


def test_now_and_then_a_part_rests_for_some_seconds():
    rests = 0
    for index in range(60):
        # Drums play at least every other beat of 0.75 s unless they rest.
        starts_s = [note.start_s for note in song_notes(0, index, 12.0)["drums"]]
        rests += np.max(np.diff([0.0, *starts_s, 12.0])) > 1.9
    assert 1 <= rests <= 15


def test_parts_draw_from_numbers_of_their_own():
    first = {random_stream(0, 0, purpose).random() for purpose in (*SOURCES, "score", "levels")}
    assert len(first | {np.random.default_rng((0, 0)).random()}) == 7
    with pytest.raises(ValueError, match=r"Unknown purpose 'drum'.*drums"):
        random_stream(0, 0, "drum")


def test_a_silent_stem_cannot_be_balanced():
    stems = {"drums": np.ones((8000, 2)), "bass": np.zeros((8000, 2))}
    with pytest.raises(ValueError, match="stem bass"):
        balanced_stems(stems, np.random.default_rng(0), 8000)


@pytest.mark.parametrize(
    "wrong",
    [{"seed": -1}, {"tracks": 0}, {"track_s": 0.5}, {"sample_rate_hz": 4000}, {"track_s": np.nan}],
)
@pytest.mark.parametrize("make", [procedural_stems, write_stems, render_stems])
def test_arguments_out_of_range(make, wrong, tmp_path):
    folder = () if make is procedural_stems else (tmp_path,)
    with pytest.raises(ValueError, match=f"{next(iter(wrong))}=.*at least"):
        make(*folder, **wrong)


def test_written_files_hold_the_stems_exactly(tmp_path):
    arguments = {"tracks": 2, "track_s": 1.0, "sample_rate_hz": 8000, "seed": 3}
    folders = write_stems(tmp_path / "new", **arguments)
    corpus = procedural_stems(**arguments)
    assert [folder.name for folder in folders] == list(corpus)
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == list(corpus)
    for folder in folders:
        assert {path.name for path in folder.iterdir()} == {f"{s}.wav" for s in SOURCES}
        for source, stem in corpus[folder.name].items():
            samples, sample_rate_hz = soundfile.read(folder / f"{source}.wav", dtype="float32")
            assert sample_rate_hz == 8000
            np.testing.assert_array_equal(samples, stem)


def test_a_track_that_cannot_be_finished_leaves_no_folder(tmp_path, monkeypatch):
    write = soundfile.write

    def failing(path, *arguments, **options):
        if path.name == "other.wav":
            raise KeyboardInterrupt
        write(path, *arguments, **options)

    monkeypatch.setattr(soundfile, "write", failing)
    with pytest.raises(KeyboardInterrupt):
        write_stems(tmp_path, tracks=1, track_s=1.0, sample_rate_hz=8000)
    assert not list(tmp_path.iterdir())


@pytest.fixture
def soundfont(tmp_path):
    path = tmp_path / "empty.sf2"
    path.write_bytes(b"RIFF\0\0\0\0sfbk")
    return path


def test_a_missing_program_is_named_with_what_to_install(tmp_path, monkeypatch, soundfont):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ValueError, match=r"fluidsynth is not on the PATH.*apt install fluidsynth"):
        render_stems(tmp_path / "new", soundfont=soundfont, tracks=1)
    with pytest.raises(SystemExit, match="fluidsynth is not on the PATH"):
        stem_rendering.main([str(tmp_path / "new"), "--soundfont", str(soundfont)])
    assert not (tmp_path / "new").exists()


def test_a_missing_or_damaged_soundfont_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(stem_rendering, "SOUNDFONT_FOLDERS", (str(tmp_path),))
    with pytest.raises(ValueError, match=r"No soundfont in .*apt install.*fluid-soundfont-gm"):
        render_stems(tmp_path / "new", tracks=1)
    (tmp_path / "junk.sf2").write_text("not a soundfont")
    with pytest.raises(ValueError, match=r"junk\.sf2 is not a soundfont"):
        render_stems(tmp_path / "new", soundfont=tmp_path / "junk.sf2", tracks=1)


def test_a_missing_mido_is_named_with_its_extra(tmp_path, monkeypatch, soundfont):
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setitem(sys.modules, "mido", None)
    with pytest.raises(ImportError, match=r'pip install "tonezoo\[fluidsynth\]"'):
        render_stems(tmp_path / "new", soundfont=soundfont, tracks=1)


def test_fluidsynth_has_a_highest_rate(tmp_path):
    with pytest.raises(ValueError, match=r"sample_rate_hz=192000 is too large.*96000"):
        render_stems(tmp_path, sample_rate_hz=192_000)


def test_midi_events_release_a_key_before_it_is_struck_again():
    events = stem_rendering._events([Note(0.0, 1.0, 60.0, 1.0), Note(0.5, 0.25, 60.0, 0.25)])
    assert events == [
        (0, "note_on", 60, 127),
        (960, "note_off", 60, 0),
        (960, "note_on", 60, 64),
        (1440, "note_off", 60, 0),
    ]


@pytest.mark.slow
def test_fluidsynth_plays_the_scores(tmp_path):
    if shutil.which("fluidsynth") is None or importlib.util.find_spec("mido") is None:
        pytest.skip("needs fluidsynth and mido")
    try:
        stem_rendering._soundfont(None)
    except ValueError as error:
        pytest.skip(str(error))
    arguments = {"tracks": 2, "track_s": 3.0, "sample_rate_hz": 22_050}
    folders = render_stems(tmp_path / "a", **arguments)
    again = render_stems(tmp_path / "b", **arguments | {"tracks": 1})
    assert [folder.name for folder in folders] == ["track_000", "track_001"]
    for folder in folders:
        stems = {s: soundfile.read(folder / f"{s}.wav", dtype="float32")[0] for s in SOURCES}
        for samples in stems.values():
            assert samples.shape == (66_150, 2)
            assert np.all(np.abs(samples.mean(axis=0)) < 1e-3)
        assert np.max(np.abs(sum(stems.values()))) == pytest.approx(0.8, rel=1e-5)
        assert share(stems["bass"], 0, 500) > 0.7
        assert share(stems["drums"], 2000, RATE_HZ) > 1e-3
        if folder.name == "track_000":
            for source, samples in stems.items():
                other = soundfile.read(again[0] / f"{source}.wav", dtype="float32")[0]
                np.testing.assert_array_equal(samples, other)
