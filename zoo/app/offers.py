"""The models that the page offers: those of this machine, or those of a server."""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from tonezoo.app.answers import ANSWERS
from tonezoo.pretrained import engine_for, list_pretrained, model_folder
from tonezoo.tasks import Engine, find_task


@dataclass(frozen=True)
class Offer:
    """A model to choose on the page.

    Attributes:
        name: what it is called there.
        task: name of its task.
        strength_db: of what a super-resolution model makes up, where nothing else is asked for;
            None where there is no such thing.
        load: returns its engine.
    """

    name: str
    task: str
    strength_db: float | None
    load: Callable[[], Engine] = field(repr=False)

    @property
    def label(self) -> str:
        return f"{self.name} ({find_task(self.task).verb})"


def local_offers(models: Sequence[str] = ()) -> list[Offer]:
    """Returns models of this machine, which are loaded when they are used first.

    Args:
        models: folders of exported models or runs, or names of shipped models; none for all
            shipped ones, those first that commands take where none is named.

    Raises:
        ValueError: there is no such model, one is named twice, or the page has nothing for its
            task.

    Example:

    >>> [offer.label for offer in local_offers(["band_extender_speech_x2"])]
    ['band_extender_speech_x2 (enhance)']
    """
    return _checked([_local_offer(model) for model in models or _shipped()])


def _shipped() -> list[str]:
    defaults = [name for task in ANSWERS for name in find_task(task).default_models]
    return [*defaults, *(name for name in list_pretrained() if name not in defaults)]


def _local_offer(model: str) -> Offer:
    from tonezoo.recipes.runs import RunFolder, is_run
    from tonezoo.serving.manifest import read_facts, resolve_version

    folder = model_folder(model).resolve()
    facts: dict[str, Any] = (
        {"task": RunFolder(folder).task} if is_run(folder) else read_facts(resolve_version(folder))
    )
    task = facts["task"]
    strength_db = facts.get("strength_db", 0.0) if task == "super_resolution" else None
    return Offer(folder.name, task, strength_db, lambda: engine_for(task, folder))


def served_offers(address: str, models: Sequence[str]) -> list[Offer]:
    """Returns models of a server, each of which is asked for what it is.

    Args:
        address: HOST:PORT.
        models: their names on the server.

    Raises:
        ValueError: no name; the server is not there or has no such model; one is named twice, or
            the page has nothing for its task.
        ImportError: the packages of the extra `client` are missing.
    """
    if not models:
        raise ValueError(
            "Name the models of the server that the page is to offer: --model NAME, repeatable."
        )
    from tonezoo.serving import Client

    client = Client(address)
    offers = []
    for name in models:
        engine = client.load(name)
        offers.append(
            Offer(
                name,
                engine.task,
                engine.strength_db if engine.task == "super_resolution" else None,
                # Anew for each answer: the server may have replaced the model.
                functools.partial(client.load, name),
            )
        )
    return _checked(offers)


def _checked(offers: list[Offer]) -> list[Offer]:
    labels = [offer.label for offer in offers]
    twice = sorted({label for label in labels if labels.count(label) > 1})
    if twice:
        raise ValueError(
            f"Two models are called {', '.join(twice)}. Name each once; a folder's last part is "
            "its name."
        )
    for offer in offers:
        if offer.task not in ANSWERS:
            raise ValueError(
                f"{offer.name} is a model of {find_task(offer.task).title}, which the page does "
                f"not show. It shows {', '.join(find_task(task).title for task in ANSWERS)}."
            )
    return offers
