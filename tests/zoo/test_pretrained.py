"""The models that come with the package: found by name, intact, and as good as their table says."""

import json

import numpy as np
import pytest

import tonezoo
from tonezoo.export import verify
from tonezoo.pretrained import DEFAULT_MODEL, model_folder, shipped_models

NAMES = sorted(shipped_models())


def test_the_default_model_is_shipped_and_a_folder_wins_over_its_name(tmp_path, monkeypatch):
    assert DEFAULT_MODEL in NAMES
    assert model_folder(DEFAULT_MODEL) == shipped_models()[DEFAULT_MODEL]
    monkeypatch.chdir(tmp_path)
    (tmp_path / DEFAULT_MODEL).mkdir()
    assert model_folder(DEFAULT_MODEL).resolve() == tmp_path / DEFAULT_MODEL
    with pytest.raises(ValueError, match=f"no model at nosuch.*comes with tonezoo: .*{NAMES[0]}"):
        model_folder("nosuch")


@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_model_is_intact_and_names_its_data(name):
    manifest = verify(name)
    assert manifest["name"] == name
    assert manifest["data_licence"] not in ("", "not stated")
    files = {"log.jsonl", "curves.png", "evaluation.json", "evaluation.md"}
    assert files <= set(manifest["files"])
    folder = model_folder(name) / str(manifest["version"])
    assert sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) < 12e6


@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_model_adds_nothing_to_silence_and_no_lines_to_noise(name):
    from tonezoo.analysis.probes import probe

    model = tonezoo.load(name)

    def enhance(low):
        return model.enhance(low, model.low_rate_hz)

    probes = probe(enhance, ratio=model.ratio, sample_rate_hz=model.sample_rate_hz)
    assert probes.silence_dbfs < -80
    assert max(probes.lines_db.values()) < 6, probes.lines_db


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_the_figures_of_its_table_come_out_again(name, shared_audio, tmp_path):
    pytest.importorskip("pesq")
    from tonezoo.recipes.evaluate import evaluate_model

    folder = shared_audio / "vctk" / "p228"
    shipped = json.loads((model_folder(name) / "1" / "evaluation.json").read_text())
    evaluation = evaluate_model(name, data=folder, out=tmp_path, report=lambda line: None)
    for row, means in zip(shipped["rows"], evaluation.summary[:, :, 0], strict=True):
        expected = [cell["mean"] for cell in row["metrics"].values()]
        np.testing.assert_allclose(means, expected, rtol=2e-3, err_msg=row["name"])
