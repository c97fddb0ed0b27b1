"""`tonezoo artifacts` on models of every kind and on audio."""

import json

import keras
import numpy as np
import pytest
from signals import noise, write_audio

from tonezoo.layers import TransposedConv1D

OWN_MODULE = """
import keras

def tonal():
    keras.utils.set_random_seed(0)
    layer = keras.layers.Conv1DTranspose(1, 8, 4, padding="same")
    return keras.Sequential([keras.Input((None, 1)), layer])
"""


class Doubled(keras.layers.Layer):
    def call(self, x):
        return 2 * x


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def save(path, *layers, channels=1):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((None, channels)), *layers])
    if path.suffix == ".keras":
        model.save(path)
    else:
        model.export(path, verbose=False)


def test_a_keras_file_of_plain_layers(cli, folder):
    save(
        folder / "model.keras",
        keras.layers.Conv1DTranspose(4, 6, 3, padding="same", name="up"),
        keras.layers.UpSampling1D(2, name="held"),
        keras.layers.Conv1D(1, 5, padding="same"),
    )
    code, out, err = cli(
        "artifacts", "model.keras", "--inputs", "ones,noise", "--sample-rate-hz", 48_000
    )
    text = " ".join(out.split())
    assert code == 0, err
    assert "up (transposed, x3): tonal artifacts" in text
    assert "held (interpolation, x2): filtering artifacts" in text
    # 48 kHz out: 6 output samples for each of the input.
    assert "8,000.00 Hz" in text and "24,000.00 Hz" in text


def test_a_report_is_written_and_a_limit_kept(cli, folder):
    (folder / "own_lines.py").write_text(OWN_MODULE)
    words = ("artifacts", "own_lines:tonal", "--inputs", "ones", "--out", "report")
    assert cli(*words, "--max-line-db", 200)[0] == 0
    code, out, _ = cli(*words, "--max-line-db", 20)
    assert code == 3 and "more than 20 dB" in out
    written = json.loads((folder / "report" / "artifacts.json").read_text())
    assert written["periods"] == [4] and written["line_db"] > 20
    assert [layer["artifact"] for layer in written["layers"]] == ["tonal"]
    page = (folder / "report" / "artifacts.html").read_text()
    assert page.count("<svg") == 1 and "data:audio/wav;base64," in page
    assert "http://" not in page.replace("http://www.w3.org", "") and "https://" not in page


def test_a_saved_model_of_ours_and_one_of_anyones(cli, tiny_model, folder):
    code, out, err = cli("artifacts", tiny_model, "--inputs", "noise")
    assert code == 0, err
    assert "subpixel" in out
    save(folder / "saved", TransposedConv1D(1, 8, 4))
    code, out, err = cli("artifacts", "saved", "--inputs", "ones")
    assert code == 0, err
    # Nothing is known of its layers.
    assert "steady lines at multiples of 8,000.00 Hz" in " ".join(out.split())
    code, out, err = cli("artifacts", "saved", "--inputs", "ones", "--strides", "4")
    assert "2 of 2 lines stand out" in " ".join(out.split())


def test_a_preset(cli, folder):
    code, out, err = cli("artifacts", "mel_gan:tiny", "--inputs", "silence")
    assert code == 0, err
    assert out.count("tonal artifacts") == 4


def test_an_audio_file(cli, folder):
    samples = noise(2**16, 2, std=1e-3)
    pulses = 0.02 * (np.arange(2**16) % 8 == 0)
    write_audio(folder / "clip.wav", samples + pulses[:, None], 16_000)
    code, out, err = cli("artifacts", "clip.wav")
    text = " ".join(out.split())
    assert code == 0, err
    assert "multiples of 2,000.00 Hz (1/8 of the rate)" in text
    assert "strides whose product is 8 leaves such lines; so does other" in text
    code, out, _ = cli("artifacts", "clip.wav", "--strides", "2,4", "--max-line-db", 6)
    assert code == 3 and "4 of 4 lines stand out" in " ".join(out.split())
    write_audio(folder / "plain.wav", samples, 16_000)
    code, out, _ = cli("artifacts", "plain.wav", "--max-line-db", 6)
    assert code == 0 and "no comb of steady lines" in out


def test_wrong_input_gets_one_message(cli, folder):
    write_audio(folder / "short.wav", noise(100), 16_000)
    save(folder / "own.keras", Doubled())
    save(folder / "plain.keras", keras.layers.Conv1D(1, 3, padding="same"))
    (folder / "empty").mkdir()
    before = sorted(folder.rglob("*"))
    for words, message in (
        (["short.wav"], "at least 12288 samples, but there are 100"),
        (["nothing"], "There is no model nothing"),
        (["empty"], "is not a tonezoo model"),
        (["own.keras"], "If it needs classes or functions of yours"),
        (["plain.keras", "--inputs", "hiss"], "There is no file hiss"),
        (["plain.keras", "--strides", "2,x"], "--strides takes whole numbers"),
        (["plain.keras", "--strides", "0"], "Strides are whole numbers of at least 1"),
        (["plain.keras", "--periods", "257,263"], "a common multiple of at most 65,536"),
        (["plain.keras", "--inputs", " , "], "at least one. Received none"),
        (["plain.keras", "--periods", "4", "--strides", "4"], "Give one of them"),
    ):
        code, _, err = cli("artifacts", *words, "--out", "report")
        assert code == 1 and message in " ".join(err.split()), err
        assert "Traceback" not in err
    assert sorted(folder.rglob("*")) == before
    code, out, _ = cli("artifacts", "plain.keras", "--inputs", "noise")
    assert code == 0 and "has no upsampling layer that can be found" in out
