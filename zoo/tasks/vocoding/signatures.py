"""The signatures that exported vocoders serve."""

from tonezoo.serving.operations import not_empty


def signatures(model) -> dict:
    """Returns the signatures of a vocoder.

    serving_default: `mel` (batch, frames, bands) -> `waveform` (batch, frames * hop, 1).
    mel_spectrogram: `waveform` (batch, time, 1) -> `mel` (batch, ceil(time / hop), bands).
    """
    import tensorflow as tf

    mel = tf.TensorSpec((None, None, model.bands), tf.float32, name="mel")
    waveform = tf.TensorSpec((None, None, 1), tf.float32, name="waveform")

    @tf.function(input_signature=[mel])
    def serving_default(mel):
        return {"waveform": tf.cast(model(not_empty(mel), training=False), tf.float32)}

    @tf.function(input_signature=[waveform])
    def mel_spectrogram(waveform):
        return {"mel": tf.cast(model.front_end(not_empty(waveform)), tf.float32)}

    return {"serving_default": serving_default, "mel_spectrogram": mel_spectrogram}
