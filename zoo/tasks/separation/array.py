"""Separation of an array in one call."""

import os

import numpy as np

from tonezoo.pretrained import engine_for
from tonezoo.tasks.separation import OVERLAP, SeparationOptions
from tonezoo.tasks.separation.engine import Separator


def separate(
    samples: np.ndarray,
    sample_rate_hz: float,
    *,
    model: str | os.PathLike | Separator | None = None,
    segment_s: float | None = None,
    overlap: float = OVERLAP,
    shifts: int = 0,
) -> dict[str, np.ndarray]:
    """Separates a mixture into its sources with an exported model or a training run.

    The model is loaded at the first call and kept. For long recordings, for which memory matters,
    use `tonezoo.load(model).stream` or the command `tonezoo separate`.

    Args:
        samples: floating-point mixture, (time,) or (time, channels), of any length, rate and number
            of channels.
        sample_rate_hz: its rate.
        model: folder of an exported model, one of its versions, a training run, the name of a model
            that comes with tonezoo, or what `tonezoo.load` returned; None for the shipped one.
        segment_s, overlap, shifts: see `tonezoo.tasks.separation.SeparationOptions`.

    Returns:
        source -> float32 array of the shape of `samples`. The sources need not sum to the mixture.

    Raises:
        ValueError: an unusable model or one that does not separate, an option out of its range, no
            samples, or samples that are not finite.

    Example:

    >>> import numpy as np
    >>> mixture = np.sin(2 * np.pi * 440 / 44_100 * np.arange(4410))
    >>> sources = separate(mixture, 44_100)
    >>> list(sources), sources["vocals"].shape
    (['drums', 'bass', 'other', 'vocals'], (4410,))
    """
    options = SeparationOptions(segment_s=segment_s, overlap=overlap, shifts=shifts)
    return engine_for("separation", model).separate(samples, sample_rate_hz, options)
