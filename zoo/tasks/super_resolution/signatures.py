"""What exported super-resolution models have of their own: signatures, facts, inference."""

from tonezoo.serving.operations import not_empty
from tonezoo.tasks.super_resolution.engine import RATE_TOLERANCE_HZ, SuperResolver

INFERENCE = "serving_default"


def describe(model) -> dict:
    return {
        "ratio": model.ratio,
        "low_rate_hz": model.sample_rate_hz / model.ratio,
        "interpolation": model.interpolation,
    }


def golden_samples(model) -> int:
    return 1 + 1200 // model.ratio


def output(outputs, facts: dict):
    return outputs["waveform"].numpy()


def for_inference(call, facts: dict, name: str) -> SuperResolver:
    names = ("ratio", "sample_rate_hz", "grid_samples", "context_samples")
    return SuperResolver(
        call,
        name=name,
        interpolation=facts.get("interpolation"),
        strength_db=facts.get("strength_db", 0.0),
        **{key: facts[key] for key in names},
    )


def signatures(model) -> dict:
    """Returns the signatures of a super-resolution model.

    serving_default: `waveform` (batch, time, 1) -> `waveform` (batch, ratio * time, 1).
    with_lengths: the same with `lengths` (batch,). wav_bytes: `audio_bytes` (batch,), WAV files at
    the low rate -> `audio_bytes`, 16-bit WAV files.
    """
    import tensorflow as tf

    waveform = tf.TensorSpec((None, None, 1), tf.float32, name="waveform")
    lengths = tf.TensorSpec((None,), tf.int32, name="lengths")
    audio_bytes = tf.TensorSpec((None,), tf.string, name="audio_bytes")
    low_rate_hz = model.sample_rate_hz / model.ratio

    @tf.function(input_signature=[waveform])
    def serving_default(waveform):
        return {"waveform": tf.cast(model(not_empty(waveform), training=False), tf.float32)}

    @tf.function(input_signature=[waveform, lengths])
    def with_lengths(waveform, lengths):
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
