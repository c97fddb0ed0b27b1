"""Warm-up requests of a bundled model: TensorFlow Serving runs them before it lists the model."""

from collections.abc import Iterator
from pathlib import Path

from tonezoo.tasks import Facts, find_task

WARM_UP_NAME = "assets.extra/tf_serving_warmup_requests"
CHUNK_S = 10.0
# Chunks of the full length, of half of it, and so on.
HALVINGS = 4
# What a request holds everywhere: a level that numbers of 0 would not have.
SAMPLE = 0.1


def write_warm_up(folder: Path, manifest: dict) -> int:
    """Writes a version's warm-up requests, one for each length of a chunk.

    Args:
        folder: of the version.
        manifest: its manifest.

    Returns:
        How many there are.
    """
    import tensorflow as tf

    path = folder / WARM_UP_NAME
    path.parent.mkdir(exist_ok=True)
    requests = list(warm_up_requests(manifest, folder))
    with tf.io.TFRecordWriter(str(path)) as writer:
        for request in requests:
            writer.write(as_log(request).SerializeToString())
    return len(requests)


def as_log(request):
    """Returns a request as the `PredictionLog` that the server replays."""
    from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog

    log = PredictionLog()
    log.predict_log.request.CopyFrom(request)
    return log


def warm_up_requests(manifest: dict, where: object) -> Iterator:
    """Yields a `PredictRequest` for each length of a chunk that a model is asked for.

    Args:
        manifest: of the model.
        where: what to call it in messages.
    """
    import numpy as np
    import tensorflow as tf
    from tensorflow_serving.apis.predict_pb2 import PredictRequest

    task = find_task(manifest["task"])
    facts = task.facts.read(manifest, where)
    for steps in chunk_lengths(facts):
        request = PredictRequest()
        request.model_spec.name = manifest["name"]
        # One value stands for all of a tensor: a chunk of minutes takes a few bytes.
        signal = tf.make_tensor_proto(np.float32(SAMPLE), shape=(1, steps, facts.channels))
        if task.name == "super_resolution":
            request.model_spec.signature_name = "with_lengths"
            lengths = tf.make_tensor_proto([steps], dtype=tf.int32)
            request.inputs["lengths"].CopyFrom(lengths)
        else:
            request.model_spec.signature_name = task.inference_signature
        request.inputs[task.inference_input].CopyFrom(signal)
        yield request


def chunk_lengths(facts: Facts) -> list[int]:
    """Returns the lengths of chunks, context included, in steps of a model's input, ascending.

    Args:
        facts: of the model.

    Example:

    >>> from tonezoo.tasks.super_resolution import SuperResolutionFacts
    >>> facts = SuperResolutionFacts(
    ...     sample_rate_hz=16_000, channels=1, grid_samples=16, context_samples=400, ratio=4,
    ...     low_rate_hz=4000.0, interpolation="cubic")
    >>> chunk_lengths(facts)
    [5200, 10200, 20200, 40200]
    """
    grid, rate_hz = facts.grid_samples, facts.sample_rate_hz
    context = whole(facts.context_samples, grid)
    chunk = getattr(facts, "segment_samples", round(CHUNK_S * rate_hz))
    per_step = getattr(facts, "ratio", getattr(facts, "hop_samples", 1))
    lengths = {
        (whole(-(-chunk // 2**halving), grid) + 2 * context) // per_step
        for halving in range(HALVINGS)
    }
    return sorted(lengths)


def whole(samples: int, grid: int) -> int:
    """Returns the next multiple of the grid."""
    return -(-samples // grid) * grid
