"""Models at a server give what they give here; what servers do wrong is outlasted or told.

The tests that only ask run against the server at TONEZOO_TEST_SERVER (HOST:PORT of its gRPC), and
TONEZOO_TEST_REST_SERVER (http://HOST:PORT), where those are set; see docs/client.md.
"""

import io
import json
import os
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import grpc
import numpy as np
import pytest
import signals
import soundfile
from stub_server import Failure, Models, serve_grpc, serve_rest
from untrained_export import MODELS

import tonezoo
from tonezoo.serving import Client
from tonezoo.tasks.separation import SeparationOptions

TASKS = sorted(MODELS)
PROTOCOLS = ("grpc", pytest.param("rest", marks=pytest.mark.slow))
DATA = Path(__file__).parents[2] / "data"
REFUSED = grpc.StatusCode.INVALID_ARGUMENT


class Served(NamedTuple):
    folder_of: Callable[[str], Path]  # from a task, which is the name at the server
    addresses: dict[str, str | None]  # by protocol


@pytest.fixture(scope="module")
def folder_of(untrained) -> Callable[[str], Path]:
    """From a model's name, its task's, to the folder of its export, made when it is asked for."""

    def folder(name):
        if name not in MODELS:
            raise KeyError(name)
        return untrained(name).folder

    return folder


@pytest.fixture(scope="module")
def models(folder_of) -> Models:
    return Models(folder_of)


@pytest.fixture(scope="module")
def server(folder_of, models) -> Served:
    """One server of a tiny model of every task, for all tests that do it no harm."""
    if address := os.environ.get("TONEZOO_TEST_SERVER"):
        folder = Path(os.environ["TONEZOO_TEST_MODELS"])
        with grpc.insecure_channel(address) as channel:
            grpc.channel_ready_future(channel).result(timeout=60)
        addresses = {"grpc": address, "rest": os.environ.get("TONEZOO_TEST_REST_SERVER")}
        yield Served(lambda name: folder / name, addresses)
        return
    by_grpc, grpc_port = serve_grpc(models)
    by_rest, rest_port = serve_rest(models)
    addresses = {"grpc": f"127.0.0.1:{grpc_port}", "rest": f"http://127.0.0.1:{rest_port}"}
    yield Served(folder_of, addresses)
    by_grpc.stop(None)
    by_rest.shutdown()
    by_rest.server_close()


@pytest.fixture(params=PROTOCOLS)
def client(server, request):
    if server.addresses[request.param] is None:
        pytest.skip("TONEZOO_TEST_REST_SERVER names no server")
    with Client(server.addresses[request.param], requests_in_flight=3) as client:
        yield client


def blocks(samples, size=777):
    return [samples[start : start + size] for start in range(0, len(samples), size)]


def joined(stream):
    return np.concatenate(list(stream))


