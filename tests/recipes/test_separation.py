"""Separation recipes: configurations, models, data, batches, and runs."""

import json
import math
import re
import subprocess
import sys
from dataclasses import asdict, replace

import numpy as np
import pytest
import soundfile

from tonezoo.models.demucs import PRESETS, Demucs
from tonezoo.recipes import demucs_table1, list_recipes, load_recipe, separation
from tonezoo.recipes.data.layouts import DataSplit
from tonezoo.recipes.data.stems import StemAugmentation
from tonezoo.recipes.runs import RunFolder
from tonezoo.registry import model_entry
from tonezoo.variables import named_variables

RECIPES = [name for name in list_recipes() if name.startswith("demucs_")]
# What the upsampling paper's Table 1 compares: kind, and whether the model is modified.
VARIANTS = {
    "transposed": ("transposed", False),
    "modified_transposed": ("transposed", True),
    "nearest": ("nearest", False),
    "linear": ("linear", False),
    "subpixel": ("subpixel", False),
    "modified_subpixel": ("subpixel", True),
}
TINY = separation.Config(
    preset="tiny",
    segment_s=0.1,
    shift_s=0.02,
    crop_stride_s=0.5,
    batch_size=2,
    tracks=2,
    track_s=1.0,
    sample_rate_hz=8000,
)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        *(
            ({name: 0}, f"{name} must be at least 1, but is 0")
            for name in (
                *("sample_rate_hz", "channels", "batch_size", "epochs", "steps_per_epoch"),
                *("tracks", "checkpoint_steps"),
            )
        ),
        *(
            ({name: value}, f"{name} must be above 0, but is {value}")
            for name in ("segment_s", "crop_stride_s", "learning_rate", "track_s")
            for value in (0.0, -1.0)
        ),
        ({"learning_rate": math.nan}, "learning_rate must be a finite number, but is nan"),
        ({"segment_s": math.inf}, "segment_s must be a finite number, but is inf"),
        ({"shift_s": math.inf}, "shift_s must be a finite number, but is inf"),
        ({"beta_1": 1.0}, "beta_1 must be at least 0 and below 1, but is 1.0"),
        ({"beta_2": -0.1}, "beta_2 must be at least 0 and below 1, but is -0.1"),
        ({"seed": -1}, "seed must be at least 0, but is -1"),
        ({"dtype": "float16"}, "dtype must be one of .*mixed_float16.*, but is 'float16'"),
        ({"sources": "drums,,bass"}, "different names, separated by commas, but is 'drums,,bass'"),
        ({"sources": "bass, bass"}, "sources must be different names"),
        ({"sources": ""}, "sources must be different names"),
        ({"shift_s": -1.0}, "shift must be 0 samples or more .* are -44100 and 4"),
        ({"remix_group": 0}, "remix group 1 or more, but they are 44100 and 0"),
    ],
)
def test_numbers_out_of_range_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        separation.Config(**options)


def test_options_become_those_of_the_augmentation():
    cfg = separation.Config(
        flip=False, swap=False, gain=True, shift_s=0.25, remix_group=3, sample_rate_hz=16_000
    )
    assert cfg.augmentation == StemAugmentation(
        flip=False, swap=False, gain=True, shift_samples=4000, remix_group=3
    )
    assert separation.Config(sources=" a, b c").source_names == ("a", "b c")


def test_there_is_a_recipe_of_every_variant_at_both_sizes():
    names = [f"demucs_{size}_{variant}" for size in ("musdb", "small") for variant in VARIANTS]
    assert sorted(RECIPES) == sorted([*names, "demucs_small_music", "demucs_tiny"])


@pytest.mark.parametrize("name", RECIPES)
def test_recipe_has_a_configuration_and_a_description(name):
    recipe = load_recipe(name)
    assert recipe.config.preset in model_entry(recipe.config.model).parameters
    assert recipe.config.run_name(name) == name
    assert recipe.description.endswith(".")


