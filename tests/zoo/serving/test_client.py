"""Models at a server give what they give here; what servers do wrong is outlasted or told.

The first tests run against the server of `tonezoo serve`; or against that at TONEZOO_TEST_SERVER
(HOST:PORT of its gRPC) and TONEZOO_TEST_REST_SERVER (http://HOST:PORT), where those are set; see
docs/client.md.
"""

import contextlib
import functools
import io
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import grpc
import numpy as np
import pytest
import signals
import soundfile
from stub_server import Models, serve_grpc
from untrained_export import MODELS

import tonezoo
from tonezoo.pretrained import shipped_models
from tonezoo.serving import Client
from tonezoo.serving.server import Server, ServingOptions
from tonezoo.tasks.separation import SeparationOptions

TASKS = sorted(MODELS)
# Where there is one that is small, nothing has to be exported.
SHIPPED = {"super_resolution": "mu_gan_speech_x4", "separation": "demucs_small_music"}
PROTOCOLS = ("grpc", pytest.param("rest", marks=pytest.mark.slow))
DATA = Path(__file__).parents[2] / "data"
REFUSED = grpc.StatusCode.INVALID_ARGUMENT


class Served(NamedTuple):
    folder: Path
    addresses: dict[str, str | None]  # by protocol


@pytest.fixture(scope="module")
def folder_of(untrained) -> Callable[[str], Path]:
    """From a task, which is the model's name at the server, to the folder of its export."""

    def folder(task):
        if task in SHIPPED:
            return shipped_models()[SHIPPED[task]]
        if task not in MODELS:
            raise KeyError(task)
        return untrained(task).folder

    return folder


@pytest.fixture(scope="module")
def served(folder_of, tmp_path_factory) -> Callable[[str], Served]:
    """served(task): a server of a model of the task, for all tests that do it no harm."""
    with contextlib.ExitStack() as servers:

        @functools.cache
        def start(task):
            folder = tmp_path_factory.mktemp("models") / task
            folder.symlink_to(folder_of(task))
            options = ServingOptions(poll_s=60)
            server = Server(folder.parent, port=0, rest_port=0, options=options)
            servers.enter_context(server)
            rest = f"http://127.0.0.1:{server.rest_port}"
            return Served(folder, {"grpc": f"127.0.0.1:{server.port}", "rest": rest})

        yield running if "TONEZOO_TEST_SERVER" in os.environ else start


def running(task) -> Served:
    """A model of the server that runs already."""
    address = os.environ["TONEZOO_TEST_SERVER"]
    with grpc.insecure_channel(address) as channel:
        grpc.channel_ready_future(channel).result(timeout=60)
    addresses = {"grpc": address, "rest": os.environ.get("TONEZOO_TEST_REST_SERVER")}
    return Served(Path(os.environ["TONEZOO_TEST_MODELS"]) / task, addresses)


@pytest.fixture(params=PROTOCOLS)
def client(served, request):
    """client(task): of the server of a task's model."""
    with contextlib.ExitStack() as clients:

        def connect(task="super_resolution"):
            address = served(task).addresses[request.param]
            if address is None:
                pytest.skip("TONEZOO_TEST_REST_SERVER names no server")
            return clients.enter_context(Client(address, requests_in_flight=3))

        yield connect


@pytest.fixture(scope="module")
def local(served):
    """local(task): the same model on this machine."""
    return functools.cache(lambda task: tonezoo.load(served(task).folder))


def blocks(samples, size=777):
    return [samples[start : start + size] for start in range(0, len(samples), size)]


def joined(stream):
    return np.concatenate(list(stream))


