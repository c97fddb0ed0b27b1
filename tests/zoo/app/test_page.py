"""The page in a browser: a recording in, what the model makes of it out, nothing anywhere else."""

import contextlib
import errno
import importlib.util
import io
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.parse
import urllib.request
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
from signals import noise, write_audio
from stubs import separator, shares

import tonezoo
from tonezoo.app.answers import Limits
from tonezoo.app.offers import Offer, local_offers
from tonezoo.app.page import build_page
from tonezoo.app.results import ResultFiles
from tonezoo.app.server import exit_at_signals, running_page, url_of, web_server
from tonezoo.audio.resampling import decimate
from tonezoo.recipes.corpus.speech import procedural_corpus
from tonezoo.sockets import listening_socket

# Importing it makes a folder, which has to be that of the page: `running_page` does it.
pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("gradio") is None, reason="Gradio is not installed"
)
MODEL = "band_extender_speech_x4"
SIZES = {"desk": (1280, 900), "phone": (390, 844)}
ENDING = """
from stubs import separator, shares
from tonezoo.app.answers import Limits
from tonezoo.app.offers import Offer
from tonezoo.app.server import exit_at_signals, running_page, serve_page
from tonezoo.sockets import listening_socket

offer = Offer("halves", "separation", None, lambda: separator(shares(0.5, 0.5)))
exit_at_signals()
listener = listening_socket("127.0.0.1", 0, "--port")
with listener, running_page([offer], Limits()) as page:
    serve_page(page, listener, lambda url: print(url, flush=True))
"""
# How many of the two stems' players begin.
DOUBLE_CLICK = """async () => {
  const mixer = document.querySelector("tonezoo-mixer");
  const make = mixer.context.createBufferSource.bind(mixer.context);
  let begun = 0;
  mixer.context.createBufferSource = () => (begun++, make());
  mixer.playButton.click();
  mixer.playButton.click();
  while (!mixer.playing) await new Promise((resolve) => setTimeout(resolve, 20));
  mixer.pause();
  mixer.moveTo(0);
  return begun;
}"""


@pytest.fixture(scope="module")
def connections():
    """Addresses that this process connects to."""
    addresses, connect = [], socket.socket.connect

    def recorded(self, address):
        addresses.append(address)
        return connect(self, address)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", recorded)
        yield addresses


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """The folder of temporary files, and the working directory, of the page's process."""
    temporary, here = tmp_path_factory.mktemp("temporary"), tmp_path_factory.mktemp("here")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tempfile.tempdir", str(temporary))
        patch.setattr("tonezoo.app.server.SWEEP_EVERY_S", 0.1)
        patch.chdir(here)
        yield temporary, here


def broken():
    raise PermissionError(errno.EACCES, "Permission denied", "/secret/place")


@pytest.fixture(scope="module")
def url(connections, folders):
    """The page with a shipped model and one that shares a mixture out."""
    sources = Offer(
        "thirds",
        "separation",
        None,
        lambda: separator(shares(2 / 3, 1 / 3), ("high", "low"), channels=1),
    )
    offers = [*local_offers([MODEL]), sources, Offer("broken", "vocoding", None, broken)]
    with (
        listening_socket("127.0.0.1", 0, "--port") as listener,
        running_page(offers, Limits(megabytes=1, seconds=5)) as page,
    ):
        answers = threading.Event()
        server = web_server(page, answers.set)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        assert answers.wait(60)
        yield url_of(listener)
        server.should_exit = True
        thread.join()
    temporary, here = folders
    assert not [*temporary.iterdir()] and not [*here.iterdir()]
    hosts = {address[0] for address in connections if isinstance(address, tuple)}
    assert hosts <= {"127.0.0.1", "localhost", "::1"}


@pytest.fixture
def open_page(browser, url):
    """open_page(size): the page in a window of that size."""
    errors, requests = [], []
    with contextlib.ExitStack() as stack:

        def open_window(size="desk"):
            width, height = SIZES[size]
            context = stack.enter_context(
                browser.new_context(viewport={"width": width, "height": height})
            )
            page = context.new_page()
            page.set_default_timeout(30_000)
            page.on("pageerror", lambda error: errors.append(error))
            page.on("request", lambda request: requests.append(request.url))
            page.goto(url)
            page.locator("#recording input[type=file]").wait_for(state="attached")
            return page

        yield open_window
    assert not errors
    assert len(requests) > 10
    assert not [each for each in requests if not each.startswith((url, "data:", "blob:"))]


@pytest.fixture(scope="module")
def low(tmp_path_factory) -> Path:
    """Two seconds of speech at 4 kHz."""
    (clip,) = procedural_corpus(clips=1, segment_s=2.0).values()
    path = tmp_path_factory.mktemp("audio") / "low.wav"
    return write_audio(path, decimate(clip, 4), 4000, subtype="FLOAT")


