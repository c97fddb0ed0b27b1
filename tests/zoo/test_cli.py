"""The command line: what it prints, its exit codes, and its answers to wrong input."""

import json

import numpy as np
import pytest
import soundfile

import tonezoo
from tonezoo.recipes.corpus.speech import write_corpus


def test_models_prints_every_preset_as_json(cli):
    code, out, _ = cli("models", "--json")
    rows = json.loads(out)
    assert code == 0
    row = next(row for row in rows if (row["name"], row["preset"]) == ("mu_gan", "l4_quarter"))
    assert row["parameters"] == 1_162_993 and row["ratios"] == [2, 4, 6]
    assert row["sample_rate_hz"] == 16_000 and "Unsupervised Feature Losses" in row["source"]


def test_models_prints_a_table(cli):
    code, out, _ = cli("models")
    assert code == 0 and "56,341,441" in out and "Kuleshov" in out
    assert "band_extender_speech_x2 (enhance), " in out and "demucs_small_music (separate)" in out


def test_version_and_help(cli):
    code, out, _ = cli("--version")
    assert (code, out.strip()) == (0, tonezoo.__version__)
    code, out, _ = cli("train", "--help")
    assert code == 0 and "runs/RECIPE" in out and "Folder of the run ." not in out


def test_recipes_prints_each_with_a_description(cli):
    code, out, _ = cli("recipes")
    assert code == 0 and "mu_gan_piano: MU-GAN8 on piano music." in out


