"""Which models and versions of them are served: found in a folder, loaded, replaced."""

import contextlib
import dataclasses
import logging
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from tonezoo.serving.manifest import MANIFEST_NAME, versions
from tonezoo.serving.server.errors import Code, RequestError

Report = Callable[[str], None]
log = logging.getLogger(__name__)


class Version(Protocol):
    """A loaded version of a model."""

    name: str
    number: int

    def close(self) -> None:
        """Refuses further requests and returns when those that wait are computed."""


V = TypeVar("V", bound=Version)


@dataclasses.dataclass(frozen=True)
class VersionStatus:
    """The state of a version by TensorFlow Serving's name for it, and why it is not served."""

    state: str
    code: Code = Code.OK
    message: str = ""


def model_folders(root: Path) -> dict[str, Path]:
    """Returns name -> folder of the models in a folder: those of its folders that hold versions.

    So does, for all one knows, a folder that cannot be read. The folder of one model counts as a
    folder with that model.

    Raises:
        ValueError: it is no folder, or that of a single version.
    """
    if not root.is_dir():
        what = "is a file, but models lie in a folder" if root.exists() else "does not exist"
        raise ValueError(f"{root} {what}. Give a folder of models that `tonezoo export` wrote.")
    if (root / MANIFEST_NAME).exists():
        raise ValueError(
            f"{root} is a single version of a model. Give the folder of the model, "
            f"{root.resolve().parent}, or the one around it."
        )
    if versions(root):
        return {root.resolve().name: root}
    folders = (path for path in sorted(root.iterdir()) if not path.name.startswith("."))
    return {path.name: path for path in folders if _may_be_model(path)}


def _may_be_model(folder: Path) -> bool:
    try:
        return bool(versions(folder))
    except OSError:  # Told when the model is looked at: it ends no other model's service.
        return True