def upload(page, path):
    page.set_input_files("#recording input[type=file]", path)
    page.locator("#recording").get_by_role("button", name="Play", exact=True).wait_for()


def choose(page, model):
    page.locator("#model input").click()
    page.get_by_role("option", name=model).click()


def run(page):
    page.get_by_role("button", name="Run").click()


def heard(page, name):
    """Returns what is downloaded of a signal: samples and rate."""
    link = page.locator(f"#result figure[data-signal='{name}'] a[download]")
    answer = page.request.get(urllib.parse.urljoin(page.url, link.get_attribute("href")))
    assert answer.ok
    return soundfile.read(io.BytesIO(answer.body()), dtype="float32")


def fits(page):
    width, window = page.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
    return width <= window


@pytest.mark.slow
def test_an_uploaded_recording_comes_back_enhanced(open_page, low):
    page = open_page()
    run(page)
    page.get_by_role("alert").get_by_text("Upload or record something first").wait_for()
    upload(page, low)
    run(page)
    player = page.locator("#result figure[data-signal='enhanced'] audio")
    player.wait_for()
    samples, rate_hz = soundfile.read(low, dtype="float32")
    enhanced, enhanced_hz = heard(page, "enhanced")
    assert (enhanced_hz, len(enhanced)) == (16_000, 4 * len(samples))
    np.testing.assert_allclose(
        enhanced, tonezoo.enhance(samples, rate_hz, model=MODEL), rtol=0, atol=1e-6
    )
    page.wait_for_function("player => player.duration > 0", arg=player.element_handle())
    assert player.evaluate("player => player.duration") == len(enhanced) / 16_000
    assert page.locator("#result figure svg").count() == 2

    strength = page.locator("#strength input[type=number]")
    assert strength.input_value() == "-4"
    strength.fill("6")
    strength.press("Enter")
    player.evaluate("player => { player.closest('figure').id = 'before'; }")
    run(page)
    page.locator("#before").wait_for(state="detached")
    louder, _ = heard(page, "enhanced")
    expected = tonezoo.enhance(samples, rate_hz, model=MODEL, strength_db=6)
    np.testing.assert_allclose(louder, expected, rtol=0, atol=1e-6)
    assert np.abs(louder - enhanced).max() > 1e-3


@pytest.mark.slow
def test_the_sources_are_mixed_by_mute_and_solo_on_a_phone(open_page, tmp_path):
    page = open_page("phone")
    assert fits(page)
    mixture = noise(8000, 2)
    upload(page, write_audio(tmp_path / "a song.wav", mixture, 8000, subtype="FLOAT"))
    choose(page, "thirds")
    page.locator("#strength").wait_for(state="hidden")
    run(page)
    play = page.get_by_role("button", name="Play all")
    play.wait_for()
    assert fits(page)
    for name, samples in (
        separator(shares(2 / 3, 1 / 3), ("high", "low"), channels=1).separate(mixture, 8000).items()
    ):
        downloaded, rate_hz = heard(page, name)
        assert rate_hz == 8000
        np.testing.assert_allclose(downloaded, samples, rtol=0, atol=1e-6)

    def gains():
        return page.evaluate(
            "document.querySelector('tonezoo-mixer').stems.map(stem => stem.gain.gain.value)"
        )

    def press(name):
        page.get_by_role("button", name=name, exact=True).click()

    assert gains() == [1, 1]
    press("Mute high")
    assert gains() == [0, 1]
    press("Solo high")  # still muted
    assert gains() == [0, 0]
    press("Mute high")
    assert gains() == [1, 0]
    press("Solo low")
    assert gains() == [1, 1]
    press("Solo low")
    press("Solo high")
    assert gains() == [1, 1]
    assert page.evaluate(DOUBLE_CLICK) == 2
    play.click()
    page.wait_for_function("document.querySelector('[data-seek]').value > 0.2")
    press("Pause")
    at = page.evaluate("Number(document.querySelector('[data-seek]').value)")
    play.click()
    page.wait_for_function("document.querySelector('[data-play]').textContent === 'Play all'")
    assert 0.2 < at < page.evaluate("Number(document.querySelector('[data-seek]').value)") == 1


@pytest.mark.slow
def test_a_recording_is_made_on_the_page(open_page):
    page = open_page()
    recorder = page.locator("#recording")
    recorder.get_by_role("button", name="Record audio").click()
    recorder.get_by_role("button", name="Record", exact=True).click()
    recorder.get_by_text("0:01").first.wait_for()
    recorder.get_by_role("button", name="Stop", exact=True).click()
    recorder.get_by_role("button", name="Play", exact=True).wait_for()
    choose(page, "thirds")
    run(page)
    page.get_by_role("button", name="Play all").wait_for()
    (recording, rate_hz), (high, _) = heard(page, "recording"), heard(page, "high")
    assert 0.5 < len(recording) / rate_hz < 5 and np.abs(recording).max() > 0.01
    assert high.shape == recording.shape and np.abs(high).max() > 0.005