@pytest.fixture
def paths(tmp_path):
    """Paths of things that no command accepts, by name."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("a file")
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "notes.wav").write_text("not audio")
    return {"tmp": tmp_path, **{name: tmp_path / name for name in ("empty", "file", "notes")}}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            "train mu_gan_huge --run {tmp}/r",
            "Unknown recipe 'mu_gan_huge'. Available recipes: audio",
        ),
        ("train mu_gan_tiny --run {tmp}/r --set preset=huge", "Unknown preset 'huge' of mu_gan"),
        ("train mu_gan_tiny --run {tmp}/r --set colour=1", "Unknown setting 'colour'"),
        ("train mu_gan_tiny --run {tmp}/r --set seed", "takes key=value, but got 'seed'"),
        ("train mu_gan_tiny --run {tmp}/r --set seed=x", "seed must be of type int, but is 'x'"),
        ("train mu_gan_tiny --run {tmp}/r --set deterministic=7", "must be true or false"),
        ("train mu_gan_tiny --run {tmp}/r --data {tmp}/no", "There is no folder"),
        ("train mu_gan_tiny --run {tmp}/r --data {file}", "is a file, but a folder"),
        ("train mu_gan_tiny --run {tmp}/r --data {empty}", "No audio was found"),
        ("train mu_gan_tiny --run {tmp}/r --data {notes}", "None of the 1 audio files can be used"),
        ("train mu_gan_tiny --run {tmp}/r --hold-out p1", "--hold-out needs --data"),
        ("train mu_gan_tiny --run {file}", "is a file"),
        ("train mu_gan_tiny --run {file}/r", "Cannot write to"),
        ("train mu_gan_tiny --run {notes}", "holds other files"),
        ("train mu_gan_vctk_speaker1 --run {tmp}/r --data {notes}", "is not a VCTK corpus"),
        ("evaluate {tmp}/no", "There is no model at"),
        ("evaluate {empty}", "is not a tonezoo model"),
        ("export {empty} --to {tmp}/m", "is not a run"),
        ("verify {empty}", "is not a tonezoo model"),
        ("verify {file}", "is a file, but a model is a folder"),
        ("enhance {file} --out {tmp}/o --model {empty}", "is not a tonezoo model"),
        ("enhance {file} --out {tmp}/o --model demucs_small_music", "`tonezoo separate` takes it"),
        ("separate {file} --out {tmp}/o --model {empty}", "is not a tonezoo model"),
        ("separate {file} --out {tmp}/o --model mu_gan_speech_x4", "`tonezoo enhance` takes it"),
        ("separate {file} --out {tmp}/o --sources piano", "no source 'piano'. It separates into"),
        ("separate {file} --out {tmp}/o --two-stems piano", "no source 'piano'"),
        ("separate {file} --out {tmp}/o --overlap 1", "The overlap is 1.0"),
        ("separate {file} --out {tmp}/o --shifts -1", "The number of shifts is -1"),
        ("separate {file} --out {tmp}/o --segment-s 0", "The segment is 0.0 s"),
        ("separate {file} --out {tmp}/o --clip-mode loud", "clip_mode must be one of"),
        ("train demucs_tiny --run {tmp}/r --ratio 4", "Unknown setting 'ratio'"),
        ("train demucs_tiny --run {tmp}/r --data {empty}", "No track was found"),
        ("train demucs_tiny --run {tmp}/r --set sources=piano", "procedural corpus has no piano"),
    ],
)
def test_wrong_input_gets_one_message_and_leaves_nothing(cli, paths, words, message):
    before = sorted(paths["tmp"].rglob("*"))
    code, _, err = cli(*words.format(**paths).split())
    assert code == 1
    assert message in err and "Traceback" not in err
    assert sorted(paths["tmp"].rglob("*")) == before


def test_wrong_options_are_explained_by_the_parser(cli, tmp_path):
    for words in (["trian"], ["train"], ["enhance", "a.wav"], ["train", "x", "--ratio", "two"]):
        code, _, err = cli(*words)
        assert code == 2 and "Traceback" not in err


@pytest.mark.slow
def test_from_run_to_enhanced_file(cli, tiny_run, tiny_model, tmp_path):
    (tmp_path / "low").mkdir()
    low = np.random.default_rng(0).uniform(-0.1, 0.1, 1001)
    soundfile.write(tmp_path / "low" / "a.wav", low, 4000, subtype="FLOAT")
    soundfile.write(tmp_path / "low" / "one.wav", low[:1], 4000)
    soundfile.write(tmp_path / "low" / "eight.wav", np.tile(low[:100, None], 8), 4000)
    (tmp_path / "low" / "bad.wav").write_text("text")
    files = sorted((tmp_path / "low").iterdir())
    code, _, err = cli("enhance", *files, "--out", tmp_path / "high", "--model", tiny_model)
    assert code == 1
    assert "3 of 4 files enhanced" in err and "bad.wav" in err and "Traceback" not in err
    shapes = {p.name: soundfile.info(p) for p in (tmp_path / "high").iterdir()}
    assert {name: (i.frames, i.channels, i.samplerate) for name, i in shapes.items()} == {
        "a.wav": (4004, 1, 16_000),
        "one.wav": (4, 1, 16_000),
        "eight.wav": (400, 8, 16_000),
    }
    code, _, _ = cli(
        *("enhance", tmp_path / "low" / "a.wav", "--out", tmp_path / "whole"),
        *("--model", tiny_run, "--whole", "--format", "flac"),
    )
    assert code == 0
    chunked, _ = soundfile.read(tmp_path / "high" / "a.wav")
    whole, _ = soundfile.read(tmp_path / "whole" / "a.flac")
    np.testing.assert_allclose(whole, chunked, rtol=0, atol=1e-5)


@pytest.mark.slow
def test_enhance_refuses_a_higher_rate_unless_asked(cli, tiny_model, tmp_path):
    soundfile.write(tmp_path / "x.wav", np.zeros(8000), 8000)
    words = ["enhance", tmp_path / "x.wav", "--out", tmp_path / "o", "--model", tiny_model]
    code, _, err = cli(*words)
    assert code == 1 and "--downsample" in err and not (tmp_path / "o").exists()
    code, _, err = cli(*words, "--downsample")
    assert code == 0 and soundfile.info(tmp_path / "o" / "x.wav").frames == 16_000


@pytest.mark.slow
def test_evaluate_prints_the_baselines_and_writes_both_files(cli, tiny_model, tmp_path):
    write_corpus(tmp_path / "data", clips=2, segment_s=1.0)
    words = ["evaluate", tiny_model, "--data", tmp_path / "data", "--out", tmp_path / "scores"]
    code, out, _ = cli(*words, "--ratio", "4")
    assert code == 0
    assert "spline" in out and "-48" in out and "LSD" in out
    scores = json.loads((tmp_path / "scores" / "evaluation.json").read_text())
    assert len(scores["rows"]) == 9 and len(scores["clips"]) == 2
    assert "spline" in (tmp_path / "scores" / "evaluation.md").read_text()
    code, _, err = cli(*words, "--ratio", "2")
    assert code == 1 and "has ratio 4, not 2" in err


@pytest.mark.slow
def test_verify_names_the_model(cli, tiny_model):
    code, out, _ = cli("verify", tiny_model)
    assert code == 0 and "version 1" in out
