"""Names of a Keras model's variables that are the same in every process."""

from collections.abc import Iterator
from typing import Any

import keras


def named_variables(model: keras.Model) -> dict[str, keras.Variable]:
    """Returns the variables of a built model by name, in the order of `model.variables`.

    A name tells which attributes lead from the model to a variable, and the variable's own name.
    Keras's `variable.path` will not do: it counts the layers of a class in the whole process, so
    that the second model of a process has other paths than the first; and what is found by its
    place among all variables becomes another one when layers are made in another order.

    Args:
        model: a built Keras model.

    Raises:
        ValueError: a layer has two variables of one name.

    Example:

    >>> model = keras.Sequential([keras.layers.Dense(2), keras.layers.Dense(3)])
    >>> model.build((None, 4))
    >>> list(named_variables(model))
    ['layers/0/kernel', 'layers/0/bias', 'layers/1/kernel', 'layers/1/bias']
    """
    names: dict[int, str] = {}
    for name, variable in _walk(model, "", set()):
        names.setdefault(id(variable), name)
    named = {names[id(variable)]: variable for variable in model.variables}
    if len(named) < len(model.variables):
        found = [names[id(variable)] for variable in model.variables]
        twice = next(name for name in found if found.count(name) > 1)
        raise ValueError(f"{model.name} has two variables {twice}. Give them different names.")
    return named


def _walk(item: Any, prefix: str, seen: set[int]) -> Iterator[tuple[str, keras.Variable]]:
    """Yields the variables at and below an item, each layer under the first name found."""
    if isinstance(item, keras.Variable):
        yield prefix + item.name, item
        return
    if isinstance(item, keras.Layer):
        if id(item) in seen:
            return
        seen.add(id(item))
    for key, child in _children(item).items():
        # The variable's own name follows that of its layer: Keras may change its attribute's.
        inside = prefix if isinstance(child, keras.Variable) else f"{prefix}{key}/"
        yield from _walk(child, inside, seen)


def _children(item: Any) -> dict[str, Any]:
    if isinstance(item, keras.Sequential):
        return {"layers": item.layers}
    if isinstance(item, keras.Layer | keras.random.SeedGenerator):
        # Public ones first, in an order that does not depend on that of their assignment.
        return dict(sorted(vars(item).items(), key=lambda pair: (pair[0].startswith("_"), pair[0])))
    if isinstance(item, dict):
        return {str(key): child for key, child in item.items()}
    if isinstance(item, list | tuple):
        return {str(index): child for index, child in enumerate(item)}
    return {}
