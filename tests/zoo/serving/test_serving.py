"""What exported models of every task have in common: graph, manifest, golden output, loading."""

import json
import os
import shutil

import numpy as np
import pytest
import signals
import tensorflow as tf
from untrained_export import MODELS, change_golden, sign, state

import tonezoo
from tonezoo.recipes.runs import RunFolder
from tonezoo.serving.manifest import resolve_version, versions
from tonezoo.serving.operations import ALLOWED_OPERATIONS, check_operations, used_operations
from tonezoo.serving.verify import read_exported, serving_function
from tonezoo.tasks import find_task, list_tasks

TASKS = sorted(MODELS)
LISTED = ["saved_model.pb", "golden.npz", "variables/variables.index", "manifest.json"]


@pytest.fixture(scope="module", params=TASKS)
def task(request):
    return find_task(request.param)


@pytest.fixture
def copy(exported, tmp_path):
    return shutil.copytree(exported, tmp_path / "model")


def noise(model, time, batch=1):
    return signals.noise(batch, time, model.channels, seed=time, peak=0.5)


def test_every_task_is_tested():
    assert list_tasks() == TASKS


# One export of each task among the fast tests, which also run at the oldest versions.
@pytest.mark.parametrize(
    "time",
    [50, pytest.param(1, marks=pytest.mark.slow), pytest.param(333, marks=pytest.mark.slow)],
)
def test_the_inference_signature_is_the_keras_model(exported, task, keras_model, time):
    _, _, facts = read_exported(exported / "1")
    waveform = noise(keras_model, time, batch=2)
    output = serving_function(exported / "1", task, facts)(waveform)
    assert output.dtype == np.float32
    np.testing.assert_allclose(output, keras_model(waveform), rtol=0, atol=1e-6)


def test_a_model_tells_its_facts_as_often_as_it_is_asked(loaded, exported, task):
    outputs = loaded.signatures["facts"](query=tf.constant(["", "?", "x"]))
    told = {text.decode() for text in outputs["manifest_json"].numpy()}
    assert len(outputs["manifest_json"]) == 3 and len(told) == 1
    facts = json.loads(told.pop())
    _, _, stated = read_exported(exported / "1")
    assert task.facts.read(facts, "facts") == stated and facts["task"] == task.name


@pytest.mark.slow
def test_an_export_of_a_run_tells_its_name_and_version(tiny_models, task):
    version = resolve_version(tiny_models(task.name))
    loaded = tf.saved_model.load(str(version))
    told = loaded.signatures["facts"](query=tf.constant([""]))["manifest_json"].numpy()[0]
    manifest = json.loads((version / "manifest.json").read_text())
    facts = json.loads(told)
    assert facts == {name: manifest[name] for name in facts}
    assert {"name", "version", "task", "sample_rate_hz"} < set(facts)


@pytest.mark.slow
def test_the_graph_uses_stock_operations_alone(exported):
    operations = used_operations(exported / "1")
    assert {"Conv2D"} < operations <= ALLOWED_OPERATIONS


@pytest.mark.slow
def test_operations_inside_functions_are_found(tmp_path):
    class Foreign(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec((None,))])
        def serve(self, x):
            return tf.numpy_function(np.sin, [x], tf.float32)

    tf.saved_model.save(Foreign(), str(tmp_path / "foreign"))
    with pytest.raises(ValueError, match=r"uses PyFunc, .* a stock TensorFlow Serving has. Help."):
        check_operations(tmp_path / "foreign", "Help.")


@pytest.mark.slow
def test_a_graph_that_writes_files_is_not_run_whatever_its_manifest_says(copy, task, tmp_path):
    victim = tmp_path / "victim"
    version = copy / "1"
    original = tf.saved_model.load(str(version)).signatures[task.inference_signature]
    spec = original.structured_input_signature[1][task.inference_input]

    class Writing(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec(spec.shape, tf.float32, name=spec.name)])
        def serve(self, waveform):
            tf.io.write_file(str(victim), "written")
            return {name: tf.zeros((1,)) for name in original.structured_outputs}

    shutil.rmtree(version / "variables")
    module = Writing()
    tf.saved_model.save(module, str(version), signatures={task.inference_signature: module.serve})
    sign(version)
    for check in (tonezoo.verify, tonezoo.load):
        with pytest.raises(ValueError, match=r"uses WriteFile, .* do not load it"):
            check(copy)
    assert not victim.exists()


