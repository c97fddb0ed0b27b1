"""The signatures that exported super-resolution models have of their own."""

import io
import shutil

import numpy as np
import pytest
import signals
import soundfile
import tensorflow as tf
from untrained_export import sign

import tonezoo
from tonezoo.tasks import find_task
from tonezoo.tasks.super_resolution.evaluation import training_data

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def task():
    return find_task("super_resolution")


def noise(time, batch=1):
    return signals.noise(batch, time, 1, seed=time, peak=0.5)


def test_lengths_signature_gives_what_each_signal_gives_alone(loaded, keras_model):
    short, long = noise(40), noise(90)
    padded = np.concatenate([np.pad(short, ((0, 0), (0, 50), (0, 0)), constant_values=1), long])
    lengths = tf.constant([40, 90])
    output = loaded.signatures["with_lengths"](waveform=padded, lengths=lengths)["waveform"]
    np.testing.assert_allclose(output[:1, :160], keras_model(short), rtol=0, atol=1e-5)
    np.testing.assert_allclose(output[1:], keras_model(long), rtol=0, atol=1e-5)
    assert not np.any(output[0, 160:])


@pytest.mark.parametrize(
    ("lengths", "message"),
    [
        ([40], "one length for each signal"),
        ([40, 40, 40], "one length for each signal"),
        ([40, 91], "lengths from 0 to the samples"),
        ([40, -1], "lengths from 0 to the samples"),
    ],
)
def test_lengths_that_cannot_be_are_refused(loaded, lengths, message):
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        loaded.signatures["with_lengths"](waveform=noise(90, batch=2), lengths=tf.constant(lengths))


def test_a_length_of_nothing_gives_silence(loaded):
    output = loaded.signatures["with_lengths"](waveform=noise(90), lengths=tf.constant([0]))
    assert not np.any(output["waveform"])


def test_wav_signature_decodes_upsamples_and_encodes(loaded, keras_model):
    waveforms = [noise(64, batch=2)[:, :, 0].T, noise(33)[0]]
    contents = tf.constant([signals.audio_bytes(signal, 4000) for signal in waveforms])
    outputs = loaded.signatures["wav_bytes"](audio_bytes=contents)["audio_bytes"].numpy()
    for signal, output in zip(waveforms, outputs, strict=True):
        samples, rate_hz = soundfile.read(io.BytesIO(output), always_2d=True, dtype="float32")
        rounded = np.round(signal * 32768) / 32768
        expected = np.asarray(keras_model(rounded.T[:, :, None].astype("float32")))[:, :, 0].T
        assert rate_hz == 16_000 and samples.shape == expected.shape
        np.testing.assert_allclose(samples, np.clip(expected, -1, 1), rtol=0, atol=1e-4)


def with_list_chunk(content, size):
    """A WAV file with a LIST chunk of a size before its audio, padded where that is odd."""
    start = content.index(b"data")
    chunk = b"LIST" + size.to_bytes(4, "little") + bytes(size + size % 2)
    content = content[:start] + chunk + content[start:]
    return content[:4] + (len(content) - 8).to_bytes(4, "little") + content[8:]


@pytest.mark.parametrize("subtype", ["PCM_24", "FLOAT"])
def test_wav_signature_takes_16_bits_alone_as_the_docs_say(loaded, subtype):
    content = signals.audio_bytes(noise(64)[0], 4000, subtype=subtype)
    with pytest.raises(tf.errors.InvalidArgumentError):
        loaded.signatures["wav_bytes"](audio_bytes=tf.constant([content]))


def test_wav_signature_takes_chunks_of_even_size_alone_as_the_docs_say(loaded):
    content = signals.audio_bytes(noise(64)[0], 4000)
    even, odd = (with_list_chunk(content, size) for size in (10, 11))
    loaded.signatures["wav_bytes"](audio_bytes=tf.constant([even]))
    with pytest.raises(tf.errors.InvalidArgumentError):
        loaded.signatures["wav_bytes"](audio_bytes=tf.constant([odd]))


def test_wav_signature_refuses_another_rate(loaded):
    content = signals.audio_bytes(noise(50)[0], 8000)
    with pytest.raises(tf.errors.InvalidArgumentError, match="takes WAV files at 4000 Hz"):
        loaded.signatures["wav_bytes"](audio_bytes=tf.constant([content]))


@pytest.mark.parametrize("data", [..., {}, {"name": "x", "hold_out": [], "train": "a.wav"}])
def test_evaluation_has_to_know_what_was_trained_on(exported, tmp_path, data):
    copy = shutil.copytree(exported, tmp_path / "model")
    sign(copy / "1", data=data)
    with pytest.raises(ValueError, match="does not say what it was trained on"):
        training_data(copy)


def test_enhance_takes_an_array_and_the_run_gives_the_same(tiny_model, tiny_run):
    low = noise(500)[0, :, 0]
    output = tonezoo.enhance(low, 4000, model=tiny_model)
    assert output.shape == (2000,) and output.dtype == np.float32
    np.testing.assert_allclose(tonezoo.enhance(low, 4000, model=tiny_run), output, atol=1e-6)
    stereo = tonezoo.enhance(np.stack([low, low], axis=1), 4000, model=tiny_model)
    np.testing.assert_allclose(stereo, np.stack([output, output], axis=1), atol=1e-6)


def test_real_clips_come_back_at_exactly_four_times_their_length(exported, shared_audio):
    from tonezoo.audio.resampling import decimate

    model = tonezoo.load(exported)
    for path in sorted((shared_audio / "vctk" / "p228").iterdir())[:10]:
        low = decimate(soundfile.read(path, dtype="float32")[0], 4)
        assert model.enhance(low, 4000).shape == (4 * len(low),)
