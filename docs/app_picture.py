"""Takes docs/app.png: the page of `tonezoo app` with a made-up voice on it, in a browser."""

import shutil
import tempfile
import threading
from pathlib import Path

import soundfile
from playwright.sync_api import sync_playwright

from tonezoo.app.answers import Limits
from tonezoo.app.offers import local_offers
from tonezoo.app.server import running_page, url_of, web_server
from tonezoo.audio.resampling import decimate
from tonezoo.files import atomic_path
from tonezoo.recipes.corpus.speech import procedural_corpus
from tonezoo.sockets import listening_socket
from tonezoo.terminal import import_keras

TARGET = Path(__file__).with_name("app.png")


def take(url: str, recording: Path, picture: Path) -> None:
    """Uploads a recording to the page at a URL, runs the model, and writes a picture of it."""
    with sync_playwright() as playwright:
        path = shutil.which("chromium") or shutil.which("google-chrome")
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1200, "height": 860})
        page.goto(url)
        page.set_input_files("#recording input[type=file]", recording)
        page.locator("#recording").get_by_role("button", name="Play", exact=True).wait_for()
        page.get_by_role("button", name="Run").click()
        player = page.locator("#result audio").last
        player.wait_for()
        page.wait_for_function("player => player.duration > 0", arg=player.element_handle())
        page.mouse.move(0, 0)
        page.screenshot(path=picture)
        browser.close()


def main() -> None:
    import_keras()
    (clip,) = procedural_corpus(clips=1, segment_s=3.0).values()
    with (
        tempfile.TemporaryDirectory() as folder,
        listening_socket("127.0.0.1", 0, "--port") as listener,
        running_page(local_offers(), Limits()) as page,
    ):
        recording = Path(folder, "voice.wav")
        soundfile.write(recording, decimate(clip, 4), 4000, subtype="FLOAT")
        ready = threading.Event()
        server = web_server(page, ready.set)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        ready.wait()
        try:
            with atomic_path(TARGET) as picture:
                take(url_of(listener), recording, picture)
        finally:
            server.should_exit = True
            thread.join()


if __name__ == "__main__":
    main()
