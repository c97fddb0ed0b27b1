"""Overriding the fields of a recipe's configuration from `--set key=value`."""

import dataclasses
import types
import typing
from collections.abc import Iterable
from typing import Any, TypeVar

C = TypeVar("C")
TRUE_WORDS = {"true", "yes", "on", "1"}
FALSE_WORDS = {"false", "no", "off", "0"}


def override(config: C, settings: Iterable[str]) -> C:
    """Returns a frozen dataclass with fields replaced by "key=value" settings, typed as the fields.

    Raises:
        ValueError: a setting without "=", an unknown key (the message lists the valid ones) or a
            value of another type.

    Example:

    >>> import dataclasses
    >>> @dataclasses.dataclass(frozen=True, kw_only=True)
    ... class Config:
    ...     epochs: int = 400
    ...     learning_rate: float = 1e-4
    >>> override(Config(), ["epochs=3"])
    Config(epochs=3, learning_rate=0.0001)
    """
    field_types = typing.get_type_hints(type(config))
    changes = {}
    for setting in settings:
        key, equals, text = setting.partition("=")
        key = key.strip()
        if not equals:
            raise ValueError(f"--set takes key=value, but got {setting!r}.")
        if key not in field_types:
            raise ValueError(
                f"Unknown setting {key!r}. Available: {', '.join(sorted(field_types))}."
            )
        changes[key] = _parse(key, text.strip(), field_types[key])
    return dataclasses.replace(config, **changes)


def _parse(key: str, text: str, kind: Any) -> Any:
    if isinstance(kind, types.UnionType):
        if text.lower() == "none":
            return None
        kind = next(option for option in typing.get_args(kind) if option is not types.NoneType)
    if kind is bool:
        if text.lower() not in TRUE_WORDS | FALSE_WORDS:
            raise ValueError(f"{key} must be true or false, but is {text!r}.")
        return text.lower() in TRUE_WORDS
    try:
        return kind(text)
    except ValueError:
        raise ValueError(f"{key} must be of type {kind.__name__}, but is {text!r}.") from None
