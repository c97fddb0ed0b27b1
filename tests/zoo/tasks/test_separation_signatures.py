"""The signatures that exported separation models have of their own: by source, at any level."""

import importlib
import io
import shutil

import keras
import numpy as np
import pytest
import signals
import soundfile
import tensorflow as tf
from untrained_export import export_untrained, sign

import tonezoo
from tonezoo.audio import SOURCES
from tonezoo.models.demucs import Demucs
from tonezoo.serving.export import write_saved_model
from tonezoo.serving.operations import used_operations
from tonezoo.tasks import find_task
from tonezoo.tasks.separation import SeparationOptions

pytestmark = pytest.mark.slow


RATE_HZ = 44_100


@pytest.fixture(scope="module")
def task():
    return find_task("separation")


@pytest.fixture(scope="module")
def version(exported):
    return exported / "1"


def noise(time, batch=1, channels=2):
    return signals.noise(batch, time, channels, seed=time, peak=0.5)


def expected_sources(model, waveform):
    """What separation is stated to be: source -> (batch, time, channels), a signal at a time."""
    stems = []
    for signal in waveform:
        mono = signal.mean(axis=1)
        mean, std = mono.mean(), mono.std()
        normalised = (signal - mean) / std if std else np.zeros_like(signal)
        stems.append(std * np.asarray(model(normalised[None]))[0] + mean / len(model.sources))
    return {source: np.array(stems)[:, :, i] for i, source in enumerate(model.sources)}


def test_default_signature_brings_each_signal_to_its_own_level_and_back(loaded, keras_model):
    mixture = np.concatenate([noise(301), 0.01 * noise(301) + 0.2, 30 * noise(301), noise(301)])
    mixture[3] = 0.25
    outputs = loaded.signatures["serving_default"](waveform=mixture)
    expected = expected_sources(keras_model, mixture)
    levels = mixture.std(axis=(1, 2), keepdims=True) + 1e-3
    assert set(outputs) == set(expected)
    for source, stems in expected.items():
        # Of each signal's own level: float32 rounding of the network, 1e-6.
        np.testing.assert_allclose(outputs[source] / levels, stems / levels, rtol=0, atol=3e-5)
        alone = loaded.signatures["serving_default"](waveform=mixture[1:2])[source]
        np.testing.assert_allclose(outputs[source][1:2], alone, rtol=0, atol=1e-6)
        # The same but for the level.
        shifted = (outputs[source][1] - 0.2 / len(expected)) / 0.01
        np.testing.assert_allclose(shifted, outputs[source][0], rtol=0, atol=2e-4)


def test_silence_separates_into_silence_and_single_samples_are_finite(loaded):
    for mixture in (np.zeros((1, 100, 2), "float32"), noise(1)):
        for stems in loaded.signatures["serving_default"](waveform=mixture).values():
            assert stems.shape == mixture.shape and np.isfinite(stems).all()
            assert mixture.any() or not np.any(stems)


def test_channels_that_cancel_each_other_out_have_a_level_all_the_same(loaded, keras_model):
    left = noise(301, channels=1)
    mixture = np.concatenate([left, -left], axis=2)
    std = mixture.std()
    stems = std * np.asarray(keras_model(mixture / std))
    outputs = loaded.signatures["serving_default"](waveform=mixture)
    for index, source in enumerate(SOURCES):
        np.testing.assert_allclose(outputs[source], stems[:, :, index], rtol=0, atol=1e-5)
        soft = loaded.signatures["serving_default"](waveform=0.01 * mixture)[source]
        np.testing.assert_allclose(soft / 0.01, outputs[source], rtol=0, atol=1e-4)


def test_an_input_of_no_samples_is_refused(loaded, version):
    with pytest.raises(tf.errors.InvalidArgumentError, match="at least one sample"):
        loaded.signatures["serving_default"](waveform=np.zeros((1, 0, 2), "float32"))
    call = tonezoo.load(version)._call
    with pytest.raises(ValueError, match=r"1 fails on an input of the shape \(1, 0, 2\)"):
        call(np.zeros((1, 0, 2), "float32"))


