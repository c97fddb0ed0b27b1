"""What previews write to TensorBoard."""

import numpy as np
import tensorflow as tf
from keras import ops

from tonezoo.recipes.preview import StemPreview
from tonezoo.tasks.separation.engine import Separator


def bent(mixture, training=False):
    """A model of two sources whose output depends on the level and the mean of its input."""
    return ops.stack([ops.tanh(mixture), 0.1 - 0.5 * ops.abs(mixture)], axis=2)


bent.channels = 2


def written(preview, folder):
    """Returns tag -> samples (time, channels) of what a preview writes to TensorBoard."""
    writer = tf.summary.create_file_writer(str(folder))
    with writer.as_default():
        preview(bent, 3)
    writer.close()
    found = {}
    for path in folder.iterdir():
        for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
            event = tf.compat.v1.Event.FromString(record)
            for value in event.summary.value:
                samples, rate_hz = tf.audio.decode_wav(value.tensor.string_val[0])
                assert event.step == 3 and rate_hz == 8000
                found[value.tag.removesuffix("/summary")] = samples.numpy()
    return found


def test_previews_play_what_separate_gives_beside_the_targets(tmp_path):
    rng = np.random.default_rng(0)
    # 4 s, of which 3 are played, the second far softer than the first.
    stems = (0.01 * rng.standard_normal((2, 32_000, 2))).astype("float32")
    stems[1] *= 0.1
    # Channels that nearly cancel each other out, beside a mean.
    opposite = np.zeros_like(stems)
    left = 0.1 * rng.standard_normal(32_000)
    opposite[0] = np.stack([left + 0.2, -0.9 * left + 0.2], axis=1)
    silent = np.zeros((2, 100, 2), "float32")
    tracks = {"song": stems, "opposite": opposite, "silent": silent}
    preview = StemPreview(tracks, sources=("drums", "bass"), sample_rate_hz=8000)
    found = written(preview, tmp_path)
    assert len(found) == 12
    separator = Separator(
        bent,
        sources=("drums", "bass"),
        channels=2,
        sample_rate_hz=8000,
        segment_samples=24_000,
        grid_samples=1,
        context_samples=0,
        name="bent",
    )
    for name, signals in tracks.items():
        signals = signals[:, :24_000]
        separated = separator.separate(signals.sum(axis=0), 8000)
        for source, target in zip(("drums", "bass"), signals, strict=True):
            expected = {"output": separated[source], "target": target}
            for kind, signal in expected.items():
                # 16 bits.
                samples = found[f"{name} {source} {kind}"]
                np.testing.assert_allclose(samples, signal.clip(-1, 1), rtol=0, atol=2**-15)
    assert np.abs(found["opposite drums output"]).max() > 0.1
