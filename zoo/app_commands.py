"""The command of the page: `tonezoo app`."""

from typing import Annotated

import typer

from tonezoo.terminal import import_keras, say


def add_to(app: typer.Typer) -> None:
    """Adds the command to a command line."""
    app.command("app")(page)


def page(
    models: Annotated[
        list[str] | None,
        typer.Option(
            "--model",
            help="Folder of an exported model or a run, a shipped model's name, or with --server a "
            "name there; repeatable.",
            show_default="all shipped models",
        ),
    ] = None,
    server: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT",
            help="Run the models on this server.",
            show_default="on this machine",
        ),
    ] = None,
    host: Annotated[
        str, typer.Option(help="Address to listen on; 0.0.0.0 lets other machines in.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port to listen on; 0 for any that is free.")
    ] = 7860,
    max_mb: Annotated[float, typer.Option(help="Size of a recording at most, in MB.")] = 50.0,
    max_s: Annotated[float, typer.Option(help="Length of a recording at most, in s.")] = 120.0,
) -> None:
    """Serve a page on which models are tried on recordings, for the browser."""
    from tonezoo.app.answers import Limits
    from tonezoo.app.offers import local_offers, served_offers
    from tonezoo.app.server import exit_at_signals, running_page, serve_page
    from tonezoo.sockets import listening_socket

    limits = Limits(megabytes=max_mb, seconds=max_s)
    exit_at_signals()
    with listening_socket(host, port, "--port") as listener:
        # What a user has mistyped is told before seconds of loading.
        offers = served_offers(server, models or ()) if server else local_offers(models or ())
        with running_page(offers, limits, server) as running:
            if not server:
                import_keras()
            serve_page(
                running,
                listener,
                lambda url: say(f"The page is at {url} for as long as this runs; Ctrl+C ends it."),
            )
