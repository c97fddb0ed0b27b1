"""What a signature takes and gives, and the checks of a request against it."""

import dataclasses
import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from tonezoo.serving.server.errors import RequestError, invalid

STRING = np.dtype(object)
# Of a WAV file: 16 bits.
BYTES_PER_SAMPLE = 2


@dataclasses.dataclass(frozen=True, kw_only=True)
class TensorSpec:
    """Type and shape of an input or output; strings are of NumPy's type object.

    Attributes:
        dtype: NumPy's.
        shape: None for an axis of any size; None in place of the tuple for any number of axes.
    """

    dtype: np.dtype
    shape: tuple[int | None, ...] | None

    @property
    def has_batch_axis(self) -> bool:
        return self.shape is not None and self.shape[:1] == (None,)

    def samples(self, shape: tuple[int, ...]) -> int:
        """Returns batch size times length of what came: the product of the axes of any size.

        Example:

        >>> TensorSpec(dtype=np.dtype("float32"), shape=(None, None, 2)).samples((3, 100, 2))
        300
        """
        if self.shape is None:
            return math.prod(shape)
        pairs = zip(self.shape, shape, strict=True)
        return math.prod(got for size, got in pairs if size is None)

    def __str__(self):
        """As messages and TensorFlow write it: float32 (-1, -1, 1)."""
        if self.shape is None:
            return f"{type_name(self.dtype)} of any shape"
        return f"{type_name(self.dtype)} {shape_text(self.shape)}"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Signature:
    """A signature of a model.

    Attributes:
        name: the signature's.
        owner: the model, for messages.
        inputs: name -> specification.
        outputs: the same.
    """

    name: str
    owner: str
    inputs: Mapping[str, TensorSpec]
    outputs: Mapping[str, TensorSpec]

    @property
    def can_batch(self) -> bool:
        """Whether requests may be joined on the batch axis.

        Not strings: WAV files of different lengths look alike, and would all be computed at the
        length of the longest.
        """
        specs = (*self.inputs.values(), *self.outputs.values())
        return all(spec.has_batch_axis and spec.dtype != STRING for spec in specs)

    def check_names(self, names: Iterable[str]) -> None:
        """Checks that a request has every input of the signature, and no other.

        Raises:
            RequestError: INVALID_ARGUMENT.
        """
        received, needed = set(names), set(self.inputs)
        if received != needed:
            missing, extra = (
                ", ".join(sorted(some)) or "none" for some in (needed - received, received - needed)
            )
            raise invalid(
                f"The signature {self.name} of {self.owner} takes the inputs "
                f"{', '.join(sorted(needed))}. Missing: {missing}; not accepted: {extra}."
            )

    def filtered_outputs(self, names: Iterable[str]) -> list[str]:
        """Returns the outputs that a request asks for: all, if it names none.

        Raises:
            RequestError: INVALID_ARGUMENT; a name that is no output, or is there twice.
        """
        names = list(names)
        for name in names:
            if name not in self.outputs:
                raise invalid(
                    f"There is no output {name!r}. The signature {self.name} of {self.owner} has "
                    f"the outputs {', '.join(sorted(self.outputs))}."
                )
            if names.count(name) > 1:
                raise invalid(f"The output {name} is asked for twice.")
        return names or sorted(self.outputs)

    def check_input(self, name: str, dtype: np.dtype, shape: tuple, max_samples: int) -> None:
        """Checks type and shape of an input, before memory is taken for it.

        Args:
            name: one of `inputs`.
            dtype: the type that came.
            shape: the shape that came.
            max_samples: see `ServingOptions`.

        Raises:
            RequestError: INVALID_ARGUMENT.
        """
        spec = self.inputs[name]
        fits = spec.shape is None or (
            len(shape) == len(spec.shape)
            and all(size in (None, got) for size, got in zip(spec.shape, shape, strict=True))
        )
        if dtype != spec.dtype or not fits or min(shape, default=0) < 0:
            raise invalid(
                f"The input {name} of {self.owner} is {spec}, -1 for any size, but got "
                f"{type_name(dtype)} {shape_text(shape)}."
            )
        if 0 in shape:
            raise invalid(f"The input {name} is empty: its shape is {shape_text(shape)}.")
        if (samples := spec.samples(shape)) > max_samples:
            raise too_long(name, samples, max_samples)

    def check_values(self, inputs: Mapping[str, np.ndarray], max_samples: int) -> None:
        """Checks what the inputs hold, their types and shapes being right.

        Raises:
            RequestError: INVALID_ARGUMENT; batches of different sizes, a number that is not
                finite, a string that is too long.
        """
        sizes = {name: len(inputs[name]) for name, s in self.inputs.items() if s.has_batch_axis}
        if len(set(sizes.values())) > 1:
            raise invalid(f"The inputs have different batch sizes (axis 0): {sizes}.")
        for name, array in inputs.items():
            if array.dtype.kind == "f" and not np.isfinite(array).all():
                raise invalid(f"The input {name} holds NaN or infinite numbers.")
            if array.dtype == STRING:
                samples = sum(map(len, array.ravel())) // BYTES_PER_SAMPLE
                if samples > max_samples:
                    raise too_long(name, samples, max_samples)


def too_long(name: str, samples: int, max_samples: int) -> RequestError:
    return invalid(
        f"The input {name} is too long: {samples:,} samples in all its signals, but a request may "
        f"have {max_samples:,}. Send shorter chunks, or fewer at a time; the server's option is "
        "--max-samples."
    )


def shape_text(shape: tuple) -> str:
    """Returns a shape as TensorFlow Serving writes it.

    Example:

    >>> shape_text((None, 3))
    '(-1, 3)'
    """
    return str(tuple(-1 if size is None else size for size in shape))


def type_name(dtype: Any) -> str:
    return "string" if dtype == STRING else str(dtype)
