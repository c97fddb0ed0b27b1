"""The exported model: signatures, allow-list, TF Serving's way of running it, manifest, verify."""

import io
import json
import os
import shutil

import numpy as np
import pytest
import soundfile
import tensorflow as tf

import tonezoo
from tonezoo.recipes.runs import RunFolder
from tonezoo.serving import export
from tonezoo.serving.manifest import manifest_text, read_manifest, text_hash
from tonezoo.serving.operations import ALLOWED_OPERATIONS, check_operations, used_operations
from tonezoo.tasks.super_resolution.evaluation import training_data

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def version(tiny_model):
    return tiny_model / "1"


@pytest.fixture(scope="module")
def keras_model(tiny_run):
    return RunFolder(tiny_run).model()


@pytest.fixture(scope="module")
def loaded(version):
    return tf.saved_model.load(str(version))


@pytest.fixture
def copy(tiny_model, tmp_path):
    return shutil.copytree(tiny_model, tmp_path / "model")


def noise(time, batch=1):
    random = np.random.default_rng(time)
    return random.uniform(-0.5, 0.5, (batch, time, 1)).astype("float32")


@pytest.mark.parametrize("time", [1, 50, 333])
def test_default_signature_is_the_keras_model(loaded, keras_model, time):
    low = noise(time, batch=2)
    output = loaded.signatures["serving_default"](waveform=low)["waveform"]
    assert output.shape == (2, 4 * time, 1) and output.dtype == tf.float32
    np.testing.assert_allclose(output, keras_model(low), rtol=0, atol=1e-6)


def test_lengths_signature_gives_what_each_signal_gives_alone(loaded, keras_model):
    short, long = noise(40), noise(90)
    padded = np.concatenate([np.pad(short, ((0, 0), (0, 50), (0, 0)), constant_values=1), long])
    lengths = tf.constant([40, 90])
    output = loaded.signatures["with_lengths"](waveform=padded, lengths=lengths)["waveform"]
    np.testing.assert_allclose(output[:1, :160], keras_model(short), rtol=0, atol=1e-5)
    np.testing.assert_allclose(output[1:], keras_model(long), rtol=0, atol=1e-5)
    assert not np.any(output[0, 160:])


def wav(samples, rate_hz, subtype="PCM_16"):
    file = io.BytesIO()
    soundfile.write(file, samples, rate_hz, format="WAV", subtype=subtype)
    return file.getvalue()


def test_wav_signature_decodes_upsamples_and_encodes(loaded, keras_model):
    signals = [noise(64, batch=2)[:, :, 0].T, noise(33)[0]]
    contents = tf.constant([wav(signal, 4000) for signal in signals])
    outputs = loaded.signatures["wav_bytes"](audio_bytes=contents)["audio_bytes"].numpy()
    for signal, output in zip(signals, outputs, strict=True):
        samples, rate_hz = soundfile.read(io.BytesIO(output), always_2d=True, dtype="float32")
        rounded = np.round(signal * 32768) / 32768
        expected = np.asarray(keras_model(rounded.T[:, :, None].astype("float32")))[:, :, 0].T
        assert rate_hz == 16_000 and samples.shape == expected.shape
        np.testing.assert_allclose(samples, np.clip(expected, -1, 1), rtol=0, atol=1e-4)


def test_wav_signature_refuses_another_rate(loaded):
    with pytest.raises(tf.errors.InvalidArgumentError, match="takes WAV files at 4000 Hz"):
        loaded.signatures["wav_bytes"](audio_bytes=tf.constant([wav(noise(50)[0], 8000)]))


def test_session_on_tensor_names_gives_the_eager_output(version, keras_model):
    """TF Serving runs a signature's tensors in a TF1 session."""
    low = noise(77)
    with tf.compat.v1.Session(graph=tf.Graph()) as session:
        meta = tf.compat.v1.saved_model.load(session, ["serve"], str(version))
        signature = meta.signature_def["serving_default"]
        output = session.run(
            signature.outputs["waveform"].name, {signature.inputs["waveform"].name: low}
        )
    np.testing.assert_allclose(output, keras_model(low), rtol=0, atol=1e-6)


