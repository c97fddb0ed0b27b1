"""The models that come with the package: found by name, intact, and as good as their table says."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

import tonezoo
from tonezoo.pretrained import model_folder, shipped_models
from tonezoo.serving.manifest import read_manifest, resolve_version
from tonezoo.serving.verify import verify
from tonezoo.tasks import find_task, list_tasks

NAMES = sorted(shipped_models())
TASKS = {name: read_manifest(resolve_version(name))["task"] for name in NAMES}
ENHANCERS = [name for name in NAMES if TASKS[name] == "super_resolution"]
SEPARATORS = [name for name in NAMES if TASKS[name] == "separation"]
LARGEST_BYTES = {"super_resolution": 12e6, "separation": 20e6}
# A louder line on noise than the others' is a known loss, told on the page.
LINES_DB = {"band_extender_speech_x4": 7}
COLUMNS = (*("snr_db", "lsd", "mos_lqo_nb", "mos_lqo_wb", "visqol", "estoi", "low_band_error_db"),)


def test_the_default_model_is_shipped_and_a_folder_wins_over_its_name(tmp_path, monkeypatch):
    for task in list_tasks():
        defaults = find_task(task).default_models
        if not defaults:
            continue
        assert {TASKS[model] for model in defaults} == {task}
        assert find_task(task).default_model() == defaults[0]
    model = find_task("separation").default_model(44_100)
    assert model_folder(model) == shipped_models()[model]
    monkeypatch.chdir(tmp_path)
    (tmp_path / model).mkdir()
    assert model_folder(model).resolve() == tmp_path / model
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
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    assert size < LARGEST_BYTES[TASKS[name]]


@pytest.mark.slow
@pytest.mark.parametrize("name", ENHANCERS)
def test_a_shipped_model_adds_nothing_to_silence_and_no_lines_to_noise(name):
    from tonezoo.analysis.probes import probe

    model = tonezoo.load(name)

    def enhance(low):
        return model.enhance(low, model.low_rate_hz)

    probes = probe(enhance, ratio=model.ratio, sample_rate_hz=model.sample_rate_hz)
    assert probes.silence_dbfs < -80
    allowed_db = LINES_DB.get(name, 6)
    assert max(probes.lines_db.values()) < allowed_db, probes.lines_db


@pytest.mark.slow
@pytest.mark.parametrize("name", ENHANCERS)
def test_a_shipped_model_has_a_strength_of_its_own(name):
    manifest, model = read_manifest(resolve_version(name)), tonezoo.load(name)
    assert model.strength_db == manifest["strength_db"] <= 0
    assert model.interpolation == manifest["interpolation"]
    low = np.random.default_rng(0).standard_normal(4000).astype("float32")
    trained, own, none = (
        np.fft.rfft(tonezoo.enhance(low, model.low_rate_hz, model=name, strength_db=strength_db))
        for strength_db in (0, None, -300)
    )
    # From 1.2 of the input's Nyquist frequency on.
    above = np.arange(len(trained)) > 1.2 * len(low) / 2
    made_up, scaled = (np.linalg.norm((spectrum - none)[above]) for spectrum in (trained, own))
    assert 20 * np.log10(scaled / made_up) == pytest.approx(model.strength_db, abs=0.01)
    below = np.arange(len(trained)) < 0.8 * len(low) / 2
    np.testing.assert_allclose(own[below], trained[below], rtol=0, atol=0.01 * np.abs(own).max())


@pytest.mark.parametrize("name", ENHANCERS)
def test_a_shipped_model_is_better_than_the_spline_to_all_that_predict_listeners(name):
    folder = resolve_version(name)
    shipped = json.loads((folder / "evaluation.json").read_text())
    assert shipped["strength_db"] == read_manifest(folder)["strength_db"]
    model, spline = (
        {key: cell["mean"] for key, cell in row["metrics"].items()} for row in shipped["rows"][:2]
    )
    for key in ("mos_lqo_wb", "visqol", "estoi"):
        assert model[key] >= spline[key]
    assert model["lsd"] <= spline["lsd"] - 1.3 and model["snr_db"] >= spline["snr_db"]


def shown_on_the_page(name, source_tree) -> list[list[str]]:
    """Returns the cells of the first table in a model's section."""
    page = (source_tree / "savedmodels" / "README.md").read_text()
    table = re.search(r"^\| row \|.*\n\|[-|]+\n((?:\|.*\n)+)", page.split(f"## {name}\n")[1], re.M)
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in table[1].splitlines()]


