"""`tonezoo bundle`: what a stock TensorFlow Serving would read, read back by others' parsers."""

import json
import shutil
import sys

import kubernetes_validate
import numpy as np
import pytest
import tensorflow as tf
import yaml
from google.protobuf import text_format
from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog
from tensorflow_serving.config.model_server_config_pb2 import ModelServerConfig
from untrained_export import MODELS, sign

import tonezoo
from tonezoo.serving.bundle import write_bundle
from tonezoo.serving.bundle.containers import NAME, server_arguments
from tonezoo.serving.bundle.server_config import serving_messages
from tonezoo.serving.bundle.warm_up import WARM_UP_NAME, chunk_lengths
from tonezoo.serving.manifest import read_manifest
from tonezoo.serving.verify import read_exported
from tonezoo.tasks import find_task

OLD_KUBERNETES = "1.29"
TASKS = sorted(MODELS)


@pytest.fixture(scope="module")
def models(untrained, tmp_path_factory):
    """Folders of an export of each task by the task's name, two versions of the first."""
    folders = {}
    for task in TASKS:
        folder = tmp_path_factory.mktemp("models") / f"tiny_{task}"
        shutil.copytree(untrained(task).folder, folder)
        sign(folder / "1", name=folder.name)
        folders[task] = folder
    newer = folders[TASKS[0]] / "2"
    shutil.copytree(folders[TASKS[0]] / "1", newer)
    sign(newer, version=2)
    return folders


@pytest.fixture(scope="module")
def bundle(models, tmp_path_factory):
    out = tmp_path_factory.mktemp("bundles") / "bundle"
    first, *others = models.values()
    lines = []
    write_bundle([first / "1", first, *others], out, report=lines.append)
    assert len(lines) == 5 and lines[-1].startswith("Bundled tiny_separation, tiny_super")
    return out


def requests(version):
    records = tf.data.TFRecordDataset(str(version / WARM_UP_NAME)).as_numpy_iterator()
    return [PredictionLog.FromString(record).predict_log.request for record in records]


def test_the_copies_are_whole_and_verified(bundle, models):
    for folder in models.values():
        for version in (path for path in folder.iterdir() if path.is_dir()):
            copy = bundle / "models" / folder.name / version.name
            manifest = read_manifest(copy)
            assert WARM_UP_NAME in manifest["files"]
            assert manifest["warm_up_requests"] == len(requests(copy)) == 4
            original = json.loads((version / "manifest.json").read_text())
            assert original["files"].items() <= manifest["files"].items()
    assert tonezoo.verify(copy)["name"] == folder.name
    assert not [*bundle.parent.glob(".tonezoo-*")]


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
def test_warm_up_requests_are_answered_through_the_session_path(bundle, models, task):
    """As the server replays them: the tensors of the signature, in a TF1 session."""
    version = bundle / "models" / models[task].name / "1"
    found = requests(version)
    _, _, facts = read_exported(version)
    with tf.compat.v1.Session(graph=tf.Graph()) as session:
        meta = tf.compat.v1.saved_model.load(session, ["serve"], str(version))
        for request, steps in zip(found, chunk_lengths(find_task(task), facts), strict=True):
            assert request.model_spec.name == models[task].name
            signature = meta.signature_def[request.model_spec.signature_name]
            given = {
                signature.inputs[name].name: tf.make_ndarray(value)
                for name, value in request.inputs.items()
            }
            assert {*request.inputs} == {*signature.inputs}
            outputs = session.run([t.name for t in signature.outputs.values()], given)
            assert all(np.isfinite(output).all() for output in outputs)
            signal = given[signature.inputs[find_task(task).inference_input].name]
            assert signal.shape == (1, steps, facts.channels)


