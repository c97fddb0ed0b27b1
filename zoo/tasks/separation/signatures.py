"""The signatures that exported separation models serve."""

from tonezoo.audio.levels import batch_levels
from tonezoo.serving.operations import not_empty


def signatures(model) -> dict:
    """Returns the signatures of a separation model; outputs are named after the sources.

    serving_default: `waveform` (batch, time, channels) -> of each source (batch, time, channels);
    every signal is brought to mean 0 and standard deviation 1 and back, by its own mono mix, unless
    the model takes it as it is.
    normalized: the same for signals that are so already, such as segments of a longer one.
    wav_bytes: `audio_bytes` (batch,), WAV files at the model's rate, mono or with its channels ->
    of each source 16-bit WAV files of the model's channels.
    """
    import tensorflow as tf

    waveform = tf.TensorSpec((None, None, model.channels), tf.float32, name="waveform")
    audio_bytes = tf.TensorSpec((None,), tf.string, name="audio_bytes")

    def separate_normalised(waveform):
        outputs = tf.cast(model(not_empty(waveform), training=False), tf.float32)
        return dict(zip(model.sources, tf.unstack(outputs, len(model.sources), 2), strict=True))

    def separate_any_level(waveform):
        if model.mixture_level == "file":
            return separate_normalised(waveform)
        mean, std = batch_levels(waveform)
        outputs = separate_normalised(tf.math.divide_no_nan(waveform - mean, std))
        # As `Level.restore`.
        part = mean / len(model.sources)
        return {name: std * output + part for name, output in outputs.items()}

    def separate_wav(contents):
        samples, rate_hz = tf.audio.decode_wav(contents)
        message = f"This model takes WAV files at {model.sample_rate_hz} Hz, but got (Hz):"
        right_rate = tf.debugging.Assert(rate_hz == model.sample_rate_hz, [message, rate_hz])
        channels = tf.shape(samples)[1]
        message = f"This model takes WAV files of 1 or {model.channels} channels, but got:"
        right_channels = tf.debugging.Assert(
            (channels == 1) | (channels == model.channels), [message, channels]
        )
        with tf.control_dependencies([right_rate, right_channels]):
            samples = tf.tile(samples, [1, model.channels // channels])
        samples = tf.ensure_shape(samples, (None, model.channels))
        outputs = separate_any_level(samples[None])
        return {
            name: tf.audio.encode_wav(output[0], model.sample_rate_hz)
            for name, output in outputs.items()
        }

    @tf.function(input_signature=[waveform])
    def serving_default(waveform):
        return separate_any_level(waveform)

    @tf.function(input_signature=[waveform])
    def normalized(waveform):
        return separate_normalised(waveform)

    @tf.function(input_signature=[audio_bytes])
    def wav_bytes(audio_bytes):
        signature = dict.fromkeys(model.sources, tf.string)
        return tf.map_fn(separate_wav, audio_bytes, fn_output_signature=signature)

    return {"serving_default": serving_default, "normalized": normalized, "wav_bytes": wav_bytes}
