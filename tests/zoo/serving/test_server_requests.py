"""Requests in JSON, and their checks against a signature."""

import base64
import json
import re

import numpy as np
import pytest
import typer

from tonezoo.cli import app
from tonezoo.serving.server.errors import LONGEST_MESSAGE, Code, RequestError, invalid
from tonezoo.serving.server.options import ServingOptions
from tonezoo.serving.server.rest_json import PredictBody, answer_body
from tonezoo.serving.server.signatures import Signature, TensorSpec

MAX_SAMPLES = 100


def spec(dtype, *shape):
    return TensorSpec(dtype=np.dtype(dtype), shape=shape)


WAVEFORM = spec("float32", None, None, 2)
PLAIN = Signature(
    name="plain", owner="model 1", inputs={"waveform": WAVEFORM}, outputs={"waveform": WAVEFORM}
)
LENGTHS = Signature(
    name="with_lengths",
    owner="model 1",
    inputs={"waveform": WAVEFORM, "lengths": spec("int32", None)},
    outputs={"drums": WAVEFORM, "bass": WAVEFORM},
)
WAV = Signature(
    name="wav_bytes",
    owner="model 1",
    inputs={"audio_bytes": spec(object, None)},
    outputs={"audio_bytes": spec(object, None)},
)


def read(signature, **body):
    inputs = PredictBody.parse(json.dumps(body).encode()).read_inputs(signature, MAX_SAMPLES)
    signature.check_values(inputs, MAX_SAMPLES)
    return inputs


def test_rows_and_columns_hold_the_same_tensors():
    signals = [[[0, 1.5], [2, 3]], [[4, 5], [6, 1e-3]]]
    expected = np.array(signals, "float32")
    for body in (
        {"instances": signals},
        {"inputs": signals},
        {"inputs": {"waveform": signals}},
        {"instances": [{"waveform": signal} for signal in signals]},
    ):
        (array,) = read(PLAIN, **body).values()
        assert array.dtype == np.float32
        np.testing.assert_array_equal(array, expected)


def test_several_inputs_go_by_name():
    rows = [{"waveform": [[1, 2]], "lengths": 1}, {"waveform": [[3, 4]], "lengths": 0}]
    columns = {"waveform": [[[1, 2]], [[3, 4]]], "lengths": [1, 0]}
    for body in ({"instances": rows}, {"inputs": columns}):
        inputs = read(LENGTHS, **body)
        assert inputs["lengths"].dtype == np.int32 and inputs["lengths"].tolist() == [1, 0]
        np.testing.assert_array_equal(inputs["waveform"], [[[1, 2]], [[3, 4]]])


@pytest.mark.parametrize("content", [b"RIFF\x00\xff", b"", b"a"])
def test_bytes_come_as_base64_with_padding_or_without(content):
    text = base64.b64encode(content).decode()
    for encoded in (text, text.rstrip("=")):
        value = {"b64": encoded}
        for body in (
            {"instances": [value]},
            {"instances": [{"audio_bytes": value}]},
            {"inputs": [value]},
            {"inputs": {"audio_bytes": [value]}},
        ):
            assert read(WAV, **body)["audio_bytes"].tolist() == [content]


def test_a_string_is_its_utf8():
    assert read(WAV, instances=["é"])["audio_bytes"].tolist() == [b"\xc3\xa9"]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "JSON Parse error"),
        (b"{", "JSON Parse error"),
        (b'{"instances": [[[NaN, 0]]]}', "NaN and Infinity are not accepted"),
        (b'{"instances": [[[1e999, 0]]]}', "JSON Parse error"),
        (b'{"instances": ' + b"[" * 5000 + b"]" * 5000 + b"}", "JSON Parse error"),
        (b'{"instances": ["\xff"]}', "JSON Parse error"),
        (b"[1]", r"no object: \[1\]"),
        (b"{}", "but has neither"),
        (b'{"instances": [1], "inputs": [1]}', "but has both"),
        (b'{"instances": []}', "at least one signal"),
        (b'{"instances": 5}', "at least one signal, but is 5"),
        (b'{"instances": [1], "signature_name": 5}', "signature_name has to be a string"),
    ],
)
def test_a_body_that_is_no_request_is_refused(body, message):
    with pytest.raises(RequestError, match=message) as error:
        PredictBody.parse(body)
    assert error.value.code is Code.INVALID_ARGUMENT


