"""Vocoding arrays and files: chunks, lengths, what is refused, signatures, evaluation."""

import io
import json
import sys

import numpy as np
import pytest
import soundfile
from rich.console import Console
from signals import noise, sine, write_audio

import tonezoo
from tonezoo.audio.reader import read_audio
from tonezoo.tasks import find_task
from tonezoo.tasks.vocoding import VocodingFacts
from tonezoo.tasks.vocoding.engine import Vocoder
from tonezoo.tasks.vocoding.files import vocode_files

HOP, BANDS, RATE_HZ = 16, 3, 8000


@pytest.fixture(scope="module")
def task():
    return find_task("vocoding")


def engine(call=None, context_samples=2 * HOP):
    """A vocoder that looks two frames to each side and is not the same within a frame."""

    def made(mel):
        padded = np.pad(mel.mean(axis=-1), ((0, 0), (2, 2)), mode="edge")
        around = sum(padded[:, n : n + mel.shape[1]] * (n + 1) for n in range(5))
        return (
            np.repeat(around, HOP, axis=1) / 100 * np.resize(np.arange(HOP), around.shape[1] * HOP)
        )[..., None].astype("float32")

    facts = VocodingFacts(
        sample_rate_hz=RATE_HZ,
        channels=BANDS,
        grid_samples=HOP,
        context_samples=context_samples,
        hop_samples=HOP,
        window_samples=4 * HOP,
        lowest_hz=0.0,
        highest_hz=4000.0,
    )
    return Vocoder(call or made, facts, "stub")


def mel_of(frames, seed=0):
    return np.random.default_rng(seed).uniform(-5, 1, (frames, BANDS)).astype("float32")


