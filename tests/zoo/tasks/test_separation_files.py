"""Separation of files: names, lengths, rates, residual, levels, bad files, wrong options."""

import io

import numpy as np
import pytest
import signals
import soundfile
from rich.console import Console
from stubs import separator, shares

from tonezoo.audio.jobs import summarize
from tonezoo.audio.reader import AudioReader
from tonezoo.audio.writer import AudioWriter
from tonezoo.tasks.separation import SeparationOptions
from tonezoo.tasks.separation.files import separate_files, stem_weights

SOURCES = ("drums", "bass", "vocals")
FACTORS = np.array([0.5, 0.2, 2.0], "float32")


split = shares(*FACTORS)


def stub(call, context_samples=0):
    return separator(call, SOURCES, segment_samples=800, context_samples=context_samples)


SPLIT = stub(split, context_samples=8)


def write(path, samples, rate_hz=8000, subtype="FLOAT"):
    return signals.write_audio(path, samples, rate_hz, subtype=subtype)


def noise(*shape, peak=0.4):
    x = signals.noise(*shape, peak=peak)
    return x - x.mean()


def read(path):
    return soundfile.read(path, dtype="float32", always_2d=True)


@pytest.mark.parametrize(
    ("samples", "rate_hz", "channels"),
    [(10, 8000, 2), (3001, 8000, 1), (5003, 44_100, 2), (1700, 8000, 5), (999, 4000, 1)],
)
def test_stems_have_rate_channels_and_length_of_the_file(tmp_path, samples, rate_hz, channels):
    song = write(tmp_path / "song.wav", noise(samples, channels), rate_hz)
    (result,) = separate_files([song], tmp_path / "out", SPLIT)
    assert result.error is None and result.seconds == pytest.approx(samples / rate_hz)
    assert (rate_hz != 8000) == (result.notice is not None)
    folder = tmp_path / "out" / "song"
    assert sorted(p.name for p in folder.iterdir()) == ["bass.wav", "drums.wav", "vocals.wav"]
    for path in folder.iterdir():
        info = soundfile.info(path)
        assert (info.frames, info.samplerate, info.channels) == (samples, rate_hz, channels)
        assert info.subtype == "FLOAT"


def test_stems_hold_what_the_model_gives(tmp_path):
    x = noise(4001, 2)
    separate_files([write(tmp_path / "song.wav", x)], tmp_path / "out", SPLIT)
    for name, factor in zip(SOURCES, FACTORS, strict=True):
        stem, _ = read(tmp_path / "out" / "song" / f"{name}.wav")
        np.testing.assert_allclose(stem, factor * x, rtol=0, atol=1e-5)


@pytest.mark.parametrize("rate_hz", [8000, 22_050])
@pytest.mark.parametrize("options", [{}, {"sources": ["vocals"]}, {"two_stems": "bass"}])
def test_stems_and_residual_sum_to_the_mixture(tmp_path, rate_hz, options):
    x = noise(6001, 2)
    song = write(tmp_path / "song.wav", x, rate_hz)
    separate_files([song], tmp_path / "out", SPLIT, residual=True, **options)
    stems = {p.stem: read(p)[0] for p in (tmp_path / "out" / "song").iterdir()}
    expected = {
        "sources": {"vocals", "residual"},
        "two_stems": {"bass", "no_bass", "residual"},
    }.get(next(iter(options), ""), {*SOURCES, "residual"})
    assert set(stems) == expected
    np.testing.assert_allclose(sum(stems.values()), x, rtol=0, atol=1e-6)


@pytest.mark.parametrize(("residual", "times"), [(False, 2), (True, 3)])
def test_a_file_is_decoded_no_more_often_than_needed(tmp_path, monkeypatch, residual, times):
    """Once for its level, once to be separated, once more for what is to be left of it."""
    decoded = []
    blocks = AudioReader.blocks

    def counted(self, *arguments):
        decoded.append(self)
        return blocks(self, *arguments)

    monkeypatch.setattr(AudioReader, "blocks", counted)
    song = write(tmp_path / "song.wav", noise(3001, 2))
    (result,) = separate_files([song], tmp_path / "out", SPLIT, residual=residual)
    assert result.error is None and len(decoded) == times


def test_two_stems_are_a_source_and_the_sum_of_the_others(tmp_path):
    x = noise(2000, 2)
    separate_files([write(tmp_path / "a.wav", x)], tmp_path / "out", SPLIT, two_stems="vocals")
    rest, _ = read(tmp_path / "out" / "a" / "no_vocals.wav")
    np.testing.assert_allclose(rest, 0.7 * x, rtol=0, atol=1e-5)


def test_levels_are_kept_clamped_or_scaled_by_one_factor(tmp_path):
    x = noise(4000, 2, peak=0.9)
    song = write(tmp_path / "song.wav", x)
    peak = 2 * np.abs(x).max()
    assert peak > 1.5
    stems, results = {}, {}
    for mode in ("none", "clamp", "rescale"):
        (results[mode],) = separate_files([song], tmp_path / mode, SPLIT, clip_mode=mode)
        stems[mode] = {n: read(tmp_path / mode / "song" / f"{n}.wav")[0] for n in SOURCES}
    for name, factor in zip(SOURCES, FACTORS, strict=True):
        kept = factor * x
        np.testing.assert_allclose(stems["none"][name], kept, rtol=0, atol=1e-5)
        np.testing.assert_allclose(stems["clamp"][name], kept.clip(-1, 1), rtol=0, atol=1e-5)
        np.testing.assert_allclose(stems["rescale"][name], kept / peak, rtol=0, atol=1e-5)
    assert results["none"].clipped_samples == results["rescale"].clipped_samples == 0
    clamped = sum(int((np.abs(f * x) > 1).sum()) for f in FACTORS)
    assert abs(results["clamp"].clipped_samples - clamped) <= 2
    assert f"scaled by {-20 * np.log10(peak):.1f} dB" in results["rescale"].notice
    assert not [path for path in (tmp_path / "rescale").iterdir() if path.is_file()]


