"""Every signature of every task as TensorFlow Serving runs it: by a session, at any shape."""

import io

import numpy as np
import pytest
import signals
import soundfile
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2
from untrained_export import MODELS

from tonezoo.tasks import find_task

pytestmark = pytest.mark.slow
# (batch, steps) of one input after the other: a graph that took the first one's shape fails.
SHAPES = ((1, 1), (3, 50), (2, 333))


@pytest.fixture(scope="module", params=sorted(MODELS))
def task(request):
    return find_task(request.param)


@pytest.fixture(scope="module")
def session(exported):
    """A TF1 session with a version loaded into it, and the signatures by name."""
    graph = tf.Graph()
    session = tf.compat.v1.Session(graph=graph)
    with graph.as_default():
        meta = tf.compat.v1.saved_model.load(session, ["serve"], str(exported / "1"))
    yield session, meta.signature_def
    session.close()


@pytest.fixture(scope="module")
def saved_model(exported):
    return saved_model_pb2.SavedModel.FromString((exported / "1" / "saved_model.pb").read_bytes())


def inputs_for(specs, batch, steps, rate_hz):
    """Returns input name -> array that suits a signature: noise, lengths, or WAV files."""
    inputs = {}
    for name, spec in specs.items():
        if spec.dtype == tf.string:
            inputs[name] = np.array([wav(steps + i, rate_hz) for i in range(batch)], object)
        elif spec.dtype == tf.int32:
            inputs[name] = (steps - np.arange(batch) % steps).astype("int32")
        else:
            channels = spec.shape[2]
            inputs[name] = signals.noise(batch, steps, channels, seed=steps, peak=0.5)
    return inputs


def wav(samples, rate_hz):
    file = io.BytesIO()
    noise = signals.noise(1, samples, 1, seed=samples, peak=0.5)[0]
    soundfile.write(file, noise, rate_hz, "PCM_16", format="WAV")
    return file.getvalue()


def test_a_session_gives_what_the_loaded_functions_give(session, loaded, keras_model):
    run, definitions = session
    assert {*loaded.signatures} == {*definitions} - {"__saved_model_init_op"}
    rate_hz = keras_model.sample_rate_hz // getattr(keras_model, "ratio", 1)
    for name, function in loaded.signatures.items():
        for batch, steps in SHAPES:
            specs = function.structured_input_signature[1]
            inputs = inputs_for(specs, batch, steps, rate_hz)
            eager = function(**{key: tf.constant(value) for key, value in inputs.items()})
            definition = definitions[name]
            given = {definition.inputs[key].name: value for key, value in inputs.items()}
            wanted = {key: tensor.name for key, tensor in definition.outputs.items()}
            outputs = run.run(wanted, given)
            assert outputs and set(outputs) == set(eager)
            for key, output in outputs.items():
                assert not inputs or len(output) == batch
                if eager[key].dtype == tf.string:
                    np.testing.assert_array_equal(output, eager[key].numpy())
                else:
                    np.testing.assert_allclose(output, eager[key], rtol=0, atol=1e-6)


def test_the_examples_of_a_batch_do_not_depend_on_each_other(loaded, keras_model):
    """The server puts requests of several clients into one batch."""
    rate_hz = keras_model.sample_rate_hz // getattr(keras_model, "ratio", 1)
    for function in loaded.signatures.values():
        specs = function.structured_input_signature[1]
        if tf.string in {spec.dtype for spec in specs.values()}:
            continue  # Files are computed one after the other anyway.
        inputs = inputs_for(specs, 3, 60, rate_hz)
        together = function(**{key: tf.constant(value) for key, value in inputs.items()})
        for i in range(3):
            alone = function(**{k: tf.constant(v[i : i + 1]) for k, v in inputs.items()})
            for key, output in alone.items():
                np.testing.assert_allclose(together[key][i], output[0], rtol=0, atol=2e-6)


def test_the_graph_asks_for_no_device_and_no_compiler(saved_model):
    """What was exported on a machine with a GPU has to load on one without."""
    nodes = []
    for meta in saved_model.meta_graphs:
        nodes += meta.graph_def.node
        for function in meta.graph_def.library.function:
            nodes += function.node_def
            assert not function.attr["_XlaMustCompile"].b
    assert len(nodes) > 100
    # Saving and restoring variables is put on the CPU by TensorFlow.
    devices = {node.device for node in nodes}
    assert all(device.startswith("/device:CPU:") for device in devices - {""})
    assert not [node.op for node in nodes if "cudnn" in node.op.lower()]