DEEP = 1.0
for _ in range(200):
    DEEP = [DEEP]


@pytest.mark.parametrize(
    ("signature", "body", "message"),
    [
        (PLAIN, {"instances": [[[0, "a"]]]}, 'of float32 numbers, but holds "a"'),
        (PLAIN, {"instances": [[[0, None]]]}, "but holds null"),
        (PLAIN, {"instances": [[[0, True]]]}, "but holds true"),
        (PLAIN, {"instances": [[[0, {"x": 1}]]]}, "but holds"),
        (PLAIN, {"instances": [[[0, 1e39]]]}, "NaN or infinite"),
        (PLAIN, {"instances": [[[0, 1], [0]]]}, "different lengths at depth 3"),
        (PLAIN, {"instances": [[[0, 1]], [[0, 1], [2, 3]]]}, "different lengths at depth 2"),
        (PLAIN, {"instances": [[[0, 1]], 5]}, "different lengths at depth 2"),
        (PLAIN, {"instances": [[[0, [1]]]]}, "mixes lists and values at depth 4"),
        (PLAIN, {"instances": [[0, 1]]}, r"float32 \(-1, -1, 2\), .* float32 \(1, 2\)"),
        (PLAIN, {"instances": [[[0]]]}, r"float32 \(1, 1, 1\)"),
        (PLAIN, {"instances": DEEP}, "got float32"),
        (PLAIN, {"inputs": 5}, r"got float32 \(\)"),
        (PLAIN, {"inputs": []}, r"got float32 \(0,\)"),
        (PLAIN, {"instances": [[[0, 1]] * 101]}, "too long: 101 samples .* may have 100"),
        (PLAIN, {"instances": [[[0, 1]] * 51] * 2}, "too long: 102 samples"),
        (PLAIN, {"instances": [{"waveform": [[0, 1]]}, [[0, 1]]]}, "mixes objects with plain"),
        (PLAIN, {"instances": [{"wave": [[0, 1]]}]}, "Missing: waveform; not accepted: wave"),
        (PLAIN, {"instances": [{}]}, "Missing: waveform; not accepted: none"),
        (PLAIN, {"inputs": {}}, "Missing: waveform"),
        (PLAIN, {"inputs": {"waveform": [[[0, 1]]], "more": 1}}, "not accepted: more"),
        (PLAIN, {"instances": [[[0, {"b64": "AAAA"}]]]}, "of float32 numbers"),
        (LENGTHS, {"instances": [[[0, 1]]]}, "several inputs: give objects with the keys lengths"),
        (LENGTHS, {"inputs": [[[0, 1]]]}, "several inputs"),
        (LENGTHS, {"inputs": {"waveform": [[[0, 1]]], "lengths": [1, 1]}}, "different batch sizes"),
        (LENGTHS, {"instances": [{"waveform": [[0, 1]], "lengths": 1.5}]}, "holds 1.5"),
        (LENGTHS, {"instances": [{"waveform": [[0, 1]], "lengths": 2**40}]}, "no int32"),
        (WAV, {"instances": [{"b64": "A*AA"}]}, "Unable to base64 decode"),
        (WAV, {"instances": [{"b64": "A"}]}, "Unable to base64 decode"),
        (WAV, {"instances": [{"b64": "é"}]}, "Unable to base64 decode"),
        (WAV, {"instances": [{"b64": 5}]}, "or .*, but holds"),
        (WAV, {"instances": [5]}, "but holds 5"),
        (WAV, {"instances": ["x" * 300]}, "too long: 150 samples"),
    ],
)
def test_a_request_that_is_not_of_the_signature_is_refused(signature, body, message):
    with pytest.raises(RequestError, match=message) as error:
        read(signature, **body)
    assert error.value.code is Code.INVALID_ARGUMENT


def test_an_empty_signal_is_refused():
    with pytest.raises(RequestError, match=r"empty: its shape is \(1, 0, 2\)"):
        PLAIN.check_input("waveform", np.dtype("float32"), (1, 0, 2), MAX_SAMPLES)