def test_the_longest_chunk_is_what_the_engine_sends():
    """With the context of a model that is softer than it was trained, which is longer."""
    facts = {
        "channels": 1,
        "sample_rate_hz": 16_000,
        "grid_samples": 16,
        "context_samples": 400,
        "ratio": 4,
        "low_rate_hz": 4000.0,
        "interpolation": "cubic",
    }
    task = find_task("super_resolution")
    # 10 s at 4 kHz and 100 samples on either side.
    assert chunk_lengths(task, task.facts(**facts)) == [5025, 10_050, 20_100, 40_200]
    # The high-pass has 161 taps at 16 kHz: 80 samples more on either side.
    assert chunk_lengths(task, task.facts(**facts, strength_db=-6.0))[-1] == 40_240
    task, facts = find_task("separation"), {"sources": ("a", "b"), "segment_samples": 1000}
    facts = dict.fromkeys(("channels", "grid_samples"), 1) | facts
    found = chunk_lengths(task, task.facts(**facts, sample_rate_hz=8000, context_samples=50))
    assert found == [137, 275, 550, 1100]


def test_the_server_configuration_is_what_its_own_protocol_buffers_read(bundle):
    text = (bundle / "config" / "models.config").read_text()
    config = text_format.Parse(text, ModelServerConfig()).model_config_list.config
    assert [model.name for model in config] == [f"tiny_{task}" for task in TASKS]
    for model in config:
        assert model.base_path == f"/models/{model.name}"
        assert (bundle / "models" / model.name).is_dir()
        assert model.model_platform == "tensorflow"
    two, one = config[0], config[1]
    assert [*two.model_version_policy.specific.versions] == [1, 2]
    assert dict(two.version_labels) == {"stable": 2, "previous": 1}
    assert [*one.model_version_policy.specific.versions] == [1]
    assert dict(one.version_labels) == {"stable": 1}


def test_batching_and_monitoring_keep_the_rules_of_the_server(bundle):
    messages = serving_messages()
    text = (bundle / "config" / "batching_parameters.config").read_text()
    batching = text_format.Parse(text, messages["BatchingParameters"]())
    sizes = [*batching.allowed_batch_sizes]
    assert sizes == sorted(set(sizes)) and sizes[-1] == batching.max_batch_size.value
    assert not batching.pad_variable_length_inputs and "pad" not in text
    assert batching.num_batch_threads.value >= 1
    text = (bundle / "config" / "monitoring.config").read_text()
    monitoring = text_format.Parse(text, messages["MonitoringConfig"]())
    assert monitoring.prometheus_config.enable
    assert monitoring.prometheus_config.path == "/monitoring/prometheus/metrics"


def test_the_compose_file_mounts_what_the_flags_name(bundle):
    content = yaml.safe_load((bundle / "compose.yaml").read_text())
    (service,) = content["services"].values()
    assert service["image"] == "tensorflow/serving:2.20.0"
    assert service["ports"] == ["127.0.0.1:8500:8500", "127.0.0.1:8501:8501"]
    mounts = dict(volume.split(":")[:2] for volume in service["volumes"])
    assert all((bundle / source).is_dir() for source in mounts)
    check_flags(service["command"], bundle, {target: source for source, target in mounts.items()})


def check_flags(arguments, bundle, mounts):
    flags = dict(argument.removeprefix("--").split("=") for argument in arguments)
    files = {flag: value for flag, value in flags.items() if flag.endswith("_file")}
    assert set(files) == {"model_config_file", "batching_parameters_file", "monitoring_config_file"}
    for path in files.values():
        folder, _, name = path.rpartition("/")
        assert (bundle / mounts[folder] / name).is_file()
    assert flags["enable_grpc_healthcheck_service"] == "true"
    assert flags["allow_version_labels_for_unavailable_models"] == "true"
    assert flags["enable_batching"] == "true"


def manifests(bundle):
    paths = sorted((bundle / "kubernetes").iterdir())
    return {content["kind"]: content for content in map(yaml.safe_load, map(read, paths))}


def read(path):
    return path.read_text()