def close(output, expected):
    assert output.shape == expected.shape and output.dtype == expected.dtype
    np.testing.assert_allclose(output, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


def test_super_resolution_at_a_server_is_that_of_this_machine(client, server):
    local = tonezoo.load(server.folder_of("super_resolution"))
    served = client.load("super_resolution")
    assert (served.ratio, served.low_rate_hz) == (local.ratio, local.low_rate_hz)
    for length, channels in ((1, 1), (200, 2), (1501, 1)):
        samples = signals.noise(length, channels)
        outputs = [joined(engine.stream(blocks(samples), 2048)) for engine in (served, local)]
        close(*outputs)
    samples = signals.noise(333)
    close(served.enhance(samples, served.low_rate_hz), local.enhance(samples, local.low_rate_hz))


@pytest.mark.slow
def test_separation_at_a_server_is_that_of_this_machine(client, server):
    local = tonezoo.load(server.folder_of("separation"))
    served = client.load("separation", version=1)
    assert served.sources == local.sources
    options = SeparationOptions(segment_s=0.1)
    for length, channels in ((1, 1), (300, 2), (14_000, 1)):
        samples = signals.noise(length, channels)
        outputs = [
            np.stack([*engine.separate(samples, local.sample_rate_hz, options).values()])
            for engine in (served, local)
        ]
        close(*outputs)


@pytest.mark.slow
def test_vocoding_at_a_server_is_that_of_this_machine(client, server):
    local = tonezoo.load(server.folder_of("vocoding"))
    served = client.load("vocoding")
    for frames in (1, 30):
        mel = signals.noise(frames, local.bands) - 2
        outputs = [joined(engine.stream_mel(mel, 1024)) for engine in (served, local)]
        close(*outputs)
    samples = signals.noise(5000, 2)
    outputs = [joined(e.stream_audio(blocks(samples), 4096)) for e in (served, local)]
    close(*outputs)
    close(served.mel(samples[:, 0], 22_050), local.mel(samples[:, 0], 22_050))


def test_requests_are_of_one_signal_and_few_lengths(server, models):
    if "TONEZOO_TEST_SERVER" in os.environ:
        pytest.skip("the real server does not tell of its requests")
    with Client(server.addresses["grpc"]) as client:
        engine = client.load("super_resolution")
        models.requests.clear()
        joined(engine.stream(blocks(signals.noise(2500, 2)), 2048))
    assert {signature for _, signature, _ in models.requests} == {"with_lengths"}
    shapes = [shapes["waveform"] for _, _, shapes in models.requests]
    assert {shape[0] for shape in shapes} == {1} and len(set(shapes)) <= 2
    # of 2 channels, chunks of 512 low-rate samples
    assert len(shapes) == 2 * 5


def test_other_signatures_and_files_as_bytes(client):
    engine = client.load("super_resolution")
    file = io.BytesIO()
    low = signals.noise(200, peak=0.5)
    soundfile.write(file, low, round(engine.low_rate_hz), format="WAV", subtype="PCM_16")
    inputs = {"audio_bytes": np.array([file.getvalue()], object)}
    outputs = client.predict("super_resolution", inputs, "wav_bytes")
    high, rate_hz = soundfile.read(io.BytesIO(outputs["audio_bytes"][0]))
    assert (rate_hz, len(high)) == (engine.sample_rate_hz, 200 * engine.ratio)
    with pytest.raises(ValueError, match="takes float32, int32, and bytes"):
        client.predict("super_resolution", {"waveform": np.zeros((1, 5, 1))})


def test_a_wrong_name_or_signature_is_told_by_the_server(client):
    with pytest.raises(ValueError, match=r"refuses this: .*piano"):
        client.load("piano")
    inputs = {"waveform": np.zeros((1, 5, 1), "float32")}
    with pytest.raises(ValueError, match=r"(?i)signature"):
        client.predict("super_resolution", inputs, "sing")
    with pytest.raises(ValueError, match="refuses this"):
        client.predict("super_resolution", {"waveform": np.zeros((1, 0, 1), "float32")})


@pytest.mark.slow
def test_a_model_of_another_task_is_refused(client):
    with pytest.raises(ValueError, match="`tonezoo separate` takes it"):
        client.engine_for(tonezoo.tasks.find_task("super_resolution"), "separation")


# From here on the servers are the stubs alone.


@pytest.fixture(params=PROTOCOLS)
def own(request, folder_of):
    """A server of the test's own."""
    own = Restartable(request.param, Models(folder_of))
    yield own


class Restartable:
    def __init__(self, protocol, models):
        self.protocol, self.models = protocol, models
        self._server, self._port = None, 0
        self.start()

    def start(self):
        serve = serve_grpc if self.protocol == "grpc" else serve_rest
        self._server, self._port = serve(self.models, self._port)

    def stop(self):
        server, self._server = self._server, None
        if server is None:
            return
        if self.protocol == "grpc":
            server.stop(None).wait()
        else:
            server.shutdown()
            server.server_close()

    def client(self, **options):
        address = f"127.0.0.1:{self._port}"
        return Client(address, protocol=self.protocol, **options)


def test_a_server_that_is_busy_is_asked_again(own):
    busy = Failure(grpc.StatusCode.RESOURCE_EXHAUSTED, "the queue is full")
    gone = Failure(grpc.StatusCode.UNAVAILABLE, "going away")
    with own.client() as client:
        engine = client.load("super_resolution")
        expected = engine.enhance(signals.noise(50), engine.low_rate_hz)
        own.models.failures = [busy, gone, busy]
        before = len(own.models.requests)
        output = engine.enhance(signals.noise(50), engine.low_rate_hz)
        np.testing.assert_array_equal(output, expected)
        assert len(own.models.requests) == before + 4
        own.models.failures = [Failure(REFUSED, "no such waveform"), busy]
        with pytest.raises(ValueError, match="refuses this: no such waveform"):
            engine.enhance(signals.noise(50), engine.low_rate_hz)
        assert own.models.failures == [busy]
    with own.client(patience_s=0.3) as client:
        client.load("super_resolution")
        own.models.failures = 100 * [busy]
        with pytest.raises(ConnectionError, match=r"takes no more requests .*the queue is full"):
            client.load("super_resolution")
    assert 94 <= len(own.models.failures) < 99


def test_a_server_that_dies_and_returns_in_a_file_loses_nothing(own, tmp_path):
    with own.client() as client:
        engine = client.load("super_resolution")
        samples = signals.noise(4000, 2)
        expected = joined(engine.stream(blocks(samples), 2048))
        sent_before, sent_at_return = len(own.models.requests), []

        def die(number):
            if number == sent_before + 6:
                threading.Thread(target=die_and_return).start()
            time.sleep(0.02)

        def die_and_return():
            own.stop()
            time.sleep(0.3)
            sent_at_return.append(len(own.models.requests))
            own.start()

        own.models.before_answer = die
        output = joined(engine.stream(blocks(samples), 2048))
        assert sent_at_return[0] < len(own.models.requests)
        np.testing.assert_array_equal(output, expected)


def test_no_server_and_a_slow_one_are_told_with_their_address(own):
    own.models.before_answer = lambda number: time.sleep(1.5)
    with (
        own.client(timeout_s=0.5) as client,
        pytest.raises(ConnectionError, match=r"127.0.0.1:\d+ did not answer within 0.5 s"),
    ):
        client.predict("super_resolution", {"waveform": np.zeros((1, 5, 1), "float32")})
    own.models.before_answer = lambda number: None
    own.stop()
    with (
        own.client(patience_s=0.2) as client,
        pytest.raises(
            ConnectionError, match=r"No server answers at (http://)?127.0.0.1:\d+ \(.*Sta"
        ),
    ):
        client.load("super_resolution")


def test_closing_ends_what_is_under_way(own):
    own.models.before_answer = lambda number: time.sleep(0.2)
    client = own.client()
    engine = client.load("super_resolution")
    own.models.failures = 1000 * [Failure(grpc.StatusCode.UNAVAILABLE, "going away")]
    threading.Timer(0.5, client.close).start()
    start = time.monotonic()
    with pytest.raises((ConnectionError, RuntimeError, ValueError)):
        joined(engine.stream(blocks(signals.noise(5000)), 2048))
    assert time.monotonic() - start < 5


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (b"{", "x at localhost:1 tells no facts in JSON"),
        (b"[1]", "x at localhost:1 states no task"),
        (b'{"task": "singing"}', "The task 'singing' is unknown"),
        (b'{"task": "vocoding", "channels": 0}', "x at localhost:1 states sample_rate_hz as None"),
    ],
)
def test_facts_are_checked_as_those_of_a_manifest_are(monkeypatch, answer, message):
    with Client("localhost:1") as client:
        outputs = {"manifest_json": np.array([answer], object)}
        monkeypatch.setattr(client._transport, "predict", lambda *request: outputs)
        with pytest.raises(ValueError, match=message):
            client.load("x")