def test_graph_uses_stock_operations_inside_functions_too(version, tmp_path):
    operations = used_operations(version)
    assert {"Conv2D", "DecodeWav", "EncodeWav"} <= operations <= ALLOWED_OPERATIONS

    class Foreign(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec((None,))])
        def serve(self, x):
            return tf.numpy_function(np.sin, [x], tf.float32)

    tf.saved_model.save(Foreign(), str(tmp_path / "foreign"))
    with pytest.raises(ValueError, match="PyFunc, which a stock TensorFlow Serving"):
        check_operations(tmp_path / "foreign")


def test_manifest_tells_where_the_model_comes_from(version):
    manifest = json.loads((version / "manifest.json").read_text())
    assert manifest["recipe"] == "mu_gan_tiny" and manifest["options"]["preset"] == "tiny"
    assert (manifest["ratio"], manifest["sample_rate_hz"], manifest["low_rate_hz"]) == (
        *(4, 16_000),
        4000.0,
    )
    assert manifest["parameters"] == 42_025 and manifest["training_steps"] == 1
    assert manifest["data"]["name"] == "procedural corpus"
    assert {"saved_model.pb", "golden.npz", "variables/variables.index"} <= set(manifest["files"])


def test_versions_count_up_and_the_newest_is_loaded(tiny_run, copy):
    second = export.export(tiny_run, copy, report=lambda line: None)
    assert second == copy / "2" and export.versions(copy) == [1, 2]
    assert export.resolve_version(copy) == second
    assert export.load(copy).name.endswith("2") and export.load(copy / "1").name.endswith("1")


def test_failed_export_leaves_nothing(tiny_run, tmp_path, monkeypatch):
    def refuse(folder):
        raise ValueError("no")

    monkeypatch.setattr("tonezoo.serving.operations.check_operations", refuse)
    with pytest.raises(ValueError, match="no"):
        export.export(tiny_run, tmp_path / "model")
    assert list((tmp_path / "model").iterdir()) == []


def test_verify_accepts_what_export_wrote(tiny_model):
    assert export.verify(tiny_model)["version"] == 1


def listed_files():
    return ["saved_model.pb", "golden.npz", "variables/variables.index", "manifest.json"]


@pytest.mark.parametrize("name", listed_files())
def test_changed_byte_is_refused_by_file_name(copy, name):
    path = copy / "1" / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    for check in (export.verify, export.load):
        with pytest.raises(ValueError, match=rf"{name}.* was changed"):
            check(copy)


@pytest.mark.parametrize("name", ["saved_model.pb", "variables/variables.index"])
def test_missing_file_is_refused_by_file_name(copy, name):
    (copy / "1" / name).unlink()
    with pytest.raises(ValueError, match=rf"{name} is missing"):
        export.load(copy)


def sign(version, /, **changes):
    """Makes the manifest agree with the files that are there, and states other facts."""
    manifest = json.loads((version / "manifest.json").read_text())
    (version / "manifest.json").unlink()
    for key in ("files", "manifest_sha256", "format"):
        del manifest[key]
    facts = {key: value for key, value in (manifest | changes).items() if value is not ...}
    export.write_manifest(version, facts)


def change_golden(version, **changes):
    with np.load(version / "golden.npz") as golden:
        arrays = {**golden, **changes}
    np.savez(version / "golden.npz", **{k: v for k, v in arrays.items() if v is not None})
    sign(version)


def test_golden_output_is_compared(copy):
    with np.load(copy / "1" / "golden.npz") as golden:
        change_golden(copy / "1", output=golden["output"] + np.float32(0.01))
    with pytest.raises(ValueError, match="differs from the golden one"):
        export.verify(copy)


@pytest.mark.parametrize(
    ("golden", "message"),
    [
        ({"input": None}, "golden.npz is damaged or not ours"),
        ({"input": np.array("text")}, r"golden.npz holds <U4 of the shape \(\) instead of float32"),
        ({"output": np.zeros((2, 0, 1), "float32")}, r"of the shape \(2, 0, 1\)"),
        ({"output": np.full((2, 1204, 1), np.nan, "float32")}, "one by nan"),
    ],
)
def test_golden_file_of_something_else(copy, golden, message):
    change_golden(copy / "1", **golden)
    with pytest.raises(ValueError, match=message):
        export.verify(copy)


