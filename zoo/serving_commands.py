"""The command that serves exported models."""

import signal
import threading
from pathlib import Path
from typing import Annotated

import typer

from tonezoo.serving.server.options import ServingOptions
from tonezoo.terminal import import_keras, say

DEFAULTS = ServingOptions()


def add_to(app: typer.Typer) -> None:
    """Adds the command to a command line."""
    app.command()(serve)


def serve(
    models_dir: Annotated[
        Path,
        typer.Argument(
            metavar="MODELS_DIR",
            help="Folder whose folders are exported models, or the folder of one model.",
        ),
    ],
    host: Annotated[
        str,
        typer.Option(
            help="Address to listen at; 0.0.0.0 for all of this machine. No one has to log in."
        ),
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port of gRPC; 0 for any free one.")
    ] = 8500,
    rest_port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port of REST; 0 for any free one.")
    ] = 8501,
    max_batch_size: Annotated[
        int, typer.Option(min=1, help="Most signals that requests are joined to.")
    ] = DEFAULTS.max_batch_size,
    batch_timeout_ms: Annotated[
        float, typer.Option(min=0, help="For how long a request waits for others to join.")
    ] = DEFAULTS.batch_timeout_ms,
    queue_size: Annotated[
        int, typer.Option(min=1, help="Most requests at a time; more are refused.")
    ] = DEFAULTS.queue_size,
    max_samples: Annotated[
        int,
        typer.Option(
            min=1, help="Most samples (of a vocoder, frames) of a request, all signals together."
        ),
    ] = DEFAULTS.max_samples,
    max_message_mib: Annotated[
        int, typer.Option(min=1, max=2047, help="Largest request in MiB.")
    ] = DEFAULTS.max_message_mib,
    rest_timeout_s: Annotated[
        float, typer.Option(min=0.001, help="For how long a REST request may take.")
    ] = DEFAULTS.rest_timeout_s,
    poll_s: Annotated[
        float, typer.Option(min=0.01, help="How often to look for new versions.")
    ] = DEFAULTS.poll_s,
    grace_s: Annotated[
        float, typer.Option(min=0, help="For how long to finish what has begun, after SIGTERM.")
    ] = DEFAULTS.grace_s,
) -> None:
    """Serve exported models over TensorFlow Serving's gRPC and REST protocols."""
    from tonezoo.serving.server.models import model_folders

    # A wrong folder is told before TensorFlow is loaded.
    model_folders(models_dir)
    import_keras()
    from tonezoo.serving.server import Server

    server = Server(
        models_dir,
        host=host,
        port=port,
        rest_port=rest_port,
        options=ServingOptions(
            max_batch_size=max_batch_size,
            batch_timeout_ms=batch_timeout_ms,
            queue_size=queue_size,
            max_samples=max_samples,
            max_message_mib=max_message_mib,
            rest_timeout_s=rest_timeout_s,
            poll_s=poll_s,
            grace_s=grace_s,
        ),
        report=say,
    )
    asked_to_stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: asked_to_stop.set())
    server.start()
    say(serving_line(host, server.port, server.rest_port))
    asked_to_stop.wait()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)  # The second one ends the program at once.
    say("Stopping: finishing what has begun.")
    server.stop()


def serving_line(host: str, port: int, rest_port: int) -> str:
    """Returns the line that says where the server listens, for people and for programs.

    Example:

    >>> serving_line("127.0.0.1", 8500, 8501)
    'Serving gRPC on 127.0.0.1:8500, REST on http://127.0.0.1:8501'
    """
    from tonezoo.sockets import address

    return f"Serving gRPC on {address(host, port)}, REST on http://{address(host, rest_port)}"
