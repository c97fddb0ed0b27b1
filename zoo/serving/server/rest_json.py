"""TensorFlow Serving's JSON for predictions: bodies to arrays, arrays to bodies."""

import base64
import binascii
import dataclasses
import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np
import orjson

from tonezoo.serving.server.errors import invalid
from tonezoo.serving.server.signatures import STRING, Signature

BASE64_KEY = "b64"
BYTES_SUFFIX = "_bytes"
ROWS, COLUMNS = "instances", "inputs"
# Kind of a NumPy type -> types of JSON's values for it, if not whole numbers.
JSON_TYPES: dict[str, tuple[type, ...]] = {"f": (int, float), "b": (bool,)}
ANSWER_KEYS = {ROWS: "predictions", COLUMNS: "outputs"}


@dataclasses.dataclass(frozen=True)
class PredictBody:
    """The body of a :predict request.

    Attributes:
        signature: its name, "" for the default one.
        form: "instances" for a list of signals, "inputs" for whole tensors.
        value: what stands under that key.
    """

    signature: str
    form: str
    value: Any

    @classmethod
    def parse(cls, body: bytes) -> "PredictBody":
        """Returns what a body says.

        Raises:
            RequestError: INVALID_ARGUMENT; not JSON, or not of the form of a request.

        Example:

        >>> PredictBody.parse(b'{"instances": [[[0.5]]]}')
        PredictBody(signature='', form='instances', value=[[[0.5]]])
        """
        try:
            content = orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise invalid(
                f"JSON Parse error: {error}. NaN and Infinity are not accepted."
            ) from error
        if not isinstance(content, dict):
            raise invalid(f"The body is JSON, but no object: {excerpt(content)}.")
        signature = content.get("signature_name", "")
        if not isinstance(signature, str):
            raise invalid(f"signature_name has to be a string, but is {excerpt(signature)}.")
        forms = [form for form in (ROWS, COLUMNS) if form in content]
        if len(forms) != 1:
            found = "both" if forms else "neither"
            raise invalid(f"The body needs 'instances' or 'inputs', but has {found}.")
        value = content[forms[0]]
        if forms == [ROWS] and not (isinstance(value, list) and value):
            raise invalid(
                f"'instances' has to be a list of at least one signal, but is {excerpt(value)}."
            )
        return cls(signature, forms[0], value)

    def read_inputs(self, signature: Signature, max_samples: int) -> dict[str, np.ndarray]:
        """Returns the inputs of a signature as arrays, types and shapes checked.

        Raises:
            RequestError: INVALID_ARGUMENT.
        """
        values = self._by_name(signature)
        inputs = {}
        for name, value in values.items():
            dtype = signature.inputs[name].dtype
            shape, leaves = flatten(name, value)
            signature.check_input(name, dtype, shape, max_samples)
            inputs[name] = to_array(name, leaves, dtype).reshape(shape)
        return inputs

    def _by_name(self, signature) -> Mapping[str, Any]:
        """Returns name -> nested lists, batch axis first."""
        if self.form == COLUMNS:
            if is_named(self.value):
                signature.check_names(self.value)
                return self.value
            return {self._only_input(signature): self.value}
        named = [is_named(row) for row in self.value]
        if not any(named):
            return {self._only_input(signature): self.value}
        if not all(named):
            raise invalid("'instances' mixes objects with plain values.")
        for row in self.value:
            signature.check_names(row)
        return {name: [row[name] for row in self.value] for name in signature.inputs}

    def _only_input(self, signature) -> str:
        if len(signature.inputs) != 1:
            raise invalid(
                f"The signature {signature.name} of {signature.owner} takes several inputs: give "
                f"objects with the keys {', '.join(sorted(signature.inputs))} in '{self.form}'."
            )
        (name,) = signature.inputs
        return name


def is_named(value: Any) -> bool:
    """Tells whether a value is an object of inputs by name, and not a string of bytes."""
    return isinstance(value, dict) and set(value) != {BASE64_KEY}


