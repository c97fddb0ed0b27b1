"""What the page makes of uploads, without a browser."""

import numpy as np
import pytest
import soundfile
from signals import noise
from stub_server import Models, serve_grpc
from stubs import separator, shares, super_resolver

from tonezoo.app import offers, results
from tonezoo.app.answers import Limits, Signal, answer, read_recording
from tonezoo.app.offers import Offer, local_offers, served_offers
from tonezoo.app.pictures import spectrogram
from tonezoo.app.results import ResultFiles, problem_html, result_html
from tonezoo.app.server import HERE
from tonezoo.audio.resampling import resample
from tonezoo.pretrained import shipped_models
from tonezoo.sockets import listening_socket
from tonezoo.tasks.vocoding import VocodingFacts
from tonezoo.tasks.vocoding.engine import Vocoder

RATE_HZ = 8000


DOUBLER = super_resolver(ratio=2, sample_rate_hz=2 * RATE_HZ, name="doubler")


def halves(names=("soft", "loud")):
    return separator(shares(0.25, 0.75), names)


def recording(seconds=1.0, rate_hz=RATE_HZ, channels=1) -> Signal:
    return Signal("recording", noise(round(seconds * rate_hz), channels), rate_hz)


def test_a_recording_at_the_model_s_rate_is_enhanced_as_by_the_engine():
    # Longer than what is computed at once.
    given, shares = recording(25.0), []
    got = answer(DOUBLER, given, None, shares.append)
    (before,), (after,) = got.before, got.after
    np.testing.assert_array_equal(after.samples, np.repeat(given.samples, 2, axis=0))
    assert before.sample_rate_hz == after.sample_rate_hz == 2 * RATE_HZ
    assert len(before.samples) == len(after.samples)
    assert not got.notices and shares == [0.4, 0.8, 1.0]