@pytest.mark.parametrize("name", SEPARATORS)
def test_the_page_shows_the_evaluation_of_a_separator(name, source_tree):
    shipped = json.loads((resolve_version(name) / "evaluation.json").read_text())
    rows = {f"{name} 1": shipped["rows"][0], "mixture / 4": shipped["rows"][1]}
    shown = shown_on_the_page(name, source_tree)
    assert [row for row, *_ in shown] == list(rows)
    for row, *cells in shown:
        sdr = rows[row]["metrics"]["sdr_db"]
        expected = [*(sdr["per_source"][source] for source in shipped["sources"]), sdr["mean"]]
        assert cells == [f"{value:.2f}" for value in expected]


@pytest.mark.parametrize("name", SEPARATORS)
def test_a_separator_is_better_than_the_mixture_and_keeps_silence(name):
    shipped = json.loads((resolve_version(name) / "evaluation.json").read_text())
    model, mixture = (row["metrics"]["sdr_db"] for row in shipped["rows"])
    for source in shipped["sources"]:
        assert model["per_source"][source] > mixture["per_source"][source]
    stems = tonezoo.separate(np.zeros((44_100, 2), "float32"), 44_100, model=name)
    assert list(stems) == shipped["sources"]
    assert not any(np.any(stem) for stem in stems.values())


@pytest.mark.slow
def test_a_real_recording_is_separated_into_stems_that_sum_to_it(tmp_path, cli):
    """The excerpt that comes with stempeg: rate and length kept, stems and residual the mixture."""
    import soundfile

    from tonezoo.recipes.data.tracks import import_stempeg

    try:
        stempeg = import_stempeg()
    except ImportError as error:
        pytest.skip(str(error))
    mixture, rate_hz = stempeg.read_stems(stempeg.example_stem_path(), stem_id=0)
    song = tmp_path / "song.wav"
    soundfile.write(song, mixture, int(rate_hz), subtype="FLOAT")
    code, _, err = cli("separate", song, "--out", tmp_path / "out", "--residual")
    assert code == 0, err
    stems = {}
    for path in (tmp_path / "out" / "song").iterdir():
        stems[path.stem], stem_rate_hz = soundfile.read(path)
        assert stem_rate_hz == rate_hz and stems[path.stem].shape == mixture.shape
    assert set(stems) == {"drums", "bass", "other", "vocals", "residual"}
    np.testing.assert_allclose(sum(stems.values()), mixture, rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", ENHANCERS)
def test_the_page_shows_its_evaluation(name, source_tree):
    shown = shown_on_the_page(name, source_tree)
    shipped = json.loads((resolve_version(name) / "evaluation.json").read_text())
    rows = {row["name"]: row["metrics"] for row in shipped["rows"]}
    rows[f"{name} {resolve_version(name).name}"] = shipped["rows"][0]["metrics"]
    rows["cubic spline"] = rows["spline"]
    # The oldest evaluation has no row of the sinc.
    assert len(shown) == 4 + ("sinc (soxr)" in rows)
    for row, *cells in shown:
        for cell, metric in zip(cells, COLUMNS, strict=True):
            if cell:
                decimals = len(cell.split(".")[1])
                assert cell == f"{rows[row][metric]['mean']:.{decimals}f}", (row, metric)


@pytest.mark.slow
@pytest.mark.parametrize("name", ENHANCERS)
def test_the_figures_of_its_table_come_out_again(name, shared_audio, tmp_path):
    pytest.importorskip("pesq")
    from tonezoo.tasks.super_resolution.evaluation import evaluate_model

    shipped = json.loads((resolve_version(name) / "evaluation.json").read_text())
    for clip in shipped["clips"][:3]:
        (tmp_path / clip).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(min(shared_audio.rglob(Path(clip).name)), tmp_path / clip)
    evaluation = evaluate_model(name, data=tmp_path, out=tmp_path, report=lambda line: None)
    assert list(evaluation.items) == shipped["clips"][:3]
    # (rows, items, metrics); the noise rows have noise of their own in each clip.
    found = dict(zip(evaluation.rows, evaluation.values, strict=True))
    found[shipped["rows"][0]["name"]] = evaluation.values[0]
    for row in shipped["rows"]:
        scores = found[row["name"]]
        expected = np.transpose([cell["per_clip"][:3] for cell in row["metrics"].values()])
        np.testing.assert_allclose(scores, expected, rtol=2e-3, err_msg=row["name"])