def close(output, expected):
    assert output.shape == expected.shape and output.dtype == expected.dtype
    np.testing.assert_allclose(output, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


def test_super_resolution_at_a_server_is_that_of_this_machine(client, local):
    here, there = local("super_resolution"), client("super_resolution").load("super_resolution")
    assert (there.ratio, there.low_rate_hz) == (here.ratio, here.low_rate_hz)
    for length, channels in ((1, 1), (200, 2), (1501, 1)):
        samples = signals.noise(length, channels)
        outputs = [joined(engine.stream(blocks(samples), 2048)) for engine in (there, here)]
        close(*outputs)
    samples = signals.noise(333)
    close(there.enhance(samples, there.low_rate_hz), here.enhance(samples, here.low_rate_hz))


@pytest.mark.slow
def test_separation_at_a_server_is_that_of_this_machine(client, local):
    here, there = local("separation"), client("separation").load("separation", version=1)
    assert there.sources == here.sources
    options = SeparationOptions(segment_s=0.1)
    for length, channels in ((1, 1), (300, 2), (14_000, 1)):
        samples = signals.noise(length, channels)
        outputs = [
            np.stack([*engine.separate(samples, here.sample_rate_hz, options).values()])
            for engine in (there, here)
        ]
        close(*outputs)


@pytest.mark.slow
def test_vocoding_at_a_server_is_that_of_this_machine(client, local):
    here, there = local("vocoding"), client("vocoding").load("vocoding")
    for frames in (1, 30):
        mel = signals.noise(frames, here.bands) - 2
        outputs = [joined(engine.stream_mel(mel, 1024)) for engine in (there, here)]
        close(*outputs)
    samples = signals.noise(5000, 2)
    outputs = [joined(e.stream_audio(blocks(samples), 4096)) for e in (there, here)]
    close(*outputs)
    close(there.mel(samples[:, 0], 22_050), here.mel(samples[:, 0], 22_050))


def test_other_signatures_and_files_as_bytes(client):
    client = client()
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
    client = client()
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
        client("separation").engine_for(tonezoo.tasks.find_task("super_resolution"), "separation")


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
        monkeypatch.setattr(client._transport, "predict", lambda *request: (outputs, 1))
        with pytest.raises(ValueError, match=message):
            client.load("x")


@pytest.mark.parametrize("source", ["../../home", "/a", "a\\b", "a\0b", ".", ".."])
def test_a_server_s_sources_name_no_files_elsewhere(monkeypatch, source):
    facts = {"task": "separation", "sources": ["vocals", source], "segment_samples": 400}
    facts |= {"sample_rate_hz": 8000, "channels": 1, "grid_samples": 4, "context_samples": 8}
    with Client("localhost:1") as client:
        outputs = {"manifest_json": np.array([json.dumps(facts).encode()], object)}
        monkeypatch.setattr(client._transport, "predict", lambda *request: (outputs, 1))
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
    by_grpc, port = serve_grpc(Models({"old": folder, "demucs_small_music": folder}.__getitem__))
    with Client(f"127.0.0.1:{port}") as client:
        with pytest.raises(ValueError, match=r"old at .* does not tell its facts. Give its mani"):
            client.load("old")
        samples = signals.noise(50)
        output = client.load("old", manifest=manifest).enhance(samples, 4000)
        close(output, tonezoo.load(folder).enhance(samples, 4000))
        # By its name it is taken for the one that comes with tonezoo.
        assert client.load("demucs_small_music").task == "separation"
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


def test_without_grpcio_grpc_is_refused_and_rest_is_not(monkeypatch):
    monkeypatch.setitem(sys.modules, "grpc", None)
    with pytest.raises(
        ImportError, match=r"grpc is not installed.*pip install 'tonezoo\[client\]'"
    ):
        Client("localhost:8500")
    Client("http://localhost:8501").close()


# The command line.

BLOCKED = """
import sys

class Blocker:
    packages = {"tensorflow", "keras", "tensorflow_serving", "grpc", "google"}

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in self.packages:
            raise ModuleNotFoundError(f"{name} is blocked", name=name)

sys.meta_path.insert(0, Blocker())
from tonezoo.cli import main

for words in __import__("json").loads(sys.argv[1]):
    # REST needs neither grpcio nor protobuf; its lines come first.
    if not words[-1].startswith("http"):
        Blocker.packages -= {"grpc", "google"}
    sys.argv = ["tonezoo", *words]
    try:
        main()
    except SystemExit as stop:
        assert not stop.code, (words, stop.code)
"""


@pytest.mark.slow
def test_the_command_line_needs_no_tensorflow_and_no_keras(served, local, tmp_path):
    low = signals.write_audio(tmp_path / "low.wav", signals.noise(3000), 4000, subtype="FLOAT")
    song = signals.write_audio(tmp_path / "song.wav", signals.noise(6000, 2), 44_100)
    enhance = ["enhance", low, "--strength", "-6", "--segment-s", "0.2"]
    lines = [
        ["rest", "super_resolution", *enhance],
        ["grpc", "super_resolution", *enhance],
        ["grpc", "separation", "separate", song, "--segment-s", "0.1"],
        ["grpc", "vocoding", "vocode", song, "--segment-s", "0.1"],
    ]
    words = [
        [
            *map(str, line),
            *("--model", task, "--out", str(tmp_path / protocol)),
            *("--server", address),
        ]
        for protocol, task, *line in lines
        if (address := served(task).addresses[protocol])
    ]
    done = subprocess.run(
        [sys.executable, "-c", BLOCKED, json.dumps(words)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    expected = local("super_resolution").enhance(
        soundfile.read(low, dtype="float32")[0], 4000, strength_db=-6
    )
    high = [soundfile.read(path, dtype="float32")[0] for path in tmp_path.glob("*/low.wav")]
    assert len(high) == len({line[-1] for line in words if "super_resolution" in line})
    for output in high:
        close(output, expected)
    out = tmp_path / "grpc"
    mixture = soundfile.read(song, dtype="float32")[0]
    stems = local("separation").separate(mixture, 44_100, SeparationOptions(segment_s=0.1))
    for name, stem in stems.items():
        close(soundfile.read(out / "song" / f"{name}.wav", dtype="float32")[0], stem)
    vocoded = local("vocoding").copy_synthesis(mixture, 44_100)
    close(soundfile.read(out / "song.wav", dtype="float32")[0], vocoded)


def test_the_default_model_goes_by_the_rate_of_each_file(cli, folder_of, tmp_path):
    folder = folder_of("super_resolution")
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
