"""Tracks: which there are, which of them train, and what is read of them, real stem files too."""

import builtins
import re
import shutil
import subprocess
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import signals

from tonezoo.recipes.data.tracks import (
    STEM_STREAMS,
    VALIDATION_TRACKS,
    find_tracks,
    fit_channels,
    import_stempeg,
    plays_in_place,
    read_track,
    source_files,
    track_name,
)

SOURCES = ("drums", "bass")
RATE_HZ = 8000
FOUR = {"sources": STEM_STREAMS[1:], "sample_rate_hz": 44_100, "channels": 2}


def touch(root, *names):
    """Makes empty files: looking for tracks reads none of them."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def write(path, samples, rate_hz=RATE_HZ, **options):
    return signals.write_audio(path, samples, rate_hz, **{"subtype": "FLOAT", **options})


noise = partial(signals.noise, peak=0.5)


def read(track, sources=SOURCES, sample_rate_hz=RATE_HZ, channels=2, report=None):
    """Reads a track, in which nothing is to be reported unless the test says so."""

    def refuse(line):
        raise AssertionError(line)

    return read_track(
        track,
        sources=sources,
        sample_rate_hz=sample_rate_hz,
        channels=channels,
        report=report or refuse,
    )


def below(root, paths):
    return [path.relative_to(root).as_posix() for path in paths]


def find(root, **options):
    """Returns the names of the tracks to train on, those to test on, and the layout."""
    clips = find_tracks(root, sources=SOURCES, **options)
    return below(root, clips.train), below(root, clips.test), clips.layout


@pytest.fixture
def band(tmp_path):
    """Tracks at several depths, with files that are none."""
    return touch(
        tmp_path,
        *("b/drums.wav", "b/bass.flac", "a/live/bass.WAV", "song.stem.mp4", "a/one/drums.ogg"),
        *("a/one/bass.mp3", "notes/notes.wav", "notes/drums.txt", "mix/mixture.wav"),
        *("clip/drums2.wav", "song.mp4", ".hidden/drums.wav", "c/.cache/drums.wav"),
        *("c/.drums.wav", ".x.stem.mp4"),
    )


def test_folders_with_a_source_and_stem_files_are_tracks_and_nothing_hidden(band):
    assert find(band) == (["a/live", "a/one", "b", "song.stem.mp4"], [], "folder")


@pytest.mark.parametrize(
    ("hold_out", "held_out"),
    [
        ("a", ["a/live", "a/one"]),
        ("a/*", ["a/live", "a/one"]),
        (["live", "b"], ["a/live", "b"]),
        ("song.stem", ["song.stem.mp4"]),
        ("song.stem.mp4", ["song.stem.mp4"]),
        (("b", "b"), ["b"]),
    ],
)
def test_what_a_pattern_matches_is_tested_on(band, hold_out, held_out):
    everything, _, _ = find(band)
    train, test, layout = find(band, hold_out=hold_out)
    assert test == held_out and layout == "folder"
    assert train == [name for name in everything if name not in held_out]


@pytest.fixture
def musdb(tmp_path):
    """The folders of MUSDB18, of two test tracks, one validation track and three others."""
    stems = [f"train/{name}.stem.mp4" for name in ("A - B", "C - D", "ANiMAL - Rockshow")]
    return touch(tmp_path, *stems, "train/E - F/bass.wav", "test/G/bass.wav", "test/H.stem.mp4")


def test_linked_tracks_and_parts_are_found_and_each_is_taken_once(musdb):
    root = musdb / "linked"
    root.mkdir()
    for name in ("train", "test"):
        (root / name).symlink_to(musdb / name)
    (musdb / "train" / "loop").symlink_to(root)
    assert find(root) == (
        ["train/A - B.stem.mp4", "train/C - D.stem.mp4", "train/E - F"],
        ["test/G", "test/H.stem.mp4"],
        "musdb",
    )
    alone = musdb / "alone"
    alone.mkdir()
    (alone / "song").symlink_to(musdb / "train" / "E - F")
    assert find(alone) == (["song"], [], "folder")


def test_sources_in_formats_that_are_not_read_are_counted(tmp_path):
    lines = []
    touch(tmp_path, "a/drums.wav", "a/bass.m4a", "a/cover.m4a", "b/drums.m4a", "b/bass.aac")
    assert find(tmp_path, report=lines.append)[0] == ["a"]
    assert lines == [
        f"3 files of {tmp_path} are left out (2 .m4a, 1 .aac): such audio is not read. Convert "
        "them to WAV or FLAC, for example with ffmpeg."
    ]
    with pytest.raises(ValueError, match=r"No track was found .* \(1 \.aac, 1 \.m4a\)"):
        find(tmp_path / "b")


@pytest.mark.parametrize("name", ["voix_\u00e9", "voix_e\u0301"])
@pytest.mark.parametrize("wanted", ["voix_\u00e9", "voix_e\u0301"])
def test_names_are_compared_however_accents_are_encoded(tmp_path, name, wanted):
    write(tmp_path / "t" / f"{name}.wav", noise(10, 2))
    write(tmp_path / name / f"{name}.wav", noise(10, 2))
    assert source_files(tmp_path / "t", [wanted])[wanted].stem == name
    found = find_tracks(tmp_path, sources=[wanted], hold_out=wanted)
    assert below(tmp_path, found.test) == [name] and below(tmp_path, found.train) == ["t"]


def test_a_track_of_which_resampling_leaves_nothing_is_named(tmp_path):
    for source in SOURCES:
        write(tmp_path / f"{source}.wav", noise(1, 2), 96_000)
    with pytest.raises(ValueError, match="holds less than one sample at 8000 Hz"):
        read(tmp_path)


def test_musdb_has_tracks_of_its_own_to_validate_on(musdb):
    root, validation = musdb / "train", "ANiMAL - Rockshow.stem.mp4"
    found = find_tracks(musdb, sources=SOURCES)
    assert below(root, found.validation) == [validation]
    held_out = find_tracks(musdb, sources=SOURCES, hold_out="ANiMAL*")
    assert root / validation in held_out.test and held_out.validation == ()
    assert find_tracks(musdb, sources=SOURCES, layout="folder").validation == ()


def test_musdb_has_its_own_test_tracks_and_leaves_validation_tracks_out(musdb):
    expected = (
        ["train/A - B.stem.mp4", "train/C - D.stem.mp4", "train/E - F"],
        ["test/G", "test/H.stem.mp4"],
    )
    assert find(musdb) == (*expected, "musdb")
    assert find(musdb, layout="musdb") == (*expected, "musdb")
    train, test, layout = find(musdb, layout="folder")
    assert (len(train), test, layout) == (6, [], "folder")


def test_musdb_tracks_can_be_held_out_too_validation_tracks_included(musdb):
    train, test, _ = find(musdb, hold_out=("E - F", "ANiMAL*"))
    assert train == ["train/A - B.stem.mp4", "train/C - D.stem.mp4"]
    assert test == [
        *("test/G", "test/H.stem.mp4"),
        *("train/ANiMAL - Rockshow.stem.mp4", "train/E - F"),
    ]


def test_wav_folders_of_validation_tracks_are_left_out_as_well(tmp_path):
    assert len(VALIDATION_TRACKS) == 14
    names = [*VALIDATION_TRACKS, "other"]
    touch(tmp_path, "test/x/bass.wav", *(f"train/{name}/bass.wav" for name in names))
    assert find(tmp_path) == (["train/other"], ["test/x"], "musdb")


def test_one_of_the_two_folders_is_no_musdb(tmp_path):
    touch(tmp_path, "train/a/bass.wav", "valid/b/bass.wav", "test/deeper/c/bass.wav")
    train, test, layout = find(tmp_path)
    assert (train, test, layout) == (["test/deeper/c", "train/a", "valid/b"], [], "folder")
    # A copy of the training part alone.
    assert find(tmp_path, layout="musdb") == (["train/a"], [], "musdb")


@pytest.mark.parametrize(
    ("files", "options", "message"),
    [
        (["a/bass.wav"], {"layout": "vctk"}, "Unknown layout 'vctk'. Known: auto, folder, musdb."),
        (["a/notes.wav"], {}, "No track was found in .* or below. .*drums, bass; .wav, .flac"),
        (["a/bass.wav"], {"layout": "musdb"}, "is not MUSDB18: it has no tracks in .*train"),
        (["a/bass.wav"], {"hold_out": "b"}, "'b' matches none of the 1 tracks in .*, such as a"),
        (["a/bass.wav"], {"hold_out": ("a", "A")}, "'A' matches none"),
        (["a/bass.wav", "b/bass.wav"], {"hold_out": "*"}, "Nothing is left .* its 2 tracks"),
        (
            ["train/Meaxic - Take A Step/bass.wav", "test/a/bass.wav"],
            {},
            r"Nothing is left to train on in .* its 2 tracks \(musdb layout\) are all held out or",
        ),
    ],
)
def test_folders_without_what_is_needed_are_explained(tmp_path, files, options, message):
    with pytest.raises(ValueError, match=message):
        find(touch(tmp_path, *files), **options)


def test_a_folder_that_is_none_is_explained(tmp_path):
    for path in (tmp_path / "no", touch(tmp_path, "a/bass.wav") / "a" / "bass.wav"):
        with pytest.raises(ValueError, match=f"There is no folder {re.escape(str(path))}"):
            find(path)


def test_names_of_tracks():
    assert track_name(Path("train/A - B.stem.mp4")) == "train/A - B"
    assert track_name(Path("a/b.live")) == "a/b.live"


def test_files_of_sources_are_found_in_the_order_asked_for(tmp_path):
    touch(tmp_path, "bass.flac", "drums.WAV", "drums.txt", "vocals.wav", "mixture.wav")
    found = source_files(tmp_path, SOURCES)
    assert list(found.items()) == [
        ("drums", tmp_path / "drums.WAV"),
        ("bass", tmp_path / "bass.flac"),
    ]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (["drums.wav"], r"lacks bass\. Give it a file bass\.wav, a silent one"),
        (["bass.wav", "bass.ogg", "drums.wav"], r"has bass\.ogg and bass\.wav\. Keep one file"),
    ],
)
def test_a_file_too_few_or_too_many_is_explained(tmp_path, files, message):
    touch(tmp_path, *files)
    for check in (source_files, read):
        with pytest.raises(ValueError, match=f"{re.escape(str(tmp_path))} {message}"):
            check(tmp_path, SOURCES)


def test_sources_are_read_in_order_whatever_else_is_there(tmp_path):
    drums, bass = noise(1000, 2, seed=1), noise(1000, 2, seed=2)
    write(tmp_path / "drums.wav", drums)
    write(tmp_path / "bass.wav", bass)
    write(tmp_path / "mixture.wav", noise(7, 5))
    stems = read(tmp_path)
    assert stems.shape == (2, 1000, 2) and stems.dtype == np.float32
    np.testing.assert_array_equal(stems, [drums, bass])
    np.testing.assert_array_equal(read(tmp_path, sources=("bass",)), [bass])
    assert plays_in_place(tmp_path, SOURCES, RATE_HZ)


def test_a_shorter_source_is_silent_to_the_end_and_reported(tmp_path):
    drums, bass = noise(1000, 2, seed=1), noise(600, 2, seed=2)
    write(tmp_path / "drums.wav", drums)
    write(tmp_path / "bass.wav", bass)
    lines = []
    stems = read(tmp_path, report=lines.append)
    np.testing.assert_array_equal(stems[0], drums)
    np.testing.assert_array_equal(stems[1], np.concatenate([bass, np.zeros((400, 2))]))
    # 400 samples of 8 kHz.
    assert lines == [
        f"{tmp_path}: bass shorter than the longest source, by 0.05 s at most; taken as silent "
        "there."
    ]
    assert not plays_in_place(tmp_path, SOURCES, RATE_HZ)


def test_channels_are_copied_or_averaged_and_five_are_refused(tmp_path):
    mono, stereo = noise(100, 1, seed=1), noise(100, 2, seed=2)
    write(tmp_path / "drums.wav", mono)
    write(tmp_path / "bass.wav", stereo)
    np.testing.assert_array_equal(read(tmp_path), [np.hstack([mono, mono]), stereo])
    averaged = (stereo[:, :1] + stereo[:, 1:]) / 2
    np.testing.assert_allclose(read(tmp_path, channels=1), [mono, averaged], rtol=0, atol=1e-7)
    write(tmp_path / "bass.wav", noise(100, 5))
    with pytest.raises(ValueError, match=r"has 5 channels, but the model takes 2\. Mix it down"):
        read(tmp_path)
    assert read(tmp_path, channels=1).shape == (2, 100, 1)
    with pytest.raises(ValueError, match="x has 2 channels, but the model takes 3"):
        fit_channels(stereo, 3, "x")


def test_each_source_is_resampled_from_its_own_rate(tmp_path):
    """Tones of files at two rates, against the same tones sampled at the model's."""

    def tone(rate_hz, frequency_hz):
        return signals.sine(frequency_hz, rate_hz, rate_hz)[:, None]

    write(tmp_path / "drums.wav", tone(22_050, 440), 22_050)
    write(tmp_path / "bass.flac", tone(RATE_HZ, 110), subtype="PCM_24")
    stems = read(tmp_path, channels=1)
    assert stems.shape == (2, RATE_HZ, 1)
    inside = slice(500, -500)
    # soxr's HQ recipe is good to about 120 dB; 24 bits are 1.2e-7.
    np.testing.assert_allclose(stems[0][inside], tone(RATE_HZ, 440)[inside], atol=1e-4)
    np.testing.assert_allclose(stems[1], tone(RATE_HZ, 110), atol=1e-6)
    assert not plays_in_place(tmp_path, SOURCES, RATE_HZ)
    assert not plays_in_place(tmp_path, ("drums",), RATE_HZ)
    assert plays_in_place(tmp_path, ("drums",), 22_050)
    assert plays_in_place(tmp_path, ("bass",), RATE_HZ)


