"""Bringing the weights of PyTorch packages into models of ours."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

# A variable, the names of what makes its value, and how.
Pair = tuple[Any, tuple[str, ...], Callable[..., np.ndarray]]


def assign(pairs: Sequence[Pair], arrays: Mapping[str, np.ndarray], remedy: str) -> None:
    """Gives variables their values, or none of them if one does not fit or one is left over.

    Args:
        pairs: what each variable is made of.
        arrays: the weights by PyTorch's names.
        remedy: what to do about weights that do not fit, a sentence.

    Raises:
        ValueError: a weight is missing, of another shape, or left over; the message names it.
    """
    for _, names, _ in pairs:
        for name in names:
            if name not in arrays:
                raise ValueError(f"{name} is missing. {remedy}")
    unused = sorted(set(arrays) - {name for _, names, _ in pairs for name in names})
    if unused:
        raise ValueError(
            f"{len(unused)} weights have no place in this model, {unused[0]} for one. {remedy}"
        )
    values = [
        (variable, names, convert(*(arrays[name] for name in names)))
        for variable, names, convert in pairs
    ]
    for variable, names, value in values:
        if value.shape != tuple(variable.shape):
            raise ValueError(
                f"{' + '.join(names)} makes {value.shape}, but {variable.path} is "
                f"{tuple(variable.shape)}. {remedy}"
            )
    for variable, _, value in values:
        variable.assign(value)


def lstm_pairs(lstms: Sequence, prefix: str) -> list[Pair]:
    """Returns the pairs of bidirectional LSTMs, layers of ours, and of one of PyTorch's.

    Both order the gates input, forget, cell, output; PyTorch has two biases, Keras their sum.
    """
    pairs: list[Pair] = []
    for number, lstm in enumerate(lstms):
        for index, suffix in enumerate(("", "_reverse")):
            kinds = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
            names = [f"{prefix}.{kind}_l{number}{suffix}" for kind in kinds]
            for variables, name in zip(
                (lstm.kernels, lstm.rnn.cell.recurrent_kernels), names, strict=False
            ):
                pairs.append((variables[index], (name,), np.transpose))
            if lstm.use_bias:
                pairs.append((lstm.biases[index], tuple(names[2:]), np.add))
    return pairs
