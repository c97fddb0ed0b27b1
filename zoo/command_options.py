"""The options that tasks declare, as flags of the command line."""

import dataclasses
import inspect
import typing
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from tonezoo.tasks import Task


def parameter(
    name: str, kind: Any, info: Any, default: Any = inspect.Parameter.empty
) -> inspect.Parameter:
    """Returns a parameter of a command.

    Args:
        name: of the function's argument.
        kind: its type.
        info: what `typer.Option` or `typer.Argument` returned.
        default: its value where it is not given; nothing if it has to be.
    """
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        annotation=Annotated[kind, info],
        default=default,
    )


def set_parameters(command: Callable, parameters: Sequence[inspect.Parameter]) -> Callable:
    """Returns a command that takes **options, with these parameters in their place."""
    own = [
        p.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        for p in inspect.signature(command).parameters.values()
        if p.kind is not inspect.Parameter.VAR_KEYWORD
    ]
    taken = {p.name for p in parameters}
    signature = inspect.Signature([*(p for p in own if p.name not in taken), *parameters])
    command.__signature__ = signature  # type: ignore[attr-defined]  # known to inspect alone
    command.__annotations__ = {p.name: p.annotation for p in signature.parameters.values()}
    return command


def option_parameters(options: type) -> list[inspect.Parameter]:
    """Returns a parameter for each field of a class of options that `option` made."""
    kinds = typing.get_type_hints(options)
    parameters = []
    for field in _fields(options):
        info = _info(field, field.metadata["option"]["help"])
        parameters.append(parameter(field.name, kinds[field.name], info, field.default))
    return parameters


def verb_parameters(
    task: Task,
    model_kind: type = Path,
    model_help: str = "Folder of an exported model or a run, or a shipped model's name.",
) -> list[inspect.Parameter]:
    """Returns the parameters of every command that runs a task's models on files."""
    model = typer.Option(help=model_help, show_default=" or ".join(task.default_models))
    format = typer.Option(help="wav, flac or ogg.")
    bit_depth = typer.Option(
        help="wav: float, 24 or 16; flac: 24 or 16.", show_default="the format's best"
    )
    return [
        parameter("model", model_kind | None, model, None)
        if task.default_models
        else parameter("model", model_kind, model),
        *option_parameters(task.file_options),
        parameter("format", str, format, "wav"),
        parameter("bit_depth", str | None, bit_depth, None),
    ]


def joint_parameters(tasks: Sequence[Task], attribute: str) -> list[inspect.Parameter]:
    """Returns the parameters of a command that takes the options of every task.

    Each is None where it is not given. Their help says which tasks take them.

    Args:
        tasks: the tasks.
        attribute: which options of a task, such as "evaluation_options".
    """
    by_name: dict[str, list[tuple[Task, dataclasses.Field]]] = {}
    for task in tasks:
        for field in _fields(getattr(task, attribute)):
            by_name.setdefault(field.name, []).append((task, field))
    parameters = []
    for name, found in by_name.items():
        task, field = found[0]
        titles = ", ".join(task.title for task, _ in found).capitalize()
        kind = typing.get_type_hints(getattr(task, attribute))[name]
        info = _info(field, f"{titles}: {_lower_first(field.metadata['option']['help'])}")
        if info.show_default is True:
            info.show_default = str(field.default)
        parameters.append(parameter(name, kind | None, info, None))
    return parameters


def options_of(options: type, given: Mapping[str, Any]) -> Any:
    """Returns an instance of a class of options from what was given, None being nothing.

    Raises:
        ValueError: a value that the class refuses.
    """
    names = [field.name for field in _fields(options)]
    return options(**{name: given[name] for name in names if given.get(name) is not None})


def check_foreign(task: Task, options: type, given: Mapping[str, Any]) -> None:
    """Raises ValueError if options were given that are another task's."""
    own = {field.name for field in _fields(options)}
    foreign = [name for name, value in given.items() if value is not None and name not in own]
    if foreign:
        flags = ", ".join(f"--{name.replace('_', '-')}" for name in foreign)
        raise ValueError(f"{flags}: not for a model of {task.title}. Leave it out.")


def _fields(options: type) -> list[dataclasses.Field]:
    return [field for field in dataclasses.fields(options) if "option" in field.metadata]


def _info(field: dataclasses.Field, help: str) -> Any:
    settings = {**field.metadata["option"], "help": help}
    flag = settings.pop("flag", None)
    return typer.Option(*([] if flag is None else [flag]), **settings)


def _lower_first(text: str) -> str:
    return text[:1].lower() + text[1:]