@pytest.mark.parametrize("name", LISTED)
@pytest.mark.slow
def test_a_changed_byte_is_refused_by_file_name(copy, name):
    path = copy / "1" / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    for check in (tonezoo.verify, tonezoo.load):
        with pytest.raises(ValueError, match=rf"{name}.* was changed"):
            check(copy)


@pytest.mark.parametrize("name", ["saved_model.pb", "variables/variables.index"])
@pytest.mark.slow
def test_a_missing_file_is_refused_by_file_name(copy, name):
    (copy / "1" / name).unlink()
    with pytest.raises(ValueError, match=rf"{name} is missing"):
        tonezoo.load(copy)


@pytest.mark.parametrize("name", ["assets.extra/tf_serving_warmup_requests", "variables/x", "x"])
@pytest.mark.slow
def test_a_file_that_the_manifest_does_not_list_is_refused_by_name(copy, name):
    path = copy / "1" / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"x")
    for check in (tonezoo.verify, tonezoo.load):
        with pytest.raises(ValueError, match=rf"holds {name}, which its manifest does not list"):
            check(copy)


@pytest.mark.parametrize("name", ["../../x", "/etc/hostname", "a/../../x", "..", "C:x", r"..\x"])
@pytest.mark.slow
def test_names_of_files_stay_in_the_folder(copy, name):
    version = copy / "1"
    (copy.parent / "x").write_bytes(b"x")
    files = json.loads((version / "manifest.json").read_text())["files"]
    state(version, files=files | {name: "0" * 64})
    for check in (tonezoo.verify, tonezoo.load):
        with pytest.raises(ValueError, match="which is no file in its folder"):
            check(copy)


@pytest.mark.parametrize("files", [{}, ["saved_model.pb"], None, {"saved_model.pb": "0" * 64}])
@pytest.mark.slow
def test_a_manifest_lists_what_every_model_has(copy, files):
    state(copy / "1", files=files)
    for check in (tonezoo.verify, tonezoo.load):
        with pytest.raises(ValueError, match="does not list the files that every model has"):
            check(copy)


@pytest.mark.slow
def test_the_golden_output_is_that_of_the_keras_model_and_is_compared(copy, keras_model):
    assert tonezoo.verify(copy)["version"] == 1
    with np.load(copy / "1" / "golden.npz") as golden:
        waveform, output = golden["input"], golden["output"]
    assert waveform.shape[2] == keras_model.channels and waveform.shape[1] % 2
    np.testing.assert_allclose(output, keras_model(waveform), rtol=0, atol=1e-6)
    for changed, message in (
        (output + np.float32(1e-3 * np.abs(output).max()), "differs from the golden one"),
        (output[:, ::-1], "differs from the golden one"),
        (output[:, :-1], "from the golden one by inf"),
        (np.full_like(output, np.nan), "one by nan"),
        (output.astype("float64"), r"holds float64 of the shape"),
        (output[:, :0], r"holds float32 of the shape \(2, 0,"),
    ):
        change_golden(copy / "1", output=changed)
        with pytest.raises(ValueError, match=message):
            tonezoo.verify(copy)


@pytest.mark.parametrize(
    ("waveform", "message"),
    [
        (None, "golden.npz is damaged or not ours"),
        (np.array("text"), r"golden.npz holds <U4 of the shape \(\) instead of float32"),
    ],
)
@pytest.mark.slow
def test_a_golden_file_of_something_else(copy, waveform, message):
    change_golden(copy / "1", input=waveform)
    with pytest.raises(ValueError, match=message):
        tonezoo.verify(copy)


@pytest.mark.parametrize("name", ["saved_model.pb", "variables/variables.data-00000-of-00001"])
@pytest.mark.slow
def test_files_that_tensorflow_cannot_load_although_they_are_signed(copy, name):
    path = copy / "1" / name
    path.write_bytes(path.read_bytes()[:1000])
    sign(copy / "1")
    for check in (tonezoo.verify, tonezoo.load):
        with pytest.raises(ValueError, match=r"model/1 cannot be loaded as a SavedModel"):
            check(copy)


