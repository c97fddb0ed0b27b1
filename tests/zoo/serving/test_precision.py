"""Exports that compute in bfloat16: what they store, take and give, and how far they are off."""

import json

import keras
import numpy as np
import pytest
import signals
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2
from untrained_export import MODELS, state

import tonezoo
from tonezoo.serving.export import write_saved_model
from tonezoo.serving.operations import check_operations
from tonezoo.serving.precision import in_bfloat16
from tonezoo.tasks import find_task

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", params=sorted(MODELS))
def task(request):
    return find_task(request.param)


@pytest.fixture(scope="module")
def reduced(task, tmp_path_factory):
    """A model in float32, and the folder of its export in bfloat16."""
    keras.utils.set_random_seed(0)
    model = tonezoo.create_model(MODELS[task.name], preset="tiny")
    folder = tmp_path_factory.mktemp("reduced")
    waveform = signals.noise(1, 60, model.channels, seed=1, peak=0.5)
    copy, difference = in_bfloat16(model, waveform)
    assert 0 < difference < 0.05
    write_saved_model(copy, folder)
    return model, folder


def test_signatures_take_and_give_float32_near_the_exact_output(task, reduced):
    model, folder = reduced
    check_operations(folder, "")
    loaded = tf.saved_model.load(str(folder))
    function = loaded.signatures[task.inference_signature]
    for batch, steps in ((1, 50), (3, 333)):
        waveform = signals.noise(batch, steps, model.channels, seed=steps, peak=0.5)
        outputs = function(**{task.inference_input: waveform})
        assert {output.dtype for output in outputs.values()} == {tf.float32}
        exact = np.asarray(model(waveform))
        difference = np.abs(task.output(outputs, task.model_facts(model)) - exact).max()
        assert 0 < difference < 0.05 * np.abs(exact).max()


def test_what_is_computed_in_bfloat16_is_stored_so(task, reduced):
    model, folder = reduced
    saved = tf.train.load_checkpoint(str(folder / "variables" / "variables"))
    prefix = "model_variables/{}/.ATTRIBUTES/VARIABLE_VALUE"
    for i, variable in enumerate(model.variables):
        stored = saved.get_tensor(prefix.format(i))
        assert stored.shape == tuple(variable.shape)
        if "float" not in variable.dtype or len(variable.shape) < 2:
            assert stored.dtype == variable.dtype
        else:
            assert str(stored.dtype) == "bfloat16"
            rounded = tf.cast(variable.value, tf.bfloat16).numpy()
            np.testing.assert_array_equal(stored, rounded)


def test_the_steps_of_an_lstm_read_its_weights_as_they_are_stored(task, reduced):
    if task.name != "separation":
        pytest.skip("the other networks have no LSTM")
    content = (reduced[1] / "saved_model.pb").read_bytes()
    (meta,) = saved_model_pb2.SavedModel.FromString(content).meta_graphs
    bodies = []
    for function in meta.graph_def.library.function:
        operations = {node.op for node in function.node_def}
        # Not the loop over files, in which the whole network is.
        if "while_body" in function.signature.name and "Conv2D" not in operations:
            bodies += [function] if "MatMul" in operations else []
    assert bodies
    for body in bodies:
        products = [node for node in body.node_def if node.op == "MatMul"]
        assert {node.attr["T"].type for node in products} == {tf.bfloat16.as_datatype_enum}
        assert not [node for node in body.node_def if node.op == "Cast"]


def test_an_export_says_so_and_is_loaded_like_any_other(cli, tiny_run, tmp_path):
    to = tmp_path / "model"
    for words, message in (
        (("--dtype", "int8"), "dtype is 'int8'. Give float32 or mixed_bfloat16"),
        (("--dtype", "mixed_bfloat16", "--half"), "does not go with half"),
        (("--dtype", "mixed_bfloat16", "--formats", "onnx"), "does not go with formats"),
    ):
        code, _, err = cli("export", tiny_run, "--to", to, *words)
        assert (code, message in err) == (1, True), err
    assert not to.exists()
    code, _, err = cli("export", tiny_run, "--to", to, "--dtype", "mixed_bfloat16")
    assert code == 0, err
    manifest = json.loads((to / "1" / "manifest.json").read_text())
    assert (manifest["dtype"], manifest["variable_dtype"]) == ("mixed_bfloat16", "bfloat16")
    assert 0 < manifest["dtype_difference"] < 0.1
    assert manifest["golden_tolerance"] == 0.03
    signal = signals.noise(1, 500, 1, seed=5, peak=0.5)[0, :, 0]
    exact, output = (tonezoo.load(path).enhance(signal, 4000) for path in (tiny_run, to))
    assert 0 < np.abs(output - exact).max() < 0.1 * np.abs(exact).max()
    weights = zip(*(tonezoo.from_pretrained(p).get_weights() for p in (tiny_run, to)), strict=True)
    for exact, stored in weights:
        assert stored.dtype == np.float32
        np.testing.assert_allclose(stored, exact, rtol=2**-8, atol=0)
    for tolerance in (0.5, float("nan"), -1.0, "0.01", True):
        state(to / "1", golden_tolerance=tolerance)
        with pytest.raises(ValueError, match=r"golden_tolerance as .* from 0 to 0.05"):
            tonezoo.verify(to)
