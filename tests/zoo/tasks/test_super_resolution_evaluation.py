"""Evaluating runs: what was trained on, which low-pass, and where the scores go."""

import importlib.util
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
from signals import noise, write_audio
from stubs import REPEAT, super_resolver

import tonezoo
from tonezoo import pretrained
from tonezoo.audio.resampling import LOW_PASSES, decimate, upsample_spline
from tonezoo.recipes.experiment import Position
from tonezoo.recipes.runs import RunFolder
from tonezoo.tasks.evaluation_data import evaluation_clips, trained_on
from tonezoo.tasks.super_resolution.evaluation import evaluate_loaded, evaluate_model


def data_of(name, train, test=(), hold_out=()):
    return {"name": name, "train": list(train), "test": list(test), "hold_out": list(hold_out)}


def clips_of(folder, data, report):
    return evaluation_clips(folder, data, sample_rate_hz=16_000, ratio=4, report=report)


def write_clips(folder: Path, *names):
    """Writes a second of noise to each file."""
    for seed, name in enumerate(names):
        write_audio(folder / name, noise(16_000, seed=seed), 16_000)


@pytest.fixture(autouse=True)
def without_packages(monkeypatch):
    """What packages score takes longer than all else."""
    for name in ("pesq", "visqol", "pystoi"):
        monkeypatch.setitem(sys.modules, name, None)


@pytest.fixture
def run(tmp_path, monkeypatch) -> Path:
    """A run's folder that loads as a model which repeats every sample."""
    folder = tmp_path / "runs" / "repeat"
    folder.mkdir(parents=True)
    config = {"recipe": "r", "options": {}, "data": data_of("speech", ["p225/p225_001.wav"])}
    (folder / "config.json").write_text(json.dumps(config))
    monkeypatch.setattr(pretrained, "load", lambda path: REPEAT)
    return folder


@pytest.fixture
def speech(tmp_path) -> Path:
    write_clips(tmp_path / "speech", "p225/p225_001.wav", "p228/p228_001.wav")
    return tmp_path / "speech"


@pytest.mark.parametrize(
    ("name", "train", "path", "expected"),
    [
        # The corpus itself, renamed, moved into a folder, or one speaker of it alone.
        ("speech", "p225/p225_001.wav", "/a/speech/p225/p225_001.wav", True),
        ("audio", "vctk/p225/p225_001.wav", "/a/speech/vctk/p225/p225_001.wav", True),
        ("audio", "vctk/p225/p225_001.wav", "/a/p225/p225_001.wav", True),
        ("p225", "p225_001.wav", "/a/VCTK/wav48/p225/p225_001.wav", True),
        ("speech", "p225/p225_001.wav", "/a/speech/p225/p225_002.wav", False),
        # File names alone say nothing.
        ("speech", "001.wav", "/a/other/001.wav", False),
        ("speech", "001.wav", "/a/speech/001.wav", True),
        ("speech", "p225/001.wav", "/a/speech/p226/001.wav", False),
        # Nor do folders that every speaker has, as in CMU Arctic.
        ("cmu_us_bdl", "wav/arctic_a0001.wav", "/a/cmu_us_slt/wav/arctic_a0001.wav", False),
        ("cmu_us_bdl", "wav/arctic_a0001.wav", "/a/cmu_us_bdl/wav/arctic_a0001.wav", True),
        ("mine", "Train/12/1.wav", "/a/theirs/Train/12/1.wav", False),
        ("mine", "Train/12/1.wav", "/a/mine/Train/12/1.wav", True),
        # All that there is to compare.
        ("wavs", "LJ001-0001.wav", "/a/LJSpeech-1.1/wavs/LJ001-0001.wav", True),
        ("wavs", "1/2.wav", "/a/train/1/2.wav", False),
    ],
)
def test_files_trained_on_are_known_by_the_ends_of_their_paths(name, train, path, expected):
    # A test split beside them changes nothing.
    data = data_of(name, [train, "x/other.wav"], test=["p228/p228_001.wav"])
    assert trained_on([Path(path)], data) == ([Path(path)] if expected else [])


