"""Models as ONNX and LiteRT compute what they compute as SavedModels, at lengths that vary."""

import json

import keras
import numpy as np
import pytest
import signals

import tonezoo
from tonezoo.serving import convert
from tonezoo.serving.convert import litert_call, onnx_call, write_formats

pytestmark = pytest.mark.slow

CALLS = {"onnx": onnx_call, "litert": litert_call}
# Every model of audio that can be converted, and into what; docs/exporting.md has the same table.
CONVERTED = {
    "audio_unet": ("onnx", "litert"),
    "demucs": ("onnx",),
    "mel_gan": ("onnx", "litert"),
    "mu_gan": ("onnx", "litert"),
    "wave_unet": ("onnx", "litert"),
}
# band_extender, open_unmix and sams_net have the transform of vocos.
REFUSED = [("vocos", "onnx"), ("vocos", "litert"), ("demucs", "litert")]


@pytest.fixture(autouse=True)
def packages():
    for package in ("tf2onnx", "onnxruntime", "ai_edge_litert"):
        pytest.importorskip(package)


def tiny(name):
    keras.utils.set_random_seed(0)
    model = tonezoo.create_model(name, preset="tiny")
    return model, lambda signal: np.asarray(model(signal, training=False))


@pytest.mark.parametrize("name", CONVERTED)
def test_the_formats_compute_the_same(tmp_path, name):
    model, call = tiny(name)
    written = write_formats(model, tmp_path, CONVERTED[name], call)
    assert [*written] == [*CONVERTED[name]]
    for format, facts in written.items():
        assert 0 <= facts["largest_difference"] < 1e-5
        converted = CALLS[format](tmp_path / facts["file"])
        for batch, steps in ((1, 31), (3, 90)):
            signal = signals.noise(batch, steps, model.channels, seed=steps, peak=0.5)
            np.testing.assert_allclose(converted(signal), call(signal), rtol=0, atol=1e-5)


@pytest.mark.parametrize(("name", "format"), REFUSED)
def test_what_a_format_lacks_is_named(tmp_path, name, format):
    model, call = tiny(name)
    lacking = "the loop of an LSTM" if name == "demucs" else "the Fourier transform"
    message = rf"cannot be written as {format}, which lacks .*{lacking}.* Leave {format} out"
    with pytest.raises(ValueError, match=message):
        write_formats(model, tmp_path, [format], call)


def test_another_output_is_refused(tmp_path, monkeypatch):
    model, call = tiny("audio_unet")
    changed = {"added": lambda x: call(x) + np.float32(3e-4), "cut": lambda x: call(x)[:, 1:]}
    for change, difference in (("added", "0.0003"), ("cut", "inf")):
        monkeypatch.setattr(convert, "convert", lambda *_, change=change: changed[change])
        with pytest.raises(
            ValueError, match=f"as onnx differs from the SavedModel by {difference}"
        ):
            write_formats(model, tmp_path, ["onnx"], call)


def test_what_a_converter_raises_is_explained(tmp_path, monkeypatch):
    def fail(model, path, name):
        raise RuntimeError("No such thing.\nA long trace")

    monkeypatch.setattr(convert, "convert", fail)
    model, call = tiny("audio_unet")
    with pytest.raises(ValueError, match=r"written as litert: No such thing. Leave litert out"):
        write_formats(model, tmp_path, ["litert"], call)


def test_an_export_lists_its_formats(cli, tiny_runs, tmp_path):
    run, to = tiny_runs("vocoding"), tmp_path / "model"
    code, _, err = cli("export", run, "--to", to, "--formats", "onnx, coreml")
    assert code == 1 and "The formats are onnx, coreml. Give onnx or litert" in err
    assert not to.exists()
    code, _, err = cli("export", run, "--to", to, "--formats", "onnx")
    assert code == 0, err
    manifest = json.loads((to / "1" / "manifest.json").read_text())
    assert {*manifest["formats"]} == {"onnx"} and "model.onnx" in manifest["files"]
    assert manifest["formats"]["onnx"]["largest_difference"] < 1e-5
    with np.load(to / "1" / "golden.npz") as golden:
        output = onnx_call(to / "1" / "model.onnx")(golden["input"])
        np.testing.assert_allclose(output, golden["output"], rtol=0, atol=1e-5)
    (to / "1" / "model.onnx").write_bytes(b"x")
    with pytest.raises(ValueError, match=r"model.onnx was changed"):
        tonezoo.verify(to)