@pytest.mark.slow
def test_errors_of_operations_name_the_model(exported, task, keras_model):
    _, _, facts = read_exported(exported / "1")
    call = serving_function(exported / "1", task, facts)
    with pytest.raises(
        ValueError, match=r"tiny/1 fails on an input of the shape \(1, 0, \d+\): .*"
    ):
        call(noise(keras_model, 0))


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"sample_rate_hz": ...}, "sample_rate_hz as None"),
        ({"grid_samples": True}, "grid_samples as True"),
        ({"grid_samples": "4"}, "grid_samples as '4', but it must be a whole number from 1"),
        ({"channels": 0}, "states channels as 0, but it must be a whole number from 1"),
        ({"context_samples": 2**31}, "context_samples as 2147483648, .* from 0 to 2147483647"),
        ({"name": "../other"}, r"name as '../other', but it must be that of a folder"),
        ({"name": ...}, "name as None"),
        ({"version": None}, "version as None"),
        (
            {"task": "transcription"},
            "'transcription' is unknown .* separation, super_resolution, vo",
        ),
        ({"task": ...}, "states no task"),
    ],
)
@pytest.mark.slow
def test_a_signed_manifest_without_usable_facts_is_refused(copy, facts, message):
    sign(copy / "1", **facts)
    with pytest.raises(ValueError, match=message):
        tonezoo.load(copy)


@pytest.mark.slow
def test_another_format_is_refused(copy):
    state(copy / "1", format="tonezoo SavedModel 0")
    with pytest.raises(ValueError, match="this tonezoo reads 'tonezoo SavedModel 1'"):
        tonezoo.load(copy)


@pytest.mark.slow
def test_what_is_no_manifest_and_no_version(copy):
    (copy / "007").mkdir()
    (copy / "2").write_text("a file")
    assert versions(copy) == [1]
    path = copy / "1" / "manifest.json"
    for content in ("[]", "7", "", "[" * 100_000, "\ufeff{}", '{"manifest_sha256": "0"}'):
        path.write_text(content)
        with pytest.raises(ValueError, match=r"manifest.json was changed since"):
            tonezoo.load(copy)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(ValueError, match=r"SavedModel without manifest.json"):
        tonezoo.load(copy)


@pytest.mark.slow
def test_a_foreign_saved_model_and_a_missing_folder_are_explained(tmp_path):
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "saved_model.pb").touch()
    with pytest.raises(ValueError, match=r"not a tonezoo model: it is a SavedModel without"):
        tonezoo.load(tmp_path / "other")
    with pytest.raises(ValueError, match="There is no model at"):
        tonezoo.load(tmp_path / "nowhere")
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="is a file, but a model is a folder"):
        tonezoo.load(tmp_path / "file")


@pytest.fixture(scope="module")
def run(task, tiny_runs):
    return tiny_runs(task.name)


@pytest.fixture(scope="module")
def model(task, tiny_models):
    return tiny_models(task.name)


@pytest.mark.slow
def test_the_manifest_tells_where_the_model_comes_from(run, model, task):
    manifest = json.loads((model / "1" / "manifest.json").read_text())
    config = RunFolder(run).config
    assert manifest["task"] == task.name
    assert manifest["recipe"] == config["recipe"]
    assert manifest["options"]["preset"] == "tiny"
    assert manifest["training_steps"] == RunFolder(run).trained_steps() > 0
    assert manifest["data"]["name"] == "procedural corpus"
    assert manifest["parameters"] == tonezoo.from_pretrained(run).count_params()
    assert {"saved_model.pb", "golden.npz", "log.jsonl"} <= set(manifest["files"])