def test_a_recording_above_it_is_shown_beside_what_the_model_gets():
    given = recording(1.0, 6 * RATE_HZ, channels=2)
    got = answer(DOUBLER, given, None, lambda share: None)
    assert [signal.name for signal in got.before] == ["recording", "what the model is given"]
    whole, low = got.before
    assert {signal.samples.shape for signal in (whole, low, *got.after)} == {(2 * RATE_HZ, 2)}
    power = [np.abs(np.fft.rfft(signal.samples[:, 0])) ** 2 for signal in (whole, low)]
    upper = slice(RATE_HZ * 5 // 8, RATE_HZ * 7 // 8)
    assert power[1][upper].sum() < 1e-6 * power[0][upper].sum()
    assert "Resampled down from 48000 Hz to the 8000 Hz" in got.notices[0]


def test_a_mixture_comes_apart():
    given = recording(0.5, channels=2)
    got = answer(halves(), given, None, lambda share: None)
    assert got.is_mix and got.before == (given,)
    expected = halves().separate(given.samples, RATE_HZ)
    assert [signal.name for signal in got.after] == list(expected) == ["soft", "loud"]
    for signal in got.after:
        assert signal.sample_rate_hz == RATE_HZ
        np.testing.assert_array_equal(signal.samples, expected[signal.name])


@pytest.mark.parametrize("rate_hz", [RATE_HZ, 2 * RATE_HZ])
def test_a_vocoder_gets_the_recording_s_own_mel_spectrogram(rate_hz):
    facts = {"sample_rate_hz": RATE_HZ, "channels": 3, "grid_samples": 16, "context_samples": 0}
    facts |= {"hop_samples": 16, "window_samples": 64, "lowest_hz": 0.0, "highest_hz": 4000.0}
    # The mean over the bands in every sample of a frame.
    vocoder = Vocoder(
        lambda mel: np.repeat(mel.mean(axis=2, keepdims=True), 16, axis=1),
        VocodingFacts(**facts),
        "means",
    )
    given = recording(0.5, rate_hz, channels=2)
    got = answer(vocoder, given, None, lambda share: None)
    (before,), (after,) = got.before, got.after
    own = resample(given.samples, rate_hz, RATE_HZ)
    np.testing.assert_array_equal(before.samples, own)
    expected = np.repeat(vocoder.mel(own[:, 1], RATE_HZ).mean(axis=1), 16)
    np.testing.assert_allclose(after.samples[:, 1], expected[: len(own)], rtol=0, atol=1e-5)
    assert before.sample_rate_hz == after.sample_rate_hz == RATE_HZ
    assert len(got.notices) == (rate_hz != RATE_HZ) and not got.is_mix


@pytest.mark.parametrize(
    ("write", "limits", "message"),
    [
        ((np.zeros(2 * RATE_HZ + 1), RATE_HZ), Limits(1, 2), "a.wav is 2 s long, but"),
        ((np.zeros((100, 3)), RATE_HZ), Limits(), "has 3 channels at 8000 Hz, but"),
        ((np.zeros(100), 192_001), Limits(), "has 1 channels at 192001 Hz, but"),
        ((np.zeros(600_000), RATE_HZ), Limits(1, 200), "has 1.14 MB, but"),
        ((np.full(100, np.nan), RATE_HZ), Limits(), "a.wav holds nan at 0.000 s"),
    ],
)
def test_a_recording_beyond_the_limits_is_refused(tmp_path, write, limits, message):
    samples, rate_hz = write
    is_float = np.isnan(samples).any()
    subtype = "FLOAT" if is_float else "PCM_16"
    soundfile.write(tmp_path / "a.wav", samples, rate_hz, subtype=subtype)
    with pytest.raises(ValueError, match=message) as error:
        read_recording(tmp_path / "a.wav", limits)
    assert str(tmp_path) not in str(error.value)


def test_a_recording_at_the_limit_is_taken(tmp_path):
    soundfile.write(tmp_path / "a.flac", np.zeros(2 * RATE_HZ), RATE_HZ)
    signal, notice = read_recording(tmp_path / "a.flac", Limits(1, 2))
    assert signal.samples.shape == (2 * RATE_HZ, 1) and notice is None


def test_a_stream_that_hides_its_length_is_not_decoded_to_its_end(tmp_path, monkeypatch):
    soundfile.write(tmp_path / "a.flac", np.zeros(40 * 65_536), RATE_HZ)
    text = bytearray((tmp_path / "a.flac").read_bytes())
    text[21] &= 0xF0  # STREAMINFO's 36 bits of the number of samples: 0 for an unknown one.
    text[22:26] = bytes(4)
    (tmp_path / "a.flac").write_bytes(text)
    with pytest.raises(ValueError, match="but this page takes up to 1 s"):
        read_recording(tmp_path / "a.flac", Limits(1, 1))


@pytest.mark.parametrize("limits", [{"megabytes": 0}, {"seconds": -1}, {"seconds": float("nan")}])
def test_limits_of_nothing_are_refused(limits):
    with pytest.raises(ValueError, match=r"--max-(mb|s) is .* Give a number above 0"):
        Limits(**limits)


def test_a_result_is_replaced_by_the_next_and_ends_with_the_visit(tmp_path):
    files = ResultFiles(tmp_path)
    first, others = files.begin("../../evil"), files.begin("other")
    assert tmp_path in first.parents and first.is_dir()
    second = files.begin("../../evil")
    assert second.is_dir() and not first.exists() and others.is_dir()
    files.end("../../evil")
    assert not second.exists() and others.is_dir()


def test_a_visit_that_ends_while_its_result_is_made_leaves_nothing(tmp_path):
    files = ResultFiles(tmp_path)
    with files.computing("closed"), files.computing("open"):
        files.end("closed")
        (files.begin("closed") / "a.wav").touch()
        kept = files.begin("open")
    assert kept.is_dir() and [*tmp_path.iterdir()] == [kept.parent]
    # A page that was only cut off may go on.
    with files.computing("closed"):
        again = files.begin("closed")
    assert again.is_dir()


def test_names_of_files_and_sources_cannot_be_markup(tmp_path):
    got = answer(halves(("<b>", "a & b")), recording(), None, lambda share: None)
    text = result_html(got, "<i>.wav through halves", 'x"y', tmp_path)
    assert "<b>" not in text and "<i>" not in text and 'x"y' not in text
    assert "&lt;b&gt;" in text and "a &amp; b" in text
    assert "<script" not in problem_html("<script>")
    assert {path.name for path in tmp_path.iterdir()} >= {'x"y-a_&_b.wav'}


def test_the_files_hold_the_signals_bit_by_bit(tmp_path):
    got = answer(halves(), recording(), None, lambda share: None)
    result_html(got, "", "song", tmp_path)
    samples, rate_hz = soundfile.read(tmp_path / "song-loud.wav", dtype="float32", always_2d=True)
    assert rate_hz == RATE_HZ
    np.testing.assert_array_equal(samples, got.after[1].samples)


def test_lines_are_marked_in_the_picture():
    """Each marker is one `use` element; without lines there is none."""
    signal = recording(2.0)
    marks = [spectrogram(signal, lines, 0.0).count("<use") for lines in ([], [1000.0, 2000.0])]
    assert marks[1] - marks[0] == 2


def test_silence_is_drawn(tmp_path):
    silence = Signal("recording", np.zeros((RATE_HZ, 1), "float32"), RATE_HZ)
    got = answer(DOUBLER, silence, None, lambda share: None)
    assert "no comb of steady lines" in result_html(got, "", "silence", tmp_path)


def test_the_shipped_models_are_offered_with_their_own_strength():
    found = {offer.name: offer for offer in local_offers()}
    assert next(iter(found)) == "band_extender_speech_x4"
    assert found["band_extender_speech_x4"].strength_db == -4.0
    assert found["demucs_small_music"].strength_db is None


@pytest.mark.parametrize(
    ("models", "message"),
    [
        (["nothing"], "There is no model at nothing"),
        (["demucs_small_music", "demucs_small_music"], "Two models are called demucs_small_music"),
    ],
)
def test_unusable_choices_of_models_are_refused(models, message):
    with pytest.raises(ValueError, match=message):
        local_offers(models)


def test_a_task_that_the_page_does_not_show_is_refused(monkeypatch):
    monkeypatch.setattr(offers, "ANSWERS", {"super_resolution": None})
    with pytest.raises(ValueError, match=r"demucs_small_music is a model of .*does not show"):
        local_offers(["demucs_small_music"])


def test_models_of_a_server_are_loaded_by_its_client(monkeypatch):
    asked = []

    class Client:
        def __init__(self, address):
            asked.append(address)

        def load(self, name):
            asked.append(name)
            return {"high": DOUBLER, "apart": halves()}[name]

    monkeypatch.setattr("tonezoo.serving.Client", Client)
    high, apart = served_offers("localhost:8500", ["high", "apart"])
    assert asked == ["localhost:8500", "high", "apart"]
    assert (high.task, high.strength_db) == ("super_resolution", 0.0)
    assert (apart.task, apart.strength_db) == ("separation", None)
    # Each time anew, as the server may have replaced the model.
    assert high.load().name == "doubler" and asked[3:] == ["high"]


def test_a_model_at_a_server_answers_as_here():
    name = "band_extender_speech_x4"
    server, port = serve_grpc(Models(shipped_models().__getitem__))
    (served,), (local,) = served_offers(f"127.0.0.1:{port}", [name]), local_offers([name])
    assert (served.label, served.strength_db) == (local.label, local.strength_db)
    given = recording(0.1, 4000)
    ours, theirs = (
        answer(offer.load(), given, 3.0, lambda share: None).after[0] for offer in (local, served)
    )
    np.testing.assert_allclose(theirs.samples, ours.samples, rtol=0, atol=1e-5)
    assert theirs.sample_rate_hz == ours.sample_rate_hz == 16_000
    with pytest.raises(ValueError, match="refuses this"):
        served_offers(f"127.0.0.1:{port}", ["other"])
    server.stop(None)


def test_a_server_s_models_have_to_be_named():
    with pytest.raises(ValueError, match="--model NAME"):
        served_offers("localhost:8500", [])


def test_the_page_s_script_and_style_are_installed():
    for name in ("mixer.js", "page.css"):
        assert (HERE / name).is_file()


def test_a_port_in_use_is_told_before_anything_is_loaded(cli):
    with listening_socket("127.0.0.1", 0, "--port") as taken:
        port = taken.getsockname()[1]
        code, out, err = cli("app", "--port", port)
    assert code == 1 and not out
    assert f"Port {port} of 127.0.0.1 is in use. Stop the program that listens there, or" in err


def test_an_address_of_another_machine_is_refused(cli):
    code, _, err = cli("app", "--host", "192.0.2.1")
    assert code == 1 and "Cannot listen at 192.0.2.1:7860: " in err
    code, _, err = cli("app", "--host", "no such host")
    assert code == 1 and "Cannot listen at no such host:7860: " in err


def test_the_offer_s_label_names_the_command():
    assert Offer("mine", "vocoding", None, lambda: DOUBLER).label == "mine (vocode)"


def test_a_file_name_of_any_length_becomes_one(tmp_path):
    got = answer(DOUBLER, recording(), None, lambda share: None)
    result_html(got, "", 300 * "n", tmp_path)
    assert max(len(path.name) for path in tmp_path.iterdir()) < results.LONGEST_STEM + 40
