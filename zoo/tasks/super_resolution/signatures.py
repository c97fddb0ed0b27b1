"""The signatures that exported super-resolution models serve."""

from tonezoo.serving.operations import not_empty
from tonezoo.tasks.super_resolution import RATE_TOLERANCE_HZ


def signatures(model) -> dict:
    """Returns the signatures of a super-resolution model.

    serving_default: `waveform` (batch, time, 1) -> `waveform` (batch, ratio * time, 1).
    with_lengths: the same with `lengths` (batch,), each from 0 to time. wav_bytes: `audio_bytes`
    (batch,), WAV files at the low rate -> `audio_bytes`, 16-bit WAV files.
    """
    import tensorflow as tf

    waveform = tf.TensorSpec((None, None, 1), tf.float32, name="waveform")
    lengths = tf.TensorSpec((None,), tf.int32, name="lengths")
    audio_bytes = tf.TensorSpec((None,), tf.string, name="audio_bytes")
    low_rate_hz = model.sample_rate_hz / model.ratio

    @tf.function(input_signature=[waveform])
    def serving_default(waveform):
        return {"waveform": tf.cast(model(not_empty(waveform), training=False), tf.float32)}

    def checked(lengths, waveform):
        batch, time = tf.shape(waveform)[0], tf.shape(waveform)[1]
        one_each = tf.debugging.Assert(
            tf.shape(lengths)[0] == batch,
            ["with_lengths takes one length for each signal, but got lengths:", lengths],
        )
        in_range = tf.debugging.Assert(
            tf.reduce_all((lengths >= 0) & (lengths <= time)),
            ["with_lengths takes lengths from 0 to the samples of the input, but got:", lengths],
        )
        with tf.control_dependencies([one_each, in_range]):
            return tf.identity(lengths)

    @tf.function(input_signature=[waveform, lengths])
    def with_lengths(waveform, lengths):
        lengths = checked(lengths, waveform)
        output = model(not_empty(waveform), lengths=lengths, training=False)
        return {"waveform": tf.cast(output, tf.float32)}

    def upsample_wav(contents):
        samples, rate_hz = tf.audio.decode_wav(contents)
        difference = tf.abs(tf.cast(rate_hz, tf.float32) - low_rate_hz)
        message = f"This model takes WAV files at {low_rate_hz:g} Hz, but got (Hz):"
        with tf.control_dependencies(
            [tf.debugging.Assert(difference <= RATE_TOLERANCE_HZ, [message, rate_hz])]
        ):
            channels = tf.transpose(samples)[:, :, None]
        output = tf.cast(model(not_empty(channels), training=False), tf.float32)[:, :, 0]
        return tf.audio.encode_wav(tf.transpose(output), model.sample_rate_hz)

    @tf.function(input_signature=[audio_bytes])
    def wav_bytes(audio_bytes):
        return {"audio_bytes": tf.map_fn(upsample_wav, audio_bytes)}

    return {
        "serving_default": serving_default,
        "with_lengths": with_lengths,
        "wav_bytes": wav_bytes,
    }