@pytest.mark.parametrize("variant", VARIANTS)
def test_musdb_recipes_are_those_of_the_paper(variant):
    recipe = load_recipe(f"demucs_musdb_{variant}")
    cfg = recipe.config
    options = Demucs(**PRESETS[cfg.preset] | {"width": 2, "depth": 2}).get_config()
    assert (options["upsampler"], options["modified"]) == VARIANTS[variant]
    assert (cfg.upsampler, cfg.modified) == (None, None)
    assert cfg.learning_rate == (1e-4 if variant == "modified_subpixel" else 2e-4)
    # 8 on each of 4 GPUs.
    assert 4 * cfg.batch_size == 32 and cfg.epochs == 600 and cfg.steps_per_epoch is None
    assert (cfg.layout, cfg.sample_rate_hz, cfg.channels) == ("musdb", 44_100, 2)
    assert cfg.source_names == ("drums", "bass", "other", "vocals")
    assert (cfg.segment_s, cfg.crop_stride_s, cfg.shift_s) == (10.0, 1.0, 1.0)
    assert cfg.flip and cfg.swap and not cfg.gain and cfg.remix_group == 4
    assert (cfg.beta_1, cfg.beta_2, cfg.dtype) == (0.9, 0.999, "float32")


@pytest.mark.parametrize("variant", VARIANTS)
def test_small_recipes_differ_in_the_variant_alone(variant):
    cfg = load_recipe(f"demucs_small_{variant}").config
    model = replace(cfg, preset="tiny").new_model()
    assert (model.upsampler, model.modified) == VARIANTS[variant]
    assert cfg.preset == "small"
    first = asdict(load_recipe("demucs_small_transposed").config)
    different = {key for key, value in asdict(cfg).items() if value != first[key]}
    assert different <= {"upsampler", "modified"}


def test_parameters_are_those_stated():
    tiny = load_recipe("demucs_tiny")
    assert "18 thousand parameters" in tiny.description
    assert "4.5 million parameters" in demucs_table1.__doc__
    assert model_entry("demucs").parameters["small"] == pytest.approx(4.5e6, abs=0.05e6)
    count = tiny.config.new_model().count_params()
    assert count == model_entry("demucs").parameters["tiny"] == pytest.approx(18e3, abs=500)


def test_a_configuration_is_applied_to_its_model():
    cfg = replace(TINY, upsampler="nearest", modified=True, sources="vocals,other", channels=1)
    model = cfg.new_model()
    assert (model.upsampler, model.modified) == ("nearest", True)
    assert replace(cfg, share_window_samples=32).new_model().share_window_samples == 32
    assert (model.sources, model.channels) == (("vocals", "other"), 1)
    assert model.sample_rate_hz == 8000 and model.built and model.width == 4
    assert model(np.zeros((1, 70, 1), "float32")).shape == (1, 70, 2, 1)
    assert not any("bias" in v.name for v in model.trainable_variables)
    preset = TINY.new_model()
    assert (preset.upsampler, preset.modified) == ("transposed", False)


def test_training_has_the_precision_asked_for_and_inference_float32():
    cfg = replace(TINY, dtype="mixed_bfloat16")
    source = cfg.data_source(None)
    trained = cfg.build(source, 1).networks["separator"]
    assert trained.compute_dtype == "bfloat16" and trained.variable_dtype == "float32"
    assert cfg.new_model().compute_dtype == "float32"


def test_an_epoch_has_as_many_steps_as_there_are_crops():
    source = TINY.data_source(None)
    assert [track.samples for track in source.tracks] == [8000, 8000]
    # 0.1 s rounded up to what 3 strides of 4 divide, and 0.02 s of shift; crops 0.5 s apart:
    # (8000 - 832 - 160) // 4000 + 1 of each track.
    experiment = TINY.build(source, 1)
    (phase,) = experiment.phases
    assert (phase.name, phase.steps_per_epoch, phase.epochs) == ("separator", 2, 600)
    finer = replace(TINY, crop_stride_s=0.1, epochs=7)
    # 2 x (7008 // 800 + 1) crops in batches of 2 x 3.
    (phase,) = finer.build(source, 3).phases
    assert (phase.steps_per_epoch, phase.epochs, phase.steps) == (3, 7, 21)
    (phase,) = replace(finer, steps_per_epoch=50).build(source, 3).phases
    assert phase.steps_per_epoch == 50