@pytest.mark.slow
def test_the_run_and_the_export_are_one_model(run, model):
    of_run, exported = tonezoo.load(run), tonezoo.load(model)
    assert (of_run.name, exported.name) == (run.name, f"{model.name} 1")
    own = {key: value for key, value in vars(of_run).items() if key not in ("name", "_call")}
    assert own.items() <= vars(exported).items()
    for pretrained in (tonezoo.from_pretrained(run), tonezoo.from_pretrained(model)):
        with np.load(model / "1" / "golden.npz") as golden:
            output = pretrained(golden["input"], training=False)
            np.testing.assert_allclose(output, golden["output"], rtol=0, atol=1e-6)


@pytest.mark.slow
def test_versions_count_up_and_the_newest_is_loaded(run, model, tmp_path):
    copy = shutil.copytree(model, tmp_path / "model")
    second = tonezoo.export(run, copy, half=True, report=lambda line: None)
    assert second == copy / "2" and versions(copy) == [1, 2]
    assert resolve_version(copy) == second
    assert tonezoo.load(copy).name.endswith("2")
    assert tonezoo.load(copy / "1").name.endswith("1")
    check_half(*(copy / version for version in "12"))


def check_half(exact, half):
    """The variables take half the space, are those of the Keras model, and change little."""
    manifests = [json.loads((folder / "manifest.json").read_text()) for folder in (exact, half)]
    assert [m["variable_dtype"] for m in manifests] == ["float32", "float16"]
    sizes = [(f / "variables/variables.data-00000-of-00001").stat().st_size for f in (exact, half)]
    overhead = sizes[0] - 4 * manifests[0]["parameters"]
    assert sizes[1] - 2 * manifests[0]["parameters"] < 1.1 * overhead
    pretrained = [tonezoo.from_pretrained(folder) for folder in (exact, half)]
    for whole, rounded in zip(*(model.get_weights() for model in pretrained), strict=True):
        assert rounded.dtype == np.float32
        stored = whole.astype("float16") if whole.ndim > 1 else whole
        np.testing.assert_array_equal(rounded, stored.astype("float32"))
    with np.load(half / "golden.npz") as golden:
        exact_output = np.asarray(pretrained[0](golden["input"]))
        np.testing.assert_allclose(golden["output"], pretrained[1](golden["input"]), atol=1e-6)
        difference = np.abs(golden["output"] - exact_output).max()
    assert 0 < difference < 1e-3 * np.abs(exact_output).max()


@pytest.mark.slow
def test_half_is_refused_where_it_changes_the_output(run, tmp_path, monkeypatch):
    monkeypatch.setattr("tonezoo.serving.precision.HALF_TOLERANCE", 1e-9)
    with pytest.raises(ValueError, match=r"change the output by .* without half \(--half\)"):
        tonezoo.export(run, tmp_path / "model", half=True)
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize(("strength_db", "kept"), [(None, True), (-6.0, False)])
@pytest.mark.slow
def test_an_evaluation_goes_along_if_it_is_of_the_model_as_exported(
    run, task, tmp_path, strength_db, kept
):
    if task.name != "super_resolution":
        pytest.skip("its exports have no options")
    copy = shutil.copytree(run, tmp_path / "run")
    scores = {
        "strength_db": 0.0,
        "item_word": "clip",
        "clips": ["a"],
        "rows": [{"name": "tiny", "metrics": {"lsd": {"mean": 1.5}}}],
    }
    (copy / "evaluation.json").write_text(json.dumps(scores))
    options = task.export_options(strength_db=strength_db)
    folder = tonezoo.export(copy, tmp_path / "model", options=options, report=lambda line: None)
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["strength_db"] == (strength_db or 0)
    assert manifest["metrics"] == ({"tiny": {"lsd": 1.5}} if kept else None)
    assert manifest["evaluated_on"] == (["a"] if kept else None)
    assert (folder / "evaluation.json").exists() == kept
    assert tonezoo.load(folder).strength_db == (strength_db or 0)


@pytest.mark.slow
def test_a_failed_export_leaves_nothing(run, tmp_path, monkeypatch):
    def refuse(folder, remedy):
        raise ValueError("no")

    monkeypatch.setattr("tonezoo.serving.operations.check_operations", refuse)
    with pytest.raises(ValueError, match="no"):
        tonezoo.export(run, tmp_path / "model")
    assert list((tmp_path / "model").iterdir()) == []
