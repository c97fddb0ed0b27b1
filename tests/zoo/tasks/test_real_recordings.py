"""Every separator and vocoder, small and untrained, on real recordings: exact lengths."""

import numpy as np
import pytest

import tonezoo
from tonezoo.audio.reader import read_audio
from tonezoo.pretrained import compiled_call
from tonezoo.recipes.data.tracks import import_stempeg
from tonezoo.registry import model_entry
from tonezoo.tasks import find_task

pytestmark = pytest.mark.slow


def models_of(task):
    return [
        name
        for name in tonezoo.list_models()
        if getattr(model_entry(name).model, "task", None) == task
    ]


def engine(name):
    model = tonezoo.create_model(name, preset="tiny")
    task = find_task(model.task)
    return task.engine(compiled_call(model), task.model_facts(model), name)


@pytest.fixture(scope="module")
def song():
    """The excerpt that comes with stempeg: (time, 2) and its rate."""
    try:
        stempeg = import_stempeg()
    except ImportError as error:
        pytest.skip(str(error))
    mixture, rate_hz = stempeg.read_stems(stempeg.example_stem_path(), stem_id=0)
    return mixture.astype("float32"), int(rate_hz)


@pytest.mark.parametrize("name", models_of("separation"))
def test_a_song_is_separated_into_sources_of_its_length(name, song):
    mixture, rate_hz = song
    sources = engine(name).separate(mixture, rate_hz)
    assert list(sources) == ["drums", "bass", "other", "vocals"]
    for source in sources.values():
        assert source.shape == mixture.shape and np.isfinite(source).all() and source.any()


@pytest.mark.parametrize("name", models_of("vocoding"))
def test_speech_is_vocoded_to_its_length(name, shared_audio):
    vocoder = engine(name)
    paths = sorted((shared_audio / "ljspeech").rglob("*.wav"))[:5]
    assert paths
    for path in paths:
        samples, rate_hz = read_audio(path)
        output = vocoder.copy_synthesis(samples, rate_hz)
        assert output.shape == samples.shape and np.isfinite(output).all() and output.any()
        assert len(vocoder.mel(samples[:, 0], rate_hz)) == -(-len(samples) // 256)
