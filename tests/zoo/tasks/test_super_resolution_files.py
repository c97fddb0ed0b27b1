"""Files in, files out: one bad file among good ones, names that collide, folders, disks."""

import io
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from rich.console import Console
from signals import noise, write_audio
from stubs import super_resolver
from untrained_export import state

import tonezoo
from tonezoo import pretrained
from tonezoo.audio.jobs import FileResult, summarize
from tonezoo.audio.reader import read_audio
from tonezoo.serving.manifest import MANIFEST_NAME, resolve_version
from tonezoo.tasks.super_resolution import TASK
from tonezoo.tasks.super_resolution.files import enhance_files

LOW_HZ = 4000


def resolver(gain=1.0, call=None, **options):
    """A toy of ratio 4 whose gain changes with the place on a grid of 8 and which looks around."""

    def repeat(low):
        high = gain * np.repeat(low, 4, axis=1)
        padded = np.pad(high, ((0, 0), (5, 5), (0, 0)))
        place = 1 + 0.1 * (np.arange(high.shape[1]) % 8)[:, None]
        return (place * (padded[:, :-10] + padded[:, 10:]) / 2).astype("float32")

    return super_resolver(call or repeat, grid_samples=8, context_samples=5, **options)


def write(path, samples, rate_hz=LOW_HZ, **options):
    return write_audio(path, samples, rate_hz, **options)


def summary(results):
    console = Console(file=io.StringIO(), width=40)
    return summarize(results, console, "enhanced"), console.file.getvalue()


@pytest.mark.parametrize("segment_s", [None, 10.0, 0.01])
def test_files_are_enhanced_in_chunks_as_in_one_piece(tmp_path, segment_s):
    channels = {"mono": 1, "stereo": 2, "eight": 8}
    for name, count in channels.items():
        write(tmp_path / f"{name}.wav", noise(997, count), subtype="FLOAT")
    write(tmp_path / "one.flac", noise(1, 1))
    paths = sorted(tmp_path.iterdir())
    results = enhance_files(paths, tmp_path / "new" / "out", resolver(), segment_s=segment_s)
    assert [result.path for result in results] == paths
    for result in results:
        assert result.error is None and result.notice is None and result.clipped_samples == 0
        samples, _ = read_audio(result.path)
        output, rate_hz = read_audio(result.output)
        assert rate_hz == 16_000 and soundfile.info(result.output).subtype == "FLOAT"
        assert result.seconds == pytest.approx(len(samples) / LOW_HZ)
        assert result.peak == np.abs(output).max()
        expected = resolver().enhance(samples, LOW_HZ)
        np.testing.assert_allclose(output, expected, rtol=0, atol=1e-6)
    assert summary(results)[0] == 0


@pytest.mark.parametrize("segment_s", [None, 0.01])
def test_files_are_enhanced_at_the_strength_asked_for(tmp_path, segment_s):
    path = write(tmp_path / "a.wav", noise(997, 2), subtype="FLOAT")
    model = resolver(interpolation="sinc", strength_db=-3.0)
    for strength_db in (None, -20.0):
        options = {"segment_s": segment_s, "strength_db": strength_db}
        (result,) = enhance_files([path], tmp_path / f"out {strength_db}", model, **options)
        output, _ = read_audio(result.output)
        samples, _ = read_audio(path)
        expected = model.enhance(samples, LOW_HZ, strength_db=strength_db)
        np.testing.assert_allclose(output, expected, rtol=0, atol=1e-6)
        other = model.enhance(samples, LOW_HZ, strength_db=0)
        assert np.abs(output - other).max() > 0.001
    with pytest.raises(ValueError, match="The strength is 30 dB"):
        enhance_files([path], tmp_path / "none", model, strength_db=30)
    assert not (tmp_path / "none").exists()