def test_compressed_files_are_not_played_in_place(tmp_path):
    for source in SOURCES:
        write(tmp_path / f"{source}.ogg", noise(4000, 2), subtype="VORBIS")
    assert read(tmp_path).shape == (2, 4000, 2)
    assert not plays_in_place(tmp_path, SOURCES, RATE_HZ)
    assert not plays_in_place(touch(tmp_path, "a.stem.mp4") / "a.stem.mp4", SOURCES, RATE_HZ)


@pytest.mark.parametrize("kept", [0, 30, 4000])
def test_a_truncated_file_is_named(tmp_path, kept):
    write(tmp_path / "drums.wav", noise(1000, 2))
    path = write(tmp_path / "bass.wav", noise(1000, 2))
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(ValueError, match=re.escape(str(path))):
        read(tmp_path)


def test_text_for_audio_is_named(tmp_path):
    write(tmp_path / "drums.wav", noise(1000, 2))
    (tmp_path / "bass.wav").write_text("not audio")
    with pytest.raises(ValueError, match=r"bass\.wav is not readable as audio"):
        read(tmp_path)


def test_stem_files_have_no_other_sources_which_is_told_before_they_are_decoded(tmp_path):
    path = touch(tmp_path, "a.stem.mp4") / "a.stem.mp4"
    with pytest.raises(
        ValueError, match=r"a\.stem\.mp4 has no source choir, piano: .*drums, bass, other, vocals"
    ):
        read(path, sources=("piano", "drums", "choir"))


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ImportError("no"), r'need the package musdb: pip install "tonezoo\[musdb\]"'),
        (RuntimeError("ffmpeg or ffprobe could not be found!"), "need ffmpeg and ffprobe on the"),
    ],
)
def test_what_decodes_stem_files_is_named_where_missing(tmp_path, monkeypatch, error, message):
    original = builtins.__import__

    def refuse(name, *arguments, **options):
        if name == "stempeg":
            raise error
        return original(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", refuse)
    path = touch(tmp_path, "a.stem.mp4") / "a.stem.mp4"
    with pytest.raises(ImportError, match=message):
        read(path)
    # Folders need neither.
    for source in SOURCES:
        write(tmp_path / "track" / f"{source}.wav", noise(10, 2))
    assert read(tmp_path / "track").shape == (2, 10, 2)


@pytest.fixture(scope="module")
def stempeg():
    try:
        return import_stempeg()
    except ImportError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def stem_file(stempeg):
    return Path(stempeg.example_stem_path())


def decoded_by_ffmpeg(path, stream):
    """Decodes a stream with ffmpeg itself: (time, 2)."""
    words = ["ffmpeg", "-v", "error", "-i", path, "-map", f"0:a:{stream}", "-f", "f32le", "-"]
    raw = subprocess.run(words, check=True, capture_output=True).stdout
    return np.frombuffer(raw, "float32").reshape(-1, 2)


@pytest.mark.slow
def test_a_real_stem_file_is_read_stream_by_stream(stem_file):
    """MUSDB18's streams are the mixture, then drums, bass, other, vocals."""
    stems = read_track(stem_file, **FOUR)
    assert stems.dtype == np.float32 and stems.shape[::2] == (4, 2)
    for stream, stem in enumerate(stems, 1):
        expected = decoded_by_ffmpeg(stem_file, stream)
        assert len(expected) > 44_100 and np.abs(expected).max() > 0.01
        # stempeg may ask for 16 bits on the way.
        np.testing.assert_allclose(stem, expected[: len(stem)], rtol=0, atol=1e-4)
        assert abs(len(stem) - len(expected)) <= 2048
    some = read_track(stem_file, **FOUR | {"sources": ("vocals", "drums")})
    np.testing.assert_array_equal(some, stems[[3, 0]])
    mixture = decoded_by_ffmpeg(stem_file, 0)[: stems.shape[1]]
    # Each stream was compressed by itself, and the mixture mastered (0.986).
    assert np.corrcoef(mixture.ravel(), stems.sum(axis=0).ravel())[0, 1] > 0.97


@pytest.mark.slow
def test_a_real_stem_file_is_resampled_and_mixed_to_mono(stem_file):
    stems = read_track(stem_file, **FOUR)
    low = read_track(stem_file, **FOUR | {"sample_rate_hz": 11_025, "channels": 1})
    assert low.shape == (4, round(stems.shape[1] / 4), 1)
    for stem, small in zip(stems, low, strict=True):
        correlation = np.corrcoef(stem.mean(axis=1)[: 4 * len(small) : 4], small[:, 0])[0, 1]
        assert correlation > 0.8


@pytest.mark.parametrize("content", [b"", b"text", None])
def test_a_corrupt_stem_file_is_named(stempeg, stem_file, tmp_path, content):
    path = tmp_path / "bad.stem.mp4"
    path.write_bytes(stem_file.read_bytes()[:50_000] if content is None else content)
    with pytest.raises(ValueError, match=r"bad\.stem\.mp4 (cannot be decoded|holds \d streams)"):
        read_track(path, **FOUR)


def test_a_file_of_one_stream_is_no_stem_file(stempeg, tmp_path):
    if shutil.which("ffmpeg") is None:
        pytest.skip("no ffmpeg")
    wav = write(tmp_path / "a.wav", noise(44_100, 2), 44_100)
    path = tmp_path / "one.stem.mp4"
    subprocess.run(["ffmpeg", "-v", "error", "-i", wav, path], check=True)
    with pytest.raises(ValueError, match=r"one\.stem\.mp4 holds 1 streams of audio instead of 5"):
        read_track(path, **FOUR)