def test_files_that_end_like_held_out_ones_have_to_agree_in_more():
    data = data_of("speech", ["clean/p225/a.wav", "clean/p225/b.wav"], test=["noisy/p225/a.wav"])
    ends = ("speech/noisy/p225/a.wav", "speech/clean/p225/a.wav", "p225/b.wav", "p225/a.wav")
    paths = [Path("/x", end) for end in ends]
    assert trained_on(paths, data) == paths[1:3]


@pytest.mark.parametrize(
    ("folder", "warning"),
    [("speech", "2 of these 3"), ("speech/p225", "2 of these 2"), ("speech/p228", None)],
)
def test_a_warning_tells_of_clips_that_were_trained_on(tmp_path, monkeypatch, folder, warning):
    trained = ["p225/p225_001.wav", "p225/p225_002.wav"]
    write_clips(tmp_path / "speech", *trained, "p228/p228_001.wav")
    # The shipped model's training folder was not called speech.
    data = data_of("audio", [f"vctk/{name}" for name in trained])
    for start, path in ((tmp_path, folder), (tmp_path / folder, ".")):
        monkeypatch.chdir(start)
        lines = []
        clips_of(path, data, lines.append)
        told, *warnings = lines
        assert told.startswith("Evaluating on ") and len(warnings) == (warning is not None)
        if warning:
            assert f"trained on {warning} clips" in warnings[0] and "p225_001.wav" in warnings[0]


def test_held_out_clips_are_evaluated_without_a_warning(speech):
    data = data_of("speech", ["p225/p225_001.wav"], ["p228/p228_001.wav"], hold_out=["p228"])
    lines = []
    assert list(clips_of(speech, data, lines.append)) == ["p228/p228_001.wav"]
    (told,) = lines
    assert told == f"Evaluating on 1 clip of {speech}, from p228_001.wav to p228_001.wav."


def test_another_low_pass_leaves_the_runs_own_scores_alone(cli, run, speech):
    words = ["evaluate", run, "--data", speech / "p228"]
    code, out, _ = cli(*words)
    own = run / "evaluation.json"
    assert code == 0 and f"Wrote {own} and {run / 'evaluation.md'}." in out
    before = own.read_text()
    code, out, _ = cli(*words, "--low-pass", "soxr")
    other = run / "evaluation_soxr.json"
    assert code == 0 and f"Wrote {other} and {run / 'evaluation_soxr.md'}." in out
    assert own.read_text() == before
    assert "low-pass soxr" in (run / "evaluation_soxr.md").read_text()
    own, other = json.loads(before), json.loads(other.read_text())
    assert (own["low_pass"], other["low_pass"]) == ("chebyshev", "soxr")
    for mine, theirs in zip(own["rows"], other["rows"], strict=True):
        assert mine["metrics"]["snr_db"]["mean"] != theirs["metrics"]["snr_db"]["mean"]
    # What an export copies.
    assert [path.name for path in RunFolder(run).records] == ["evaluation.json", "evaluation.md"]


def test_a_new_checkpoint_removes_the_scores_of_every_low_pass_and_strength(run):
    own = ("evaluation.json", "evaluation_soxr.json", "evaluation_fft.md", "evaluation_-6dB.md")
    for name in (*own, "evaluation_x.md"):
        (run / name).touch()
    phase = SimpleNamespace(name="generator")
    RunFolder(run).save(SimpleNamespace(phases=[phase], state=dict), Position(step=1))
    kept = {"config.json", "checkpoint.npz", "evaluation_x.md"}
    assert {path.name for path in run.iterdir()} == kept


def tone_maker(strength_db=0.0):
    """A model that adds a tone at 6 kHz, of -20 dB re full scale, to the spline."""

    def call(low):
        spline = upsample_spline(low[0, :, 0], 4)[None, :, None]
        tone = np.sin(0.75 * np.pi * np.arange(spline.shape[1]))
        return spline + np.float32(0.1 * np.sqrt(2)) * tone[None, :, None].astype("float32")

    return super_resolver(call, name="tone", interpolation="cubic", strength_db=strength_db)