@pytest.mark.parametrize("name", ["saved_model.pb", "variables/variables.data-00000-of-00001"])
def test_files_that_tensorflow_cannot_load_although_they_are_signed(copy, name):
    path = copy / "1" / name
    path.write_bytes(path.read_bytes()[:1000])
    sign(copy / "1")
    for check in (export.verify, export.load):
        with pytest.raises(ValueError, match=r"model/1 cannot be loaded as a SavedModel"):
            check(copy)


def test_errors_of_operations_name_the_model(tiny_model):
    call = export.serving_function(tiny_model / "1", read_manifest(tiny_model / "1"))
    with pytest.raises(ValueError, match=r"tiny/1 fails on an input of the shape \(1, 0, 1\): .*"):
        call(np.zeros((1, 0, 1), "float32"))


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"ratio": "4"}, r"manifest.json states ratio as '4', but it must be a whole number"),
        ({"ratio": 0}, "ratio as 0, but it must be a whole number from 1"),
        ({"sample_rate_hz": ...}, "sample_rate_hz as None"),
        ({"grid_samples": True}, "grid_samples as True"),
        ({"context_samples": 2**31}, "context_samples as 2147483648, .* from 0 to 2147483647"),
        ({"name": "../other"}, r"name as '../other', but it must be that of a folder"),
        ({"name": ...}, "name as None"),
        ({"version": None}, "version as None"),
        ({"files": ["saved_model.pb"]}, "lists no files with their hashes"),
        ({"format": "tonezoo SavedModel 0"}, "this tonezoo reads 'tonezoo SavedModel 1'"),
    ],
)
def test_signed_manifest_without_usable_facts_is_refused(copy, facts, message):
    version = copy / "1"
    sign(version, **facts)
    if "files" in facts:
        manifest = json.loads((version / "manifest.json").read_text()) | facts
        del manifest["manifest_sha256"]
        manifest["manifest_sha256"] = text_hash(manifest_text(manifest))
        (version / "manifest.json").write_text(manifest_text(manifest))
    with pytest.raises(ValueError, match=message):
        export.load(copy)


def test_what_is_no_manifest_and_no_version(copy):
    (copy / "007").mkdir()
    (copy / "2").write_text("a file")
    assert export.versions(copy) == [1]
    path = copy / "1" / "manifest.json"
    for content in ("[]", "7", "", "[" * 100_000, "\ufeff{}", '{"manifest_sha256": "0"}'):
        path.write_text(content)
        with pytest.raises(ValueError, match=r"manifest.json was changed since"):
            export.load(copy)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(ValueError, match=r"SavedModel without manifest.json"):
        export.load(copy)


@pytest.mark.parametrize("data", [..., {}, {"name": "x", "hold_out": [], "train": "a.wav"}])
def test_evaluation_has_to_know_what_was_trained_on(copy, data):
    sign(copy / "1", data=data)
    with pytest.raises(ValueError, match="does not say what it was trained on"):
        training_data(copy)


def test_foreign_saved_model_and_missing_folder_are_explained(tmp_path):
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "saved_model.pb").touch()
    with pytest.raises(ValueError, match=r"not a tonezoo model: it is a SavedModel without"):
        export.load(tmp_path / "other")
    with pytest.raises(ValueError, match="There is no model at"):
        export.load(tmp_path / "nowhere")
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="is a file, but a model is a folder"):
        export.load(tmp_path / "file")


def test_enhance_takes_an_array_and_the_run_gives_the_same(tiny_model, tiny_run):
    low = noise(500)[0, :, 0]
    output = tonezoo.enhance(low, 4000, model=tiny_model)
    assert output.shape == (2000,) and output.dtype == np.float32
    np.testing.assert_allclose(tonezoo.enhance(low, 4000, model=tiny_run), output, atol=1e-6)
    stereo = tonezoo.enhance(np.stack([low, low], axis=1), 4000, model=tiny_model)
    np.testing.assert_allclose(stereo, np.stack([output, output], axis=1), atol=1e-6)


def test_real_clips_come_back_at_exactly_four_times_their_length(tiny_model, shared_audio):
    from tonezoo.audio.resampling import decimate

    model = export.load(tiny_model)
    for path in sorted((shared_audio / "vctk" / "p228").iterdir())[:10]:
        low = decimate(soundfile.read(path, dtype="float32")[0], 4)
        assert model.enhance(low, 4000).shape == (4 * len(low),)