@pytest.mark.parametrize("source", ["../../home", "/a", "a\\b", "a\0b", ".", ".."])
def test_a_server_s_sources_name_no_files_elsewhere(monkeypatch, source):
    facts = {"task": "separation", "sources": ["vocals", source], "segment_samples": 400}
    facts |= {"sample_rate_hz": 8000, "channels": 1, "grid_samples": 4, "context_samples": 8}
    with Client("localhost:1") as client:
        outputs = {"manifest_json": np.array([json.dumps(facts).encode()], object)}
        monkeypatch.setattr(client._transport, "predict", lambda *request: outputs)
        with pytest.raises(ValueError, match=r"A source is called .*, which no file can be"):
            client.load("x")
        outputs["manifest_json"][0] = json.dumps(facts | {"sources": ["vocals", "a..b"]}).encode()
        assert client.load("x").sources == ("vocals", "a..b")


@pytest.mark.slow
def test_an_export_without_facts_takes_a_manifest(tmp_path):
    with zipfile.ZipFile(DATA / "mu_gan.export.zip") as archive:
        archive.extractall(tmp_path)
    (manifest,) = tmp_path.rglob("manifest.json")
    folder = manifest.parents[1]
    by_grpc, port = serve_grpc(Models({"old": folder, "demucs_procedural": folder}.__getitem__))
    with Client(f"127.0.0.1:{port}") as client:
        with pytest.raises(ValueError, match=r"old at .* does not tell its facts. Give its mani"):
            client.load("old")
        samples = signals.noise(50)
        output = client.load("old", manifest=manifest).enhance(samples, 4000)
        close(output, tonezoo.load(folder).enhance(samples, 4000))
        # By its name it is taken for the one that comes with tonezoo.
        assert client.load("demucs_procedural").task == "separation"
    by_grpc.stop(None)