def test_wav_signature_takes_mono_and_stereo_and_gives_one_file_per_source(loaded, keras_model):
    waveforms = [noise(200)[0], noise(333, channels=1)[0]]
    contents = tf.constant([signals.audio_bytes(signal, RATE_HZ) for signal in waveforms])
    outputs = loaded.signatures["wav_bytes"](audio_bytes=contents)
    assert set(outputs) == set(SOURCES)
    for index, signal in enumerate(waveforms):
        rounded = (np.round(signal * 32768) / 32768).astype("float32")
        stereo = np.repeat(rounded, 2 // signal.shape[1], axis=1)
        expected = expected_sources(keras_model, stereo[None])
        for source in SOURCES:
            content = outputs[source].numpy()[index]
            samples, rate_hz = soundfile.read(io.BytesIO(content), always_2d=True, dtype="float32")
            assert rate_hz == RATE_HZ and samples.shape == stereo.shape
            # 16 bits.
            np.testing.assert_allclose(
                samples, np.clip(expected[source][0], -1, 1), rtol=0, atol=1e-4
            )


@pytest.mark.parametrize(
    ("rate_hz", "channels", "message"),
    [
        (48_000, 2, "takes WAV files at 44100 Hz"),
        (RATE_HZ, 3, "takes WAV files of 1 or 2 channels"),
    ],
)
def test_wav_signature_refuses_another_rate_or_more_channels(loaded, rate_hz, channels, message):
    content = signals.audio_bytes(noise(50, channels=channels)[0], rate_hz)
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        loaded.signatures["wav_bytes"](audio_bytes=tf.constant([content]))


def test_a_machine_with_a_gpu_exports_the_same_recurrent_layers(version, tmp_path, monkeypatch):
    """Keras would put cuDNN's into the graph where it sees a GPU; other machines lack it."""
    rnn = importlib.import_module("keras.src.backend.tensorflow.rnn")
    if not hasattr(rnn, "_is_gpu_available"):
        pytest.skip("this Keras decides otherwise whether to use cuDNN")
    monkeypatch.setattr(rnn, "_is_gpu_available", lambda: True)
    lstm = keras.layers.LSTM(3, return_sequences=True)
    lstm.build((None, None, 2))
    graph = tf.function(lstm).get_concrete_function(tf.TensorSpec((1, 5, 2))).graph
    names = {node.op for f in graph.as_graph_def().library.function for node in f.node_def}
    names |= {node.op for node in graph.as_graph_def().node}
    assert [name for name in names if name.startswith("Cudnn")], "the test would see nothing"
    export_untrained("separation", tmp_path / "model")
    operations = used_operations(tmp_path / "model" / "1")
    assert not [name for name in operations if "cudnn" in name.lower()]
    assert operations == used_operations(version)


@pytest.mark.parametrize("upsampler", ["nearest", "linear", "subpixel"])
def test_every_upsampler_can_be_exported(tmp_path, upsampler):
    model = Demucs(width=4, depth=2, upsampler=upsampler, sources=("a", "b c"), channels=1)
    model.build((None, None, 1))
    write_saved_model(model, tmp_path)
    mixture = noise(101, channels=1)
    outputs = tf.saved_model.load(str(tmp_path)).signatures["normalized"](waveform=mixture)
    stems = np.asarray(model(mixture))
    for index, source in enumerate(("a", "b c")):
        np.testing.assert_allclose(outputs[source], stems[:, :, index], rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"segment_samples": ...}, "states segment_samples as None"),
        ({"sources": ...}, "states sources as None, but it must be a list of different words"),
        ({"sources": []}, r"states sources as \[\], but it must be a list"),
        ({"sources": ["drums", 1]}, "sources as .*, but it must be a list"),
        ({"sources": ["drums", "../bass"]}, "A source is called '../bass', which no file can be"),
    ],
)
def test_a_signed_manifest_without_usable_facts_is_refused(exported, tmp_path, facts, message):
    copy = shutil.copytree(exported, tmp_path / "model")
    sign(copy / "1", **facts)
    with pytest.raises(ValueError, match=message):
        tonezoo.load(copy)


def test_run_and_export_separate_alike(tiny_separation_run, tiny_separation_model):
    of_run, exported = (tonezoo.load(p) for p in (tiny_separation_run, tiny_separation_model))
    assert (of_run.name, exported.name) == ("tiny_separation", "tiny_separation 1")
    for fact in ("sources", "channels", "sample_rate_hz", "segment_samples", "grid_samples"):
        assert getattr(of_run, fact) == getattr(exported, fact)
    assert of_run.context_samples == exported.context_samples
    mixture = 0.3 * noise(9000)[0] + np.float32(0.1)
    for signal, rate_hz, options in (
        (mixture, RATE_HZ, SeparationOptions()),
        (mixture, RATE_HZ, SeparationOptions(segment_s=0.1, shifts=2)),
        (mixture[:, 0], 22_050, SeparationOptions()),
    ):
        a, b = (model.separate(signal, rate_hz, options) for model in (of_run, exported))
        assert list(a) == list(b) == list(SOURCES)
        for source in SOURCES:
            assert a[source].shape == signal.shape
            np.testing.assert_allclose(a[source], b[source], rtol=0, atol=1e-6)


def test_a_short_signal_is_separated_as_the_signature_does(loaded, exported):
    mixture = noise(2000)
    outputs = loaded.signatures["serving_default"](waveform=mixture)
    stems = tonezoo.load(exported).separate(mixture[0], RATE_HZ)
    for source in SOURCES:
        np.testing.assert_allclose(stems[source], outputs[source][0], rtol=0, atol=1e-6)
