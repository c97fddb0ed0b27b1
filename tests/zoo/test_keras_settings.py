"""A user's keras.json, left over from another project, changes nothing."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import soundfile

SETTINGS = {"image_data_format": "channels_first", "floatx": "float16", "epsilon": 1e-7}


@pytest.fixture
def keras_home(tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    return home


def run(words, home, backend=None, **environment):
    settings = SETTINGS if backend is None else SETTINGS | {"backend": backend}
    (home / "keras.json").write_text(json.dumps(settings))
    inherited = {key: value for key, value in os.environ.items() if key != "KERAS_BACKEND"}
    return subprocess.run(
        [sys.executable, *map(str, words)],
        env=inherited | {"KERAS_HOME": str(home), **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.mark.slow
@pytest.mark.parametrize("environment", [{}, {"KERAS_BACKEND": "jax"}])
def test_the_command_line_fixes_backend_precision_and_data_format(
    tmp_path, keras_home, environment
):
    low = np.random.default_rng(0).uniform(-0.3, 0.3, 2000)
    soundfile.write(tmp_path / "low.wav", low, 4000, subtype="FLOAT")
    words = ("-m", "tonezoo", "enhance", tmp_path / "low.wav", "--out", tmp_path / "out")
    done = run(words, keras_home, backend="jax", **environment)
    assert done.returncode == 0, done.stderr
    import tonezoo

    expected = tonezoo.enhance(low.astype("float32"), 4000)
    output = soundfile.read(tmp_path / "out" / "low.wav", dtype="float32")[0]
    np.testing.assert_allclose(output, expected, rtol=0, atol=1e-6)


@pytest.mark.slow
def test_the_spline_that_everything_is_compared_with_is_float32(keras_home):
    code = (
        "import numpy as np; from tonezoo.audio.resampling import upsample_spline; "
        "x = np.sin(np.arange(200, dtype='float32')); y = upsample_spline(x, 4); "
        "print(y.dtype, float(np.abs(y[::4] - x).max()))"
    )
    done = run(("-c", code), keras_home)
    assert done.returncode == 0, done.stderr
    dtype, error = done.stdout.split()
    # The spline passes through the samples.
    assert dtype == "float32" and float(error) < 1e-6


def test_a_command_that_needs_tensorflow_says_so_in_one_line(tmp_path, keras_home):
    (tmp_path / "tensorflow.py").write_text("raise ModuleNotFoundError(name='tensorflow')")
    words = ("-m", "tonezoo", "verify", "mu_gan_speech_x4")
    done = run(words, keras_home, PYTHONPATH=str(tmp_path))
    assert done.returncode == 1
    assert done.stderr.strip().splitlines()[-1] == (
        "error: tensorflow is not installed. This command runs Keras on tensorflow: pip install "
        "'tonezoo[tensorflow]'."
    )


def test_a_native_abort_while_tensorflow_is_imported_is_not_silent(tmp_path, keras_home):
    (tmp_path / "tensorflow.py").write_text("import os; os.abort()")
    words = ("-m", "tonezoo", "verify", "mu_gan_speech_x4")
    done = run(words, keras_home, PYTHONPATH=str(tmp_path))
    assert done.returncode < 0
    assert "Fatal Python error: Aborted" in done.stderr


@pytest.mark.slow
def test_training_on_torch_is_refused_in_one_line(tmp_path, keras_home):
    pytest.importorskip("torch")
    words = ("-m", "tonezoo", "train", "mu_gan_tiny", "--run", tmp_path / "run")
    done = run(words, keras_home, KERAS_BACKEND="torch")
    assert done.returncode == 1 and "Training is not supported on the torch backend" in done.stderr
