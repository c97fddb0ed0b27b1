"""What models are for: one file or folder per task, found by its TASK."""

import importlib

from tonezoo.discovery import modules_with
from tonezoo.tasks.base import Engine, Facts, NoOptions, Task, fact, option

__all__ = ["Engine", "NoOptions", "Facts", "Task", "fact", "find_task", "list_tasks", "option"]


def list_tasks() -> list[str]:
    """Returns the names of the tasks, as manifests and models state them.

    Example:

    >>> list_tasks()
    ['separation', 'super_resolution', 'vocoding']
    """
    return list(modules_with(__name__, "TASK"))


def find_task(name: str) -> Task:
    """Returns a task by its name.

    Raises:
        ValueError: there is none of that name; the message lists those that there are.

    Example:

    >>> find_task("separation").verb
    'separate'
    """
    names = list_tasks()
    if name not in names:
        raise ValueError(
            f"The task {name!r} is unknown to this tonezoo, which knows {', '.join(names)}. Use "
            "the tonezoo that the model was made with, or another model."
        )
    return importlib.import_module(f"{__name__}.{name}").TASK