def flatten(name: str, value: Any) -> tuple[tuple[int, ...], list]:
    """Returns the shape of nested lists, and what they hold, row after row.

    Args:
        name: of the input, for messages.
        value: what JSON made of it.

    Raises:
        RequestError: INVALID_ARGUMENT; they are of unequal lengths.

    Example:

    >>> flatten("x", [[1, 2.5], [3, 4], [5, 6]])
    ((3, 2), [1, 2.5, 3, 4, 5, 6])
    """
    shape: list[int] = []
    level = [value]
    while level and isinstance(level[0], list):
        size = len(level[0])
        if not all(isinstance(part, list) and len(part) == size for part in level):
            raise invalid(
                f"The lists of the input {name} have different lengths at depth {len(shape) + 1}: "
                "they make no tensor. Send signals of different lengths one by one, or padded with "
                "the signature with_lengths where a model has it."
            )
        shape.append(size)
        level = list(itertools.chain.from_iterable(level))
    if any(isinstance(part, list) for part in level):
        raise invalid(f"The input {name} mixes lists and values at depth {len(shape) + 1}.")
    return tuple(shape), level


def to_array(name: str, leaves: list, dtype: np.dtype) -> np.ndarray:
    """Returns values as an array (values,) of a type, object for strings.

    Raises:
        RequestError: INVALID_ARGUMENT; a value of another type.

    Example:

    >>> to_array("x", [1, 2.5], np.dtype("float32"))
    array([1. , 2.5], dtype=float32)
    """
    if dtype == STRING:
        array = np.empty(len(leaves), object)
        array[:] = [to_bytes(name, leaf) for leaf in leaves]
        return array
    accepted = set(JSON_TYPES.get(dtype.kind, (int,)))
    if foreign := set(map(type, leaves)) - accepted:
        found = next(leaf for leaf in leaves if type(leaf) in foreign)
        raise invalid(f"The input {name} is of {dtype} numbers, but holds {excerpt(found)}.")
    if dtype.kind in "iu" and leaves:
        limits = np.iinfo(dtype)
        if min(leaves) < limits.min or max(leaves) > limits.max:
            raise invalid(f"The input {name} holds a number that is no {dtype}.")
    with np.errstate(over="ignore"):  # Infinity is refused with the other inputs' own.
        return np.array(leaves, dtype)


def to_bytes(name: str, leaf: Any) -> bytes:
    if isinstance(leaf, str):
        return leaf.encode()
    if isinstance(leaf, dict) and set(leaf) == {BASE64_KEY} and isinstance(leaf[BASE64_KEY], str):
        text = leaf[BASE64_KEY]
        try:
            # As TensorFlow Serving, without padding too.
            return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
        except (binascii.Error, ValueError) as error:
            raise invalid(f"Unable to base64 decode the input {name}: {error}.") from error
    raise invalid(f'The input {name} is of strings or {{"b64": "..."}}, but holds {excerpt(leaf)}.')


def excerpt(value: Any) -> str:
    """Returns the beginning of a value as JSON."""
    text = orjson.dumps(value).decode()
    return text if len(text) <= 60 else f"{text[:57]}..."


def answer_body(form: str, outputs: Mapping[str, np.ndarray]) -> bytes:
    """Returns the body that answers a request of a form.

    Numbers are as short as float32 allows; those that are not finite are null.

    Example:

    >>> answer_body("instances", {"y": np.array([[0.1], [2]], "float32")})
    b'{"predictions":[[0.1],[2.0]]}'
    >>> answer_body("inputs", {"y": np.array([[0.1], [2]], "float32"), "n": np.array([3])})
    b'{"outputs":{"y":[[0.1],[2.0]],"n":[3]}}'
    """
    values = {name: jsonable(name, array) for name, array in outputs.items()}
    answer: Any
    if len(values) == 1:
        (answer,) = values.values()
    elif form == COLUMNS:
        answer = values
    else:
        rows = zip(*values.values(), strict=True)
        answer = [dict(zip(values, row, strict=True)) for row in rows]
    return orjson.dumps({ANSWER_KEYS[form]: answer}, option=orjson.OPT_SERIALIZE_NUMPY)


def jsonable(name: str, array: np.ndarray) -> Any:
    if array.dtype != STRING:
        return np.ascontiguousarray(array)
    nested = array.reshape(-1).tolist()
    if name.endswith(BYTES_SUFFIX):
        nested = [{BASE64_KEY: base64.b64encode(content).decode()} for content in nested]
    else:
        nested = [content.decode(errors="replace") for content in nested]
    for size in reversed(array.shape[1:]):
        nested = [nested[start : start + size] for start in range(0, len(nested), size)]
    return nested