def test_batches_go_on_at_any_step_and_are_shared_out_by_replicas():
    source = TINY.data_source(None)
    experiment = TINY.build(source, 2)
    (phase,) = experiment.phases
    assert experiment.global_batch == 4 and experiment.start() is None
    assert experiment.data_fingerprint == source.fingerprint
    first = list(phase.dataset(0).take(4).as_numpy_iterator())
    mixture, targets = first[0]
    assert mixture.shape == (4, 832, 2) and targets.shape == (4, 832, 4, 2)
    for (a, b), (c, d) in zip(phase.dataset(2).take(2).as_numpy_iterator(), first[2:], strict=True):
        np.testing.assert_array_equal(a, c)
        np.testing.assert_array_equal(b, d)
    other = replace(TINY, seed=1).build(source, 2).phases[0]
    assert not np.array_equal(next(other.dataset(0).take(1).as_numpy_iterator())[0], mixture)


def test_checkpoints_hold_weights_optimizer_and_loss_scale():
    cfg = replace(TINY, dtype="mixed_float16")
    experiment = cfg.build(cfg.data_source(None), 1)
    (optimizer,) = experiment.optimizers
    saved = {id(variable) for variable in experiment.state().values()}
    weights = experiment.networks["separator"].variables
    moments = optimizer.inner_optimizer.variables
    # Of Adam: two moments of each weight, the step and the learning rate.
    assert len(moments) == 2 * len(weights) + 2
    for variable in (*weights, *moments, optimizer.dynamic_scale, optimizer.step_counter):
        assert id(variable) in saved, variable.path


def test_procedural_tracks_are_of_the_seed_and_fitted_to_the_channels():
    cfg = replace(TINY, channels=1, sources="vocals,drums")
    tracks = separation.procedural_tracks(cfg, seed=3, tracks=2)
    assert len(tracks) == 2
    for by_source in tracks.values():
        assert list(by_source) == ["vocals", "drums"]
        assert all(x.shape == (8000, 1) for x in by_source.values())
    again = separation.procedural_tracks(TINY, seed=3, tracks=1)
    both = again["track_000"]["vocals"]
    np.testing.assert_allclose(
        tracks["track_000"]["vocals"][:, 0], both.mean(axis=1), rtol=0, atol=1e-7
    )
    other = replace(TINY, seed=4).data_source(None)
    assert other.fingerprint != TINY.data_source(None).fingerprint
    with pytest.raises(ValueError, match=r"corpus has no choir, piano, only drums, .* --data"):
        replace(TINY, sources="drums,piano,choir").data_source(None)


def write_tracks(root, *names, seconds=0.5, rate_hz=8000, sources=("drums", "bass")):
    for number, name in enumerate(names):
        rng = np.random.default_rng(number)
        for source in sources:
            path = root / name / f"{source}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            samples = 0.1 * rng.standard_normal((round(seconds * rate_hz), 2))
            soundfile.write(path, samples, rate_hz, subtype="FLOAT")
    return root


def test_tracks_of_a_folder_are_those_of_the_configuration(tmp_path):
    cfg = replace(TINY, sources="bass,drums", cache_dir=str(tmp_path / "cache"))
    root = write_tracks(tmp_path / "data", "a", "b", "c")
    write_tracks(root, "c", rate_hz=4000)
    (root / "a" / "bass.wav").write_text("text")
    clips = cfg.find_data(root, "b")
    assert [p.name for p in clips.train] == ["a", "c"] and clips.layout == "folder"
    lines = []
    source = cfg.data_source(clips, lines.append)
    assert [track.samples for track in source.tracks] == [4000]
    assert len(lines) == 1 and "bass.wav" in lines[0]
    # At another rate than the model's, hence decoded. White noise loses some of its band.
    assert len(list((tmp_path / "cache").iterdir())) == 1
    samples, _ = soundfile.read(root / "c" / "bass.wav", dtype="float32")
    middle = source.tracks[0].read(0, 4000)[0][200:-200:2]
    assert np.corrcoef(middle[:, 0], samples[100:-100, 0])[0, 1] > 0.95
    with pytest.raises(ValueError, match="is not MUSDB18"):
        replace(cfg, layout="musdb").find_data(root)