@pytest.mark.slow
def test_what_cannot_be_taken_is_told(open_page, tmp_path):
    page = open_page()
    upload(page, write_audio(tmp_path / "long.wav", np.zeros(6 * 8000), 8000))
    run(page)
    page.get_by_role("alert").get_by_text("long.wav is 6 s long, but").wait_for()
    page = open_page()
    (tmp_path / "text.wav").write_text("no audio", encoding="utf-8")
    page.set_input_files("#recording input[type=file]", tmp_path / "text.wav")
    page.locator("#recording").get_by_role("button", name="Clear").wait_for()
    run(page)
    page.get_by_role("alert").get_by_text("text.wav is not readable as audio").wait_for()
    page = open_page()
    big = write_audio(tmp_path / "big.wav", np.zeros(600_000), 8000)
    page.set_input_files("#recording input[type=file]", big)
    page.get_by_text("exceed the maximum allowed size of 1").wait_for()


@pytest.mark.slow
def test_a_fault_shows_no_paths_of_the_machine(open_page, low, folders, capfd):
    page = open_page()
    upload(page, low)
    choose(page, "broken")
    run(page)
    page.locator("#result").get_by_text("Error").wait_for()
    assert "secret" not in page.content() and "secret" in capfd.readouterr().err
    for found in folders[0].glob("*/uploads/*/low.wav"):
        found.unlink()
    run(page)
    page.get_by_role("alert").get_by_text("The recording is gone").wait_for()


@pytest.mark.slow
def test_a_result_goes_when_its_page_is_closed(browser, url, low, folders):
    page = browser.new_page()
    page.goto(url)
    upload(page, low)
    choose(page, "thirds")
    run(page)
    page.get_by_role("button", name="Play all").wait_for()
    (found,) = folders[0].glob("*/results/*/*/low-high.wav")
    page.close()
    wait_until_gone(found)


def wait_until_gone(*paths):
    end = time.monotonic() + 10
    while any(path.exists() for path in paths):
        assert time.monotonic() < end, f"{paths} are still there"
        time.sleep(0.05)


@pytest.mark.slow
def test_what_was_left_by_a_visit_without_an_end_goes_by_age(url, folders):
    """What a client that hangs up leaves of an upload too, which Gradio forgets."""
    (folder,) = folders[0].glob("tonezoo-app-*")
    partial, upload = folder / "uploads" / "tmp123", folder / "uploads" / "sha" / "a.wav"
    result, new = folder / "results" / "visit" / "hex" / "a.wav", folder / "uploads" / "tmp456"
    for path in (partial, upload, result, new):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    for path in (partial, upload.parent, result.parents[1]):
        os.utime(path, (time.time() - 3400,) * 2)
    wait_until_gone(partial, upload.parent, result.parents[1])
    assert new.exists()
    new.unlink()


@pytest.mark.slow
def test_a_page_that_is_closed_while_the_model_computes_leaves_nothing(url, low, tmp_path):
    visit, calls = SimpleNamespace(session_hash="visit"), []

    def call(mixture):
        calls.append(functions["leave"](visit))
        return shares(0.5, 0.5)(mixture)

    halves = Offer("halves", "separation", None, lambda: separator(call))
    page = build_page([halves], Limits(), ResultFiles(tmp_path))
    functions = {each.name: each.fn for each in page.fns.values()}
    html = functions["run"](str(low), halves.label, 0.0, visit, lambda *share, **desc: None)
    assert calls and "low-a.wav" in html
    assert not [*tmp_path.iterdir()]


@pytest.mark.slow
def test_sigterm_leaves_nothing_behind(tmp_path):
    tests = Path(__file__).parents[2]
    process = subprocess.Popen(
        [sys.executable, "-c", ENDING],
        stdout=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env={"PATH": "", "TMPDIR": str(tmp_path), "PYTHONPATH": str(tests)},
    )
    url = process.stdout.readline().strip()
    assert [*tmp_path.glob("tonezoo-app-*/results")]
    with urllib.request.urlopen(url) as answer:
        assert "default-src 'self'" in answer.headers["Content-Security-Policy"]
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 128 + signal.SIGTERM
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_signals_are_exits_that_clean_up_unless_they_are_ignored(number):
    before = {each: signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGHUP)}
    try:
        signal.signal(number, signal.SIG_DFL)
        exit_at_signals()
        with pytest.raises(SystemExit) as stop:
            signal.raise_signal(number)
        assert stop.value.code == 128 + number
        signal.signal(number, signal.SIG_IGN)
        exit_at_signals()
        signal.raise_signal(number)
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
