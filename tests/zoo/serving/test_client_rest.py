"""The client's REST with servers that break off, dawdle, or answer before they are asked out."""

import contextlib
import json
import socket
import threading
import time

import numpy as np
import pytest

from tonezoo.serving import Client

INPUTS = {"waveform": np.zeros((1, 3, 1), "float32")}


def answer(status: str, content: dict, length: int | None = None) -> bytes:
    """An answer in HTTP, whose header may promise another length."""
    body = json.dumps(content).encode()
    length = len(body) if length is None else length
    return f"HTTP/1.1 {status}\r\nContent-Length: {length}\r\n\r\n".encode() + body


def metadata(version: int) -> bytes:
    definitions = {"serving_default": {"outputs": {"waveform": {}}}}
    content = {"signature_def": {"signature_def": definitions}}
    return answer("200 OK", {"model_spec": {"version": str(version)}, "metadata": content})


GOOD = answer("200 OK", {"outputs": [[[0.5]]]})


@contextlib.contextmanager
def scripted(*answers, **options):
    """Yields a client of a server that answers one connection after the other as it is told to.

    It reads no more of a request than its beginning. Bytes are sent; of anything else the client is
    left waiting. The first lines of the requests are the client's `lines`.
    """
    lines, over = [], threading.Event()

    def serve():
        for content in answers:
            connection, _ = listening.accept()
            with connection:
                lines.append(connection.recv(1000).decode(errors="replace").splitlines()[0])
                if isinstance(content, bytes):
                    connection.sendall(content)
                else:
                    content(connection, over)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve)
        thread.start()
        address = f"http://127.0.0.1:{listening.getsockname()[1]}"
        with Client(address, **options) as client:
            client.lines = lines
            yield client
        over.set()
        thread.join()


def silent(connection, over):
    over.wait(30)


def dripping(connection, over):
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    with contextlib.suppress(OSError):
        while not over.wait(0.1):
            connection.sendall(b" ")


def test_a_body_that_is_too_large_is_told_at_once():
    """The server answers and closes in the middle of the body, which resets the connection."""
    large = {"waveform": np.zeros((1, 1_500_000), "float32")}
    too_large = answer("413 Content Too Large", {"error": "The body has more than 9 bytes."})
    with (
        scripted(metadata(1), too_large) as client,
        pytest.raises(ValueError, match="refuses this: The body has more than 9 bytes"),
    ):
        client.predict("x", large)


def test_a_server_that_gives_up_is_told_with_its_option():
    late = answer("504 Gateway Timeout", {"error": "The deadline passed."})
    with (
        scripted(metadata(1), late) as client,
        pytest.raises(ConnectionError, match=r"gave up .*The deadline passed.*--rest-timeout-s"),
    ):
        client.predict("x", INPUTS)


@pytest.mark.parametrize("content", [silent, dripping])
def test_closing_ends_a_request(content):
    with scripted(metadata(1), content) as client:
        threading.Timer(0.3, client.close).start()
        start = time.monotonic()
        with pytest.raises(ConnectionError):
            client.predict("x", INPUTS)
        assert 0.2 < time.monotonic() - start < 5
        with pytest.raises(ConnectionError):
            client.predict("x", INPUTS)


@pytest.mark.parametrize("content", [silent, dripping])
def test_the_time_limit_is_that_of_the_whole_answer(content):
    with scripted(metadata(1), content, timeout_s=0.5) as client:
        start = time.monotonic()
        with pytest.raises(ConnectionError, match=r"did not answer within 0.5 s"):
            client.predict("x", INPUTS)
        assert 0.4 < time.monotonic() - start < 5


def test_an_answer_that_breaks_off_is_asked_for_again():
    refusal = answer("503 Service Unavailable", {"error": "going away"}, length=1000)
    output = answer("200 OK", {"outputs": [[[0.5]]]}, length=1000)
    with scripted(metadata(1), refusal, output, b"", GOOD) as client:
        outputs = client.predict("x", INPUTS, version=1)
        assert outputs["waveform"].tolist() == [[[0.5]]]


def test_what_is_asked_of_the_newest_version_is_of_one_version():
    gone = answer("404 Not Found", {"error": "Servable not found for request: Specific(x, 1)"})
    with scripted(metadata(1), gone, metadata(2), GOOD, GOOD) as client:
        client.predict("x", INPUTS)
        client.predict("x", INPUTS, version=2)
        predict = "POST /v1/models/x/versions/{}:predict HTTP/1.1"
        newest = "GET /v1/models/x/metadata HTTP/1.1"
        assert client.lines == [
            newest,
            predict.format(1),
            newest,
            predict.format(2),
            predict.format(2),
        ]
