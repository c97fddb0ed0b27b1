"""What servers do wrong is outlasted or told; requests are of few shapes."""

import contextlib
import os
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import grpc
import numpy as np
import pytest
import signals
from stub_server import Failure, Models, serve_grpc, serve_rest

from tonezoo.pretrained import shipped_models
from tonezoo.serving import Client

FOLDER = shipped_models()["mu_gan_speech_x4"]
REFUSED = grpc.StatusCode.INVALID_ARGUMENT


def stream(engine, blocks):
    """What an engine makes of a signal that comes in blocks."""
    return np.concatenate([*engine.stream(blocks, 2048)])


@pytest.fixture(params=("grpc", pytest.param("rest", marks=pytest.mark.slow)))
def own(request, tmp_path):
    """A stub server of the test's own, the versions of whose model "changing" it may change."""
    folders = {"super_resolution": FOLDER, "changing": tmp_path}
    own = Restartable(request.param, Models(folders.__getitem__))
    yield own
    own.stop()


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


def test_requests_are_of_one_signal_and_few_lengths(own):
    with own.client() as client:
        engine = client.load("super_resolution")
        own.models.requests.clear()
        stream(engine, [signals.noise(2500, 2)])
    assert {signature for _, signature, _ in own.models.requests} == {"with_lengths"}
    shapes = [shapes["waveform"] for _, _, shapes in own.models.requests]
    assert {shape[0] for shape in shapes} == {1} and len(set(shapes)) <= 2
    # of 2 channels, chunks of 512 low-rate samples
    assert len(shapes) == 2 * 5


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


def test_a_server_that_is_busy_at_first_is_waited_for_as_long(own, monkeypatch):
    monkeypatch.setattr("tonezoo.serving.client.FIRST_PATIENCE_S", 0.05)
    own.models.failures = 3 * [Failure(grpc.StatusCode.RESOURCE_EXHAUSTED, "the queue is full")]
    with own.client() as client:
        client.load("super_resolution")
    assert not own.models.failures
    own.stop()
    start = time.monotonic()
    with own.client() as client, pytest.raises(ConnectionError, match="No server answers"):
        client.load("super_resolution")
    assert time.monotonic() - start < 10


def test_an_engine_stays_with_the_version_whose_facts_it_goes_by(own, tmp_path):
    (tmp_path / "1").symlink_to(FOLDER / "1")
    samples = signals.noise(50)
    with own.client() as client:
        engine = client.load("changing")
        assert engine.name == "changing 1"
        expected = engine.enhance(samples, 4000)
        (tmp_path / "2").mkdir()  # A newer one, which answers nothing.
        np.testing.assert_array_equal(engine.enhance(samples, 4000), expected)
        (tmp_path / "2").rmdir()
        (tmp_path / "1").rename(tmp_path / "3")
        with pytest.raises(ValueError, match=r"changing at .* replaced .*: version 1 .* Start"):
            engine.enhance(samples, 4000)
        again = client.load("changing")
        assert again.name == "changing 3"
        np.testing.assert_array_equal(again.enhance(samples, 4000), expected)
        with pytest.raises(ValueError, match=r"refuses this: .*Specific\(changing, 1\)"):
            client.load("changing", version=1)


def test_a_server_that_dies_and_returns_in_a_file_loses_nothing(own, tmp_path):
    with own.client() as client:
        engine = client.load("super_resolution")
        samples = signals.noise(4000, 2)
        expected = stream(engine, [samples])
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
        output = stream(engine, [samples])
        assert sent_at_return[0] < len(own.models.requests)
        np.testing.assert_array_equal(output, expected)


@pytest.mark.slow
def test_tonezoo_serve_that_is_killed_and_started_again_loses_nothing(tmp_path):
    """Two clients, by gRPC and by REST, are in the middle of a file each."""
    (tmp_path / "x").symlink_to(FOLDER)
    local = "127.0.0.1"
    with socket.create_server((local, 0)) as one, socket.create_server((local, 0)) as two:
        ports = {"grpc": one.getsockname()[1], "rest": two.getsockname()[1]}
    words = ["serve", tmp_path, "--port", ports["grpc"], "--rest-port", ports["rest"]]

    def start():
        return subprocess.Popen(
            [sys.executable, "-m", "tonezoo", *map(str, words)],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "CUDA_VISIBLE_DEVICES": "-1"},
        )

    samples = signals.noise(4000, 2)
    middle, is_dead = threading.Barrier(len(ports) + 1), threading.Event()

    def until_dead():
        for number, block in enumerate(np.array_split(samples, 6)):
            if number == 3:
                middle.wait(60)
                is_dead.wait(60)
            yield block

    process = start()
    try:
        # A line for the model, and one when requests are taken.
        assert [process.stdout.readline()[:3] for _ in range(2)] == ["x: ", "Ser"]
        with contextlib.ExitStack() as clients, ThreadPoolExecutor() as pool:
            engines = []
            for protocol, port in ports.items():
                client = clients.enter_context(
                    Client(f"{local}:{port}", protocol=protocol, patience_s=180)
                )
                engines.append(client.load("x"))
            expected = stream(engines[0], [samples])
            outputs = [pool.submit(stream, engine, until_dead()) for engine in engines]
            middle.wait(60)
            process.kill()
            process.wait()
            is_dead.set()
            process = start()
            for output in outputs:
                np.testing.assert_allclose(
                    output.result(), expected, rtol=0, atol=1e-5 * expected.max()
                )
    finally:
        process.kill()
        process.wait()


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
        stream(engine, [signals.noise(5000)])
    assert time.monotonic() - start < 5
