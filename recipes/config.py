"""The fields of a configuration: their ranges, and their values from `--set` and from JSON."""

import dataclasses
import math
import types
import typing
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

C = TypeVar("C", bound="DataclassInstance")
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
    field_types = _field_types(type(config))
    changes = {}
    for setting in settings:
        key, equals, text = setting.partition("=")
        key = key.strip()
        if not equals:
            raise ValueError(f"--set takes key=value, but got {setting!r}.")
        _check_key(key, field_types)
        changes[key] = _parse(key, text.strip(), field_types[key])
    return dataclasses.replace(config, **changes)


def from_options(kind: type[C], options: Mapping[str, Any]) -> C:
    """Returns a frozen dataclass from its fields' values as JSON gives them.

    Fields that are not among the options take their defaults: a run may be older than an option.

    Raises:
        ValueError: an unknown key (the message lists the valid ones) or a value of another type.

    Example:

    >>> import dataclasses
    >>> @dataclasses.dataclass(frozen=True, kw_only=True)
    ... class Config:
    ...     epochs: int = 400
    ...     learning_rate: float = 1e-4
    >>> from_options(Config, {"learning_rate": 1})
    Config(epochs=400, learning_rate=1)
    """
    field_types = _field_types(kind)
    for key, value in options.items():
        _check_key(key, field_types)
        accepted = typing.get_args(field_types[key]) or (field_types[key],)
        # JSON does not tell 1 from 1.0; True is an int to isinstance.
        if not (type(value) in accepted or (type(value) is int and float in accepted)):
            names = " or ".join("None" if o is types.NoneType else o.__name__ for o in accepted)
            raise ValueError(f"{key} must be of type {names}, but is {value!r}.")
    return kind(**options)


def check_at_least(config: Any, least: float, *names: str) -> None:
    """Checks that fields are None or not below `least`.

    Raises:
        ValueError: names the first that is, or that is no number.

    Example:

    >>> import types
    >>> check_at_least(types.SimpleNamespace(epochs=0), 1, "epochs")
    Traceback (most recent call last):
    ValueError: epochs must be at least 1, but is 0.
    """
    _check_range(config, names, lambda value: value >= least, f"at least {least}")


def check_above(config: Any, limit: float, *names: str) -> None:
    """Checks that fields are None or above `limit`; raises as `check_at_least` does."""
    _check_range(config, names, lambda value: value > limit, f"above {limit}")


def check_fractions(config: Any, *names: str) -> None:
    """Checks that fields are None or in [0, 1); raises as `check_at_least` does."""
    _check_range(config, names, lambda value: 0 <= value < 1, "at least 0 and below 1")


def check_finite(config: Any) -> None:
    """Checks that no field is infinite or not a number; raises as `check_at_least` does."""
    numbers = [name for name, value in vars(config).items() if isinstance(value, float)]
    _check_range(config, numbers, math.isfinite, "a finite number")


def _check_range(config, names, fits, range_in_words: str) -> None:
    for name in names:
        value = getattr(config, name)
        if value is not None and not fits(value):
            raise ValueError(f"{name} must be {range_in_words}, but is {value}.")


def _field_types(kind: type) -> dict[str, Any]:
    hints = typing.get_type_hints(kind)
    return {field.name: hints[field.name] for field in dataclasses.fields(kind)}


def _check_key(key: str, field_types: Mapping[str, Any]) -> None:
    if key not in field_types:
        raise ValueError(f"Unknown setting {key!r}. Available: {', '.join(sorted(field_types))}.")


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