class ModelStore(Generic[V]):
    """The models of a folder, each with its newest version that can be served.

    A version that cannot be loaded is not served, and an older one that can stays; it is tried
    again when its files change. A new version is loaded before the old one is given up.

    Args:
        root: the folder, see `model_folders`.
        load: load(name, version, folder) returns a `Version`, or raises ValueError with the reason.
        report: receives a line for each version that is served, given up or refused.
    """

    def __init__(
        self, root: str | os.PathLike, load: Callable[[str, int, Path], V], report: Report
    ):
        self.root = Path(root)
        self._load, self._report = load, report
        self._served: dict[str, V] = {}
        self._status: dict[str, dict[int, VersionStatus]] = {}
        # What the files of a version were like when it could not be loaded.
        self._refused: dict[Path, tuple] = {}
        # Why a model, or the root, could not be looked at the last time.
        self._failed: dict[str, str] = {}
        self._stop = threading.Event()
        self._watcher: threading.Thread | None = None

    @property
    def served(self) -> dict[str, V]:
        """Name -> version of what is served now."""
        return dict(self._served)

    def start(self, poll_s: float) -> None:
        """Loads the models, and looks for new versions from then on.

        Raises:
            ValueError: there is no model, or none that can be served; tells why for each.
        """
        if not model_folders(self.root):
            raise ValueError(
                f"There is no model in {self.root}: no folder in it holds versions (folders 1, 2, "
                "...). Models come from `tonezoo export RUN --to FOLDER/NAME`."
            )
        self.poll()
        if not self._served:
            reasons = [
                f"{name} {number}: {status.message}"
                for name, states in self._status.items()
                for number, status in sorted(states.items())
            ]
            reasons += [f"{name}: {reason}" for name, reason in self._failed.items()]
            raise ValueError("\n".join(["No model can be served.", *reasons]))
        self._watcher = threading.Thread(target=self._watch, args=[poll_s], daemon=True)
        self._watcher.start()

    def stop(self) -> None:
        """Ends the watching and gives up all versions, when what waits for them is computed."""
        self._stop.set()
        if self._watcher:
            self._watcher.join()
        for name in list(self._served):
            self._replace(name, None)

    def find(self, name: str, number: int | None = None) -> V:
        """Returns a version that is served.

        Args:
            name: the model's.
            number: of the version; None for the one that is served.

        Raises:
            RequestError: NOT_FOUND; names what is served.
        """
        version = self._served.get(name)
        if version is None or number not in (None, version.number):
            wanted = f"Latest({name})" if number is None else f"Specific({name}, {number})"
            raise RequestError(
                Code.NOT_FOUND,
                f"Servable not found for request: {wanted}. This server serves {self._list()}.",
            )
        return version

    def status(self, name: str, number: int | None = None) -> dict[int, VersionStatus]:
        """Returns version -> status of one version of a model, or of all.

        Raises:
            RequestError: NOT_FOUND; names what is served.
        """
        known = dict(self._status.get(name, {}))
        found = known if number is None else {n: s for n, s in known.items() if n == number}
        if not found:
            what = "any versions" if number is None else f"version {number}"
            raise RequestError(
                Code.NOT_FOUND,
                f"Could not find {what} of model {name}. This server serves {self._list()}.",
            )
        return dict(sorted(found.items(), reverse=True))

    def _list(self) -> str:
        served = sorted(self._served.values(), key=lambda version: version.name)
        return ", ".join(f"{v.name} (version {v.number})" for v in served) or "no model at present"

    def poll(self) -> None:
        """Looks for versions that came or went, and serves the newest good one of each model."""
        # A folder that is away for a moment, as on a network, ends no service.
        with self._outlasted(str(self.root)):
            folders = model_folders(self.root)
            for name in sorted({*folders, *self._served, *self._status}):
                with self._outlasted(name):
                    self._update(name, folders.get(name))

    @contextlib.contextmanager
    def _outlasted(self, what):
        """Tells what goes wrong in the block, once, and goes on: the next poll tries again."""
        try:
            yield
            self._failed.pop(what, None)
        except Exception as error:
            reason = f"{type(error).__name__}: {error}"
            if self._failed.get(what) != reason:
                self._failed[what] = reason
                self._tell(f"{what}: versions could not be looked for: {reason}")

    def _watch(self, poll_s):
        while not self._stop.wait(poll_s):
            self.poll()

    def _update(self, name, folder):
        numbers = versions(folder) if folder else []
        served = self._served.get(name)
        for number in reversed(numbers):
            if served and served.number == number:
                break
            if version := self._try_to_load(name, number, folder / str(number)):
                self._replace(name, version)
                break
        else:
            self._replace(name, None)
        states = self._status.get(name, {})
        self._status[name] = {number: states[number] for number in states if number in numbers}
        if not self._status[name]:
            del self._status[name]

    def _try_to_load(self, name, number, folder) -> V | None:
        files = _files(folder)
        if self._stop.is_set() or self._refused.get(folder) == files:
            return None
        self._set_status(name, number, VersionStatus("LOADING"))
        try:
            version = self._load(name, number, folder)
        # Among them what TensorFlow raises, which has no common base class.
        except Exception as error:
            reason = str(error) or type(error).__name__
            self._refused[folder] = files
            self._set_status(name, number, VersionStatus("END", Code.FAILED_PRECONDITION, reason))
            self._tell(f"{name}: version {number} is not served: {reason}")
            return None
        self._refused.pop(folder, None)
        return version

    def _replace(self, name, version):
        """Serves another version of a model, or none, and gives up the one before."""
        old = self._served.get(name)
        if version:
            self._served[name] = version
            self._set_status(name, version.number, VersionStatus("AVAILABLE"))
            self._tell(f"{name}: version {version.number} is served.")
        elif old:
            del self._served[name]
        if old:
            self._set_status(name, old.number, VersionStatus("UNLOADING"))
            old.close()
            self._set_status(name, old.number, VersionStatus("END"))
            self._tell(f"{name}: version {old.number} is no longer served.")

    def _tell(self, line):
        # Lines go to a pipe that no one may read any more.
        try:
            self._report(line)
        except Exception:
            log.exception("Not reported: %s", line)

    def _set_status(self, name, number, status):
        # A new dictionary: others read the old one at the same time.
        self._status[name] = {**self._status.get(name, {}), number: status}


def _files(folder: Path) -> tuple:
    """Returns what changes with the files in a folder."""
    try:
        paths = sorted(path for path in folder.rglob("*") if path.is_file())
        return tuple((str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in paths)
    except OSError:  # One went in between, or cannot be read.
        return ()
