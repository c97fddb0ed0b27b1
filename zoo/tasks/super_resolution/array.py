"""Super-resolution of an array in one call."""

import os

import numpy as np

from tonezoo.pretrained import engine_for
from tonezoo.tasks.super_resolution.engine import SuperResolver


def enhance(
    samples: np.ndarray,
    sample_rate_hz: float,
    *,
    model: str | os.PathLike | SuperResolver | None = None,
    downsample: bool = False,
    strength_db: float | None = None,
) -> np.ndarray:
    """Upsamples a low-rate recording with an exported model or a training run.

    The model is loaded at the first call and kept. For long recordings, for which memory matters,
    use `tonezoo.load(model).stream` or the command `tonezoo enhance`.

    Args:
        samples: floating-point signal, full scale 1, (time,) or (time, channels).
        sample_rate_hz: its rate; below the model's input rate it is resampled up to it.
        model: folder of an exported model, one of its versions, a training run, the name of a model
            that comes with tonezoo, or what `tonezoo.load` returned; None for the shipped speech
            model whose input rate is `sample_rate_hz` or the next above.
        downsample: True to accept a higher rate and discard what the model's input cannot hold.
        strength_db: of what the model makes up above the band of its input: 0 as trained, below
            that less of it, at most 20; None for the model's own default.

    Returns:
        float32, exactly R times the samples at the model's input rate, same number of axes.

    Raises:
        ValueError: an unusable model, no samples, samples that are not finite, a rate above the
            model's without `downsample`, or a strength that is no finite number of at most 20.

    Example:

    >>> import numpy as np
    >>> low = np.sin(2 * np.pi * 440 / 4000 * np.arange(4000))
    >>> enhance(low, 4000).shape
    (16000,)
    """
    resolver = engine_for("super_resolution", model, sample_rate_hz)
    return resolver.enhance(samples, sample_rate_hz, downsample=downsample, strength_db=strength_db)