def test_one_bad_file_does_not_stop_the_others(tmp_path):
    nan = noise(50_000)
    nan[40_000] = np.nan
    write(tmp_path / "nan.wav", nan, subtype="FLOAT")
    write(tmp_path / "cut.wav", noise(1000))
    (tmp_path / "cut.wav").write_bytes((tmp_path / "cut.wav").read_bytes()[:-500])
    (tmp_path / "empty.wav").touch()
    (tmp_path / "folder.wav").mkdir()
    (tmp_path / "loop.wav").symlink_to("loop.wav")
    write(tmp_path / "good.wav", noise(1000))
    write(tmp_path / "high.wav", noise(1000), 8000)
    names = ["nan", "cut", "empty", "folder", "high", "missing", "loop", "good"]
    names = [f"{name}.wav" for name in names]
    results = enhance_files([tmp_path / name for name in names], tmp_path / "out", resolver())
    assert [result.error is None for result in results] == 7 * [False] + [True]
    for result in results[:-1]:
        assert result.error.count(str(result.path)) == 1 and "\n" not in result.error
    assert "--downsample" in results[4].error
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["good.wav"]
    code, text = summary(results)
    assert code == 1
    lines = text.splitlines()
    assert lines[0] == f"failed: {results[0].error}"
    assert lines[-2:] == [
        f"{tmp_path / 'out' / 'good.wav'} (0.2 s)",
        "1 of 8 files enhanced, 0.2 s of audio; 7 failed.",
    ]


def test_errors_of_the_model_are_one_line_that_names_the_file(tmp_path):
    def fail(low):
        raise MemoryError("out of memory\nwhile allocating\na tensor")

    path = write(tmp_path / "a.wav", noise(100))
    (result,) = enhance_files([path], tmp_path / "out", resolver(call=fail))
    assert result.error == f"{path}: MemoryError: out of memory"
    nan = resolver(call=lambda low: np.full((len(low), 4 * low.shape[1], 1), np.nan))
    (result,) = enhance_files([path], tmp_path / "out", nan)
    assert "would hold nan" in result.error
    assert list((tmp_path / "out").iterdir()) == []


def test_resampling_is_noticed(tmp_path):
    paths = [
        write(tmp_path / "low.wav", noise(1000), 2000, subtype="FLOAT"),
        write(tmp_path / "high.wav", noise(70_000, 2), 48_000, subtype="FLOAT"),
        write(tmp_path / "same.wav", noise(1000), 4001, subtype="FLOAT"),
    ]
    results = enhance_files(paths, tmp_path / "out", resolver(), downsample=True, segment_s=0.05)
    assert "up from 2000 Hz" in results[0].notice and "down from 48000 Hz" in results[1].notice
    assert results[2].notice is None and results[2].error is None
    for result, frames in zip(results, [8000, 4 * 5833, 4000], strict=True):
        samples, rate_hz = read_audio(result.path)
        output, output_rate_hz = read_audio(result.output)
        assert (len(output), output_rate_hz) == (frames, 16_000)
        if result.notice:
            assert result.notice in summary(results)[1]
            with pytest.warns(UserWarning, match=result.notice):
                expected = resolver().enhance(samples, rate_hz, downsample=True)
            np.testing.assert_allclose(output, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    "format, bit_depth, clipped, words",
    [
        ("wav", "16", 8, "8 samples clipped, peak +6.4 dB above full scale"),
        ("flac", None, 8, "8 samples clipped, peak +6.4 dB above full scale"),
        ("ogg", None, 8, "8 samples clipped, peak +6.4 dB above full scale"),
        ("wav", None, 0, "peak +6.4 dB above full scale: kept"),
    ],
)
def test_clipping_is_counted_and_said(tmp_path, format, bit_depth, clipped, words):
    # Each sample becomes four: two samples of 4 beyond full scale, one of 4 at exactly 1.
    samples = np.zeros(100, "float32")
    samples[[10, 50, 90]] = [1.05, -0.75, 0.5]
    path = write(tmp_path / "a.wav", samples, subtype="FLOAT")
    double = resolver(call=lambda low: 2 * np.repeat(low, 4, axis=1))
    options = {"format": format, "bit_depth": bit_depth}
    (result,) = enhance_files([path], tmp_path / "out", double, **options)
    assert result.error is None and result.output.name == f"a.{format}"
    assert result.clipped_samples == clipped and result.peak == pytest.approx(2.1)
    code, text = summary([result])
    assert code == 0 and words in text