def test_kubernetes_takes_the_manifests(bundle):
    found = manifests(bundle)
    assert [*found] == ["PersistentVolumeClaim", "Pod", "ConfigMap", "Deployment", "Service"]
    for content in found.values():
        for version in (OLD_KUBERNETES, kubernetes_validate.latest_version()):
            kubernetes_validate.validate(content, version, strict=True)
    broken = {**found["Service"], "spec": {"ports": [{"port": "grpc"}]}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(broken, OLD_KUBERNETES, strict=True)


def test_the_manifests_name_each_other(bundle):
    found = manifests(bundle)
    pod = found["Deployment"]["spec"]["template"]
    (container,) = pod["spec"]["containers"]
    assert container["args"] == server_arguments()
    files = found["ConfigMap"]["data"]
    for name, text in files.items():
        assert text == (bundle / "config" / name).read_text()
    check_flags(container["args"], bundle, {"/config": "config"})
    volumes = {volume["name"]: volume for volume in pod["spec"]["volumes"]}
    assert volumes["config"]["configMap"]["name"] == found["ConfigMap"]["metadata"]["name"]
    claim = found["PersistentVolumeClaim"]["metadata"]["name"]
    for owner in (pod["spec"], found["Pod"]["spec"]):
        (volume,) = (v for v in owner["volumes"] if v["name"] == "models")
        assert volume["persistentVolumeClaim"]["claimName"] == claim == NAME
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert container[probe]["grpc"]["port"] == 8500
    selector = found["Service"]["spec"]["selector"].items()
    assert selector <= pod["metadata"]["labels"].items()
    assert not selector <= found["Pod"]["metadata"]["labels"].items()
    assert [port["targetPort"] for port in found["Service"]["spec"]["ports"]] == ["grpc"]
    assert {"requests", "limits"} == set(container["resources"])


def test_the_readme_names_what_is_there(bundle):
    text = (bundle / "README.md").read_text()
    assert "| `tiny_separation` | 1 | previous | separation |" in text
    assert "| `tiny_separation` | 2 | stable | separation |" in text
    for path in (bundle / "kubernetes").iterdir():
        assert f"kubernetes/{path.name}" in text
    assert "tonezoo vocode speech.wav --out out --model tiny_vocoding --server 127.0.0.1" in text


def test_what_cannot_be_bundled_is_explained(cli, models, tmp_path):
    folder = models["vocoding"]
    other = shutil.copytree(folder, tmp_path / "other" / folder.name)
    (tmp_path / "file").touch()
    changed = shutil.copytree(folder, tmp_path / "changed")
    (changed / "1" / "golden.npz").write_bytes(b"x")
    for words, message in (
        (("nowhere",), "There is no model at nowhere"),
        ((tmp_path,), "is not a tonezoo model"),
        ((folder, other), "both hold a model of the name tiny_vocoding"),
        ((folder, folder / "1"), "is given twice"),
        ((changed,), "golden.npz was changed"),
    ):
        code, _, err = cli("bundle", *words, "--out", tmp_path / "out")
        assert (code, message in err) == (1, True), err
    for out, message in (
        (other, "already exists"),
        (tmp_path / "file" / "out", "Cannot write to"),
    ):
        code, _, err = cli("bundle", folder, "--out", out)
        assert (code, message in err) == (1, True), err
    assert {path.name for path in tmp_path.iterdir()} == {"other", "file", "changed"}


def test_a_missing_extra_is_named(models, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "yaml", None)
    with pytest.raises(ImportError, match=r'the package yaml: pip install "tonezoo\[serve\]"'):
        write_bundle([models["vocoding"]], tmp_path / "out")


def test_a_model_whose_output_is_another_is_not_bundled(models, tmp_path):
    copy = shutil.copytree(models["vocoding"], tmp_path / "tiny")
    with np.load(copy / "1" / "golden.npz") as golden:
        np.savez(copy / "1" / "golden.npz", input=golden["input"], output=golden["output"] + 1)
    sign(copy / "1")
    with pytest.raises(ValueError, match="differs from the golden one"):
        write_bundle([copy], tmp_path / "out", report=lambda line: None)
    assert not (tmp_path / "out").exists()
