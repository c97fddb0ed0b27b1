"""The machines that train together, as the environment variable TF_CONFIG names them."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

VARIABLE = "TF_CONFIG"
EXAMPLE = (
    '{"cluster": {"worker": ["one:12345", "two:12345"]}, "task": {"type": "worker", "index": 0}}'
)
# In the order in which TensorFlow numbers them.
KINDS = ("chief", "worker")


@dataclass(frozen=True)
class Cluster:
    """The workers of a run.

    Attributes:
        addresses: "host:port" of each worker, the chief's first.
        index: which of them this process is.
    """

    addresses: tuple[str, ...]
    index: int

    @property
    def is_chief(self) -> bool:
        return self.index == 0

    @property
    def name(self) -> str:
        """What this process is, for messages."""
        place = f"Worker {self.index + 1} of {len(self.addresses)}"
        return f"{place} (the chief)" if self.is_chief else place


def read_cluster(environment: Mapping[str, str] = os.environ) -> Cluster | None:
    """Returns the cluster that TF_CONFIG describes; None without one, or where it is one worker.

    The chief is the task of the type "chief" where there is one, else worker 0.

    Raises:
        ValueError: the variable is not JSON, or not the description of workers and of one of them.

    Example:

    >>> read_cluster({"TF_CONFIG": EXAMPLE})
    Cluster(addresses=('one:12345', 'two:12345'), index=0)
    """
    text = environment.get(VARIABLE, "").strip()
    if not text:
        return None
    try:
        config = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _fault(f"is not JSON ({error}): {text[:200]!r}") from None
    cluster = config.get("cluster", {}) if isinstance(config, dict) else None
    if not isinstance(cluster, dict):
        raise _fault(f"has to be an object with a cluster of lists, but is {text[:200]!r}")
    # What Kubernetes' operators set for a job of one machine.
    if not cluster and not config.get("task"):
        return None
    tasks = _tasks(cluster)
    index = tasks.index(_own_task(config.get("task"), cluster))
    addresses = tuple(cluster[kind][number] for kind, number in tasks)
    return None if len(addresses) == 1 else Cluster(addresses, index)


def _tasks(cluster: Mapping[str, Any]) -> list[tuple[str, int]]:
    """Returns the type and number of each task, the chief first, all of them checked."""
    foreign = sorted(set(cluster) - set(KINDS))
    if foreign:
        raise _fault(
            f"names tasks of the type {', '.join(map(repr, foreign))}, but tonezoo trains on "
            "workers that are all alike, of which one is the chief: there are no parameter servers "
            "('ps'), and the chief validates (--set validation_batches) in place of an evaluator"
        )
    if not cluster.get("worker"):
        raise _fault("has no cluster.worker, the list of the workers")
    for kind, addresses in cluster.items():
        if not isinstance(addresses, list) or not all(map(_is_address, addresses)):
            raise _fault(f'has to list "host:port" for each {kind}, but has {addresses!r}')
    if len(cluster.get("chief", [])) > 1:
        raise _fault(f"names {len(cluster['chief'])} chiefs, but there is one at most")
    addresses = [address for kind in KINDS for address in cluster.get(kind, [])]
    twice = sorted({address for address in addresses if addresses.count(address) > 1})
    if twice:
        raise _fault(f"names {', '.join(twice)} twice, but every worker needs a port of its own")
    return [(kind, number) for kind in KINDS for number in range(len(cluster.get(kind, [])))]


def _own_task(task: Any, cluster: Mapping[str, list]) -> tuple[str, int]:
    """Returns type and number of the task that this process is."""
    if not isinstance(task, dict) or not {"type", "index"} <= set(task):
        raise _fault("does not tell by task.type and task.index which of them this process is")
    kind, number = task["type"], task["index"]
    if not isinstance(kind, str) or kind not in cluster:
        raise _fault(
            f"says that this process is of the type {kind!r}, but the cluster has "
            f"{' and '.join(map(repr, cluster))}"
        )
    if type(number) is not int or not 0 <= number < len(cluster[kind]):
        raise _fault(
            f"says that this process is {kind} {number!r}, but they are numbered from 0 to "
            f"{len(cluster[kind]) - 1}"
        )
    return kind, number


def _is_address(address: Any) -> bool:
    host, colon, port = address.rpartition(":") if isinstance(address, str) else ("", "", "")
    return bool(host and colon and port.isdigit() and 0 < int(port) < 2**16)


def _fault(what: str) -> ValueError:
    return ValueError(
        f"{VARIABLE} {what}. Set it as in docs/distributed.md, such as {EXAMPLE}, or unset it to "
        "train on this machine alone."
    )