@pytest.mark.parametrize("samples", [1, 15, 16, 17, 640, 1001])
@pytest.mark.parametrize("chunk_samples", [1, 16, 100])
def test_audio_in_chunks_is_that_of_the_whole_and_of_its_length(samples, chunk_samples):
    model, signal = engine(), noise(samples, 2 if samples > 1 else 1)
    whole = model.copy_synthesis(signal, RATE_HZ)
    assert whole.shape == signal.shape and whole.dtype == np.float32
    blocks = (signal[start : start + 7] for start in range(0, samples, 7))
    chunks = list(model.stream_audio(blocks, chunk_samples))
    np.testing.assert_allclose(np.concatenate(chunks), whole, atol=1e-5)
    assert max(map(len, chunks)) <= -(-chunk_samples // HOP) * HOP


def test_a_context_that_is_too_small_is_seen():
    blind, signal = engine(context_samples=0), noise(640, 1)
    output = np.concatenate(list(blind.stream_audio([signal], 64)))
    assert np.abs(output - blind.copy_synthesis(signal, RATE_HZ)).max() > 1e-2


def test_the_mel_spectrogram_of_blocks_is_that_of_the_layer():
    model, signal = engine(), noise(1001)
    expected = tonezoo.layers.MelSpectrogram1D(BANDS, 4 * HOP, HOP, RATE_HZ)(signal[None, :, None])
    np.testing.assert_allclose(model.mel(signal, RATE_HZ), expected[0], atol=1e-6)
    blocks = model.mel_blocks([signal[:500, None], signal[500:, None]], 50)
    np.testing.assert_allclose(np.concatenate(list(blocks))[:, 0], expected[0], atol=1e-5)
    assert len(model.mel(noise(2 * 1001), 2 * RATE_HZ)) == len(expected[0])


def test_both_layouts_of_a_mel_spectrogram_are_taken():
    model, mel = engine(), mel_of(9)
    expected = model.vocode(mel)
    assert expected.shape == (9 * HOP,)
    for same in (mel.T, mel[None], mel.T[None], mel.astype("float64")):
        np.testing.assert_array_equal(model.vocode(same), expected)
    np.testing.assert_allclose(model.vocode(mel.astype("float16")), expected, atol=1e-2)


@pytest.mark.parametrize(
    ("mel", "message"),
    [
        (np.zeros((5, 4)) - 1, r"shape \(5, 4\), but .* \(frames, 3\) or \(3, frames\)"),
        (np.zeros(3) - 1, r"shape \(3,\)"),
        (np.zeros((2, 5, 3)) - 1, r"shape \(2, 5, 3\)"),
        (np.zeros((0, 3)), "has no frames"),
        (np.zeros((5, 3), int), "holds int64, but .* logarithms to base 10"),
        (np.zeros((5, 3), complex), "holds complex128"),
        (np.full((5, 3), np.nan), "Frame 0 of .* NaN"),
        (10 ** mel_of(5), "no value below 0.* is it linear"),
        (np.log(10) * mel_of(50), "goes down to -11.* natural logarithms"),
        (20 * mel_of(50), "in dB"),
        (mel_of(50) - 1.2, "goes down to -6"),
        (mel_of(50) + 4.5, "goes up to 5.*whole numbers"),
    ],
)
def test_what_is_no_mel_spectrogram_of_the_models_is_told_by_its_values(mel, message):
    with pytest.raises(ValueError, match=message):
        engine().vocode(mel)


def test_what_goes_a_little_below_the_floor_is_raised_to_it():
    """As acoustic models predict it of silence."""
    mel = mel_of(20)
    mel[3] = -5.9
    model = engine()
    expected = model.vocode(np.maximum(mel, -5))
    np.testing.assert_array_equal(model.vocode(mel), expected)
    np.testing.assert_array_equal(np.concatenate(list(model.stream_mel(mel.T, 30))), expected)


def test_a_stream_checks_the_mel_spectrogram_too():
    for mel, message in ((10 ** mel_of(9), "linear"), (mel_of(9) * np.nan, "NaN")):
        with pytest.raises(ValueError, match=message):
            list(engine().stream_mel(mel, 100))
    for chunk_samples in (0, -50):
        with pytest.raises(ValueError, match="Give 1 or more"):
            list(engine().stream_mel(mel_of(9), chunk_samples))
        with pytest.raises(ValueError, match="Give 1 or more"):
            list(engine().stream_audio([noise(99, 1)], chunk_samples))


def test_silence_is_a_mel_spectrogram_like_any_other():
    model = engine()
    assert (model.mel(np.zeros(100), RATE_HZ) == -5).all()
    assert np.isfinite(model.copy_synthesis(np.zeros(100), RATE_HZ)).all()


def test_what_cannot_be_vocoded_is_refused():
    model = engine()
    for signal, message in (
        (np.zeros(0, "float32"), "0 samples|no samples|nothing"),
        (np.full(9, np.nan), "NaN"),
        (np.zeros(9, int), "int64"),
    ):
        with pytest.raises(ValueError, match=message):
            model.copy_synthesis(signal, RATE_HZ)
    with pytest.raises(ValueError, match="nothing to make a mel spectrogram of"):
        model.mel(np.zeros(0, "float32"), RATE_HZ)
    with pytest.raises(ValueError, match="nothing to make a mel spectrogram of"):
        model.mel(np.zeros(1), 24 * RATE_HZ)
    with pytest.raises(ValueError, match=r"one channel \(time,\)"):
        model.mel(np.zeros((9, 2)), RATE_HZ)
    with pytest.raises(ValueError, match="0 samples at 8000 Hz"):
        list(model.stream_audio([]))
    with pytest.raises(ValueError, match="not a model of a hop of 16"):
        engine(lambda mel: mel[..., :1]).vocode(mel_of(3))


def test_files_of_both_kinds_are_vocoded_one_bad_one_apart(tmp_path):
    folder, out = tmp_path / "in", tmp_path / "out"
    write_audio(folder / "speech" / "a.wav", noise(1001, 2), RATE_HZ)
    write_audio(folder / "b.flac", noise(2001), 16_000)
    np.save(folder / "c.npy", mel_of(70).T)
    np.save(folder / "linear.npy", 10 ** mel_of(70))
    (folder / "broken.npy").write_bytes(b"\x93NUMPY\x01\x00")
    (folder / "zip.npy").write_bytes(b"PK\x03\x04")
    np.savez(folder / "several.npz", mel_of(9))
    (folder / "several.npz").rename(folder / "several.npy")
    np.save(folder / "objects.npy", np.array([{}], object), allow_pickle=True)
    model = engine()
    console = Console(file=io.StringIO())
    done = vocode_files([folder], out, model, segment_s=0.02, console=console)
    results = {result.path.name: result for result in done}
    errors = {name: result.error for name, result in results.items() if result.error}
    assert sorted(errors) == [
        *("broken.npy", "linear.npy", "objects.npy", "several.npy", "zip.npy")
    ]
    assert "is it linear" in errors["linear.npy"] and "linear.npy" in errors["linear.npy"]
    assert "several arrays" in errors["several.npy"]
    for name in ("broken.npy", "objects.npy", "zip.npy"):
        assert "not a readable .npy file" in errors[name]
    written = sorted(path.relative_to(out).as_posix() for path in out.rglob("*.wav"))
    assert written == ["b.wav", "c.wav", "speech/a.wav"]
    stereo, rate_hz = read_audio(out / "speech" / "a.wav")
    given = read_audio(folder / "speech" / "a.wav")[0]
    assert rate_hz == RATE_HZ and stereo.shape == (1001, 2)
    np.testing.assert_allclose(stereo, model.copy_synthesis(given, RATE_HZ), atol=1e-5)
    assert read_audio(out / "b.wav")[0].shape == (1001, 1)
    assert results["b.flac"].notice == "Resampled from 16000 Hz to the 8000 Hz of stub."
    np.testing.assert_allclose(
        read_audio(out / "c.wav")[0][:, 0], model.vocode(mel_of(70)), atol=1e-6
    )


def test_no_files_and_bad_segments_are_refused_before_any_work(tmp_path):
    with pytest.raises(ValueError, match="no files to vocode"):
        vocode_files([], tmp_path, engine())
    for segment_s in (0.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="The segment is"):
            vocode_files([tmp_path / "a.wav"], tmp_path, engine(), segment_s=segment_s)
    np.save(tmp_path / "a.npy", mel_of(3))
    write_audio(tmp_path / "a.wav", noise(99), RATE_HZ)
    with pytest.raises(ValueError, match="would both be written"):
        vocode_files([tmp_path], tmp_path / "out", engine())
    assert not (tmp_path / "out").exists()


def test_a_model_that_fails_leaves_nothing_behind(tmp_path):
    def fails(mel):
        raise ValueError("no")

    np.save(tmp_path / "a.npy", mel_of(3))
    (result,) = vocode_files([tmp_path / "a.npy"], tmp_path / "out", engine(fails))
    assert "a.npy: no" in result.error and not list((tmp_path / "out").glob("*"))


@pytest.mark.slow
def test_the_command_vocodes_with_a_run_and_with_its_export(tiny_runs, tiny_models, tmp_path, cli):
    run, exported = tiny_runs("vocoding"), tiny_models("vocoding")
    model = tonezoo.load(run)
    write_audio(tmp_path / "tone.wav", sine(440, 5001, 22_050), 22_050, subtype="FLOAT")
    tone = soundfile.read(tmp_path / "tone.wav", dtype="float32")[0]
    np.save(tmp_path / "mel.npy", model.mel(tone, 22_050))
    expected = model.copy_synthesis(tone, 22_050)
    for path, out in ((run, tmp_path / "of_run"), (exported, tmp_path / "of_export")):
        words = (tmp_path / "tone.wav", tmp_path / "mel.npy", "--out", out, "--model", path)
        code, _, err = cli("vocode", *words, "--segment-s", 0.05)
        assert code == 0 and "2 of 2 files vocoded" in err, err
        np.testing.assert_allclose(soundfile.read(out / "tone.wav")[0], expected, atol=1e-5)
        of_mel = soundfile.read(out / "mel.wav")[0]
        assert len(of_mel) == 20 * 256
        np.testing.assert_allclose(of_mel[:5001], expected, atol=1e-5)
    of_array = tonezoo.vocode(model.mel(tone, 22_050), model=exported)
    np.testing.assert_allclose(of_array[:5001], expected, atol=1e-5)
    code, _, err = cli("enhance", tmp_path / "tone.wav", "--out", tmp_path, "--model", exported)
    assert code == 1 and "`tonezoo vocode` takes it" in err
    code, _, err = cli("vocode", tmp_path / "tone.wav", "--out", tmp_path / "of_none")
    assert code != 0 and "--model" in err


@pytest.mark.slow
def test_waveforms_become_mel_spectrograms_and_these_waveforms(loaded, keras_model):
    waveform = noise(2, 1001, 1)
    mel = loaded.signatures["mel_spectrogram"](waveform=waveform)["mel"]
    np.testing.assert_allclose(mel, keras_model.front_end(waveform), atol=1e-5)
    output = loaded.signatures["serving_default"](mel=mel)["waveform"]
    np.testing.assert_allclose(output, keras_model(mel), atol=1e-5)
    assert output.shape == (2, 1024, 1)


@pytest.mark.slow
def test_the_manifest_states_what_the_mel_spectrogram_is(exported):
    facts = json.loads((exported / "1" / "manifest.json").read_text())
    expected = {"channels": 80, "hop_samples": 256, "window_samples": 1024}
    expected |= {"lowest_hz": 0.0, "highest_hz": 11025.0, "sample_rate_hz": 22_050}
    assert {key: facts[key] for key in expected} == expected


@pytest.mark.slow
def test_an_evaluation_has_griffin_lim_beside_the_model(tiny_runs, tmp_path, cli, monkeypatch):
    pytest.importorskip("librosa")
    for name in ("pesq", "visqol"):
        monkeypatch.setitem(sys.modules, name, None)
    write_audio(tmp_path / "speech" / "a.wav", noise(22_050) * np.hanning(22_050), 22_050)
    write_audio(tmp_path / "speech" / "short.wav", noise(2205), 22_050)
    words = ("--data", tmp_path / "speech", "--out", tmp_path / "out")
    code, out, err = cli("evaluate", tiny_runs("vocoding"), *words)
    assert code == 0 and "Griffin-Lim" in out, err
    scores = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    model, few, many = (row["metrics"] for row in scores["rows"])
    names = [row["name"] for row in scores["rows"][1:]]
    assert names == ["Griffin-Lim, 32 iterations", "Griffin-Lim, 200 iterations"]
    # Griffin-Lim is nearer to the mel spectrogram than a model of four steps.
    distances = [row["mel_distance"]["mean"] for row in (many, few, model)]
    assert 0 < distances[0] < distances[1] < 0.5 * distances[2]