def test_outputs_that_would_overwrite_each_other_or_an_input(tmp_path):
    a, b = write(tmp_path / "a" / "x.wav", noise(10)), write(tmp_path / "b" / "x.flac", noise(10))
    out = tmp_path / "out"
    for paths in ([a, b], [b, a], [a, a]):
        with pytest.raises(ValueError, match=r"Rename one") as caught:
            enhance_files(paths, out, resolver())
        assert str(paths[0]) in str(caught.value) and str(paths[1]) in str(caught.value)
    before = a.read_bytes()
    for folder in (a.parent, tmp_path / "b" / ".." / "a"):
        with pytest.raises(ValueError, match=f"{a} would be overwritten"):
            enhance_files([a], folder, resolver())
    assert a.read_bytes() == before and not out.exists()
    # The format decides: a FLAC file beside the WAV input harms nothing.
    (result,) = enhance_files([a], a.parent, resolver(), format="flac")
    assert result.error is None and (a.parent / "x.flac").exists() and a.read_bytes() == before


def test_files_of_a_folder_keep_their_places(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a.wav", "deep/a.flac", "deep/b.wav", ".hidden/c.wav"):
        write(tmp_path / "in" / name, noise(10))
    (tmp_path / "in" / "notes.txt").write_text("no audio")
    single = write(tmp_path / "single.wav", noise(10))
    expected = ["a.wav", "deep/a.wav", "deep/b.wav", "single.wav"]
    # Twice: what lies in an output folder inside the input folder is no input.
    for _ in range(2):
        results = enhance_files(["in", single], "in/out", resolver())
        assert [str(r.output.relative_to("in/out")) for r in results] == expected
        assert not any(r.error for r in results) and all(r.output.is_file() for r in results)
    with pytest.raises(ValueError, match=r"in/a\.wav would be overwritten"):
        enhance_files(["in"], "in", resolver())
    write(tmp_path / "in" / "deep" / "a.wav", noise(10))
    with pytest.raises(ValueError, match=r"would both be written to out/deep/a\.wav"):
        enhance_files(["in"], "out", resolver())
    assert not (tmp_path / "out").exists()
    (tmp_path / "empty").mkdir()
    empty, good = enhance_files(["empty", single], "out", resolver())
    assert "Is a directory" in empty.error and good.error is None


def test_what_is_refused_before_any_work(tmp_path):
    path, calls = write(tmp_path / "a.wav", noise(10)), []
    model = resolver(call=calls.append)
    for options, message in [
        ({"out_dir": path}, "a.wav: it is a file"),
        ({"out_dir": path / "out"}, "Cannot write to the folder .*a.wav/out: Not a directory"),
        ({"out_dir": Path("/proc/none")}, "Cannot write to the folder /proc/none"),
        ({"paths": []}, "no files"),
        ({"segment_s": 0}, "segment is 0 s"),
        ({"segment_s": 1e-9}, "segment is 1e-09 s. Give 0.01 s or more"),
        ({"segment_s": float("nan")}, "segment is nan s"),
        ({"format": "mp3"}, "'mp3'.*Accepted: wav float"),
        ({"format": "flac", "bit_depth": "float"}, "Accepted: wav float"),
    ]:
        arguments = {"paths": [path], "out_dir": tmp_path / "out", "resolver": model, **options}
        with pytest.raises(ValueError, match=message):
            enhance_files(**arguments)
    assert calls == [] and sorted(tmp_path.iterdir()) == [path]


def test_progress_counts_seconds_of_all_files(tmp_path):
    paths = [write(tmp_path / f"{i}.wav", noise(4 * LOW_HZ)) for i in range(3)]
    paths.insert(1, tmp_path / "missing.wav")
    console = Console(file=io.StringIO(), force_terminal=True, width=100)
    enhance_files(paths, tmp_path / "out", resolver(), segment_s=1.0, console=console)
    shown = console.file.getvalue()
    assert "done" in shown and "100%" in shown and "12 s of audio" in shown


def test_progress_shows_the_names_of_files_as_they_are(tmp_path):
    path = write(tmp_path / "[bold]x.wav", noise(100))
    console = Console(file=io.StringIO(), force_terminal=True, width=100)
    held = resolver(call=lambda low: time.sleep(0.3) or np.repeat(low, 4, axis=1))
    (result,) = enhance_files([path], tmp_path / "out", held, console=console, segment_s=0.01)
    assert result.error is None and "[bold]x.wav" in console.file.getvalue()


def test_summary_keeps_long_lines_whole_and_markup_literal():
    path = Path("a folder with a name that is long [bold]/x.wav")
    code, text = summary([FileResult(path=path, output=path, seconds=1.0)])
    assert code == 0
    assert text.splitlines() == [f"{path} (1.0 s)", "1 of 1 files enhanced, 1.0 s of audio."]


FULL_DISK = """
import resource, sys
import numpy as np
from tonezoo.tasks.super_resolution.files import enhance_files
from tonezoo.tasks.super_resolution.engine import SuperResolver

_, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, hard))
repeat = SuperResolver(
    lambda low: np.repeat(low, 4, axis=1),
    ratio=4, sample_rate_hz=16_000, grid_samples=4, context_samples=0, name="repeat")
for result in enhance_files(sys.argv[2:], sys.argv[1], repeat, segment_s=0.1):
    print(result.error)
assert not any(name in sys.modules for name in ("tensorflow", "keras", "scipy.signal"))
"""


def test_full_disk_fails_that_file_and_leaves_nothing(tmp_path):
    long = write(tmp_path / "long.wav", noise(4000))
    short = write(tmp_path / "short.wav", noise(400))
    out = tmp_path / "out"
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, out, long, short], capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        f"{long}: Cannot write {out / 'long.wav'}: File too large. Make room first.",
        "None",
    ]
    assert [path.name for path in out.iterdir()] == ["short.wav"]


