"""Folders of good and bad files, and what a run left of them."""

import functools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tonezoo.serving.manifest import resolve_version
from tonezoo.serving.verify import load_signatures

UNTRAINED = {"separate": "separation", "vocode": "vocoding"}


@pytest.fixture
def model_of(untrained) -> Callable[[str], Path]:
    """model_of(verb): the folder of a small exported model that it takes."""

    def folder(verb):
        if verb == "enhance":
            # A shipped one: exporting another takes longer than all that is done with it.
            return resolve_version("band_extender_speech_x4").parent
        return untrained(UNTRAINED[verb]).folder

    return folder


@pytest.fixture(autouse=True)
def load_once(monkeypatch):
    """Lets the verb and the batch of it share a loaded model, since its files do not change."""
    monkeypatch.setattr("tonezoo.serving.verify.load_signatures", loaded_once)


loaded_once = functools.cache(load_signatures)


@pytest.fixture
def write_audio() -> Callable[..., Path]:
    """write_audio(path, rate_hz, samples, channels): writes noise, other noise into each file."""

    def write(path, rate_hz=4000, samples=200, channels=1):
        path.parent.mkdir(parents=True, exist_ok=True)
        rng = np.random.default_rng(sum(map(ord, path.stem)))
        soundfile.write(path, rng.uniform(-0.3, 0.3, (samples, channels)), rate_hz)
        return path

    return write


@pytest.fixture
def contents() -> Callable[[Path], dict[str, bytes]]:
    """contents(folder): the bytes of all files below, hidden ones too, by name."""

    def read(folder):
        files = (path for path in folder.rglob("*") if path.is_file())
        return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}

    return read
