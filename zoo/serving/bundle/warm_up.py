"""Warm-up requests of a bundled model: TensorFlow Serving runs them before it lists the model."""

import collections
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tonezoo.tasks import Facts, Task, find_task

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
    for steps in chunk_lengths(task, facts):
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


def chunk_lengths(task: Task, facts: Facts) -> list[int]:
    """Returns the lengths of chunks, context included, in steps of a model's input, ascending.

    The longest is that of the task's engine, which is asked to run silence through no model; the
    others are its halves, to which clients pad what is shorter.

    Args:
        task: of the model.
        facts: of the model.

    Example:

    >>> from tonezoo.tasks.super_resolution import SuperResolutionFacts
    >>> facts = SuperResolutionFacts(
    ...     sample_rate_hz=16_000, channels=1, grid_samples=16, context_samples=400, ratio=4,
    ...     low_rate_hz=4000.0, interpolation="cubic")
    >>> chunk_lengths(find_task("super_resolution"), facts)
    [5025, 10050, 20100, 40200]
    """
    import numpy as np

    lengths = []

    def call(signal: np.ndarray) -> np.ndarray:
        batch, steps, channels = signal.shape
        lengths.append(steps)
        if sources := getattr(facts, "sources", None):
            return np.zeros((batch, steps, len(sources), channels), "float32")
        per_step = getattr(facts, "ratio", None) or getattr(facts, "hop_samples", 1)
        return np.zeros((batch, steps * per_step, 1), "float32")

    engine: Any = task.engine(call, facts, task.title)
    chunk_samples = round(CHUNK_S * facts.sample_rate_hz)
    # Longer than two chunks and what any model sees around them.
    silence = np.zeros((2 * chunk_samples + 4 * facts.context_samples, facts.channels), "float32")
    if task.name == "separation":
        engine.separate(silence, facts.sample_rate_hz)
    elif task.name == "vocoding":
        frames = silence[: len(silence) // facts.grid_samples + 1, None]
        collections.deque(engine.stream([frames], chunk_samples), maxlen=0)
    else:
        collections.deque(engine.stream([silence], chunk_samples), maxlen=0)
    return sorted(max(lengths) // 2**halving for halving in range(HALVINGS))