def test_scores_are_those_of_the_models_own_strength_unless_another_is_asked_for(run, speech):
    options = {"data": speech / "p228", "model": tone_maker(-10.0), "report": lambda line: None}
    own = evaluate_model(run, **options)
    named = evaluate_model(run, strength_db=-10, **options)
    other = evaluate_model(run, strength_db=-30.0, **options)
    assert {path.name for path in run.iterdir()} == {
        *("config.json", "evaluation.json", "evaluation.md"),
        *("evaluation_-30dB.json", "evaluation_-30dB.md"),
    }
    np.testing.assert_array_equal(own.values, named.values)
    assert own.facts["strength_db"] == -10 and "made up at -30 dB" in other.to_markdown()
    # The tone's energy at its strength, beside the error of the spline.
    reference = soundfile.read(speech / "p228" / "p228_001.wav", dtype="float32")[0]
    spline = upsample_spline(decimate(reference, 4), 4)
    for evaluation, level_db in ((own, -10), (other, -30)):
        error = np.sum((spline - reference) ** 2) + len(reference) * 10 ** (level_db / 10 - 2)
        expected = 10 * np.log10(np.sum(reference**2) / error)
        assert evaluation.column("snr_db")[0] == pytest.approx(expected, abs=0.05)
    with pytest.raises(ValueError, match="The strength is 21 dB"):
        evaluate_model(run, strength_db=21, **options)


def test_an_unknown_low_pass_is_told_before_the_model_is_loaded(cli, run, speech, monkeypatch):
    def load(path):
        raise AssertionError("loaded")

    monkeypatch.setattr(pretrained, "load", load)
    before = sorted(run.iterdir())
    code, _, err = cli("evaluate", run, "--data", speech, "--low-pass", "chebychev")
    assert code == 1 and "error: low_pass must be one of chebyshev, butterworth, fft, soxr" in err
    assert sorted(run.iterdir()) == before
    with pytest.raises(ValueError, match="low_pass must be one of"):
        evaluate_model(run, data=speech, low_pass="chebychev")


@pytest.mark.parametrize(("ratio", "count"), [(4, len(LOW_PASSES) + 2), (2, len(LOW_PASSES) + 7)])
def test_the_benchmark_tells_the_conditions_apart(source_tree, monkeypatch, ratio, count):
    monkeypatch.syspath_prepend(source_tree / "benchmarks")
    conditions = importlib.import_module("conditions")
    found = dict(conditions.rows(super_resolver(ratio=ratio), {"noise": noise(16_000)}))
    assert len(found) == count
    snr = conditions.COLUMNS.index("snr_db")
    assert len({scores[snr][0] for scores in found.values()}) == count
    assert found["fft low-pass"][snr][0] > found["clipped at 0.5 of its peak"][snr][0]


def test_a_loaded_model_brings_its_own_ratio_rate_and_name():
    evaluation = evaluate_loaded(REPEAT, {"noise": noise(8000, std=1.0)})
    assert evaluation.model_name == "repeat"
    facts = {"ratio": 4, "sample_rate_hz": 16_000, "low_pass": "chebyshev", "strength_db": 0}
    assert evaluation.facts == facts | {"low_rate_hz": 4000, "seed": 0}


@pytest.mark.parametrize("path", [".", "../repeat/"])
def test_a_run_is_named_by_its_folder_however_it_is_given(run, monkeypatch, path):
    monkeypatch.undo()
    facts = vars(super_resolver(name="generator", interpolation="cubic"))
    generator = SimpleNamespace(task="super_resolution", channels=1, **facts)
    monkeypatch.setattr(RunFolder, "model", lambda self: generator)
    monkeypatch.setattr(pretrained, "compiled_call", lambda model: None)
    monkeypatch.chdir(run)
    assert tonezoo.load(path).name == "repeat"
