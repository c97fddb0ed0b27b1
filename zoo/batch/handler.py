"""Exported models in Beam's RunInference."""

import collections
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from apache_beam.ml.inference.base import ModelHandler, PredictionResult

from tonezoo.audio.jobs import reason
from tonezoo.batch.models import loaded_model

Call = Callable[[np.ndarray], np.ndarray]


class SavedModelHandler(ModelHandler[np.ndarray, PredictionResult, Call]):
    """Runs an exported model on arrays (batch, time, channels), for `RunInference`.

    Beam's own handler for TensorFlow takes models that Keras saved, and none that Keras 3 exported.
    Wrap it in Beam's `KeyedModelHandler` for arrays with keys. An array on which the model fails
    has the reason, a string, as its `inference`: the others of its batch are computed all the same.

    Args:
        model: folder of an exported model, or the name of one that comes with tonezoo.
        batch_size: so many arrays are taken at once. Those of equal shape are computed by one call,
            which changes outputs within the rounding of float32; 1 for one after the other.

    Example:

    >>> handler = SavedModelHandler("band_extender_speech_x4")
    >>> call = handler.load_model()
    >>> (result,) = handler.run_inference([np.zeros((1, 100, 1), "float32")], call)
    >>> result.inference.shape
    (1, 400, 1)
    """

    def __init__(self, model: str, *, batch_size: int = 1):
        super().__init__()
        self.model = model
        self.batch_size = batch_size

    def load_model(self) -> Call:
        return loaded_model(self.model)

    def batch_elements_kwargs(self) -> dict[str, int]:
        return {"min_batch_size": self.batch_size, "max_batch_size": self.batch_size}

    def run_inference(
        self,
        batch: Sequence[np.ndarray],
        model: Call,
        inference_args: dict[str, Any] | None = None,
    ) -> list[PredictionResult]:
        alike = collections.defaultdict(list)
        for index, array in enumerate(batch):
            alike[array.shape[1:]].append(index)
        outputs: dict[int, np.ndarray | str] = {}
        for indices in alike.values():
            arrays = [batch[index] for index in indices]
            outputs.update(zip(indices, _computed(arrays, model), strict=True))
        return [
            PredictionResult(array, outputs[index], self.model) for index, array in enumerate(batch)
        ]

    def get_num_bytes(self, batch: Sequence[np.ndarray]) -> int:
        return sum(array.nbytes for array in batch)


def _computed(arrays: list[np.ndarray], model: Call) -> Sequence[np.ndarray | str]:
    """Returns the outputs of arrays of one shape but for their first axis, or what went wrong."""
    try:
        outputs = np.asarray(model(arrays[0] if len(arrays) == 1 else np.concatenate(arrays)))
    # The model's own errors, memory that ran out above all, have no common base class.
    except Exception as error:
        if len(arrays) == 1:
            return [reason(error)]
        return [output for array in arrays for output in _computed([array], model)]
    ends = np.cumsum([len(array) for array in arrays])
    return np.split(outputs, ends[:-1])
