"""The page as a server: on one address, with all its files in a folder that goes when it ends."""

import contextlib
import logging
import os
import signal
import socket
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from tonezoo.app.answers import BYTES_PER_MB, Limits
from tonezoo.app.offers import Offer
from tonezoo.app.page import build_page
from tonezoo.app.results import ResultFiles
from tonezoo.extras import import_extra
from tonezoo.files import remove_older
from tonezoo.sockets import address

TEMPORARY_PREFIX = "tonezoo-app-"
HERE = Path(__file__).parent
# The browser itself then asks no other host for anything.
CONTENT_SECURITY_POLICY = (
    "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; frame-ancestors 'self'"
)
# Gradio reads these: no statistics, no history of runs in the browser.
SETTINGS = {"GRADIO_ANALYTICS_ENABLED": "False", "GRADIO_RUN_HISTORY": "False"}
# How often uploads and results are looked at, and how old they become: within an hour they go.
SWEEP_EVERY_S, LONGEST_AGE_S = 300.0, 3300.0


@contextlib.contextmanager
def swept(folders: Sequence[Path], every_s: float, age_s: float) -> Iterator[None]:
    """Removes, as long as the block runs, what in some folders has not been changed for long.

    Gradio itself would only remove uploads that were finished.

    Args:
        folders: they have to exist.
        every_s: seconds between two looks.
        age_s: seconds without a change after which something is removed.
    """
    stop = threading.Event()

    def sweep():
        while not stop.wait(every_s):
            for folder in folders:
                remove_older(folder, age_s)

    thread = threading.Thread(target=sweep, name="sweep", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@contextlib.contextmanager
def running_page(
    offers: Sequence[Offer], limits: Limits, server: str | None = None
) -> Iterator[Any]:
    """Yields the page as an ASGI application; what was uploaded and computed goes with it.

    Args:
        offers: models to choose from.
        limits: of recordings.
        server: address of the server whose models they are; None for this machine's.

    Raises:
        ImportError: Gradio is missing; it is in the extra `app`.
    """
    with contextlib.ExitStack() as stack:
        folder = Path(
            stack.enter_context(
                tempfile.TemporaryDirectory(prefix=TEMPORARY_PREFIX, ignore_cleanup_errors=True)
            )
        ).resolve()
        uploads, results = folder / "uploads", folder / "results"
        uploads.mkdir()
        results.mkdir()
        stack.enter_context(swept((uploads, results), SWEEP_EVERY_S, LONGEST_AGE_S))
        # Gradio reads some of it when it is imported, in this process for the first time here.
        stack.enter_context(_environment({**SETTINGS, "GRADIO_TEMP_DIR": str(uploads)}))
        gradio = import_extra("gradio", "app", "The page needs")
        from fastapi import FastAPI

        # What it logs of each request is of no use to who runs the page.
        logging.getLogger("httpx").setLevel(logging.WARNING)
        script = (HERE / "mixer.js").read_text(encoding="utf-8")
        page = gradio.mount_gradio_app(
            FastAPI(docs_url=None, redoc_url=None, openapi_url=None),
            build_page(offers, limits, ResultFiles(results), server),
            path="/",
            allowed_paths=[str(results)],
            max_file_size=round(limits.megabytes * BYTES_PER_MB),
            # Messages of faults, with paths of this machine in them, are for its terminal.
            show_error=False,
            footer_links=[],
            ssr_mode=False,
            pwa=False,
            mcp_server=False,
            # Fonts that every machine has: Gradio's own ones come from elsewhere.
            theme=gradio.themes.Default(
                font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"]
            ),
            css_paths=[HERE / "page.css"],
            head=f"<script>\n{script}</script>",
        )
        page.add_middleware(_WithPolicy)
        yield page


def exit_at_signals() -> None:
    """Makes SIGTERM, and SIGHUP of a terminal that is closed, exits that still remove the files.

    By default they end a process at once. One that is ignored, as under nohup, stays so.
    """
    # Windows has no SIGHUP.
    for handled in (signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)):
        if signal.getsignal(handled) is not signal.SIG_IGN:
            signal.signal(handled, lambda number, _: sys.exit(128 + number))


def serve_page(page: Any, listener: socket.socket, ready: Callable[[str], None]) -> None:
    """Serves a page on a socket until the process is told to end.

    Args:
        page: what `running_page` yielded.
        listener: what `tonezoo.sockets.listening_socket` returned.
        ready: called with the page's URL when it can be opened.
    """
    server = web_server(page, lambda: ready(url_of(listener)))
    with contextlib.suppress(KeyboardInterrupt):
        server.run(sockets=[listener])


def web_server(page: Any, ready: Callable[[], None] = lambda: None) -> Any:
    """Returns a uvicorn server for a page; `ready` is called when it answers."""
    import uvicorn

    class Server(uvicorn.Server):
        async def startup(self, sockets=None):
            await super().startup(sockets)
            ready()

    # An open page holds a connection for as long as it is open.
    return Server(uvicorn.Config(page, log_level="warning", timeout_graceful_shutdown=2))


def url_of(listener: socket.socket) -> str:
    """Returns the URL of the page on a socket.

    Example:

    >>> with socket.create_server(("127.0.0.1", 0)) as listener:
    ...     url_of(listener).startswith("http://127.0.0.1:")
    True
    """
    return f"http://{address(*listener.getsockname()[:2])}"


@contextlib.contextmanager
def _environment(changes: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in changes}
    os.environ.update(changes)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


class _WithPolicy:
    """An ASGI application whose answers all state the policy above."""

    def __init__(self, app: Any):
        self._app = app

    async def __call__(self, scope, receive, send):
        async def send_with_policy(message):
            if message["type"] == "http.response.start":
                headers = [
                    (b"content-security-policy", CONTENT_SECURITY_POLICY.encode()),
                    (b"referrer-policy", b"no-referrer"),
                ]
                message = {**message, "headers": [*message.get("headers", ()), *headers]}
            await send(message)

        await self._app(scope, receive, send_with_policy)