def test_no_memory_is_taken_for_a_shape_that_is_too_large():
    with pytest.raises(RequestError, match="too long: 1,000,000,000,000,000"):
        PLAIN.check_input("waveform", np.dtype("float32"), (10**6, 10**9, 2), MAX_SAMPLES)


def test_the_outputs_that_are_asked_for():
    assert LENGTHS.filtered_outputs([]) == ["bass", "drums"]
    assert LENGTHS.filtered_outputs(["drums"]) == ["drums"]
    with pytest.raises(RequestError, match=r"no output 'vocals'.* has the outputs bass, drums"):
        LENGTHS.filtered_outputs(["vocals"])
    with pytest.raises(RequestError, match="drums is asked for twice"):
        LENGTHS.filtered_outputs(["drums", "bass", "drums"])


def test_strings_and_outputs_without_a_batch_axis_are_not_batched():
    assert PLAIN.can_batch and LENGTHS.can_batch and not WAV.can_batch
    fixed = Signature(
        name="f", owner="m", inputs=PLAIN.inputs, outputs={"loudness": spec("float32")}
    )
    assert not fixed.can_batch


def test_answers_by_rows_and_columns():
    one = {"y": np.array([[0.1, 1], [2, 3e-9]], "float32")}
    assert answer_body("instances", one) == b'{"predictions":[[0.1,1.0],[2.0,3e-9]]}'
    assert answer_body("inputs", one) == b'{"outputs":[[0.1,1.0],[2.0,3e-9]]}'
    two = {"a_bytes": np.array([b"\xff", b"a"], object), "b": np.array([1, 2], "int32")}
    assert json.loads(answer_body("instances", two)) == {
        "predictions": [{"a_bytes": {"b64": "/w=="}, "b": 1}, {"a_bytes": {"b64": "YQ=="}, "b": 2}]
    }
    assert json.loads(answer_body("inputs", two)) == {
        "outputs": {"a_bytes": [{"b64": "/w=="}, {"b64": "YQ=="}], "b": [1, 2]}
    }
    texts = {"text": np.array([[b"a", b"b"], [b"c", b"d"]], object)}
    assert answer_body("inputs", texts) == b'{"outputs":[["a","b"],["c","d"]]}'


@pytest.mark.parametrize("text", ["x", "é", "音", "🎵", "x音", "\ud800"])
def test_messages_have_a_length_that_grpc_carries(text):
    message = invalid(text * 10_000).message
    assert LONGEST_MESSAGE - 4 < len(message.encode()) <= LONGEST_MESSAGE
    assert set(message) <= {*text, "?", "."} and message.endswith("...")
    assert invalid(text).message == text.replace("\ud800", "?")


def test_codes_have_the_numbers_of_grpc():
    grpc = pytest.importorskip("grpc")
    numbers = {status.name: status.value[0] for status in grpc.StatusCode}
    assert numbers == {code.name: code.number for code in Code}


@pytest.mark.parametrize(
    "wrong", [{"max_batch_size": 0}, {"poll_s": 0}, {"grace_s": -1}, {"rest_timeout_s": 1e10}]
)
def test_limits_that_make_no_sense_are_refused(wrong):
    (name,) = wrong
    with pytest.raises(ValueError, match=f"{name} is .* has to be"):
        ServingOptions(**wrong)
    assert ServingOptions(grace_s=0, batch_timeout_ms=0).grace_s == 0


def test_the_page_tells_the_options_and_their_defaults(source_tree):
    parameters = typer.main.get_command(app).commands["serve"].params
    options = {p.opts[0]: p.default for p in parameters if p.opts[0].startswith("--")}
    page = (source_tree / "docs" / "serving.md").read_text(encoding="utf-8")
    told = {}
    for names, defaults in re.findall(r"^\| (`--.*?`) \| (`.*?`) \|", page, re.MULTILINE):
        pairs = (cell.replace("`", "").split(", ") for cell in (names, defaults))
        told |= zip(*pairs, strict=True)
    assert told == {name: str(default) for name, default in options.items()}
