"""Models in .keras files, and the command that folds one."""

import keras
import numpy as np
import pytest

from tonezoo.keras_files import load_keras_model
from tonezoo.layers import InterpolatedConv1D


class Doubled(keras.layers.Layer):
    def call(self, x):
        return 2 * x


def save(path, *layers):
    keras.Sequential([keras.Input((None, 1)), *layers]).save(path)


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "model.keras"
    save(path, keras.layers.UpSampling1D(2), keras.layers.Conv1D(3, 5, padding="same", name="up"))
    return path


def test_a_model_is_folded_into_a_file_of_its_own(cli, model, tmp_path):
    code, out, err = cli("fold", model, "--to", tmp_path / "out" / "folded.keras")
    assert code == 0, err
    assert "folded.keras: up with the upsampling before" in out
    before, after = (load_keras_model(p) for p in (model, tmp_path / "out" / "folded.keras"))
    assert [type(layer) for layer in after.layers] == [InterpolatedConv1D]
    x = np.random.default_rng(0).standard_normal((1, 21, 1))
    np.testing.assert_allclose(after(x), before(x), rtol=0, atol=1e-5)


def test_wrong_files_get_one_message_and_leave_nothing(cli, model, tmp_path):
    save(tmp_path / "plain.keras", keras.layers.Conv1D(3, 5))
    save(tmp_path / "own.keras", Doubled())
    (tmp_path / "text.keras").write_text("no model")
    (tmp_path / "model.h5").write_text("")
    before = sorted(tmp_path.rglob("*"))
    for words, message in (
        (["missing.keras", "--to", "out.keras"], "missing.keras does not exist"),
        (["model.h5", "--to", "out.keras"], "model.h5 is no .keras file"),
        (["text.keras", "--to", "out.keras"], "text.keras cannot be loaded"),
        (["own.keras", "--to", "out.keras"], "Could not locate class 'Doubled'"),
        (["own.keras", "--to", "out.keras"], "name a function of yours that does"),
        (["plain.keras", "--to", "out.keras"], "There is nothing to fold in"),
        (["model.keras", "--to", "out"], "written to a .keras file, but the name is"),
    ):
        paths = [word if word == "--to" else tmp_path / word for word in words]
        code, _, err = cli("fold", *paths)
        assert code == 1 and message in " ".join(err.split()) and "Traceback" not in err
    assert sorted(tmp_path.rglob("*")) == before
