"""The models that come with the package: found by name, intact, and as good as their table says."""

import json
import re

import numpy as np
import pytest

import tonezoo
from tonezoo.export import verify
from tonezoo.manifest import resolve_version
from tonezoo.pretrained import DEFAULT_MODEL, model_folder, shipped_models

NAMES = sorted(shipped_models())
COLUMNS = ("snr_db", "lsd", "mos_lqo_nb", "mos_lqo_wb", "low_band_error_db")


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
    folder = resolve_version(name)
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


@pytest.mark.parametrize("name", NAMES)
def test_the_page_shows_its_evaluation(name, source_tree):
    page = (source_tree / "savedmodels" / "README.md").read_text()
    table = re.search(r"^\| row \|.*\n\|[-|]+\n((?:\|.*\n)+)", page.split(f"## {name}\n")[1], re.M)
    shown = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table[1].splitlines()]
    shipped = json.loads((resolve_version(name) / "evaluation.json").read_text())
    rows = {row["name"]: row["metrics"] for row in shipped["rows"]}
    rows[f"{name} {resolve_version(name).name}"] = shipped["rows"][0]["metrics"]
    rows["cubic spline"] = rows["spline"]
    assert len(shown) == 4
    for row, *cells in shown:
        for cell, metric in zip(cells, COLUMNS, strict=True):
            if cell:
                decimals = len(cell.split(".")[1])
                assert cell == f"{rows[row][metric]['mean']:.{decimals}f}", (row, metric)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_the_figures_of_its_table_come_out_again(name, shared_audio, tmp_path):
    pytest.importorskip("pesq")
    from tonezoo.recipes.evaluate import evaluate_model

    folder = shared_audio / "vctk" / "p228"
    shipped = json.loads((resolve_version(name) / "evaluation.json").read_text())
    evaluation = evaluate_model(name, data=folder, out=tmp_path, report=lambda line: None)
    for row, means in zip(shipped["rows"], evaluation.summary[:, :, 0], strict=True):
        expected = [cell["mean"] for cell in row["metrics"].values()]
        np.testing.assert_allclose(means, expected, rtol=2e-3, err_msg=row["name"])