@pytest.fixture
def shipped_for_two_rates(tmp_path, monkeypatch):
    """Models "low" and "high", from 4 and from 8 to 16 kHz, in place of the shipped ones."""
    ratios = {"low": 4, "high": 2}
    folders = {name: tmp_path / "shipped" / name for name in ratios}
    shipped = resolve_version(TASK.default_models[0]) / MANIFEST_NAME
    for name, folder in folders.items():
        (folder / "1").mkdir(parents=True)
        shutil.copy(shipped, folder / "1")
        state(folder / "1", low_rate_hz=16_000 / ratios[name])

    def load(name):
        return super_resolver(ratio=ratios[name], name=name)

    monkeypatch.setattr(type(TASK), "default_models", tuple(ratios))
    monkeypatch.setattr(pretrained, "shipped_models", lambda: folders)
    monkeypatch.setattr(pretrained, "load", load)


def test_without_a_model_each_file_gets_the_one_for_its_rate(shipped_for_two_rates, tmp_path):
    used = {3_000: "low", 4_000: "low", 4_001: "low", 6_000: "high", 8_000: "high"}
    paths = [write(tmp_path / f"{rate_hz}.wav", noise(100), rate_hz) for rate_hz in used]
    paths.append(write(tmp_path / "44100.wav", noise(100), 44_100))
    *results, too_high = enhance_files(paths, tmp_path / "out")
    for result, (rate_hz, name) in zip(results, used.items(), strict=True):
        assert result.error is None
        if rate_hz in (3_000, 6_000):
            assert f"that {name} takes" in result.notice
        else:
            assert result.notice is None
            ratio = {"low": 4, "high": 2}[name]
            assert soundfile.info(result.output).frames == 100 * ratio
    assert "high turns 8000 Hz into 16000 Hz" in str(too_high.error)
    (result,) = enhance_files(paths[-1:], tmp_path / "out", downsample=True)
    assert "8000 Hz that high takes" in result.notice


def test_without_a_model_an_array_gets_the_one_for_its_rate(shipped_for_two_rates):
    assert [len(tonezoo.enhance(noise(100), rate)) for rate in (4000, 8000)] == [400, 200]
    with pytest.raises(ValueError, match="high turns 8000 Hz"):
        tonezoo.enhance(noise(100), 16_000)
    with pytest.raises(ValueError, match="rate"):
        tonezoo.enhance(noise(100), float("nan"))