@pytest.mark.parametrize(
    ("address", "options", "message"),
    [
        ("localhost", {}, "Give HOST:PORT, such as localhost:8500"),
        ("localhost:70000", {}, "Give HOST:PORT"),
        ("ftp://localhost:1", {}, "Give HOST:PORT"),
        ("http://localhost:1", {"protocol": "grpc"}, "Give 'grpc' for HOST:PORT, or 'rest'"),
        ("localhost:1", {"protocol": "soap"}, "The protocol is 'soap'"),
        ("localhost:1", {"requests_in_flight": 0}, "Give more than 0 s, 0 s or more, and 1"),
        ("localhost:1", {"timeout_s": 0}, "timeout_s is 0"),
    ],
)
def test_unusable_arguments_are_refused(address, options, message):
    with pytest.raises(ValueError, match=message):
        Client(address, **options)


# The command line.

BLOCKED = """
import sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("tensorflow", "keras", "tensorflow_serving"):
            raise ModuleNotFoundError(f"{name} is blocked", name=name)

sys.meta_path.insert(0, Blocker())
from tonezoo.cli import main

for words in __import__("json").loads(sys.argv[1]):
    sys.argv = ["tonezoo", *words]
    try:
        main()
    except SystemExit as stop:
        assert not stop.code, (words, stop.code)
"""


@pytest.mark.slow
def test_the_command_line_needs_no_tensorflow_and_no_keras(server, tmp_path):
    low = signals.write_audio(tmp_path / "low.wav", signals.noise(3000), 4000, subtype="FLOAT")
    song = signals.write_audio(tmp_path / "song.wav", signals.noise(6000, 2), 44_100)
    address, out = server.addresses["grpc"], tmp_path / "served"
    commands = [
        ["enhance", low, "--strength", "-6", "--segment-s", "0.2", "--model", "super_resolution"],
        ["separate", song, "--segment-s", "0.1", "--model", "separation"],
        ["vocode", song, "--segment-s", "0.1", "--model", "vocoding"],
    ]
    words = [[*map(str, line), "--out", str(out), "--server", address] for line in commands]
    done = subprocess.run(
        [sys.executable, "-c", BLOCKED, json.dumps(words)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    local = {task: tonezoo.load(server.folder_of(task)) for task in TASKS}
    expected = local["super_resolution"].enhance(
        soundfile.read(low, dtype="float32")[0], 4000, strength_db=-6
    )
    close(soundfile.read(out / "low.wav", dtype="float32")[0], expected)
    mixture = soundfile.read(song, dtype="float32")[0]
    stems = local["separation"].separate(mixture, 44_100, SeparationOptions(segment_s=0.1))
    for name, stem in stems.items():
        close(soundfile.read(out / "song" / f"{name}.wav", dtype="float32")[0], stem)
    vocoded = local["vocoding"].copy_synthesis(mixture, 44_100)
    close(soundfile.read(out / "song.wav", dtype="float32")[0], vocoded)


def test_the_default_model_goes_by_the_rate_of_each_file(cli, untrained, tmp_path):
    folder = untrained("super_resolution").folder
    by_grpc, port = serve_grpc(models := Models({"band_extender_speech_x4": folder}.__getitem__))
    files = [
        signals.write_audio(tmp_path / f"{rate_hz}.wav", signals.noise(100), rate_hz)
        for rate_hz in (4000, 8000)
    ]
    code, _, err = cli(
        "enhance", *files, "--out", tmp_path / "high", "--server", f"127.0.0.1:{port}"
    )
    assert code == 1 and "1 of 2 files enhanced" in err
    assert "8000.wav: The server" in err and "Latest(band_extender_speech_x2)" in err
    assert {model for model, *_ in models.requests} == {
        "band_extender_speech_x4",
        "band_extender_speech_x2",
    }
    by_grpc.stop(None)


@pytest.mark.parametrize(
    ("server_words", "message"),
    [
        ("--server nonsense", "error: The server's address is 'nonsense'. Give HOST:PORT"),
        ("--server 127.0.0.1:9", "error: No server answers at 127.0.0.1:9"),
        ("--server 127.0.0.1:9 --model x", "error: No server answers at 127.0.0.1:9"),
        ("--server http://127.0.0.1:9 --model x", "error: No server answers at http://127.0.0"),
    ],
)
def test_wrong_servers_get_one_message(cli, monkeypatch, tmp_path, server_words, message):
    monkeypatch.setattr("tonezoo.serving.client.FIRST_PATIENCE_S", 0.2)
    low = signals.write_audio(tmp_path / "low.wav", signals.noise(10), 4000)
    code, _, err = cli("enhance", low, "--out", tmp_path / "high", *server_words.split())
    assert code == 1 and message in err and "Traceback" not in err
    assert not (tmp_path / "high").exists()