def test_the_preview_is_of_a_track_that_is_not_trained_on(tmp_path):
    preview = TINY.preview(None)
    (stems,) = preview.tracks.values()
    assert np.shape(stems) == (4, 8000, 2)
    for track in TINY.data_source(None).tracks:
        assert not np.array_equal(track.stems, stems)
    cfg = replace(TINY, sources="drums,bass")
    root = write_tracks(tmp_path, "a", "b", "c")
    assert list(cfg.preview(cfg.find_data(root, ["b", "c"])).tracks) == ["b"]
    (root / "b" / "bass.wav").write_text("text")
    lines = []
    preview = cfg.preview(cfg.find_data(root, "b"), lines.append)
    assert preview.tracks == {}
    assert len(lines) == 1 and lines[0].startswith("No preview: ") and "bass.wav" in lines[0]
    nothing = DataSplit(train=(root / "a",), test=(), layout="folder", root=root)
    assert cfg.preview(nothing).tracks == {}


def train_command(run, *settings):
    words = [word for setting in settings for word in ("--set", setting)]
    return ["train", "demucs_tiny", "--run", run, *words]


@pytest.mark.slow
def test_a_finished_run_is_described_and_can_be_read(tiny_separation_run):
    folder = RunFolder(tiny_separation_run)
    assert folder.config["recipe"] == "demucs_tiny" and folder.trained_steps() == 4
    log = folder.read_log()
    assert [(line["name"], line["step"]) for line in log] == [("separator", 2), ("separator", 4)]
    assert all(np.isfinite(line["loss"]) for line in log)
    events = list((tiny_separation_run / "tensorboard").iterdir())
    content = b"".join(path.read_bytes() for path in events)
    assert b"separator/loss" in content and b"vocals output" in content and b"RIFF" in content
    model = folder.model()
    with np.load(tiny_separation_run / "checkpoint.npz") as saved:
        for name, variable in named_variables(model).items():
            np.testing.assert_array_equal(variable, saved[f"separator/{name}"])
    assert model(np.zeros((1, 101, 2), "float32")).shape == (1, 101, 4, 2)


@pytest.mark.slow
def test_a_run_is_resumed_with_its_own_settings_alone(tiny_separation_run, cli):
    before = (tiny_separation_run / "checkpoint.npz").read_bytes()
    config = json.loads((tiny_separation_run / "config.json").read_text())
    same = [f"{key}={config['options'][key]}" for key in ("steps_per_epoch", "tracks", "track_s")]
    for settings, message in (
        (same, "batch_size was 2, now 4; segment_s was 0.1, now 0.5. Resume"),
        (["sources=drums,bass"], "sources was 'drums,bass,other,vocals', now 'drums,bass'"),
        (["batch=2"], "Unknown setting 'batch'. Available: .*batch_size"),
    ):
        code, _, err = cli(*train_command(tiny_separation_run, *settings), "--resume")
        assert code == 1 and re.search(message, err) and "Traceback" not in err
    code, _, err = cli(*train_command(tiny_separation_run), "--resume", "--ratio", "2")
    assert code == 1 and "Unknown setting 'ratio'" in err
    assert (tiny_separation_run / "checkpoint.npz").read_bytes() == before


@pytest.mark.slow
def test_tracks_are_trained_on_and_those_held_out_written_down(tmp_path):
    root = write_tracks(tmp_path / "songs", "a", "b", "c", "bad", rate_hz=8000)
    (root / "bad" / "bass.wav").write_text("text")
    settings = ["sources=drums,bass", "sample_rate_hz=8000", "segment_s=0.1", "epochs=1"]
    settings += ["steps_per_epoch=1", "dtype=mixed_bfloat16", "batch_size=2"]
    words = [*train_command(tmp_path / "run", *settings), "--data", root, "--hold-out", "b"]
    # In a process of its own: it makes a distribution strategy.
    command = [str(word) for word in (sys.executable, "-m", "tonezoo", *words)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "Skipped: " in done.stdout and "bass.wav" in done.stdout
    assert "2 tracks, " in done.stdout and f"tonezoo evaluate {tmp_path / 'run'}" in done.stdout
    data = RunFolder(tmp_path / "run").config["data"]
    assert data["name"] == "songs" and data["hold_out"] == ["b"]
    assert (data["train"], data["test"]) == (["a", "bad", "c"], ["b"])
    model = RunFolder(tmp_path / "run").model()
    assert (model.sources, model.sample_rate_hz) == (("drums", "bass"), 8000)