def test_levels_within_full_scale_are_not_scaled(tmp_path):
    song = write(tmp_path / "song.wav", noise(1000, 2))
    (result,) = separate_files([song], tmp_path / "out", SPLIT, clip_mode="rescale")
    assert result.notice is None
    stem, _ = read(tmp_path / "out" / "song" / "vocals.wav")
    np.testing.assert_allclose(stem, 2 * noise(1000, 2), rtol=0, atol=1e-5)


def test_whole_numbers_clamp_and_say_so(tmp_path):
    song = write(tmp_path / "song.wav", noise(1000, 2, peak=0.9))
    (result,) = separate_files([song], tmp_path / "out", SPLIT, format="flac", bit_depth="16")
    assert result.clipped_samples > 0 and result.peak > 1.5
    assert soundfile.info(tmp_path / "out" / "song" / "vocals.flac").subtype == "PCM_16"
    console = Console(file=io.StringIO(), width=500)
    assert summarize([result], console, "separated") == 0
    assert "samples clipped" in console.file.getvalue()


def test_bad_files_are_named_and_do_not_stop_the_others(tmp_path):
    good = write(tmp_path / "in" / "good.wav", noise(1000, 2))
    cut = write(tmp_path / "in" / "cut.wav", noise(1000, 2))
    cut.write_bytes(cut.read_bytes()[:-100])
    nan = write(tmp_path / "in" / "nan.wav", np.full((100, 1), np.nan))
    (tmp_path / "in" / "text.wav").write_text("no audio")
    results = separate_files([tmp_path / "in"], tmp_path / "out", SPLIT)
    failed = {result.path.name: result.error for result in results if result.error}
    assert set(failed) == {"cut.wav", "nan.wav", "text.wav"}
    assert all(name in error for name, error in failed.items())
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["good"]
    assert good.exists() and nan.exists()


def test_a_model_that_fails_halfway_leaves_no_stems(tmp_path):
    calls = []

    def fails(x):
        calls.append(len(x))
        if len(calls) > 1:
            raise ValueError("out of order")
        return split(x)

    model = stub(fails)
    song = write(tmp_path / "song.wav", noise(9000, 2))
    for mode in ("none", "rescale"):
        calls.clear()
        (result,) = separate_files([song], tmp_path / mode, model, clip_mode=mode)
        assert "out of order" in result.error
        assert not [path for path in (tmp_path / mode).rglob("*") if path.is_file()]


def test_a_full_disk_leaves_no_stems(tmp_path, monkeypatch):
    song = write(tmp_path / "song.wav", noise(9000, 2))
    monkeypatch.setattr(
        AudioWriter, "write", lambda self, samples: (_ for _ in ()).throw(ValueError("disk full"))
    )
    (result,) = separate_files([song], tmp_path / "out", SPLIT)
    assert "disk full" in result.error
    assert not [path for path in (tmp_path / "out").rglob("*") if path.is_file()]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sources": ["piano"]}, "no source 'piano'. It separates into drums, bass, vocals"),
        ({"two_stems": "choir"}, "no source 'choir'"),
        ({"sources": ["bass"], "two_stems": "bass"}, "either sources or two_stems"),
        ({"clip_mode": "loud"}, "clip_mode must be one of none, clamp, rescale"),
        ({"format": "aiff"}, "Cannot write 'aiff'"),
    ],
)
def test_wrong_options_are_refused_before_any_work(tmp_path, options, message):
    song = write(tmp_path / "song.wav", noise(100, 2))
    with pytest.raises(ValueError, match=message):
        separate_files([song], tmp_path / "out", SPLIT, **options)
    assert not (tmp_path / "out").exists()


def test_outputs_that_collide_or_replace_an_input_are_refused(tmp_path):
    a, b = (write(tmp_path / n / "song.wav", noise(100, 2)) for n in ("a", "b"))
    with pytest.raises(ValueError, match="would both be written to"):
        separate_files([a, b], tmp_path / "out", SPLIT)
    vocals = write(tmp_path / "out" / "vocals" / "vocals.wav", noise(100, 2))
    with pytest.raises(ValueError, match="would be overwritten"):
        separate_files([vocals], tmp_path / "out", SPLIT)
    with pytest.raises(ValueError, match="no files to separate"):
        separate_files([], tmp_path / "out", SPLIT)


def test_shifts_and_segments_reach_the_model(tmp_path):
    lengths = []

    def spy(x):
        lengths.append(x.shape[1])
        return split(x)

    model = stub(spy)
    song = write(tmp_path / "song.wav", noise(9000, 2))
    separate_files([song], tmp_path / "a", model)
    once, lengths[:] = len(lengths), []
    separate_files(
        [song], tmp_path / "b", model, options=SeparationOptions(shifts=3, segment_s=0.2)
    )
    assert set(lengths) == {1600} and len(lengths) > once


def test_chosen_sources_keep_the_order_asked_for():
    assert list(stem_weights(SOURCES, ["vocals", "drums"])) == ["vocals", "drums"]
