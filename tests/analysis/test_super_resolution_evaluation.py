import io
import json
import sys

import numpy as np
import pytest
import soxr

from tonezoo.analysis.metrics import METRICS, lsd, snr_db
from tonezoo.analysis.probes import Probes
from tonezoo.analysis.published import published_scores
from tonezoo.analysis.super_resolution_evaluation import (
    BASELINES,
    NOISE_LEVELS_DBFS,
    SHOWN,
    SuperResolutionScores,
    evaluate,
)
from tonezoo.audio.resampling import LOW_PASSES, decimate, upsample_spline

COLUMN = {key: index for index, key in enumerate(METRICS)}


@pytest.fixture
def without_packages(monkeypatch):
    """What packages score takes longer than all else."""
    for name in ("pesq", "visqol", "pystoi"):
        monkeypatch.setitem(sys.modules, name, None)


@pytest.fixture(scope="module")
def clips():
    rng = np.random.default_rng(0)
    return {name: 0.1 * rng.standard_normal(4099).astype("float32") for name in ("a", "b", "c")}


def repeat(low):
    return np.repeat(low, 2)


def run(clips, enhance=repeat, **options):
    options = {"ratio": 2, "sample_rate_hz": 16_000, "model_name": "repeat", **options}
    return evaluate(enhance, clips, **options)


def evaluation_of(values, missing=None):
    """The scores of a model with given values (row, clip, metric)."""
    return SuperResolutionScores(
        title="model, x4 to 16000 Hz",
        rows=("model", *BASELINES),
        items=tuple(f"clip {i}" for i in range(values.shape[1])),
        metrics=METRICS,
        values=values,
        item_word="clip",
        shown=SHOWN,
        published=published_scores(4),
        facts={"ratio": 4, "sample_rate_hz": 16_000, "low_pass": "chebyshev", "strength_db": -3.0},
        packages=("pesq",),
        probes=Probes(-200.0, {8000.0: 0.5, 4000.0: 1.5}),
        missing=missing or {},
    )


def test_rows_are_the_model_the_spline_that_with_noise_and_the_sinc(clips, without_packages):
    evaluation = run(clips)
    assert evaluation.values.shape == (3 + len(NOISE_LEVELS_DBFS), 3, len(METRICS))
    reference = clips["b"][:4098]
    low = decimate(reference, 2)
    b = evaluation.values[:, 1]
    assert b[0, COLUMN["snr_db"]] == pytest.approx(snr_db(reference, repeat(low)))
    assert b[0, COLUMN["lsd"]] == pytest.approx(lsd(reference, repeat(low)))
    sinc = soxr.resample(low, 1, 2)
    assert b[-1, COLUMN["snr_db"]] == pytest.approx(snr_db(reference, sinc))
    assert np.isnan(b[:, COLUMN["mos_lqo_nb"] :]).all()


def test_spline_row_is_the_models_own_spline_and_noise_has_the_stated_rms(without_packages):
    from tonezoo.layers import Interpolate1D

    def spline(low):
        return np.ravel(Interpolate1D(2, "cubic")(low[None, :, None]))

    t = np.arange(20_000)
    silent_but_long = {"faint": 1e-6 * np.sin(0.01 * t)}
    evaluation = run(silent_but_long, spline)
    np.testing.assert_array_equal(evaluation.values[0], evaluation.values[1])
    # On a signal this faint the error is the noise: SNR = signal level - noise level.
    signal_dbfs = 20 * np.log10(1e-6 / np.sqrt(2))
    expected = signal_dbfs - np.array(NOISE_LEVELS_DBFS)
    snr = evaluation.values[2:-1, 0, COLUMN["snr_db"]]
    np.testing.assert_allclose(snr, expected, atol=0.1)
    # The rows differ in the level only.
    np.testing.assert_allclose(np.diff(snr), 6, atol=1e-3)


def test_noise_depends_on_seed_and_name_alone(clips, without_packages):
    scores = run(clips).values
    backwards = run(dict(reversed(clips.items()))).values
    np.testing.assert_array_equal(scores, backwards[:, ::-1])
    other = run(clips, seed=1).values
    np.testing.assert_array_equal(scores[:2], other[:2])
    assert (scores[2:-1, :, 0] != other[2:-1, :, 0]).all()
    np.testing.assert_array_equal(scores[-1], other[-1])


def test_progress_counts_finished_clips(clips, without_packages):
    calls = []
    run(clips, progress=lambda done, total: calls.append((done, total)))
    assert calls == [(1, 3), (2, 3), (3, 3)]


def test_noise_beats_a_model_only_if_as_good_in_both_lsd_and_pesq():
    scores = np.full((9, 2, len(METRICS)), 3.0)
    scores[0, :, COLUMN["lsd"]], scores[0, :, COLUMN["mos_lqo_wb"]] = 1.5, 3.0
    assert evaluation_of(scores).beaten_by_noise() == ()
    assert evaluation_of(scores).verdict.startswith("model is better than noise")
    scores[3, :, COLUMN["lsd"]], scores[3, :, COLUMN["mos_lqo_wb"]] = 1.0, 2.9
    assert evaluation_of(scores).beaten_by_noise() == ()
    scores[5, :, COLUMN["lsd"]] = 1.5
    # Neither the spline itself nor the sinc is a noise row.
    scores[[1, -1], :, COLUMN["lsd"]] = 1.0
    assert evaluation_of(scores).beaten_by_noise() == ("spline + noise at -66 dBFS",)
    assert "beaten by spline + noise at -66 dBFS" in evaluation_of(scores).verdict


def test_without_packages_the_columns_are_empty_and_the_extra_is_named(clips, without_packages):
    evaluation = run(clips)
    with pytest.raises(ValueError, match=r"cannot be judged without PESQ wb.*tonezoo\[eval\]"):
        evaluation.beaten_by_noise()
    assert "cannot be judged" in evaluation.verdict
    row = next(line for line in evaluation.to_markdown().splitlines() if "| spline |" in line)
    assert row.endswith("| - | - | - | - |")
    missing = evaluation.notes[-3:]
    assert [note.split()[0] for note in missing] == ["PESQ", "ViSQOL", "ESTOI"]
    assert all("tonezoo[eval]" in note for note in missing)


@pytest.mark.parametrize("name", ["visqol", "ai_edge_litert", "pystoi"])
def test_one_missing_package_leaves_the_other_metrics(clips, monkeypatch, name):
    for package in ("pystoi", "visqol", "ai_edge_litert"):
        pytest.importorskip(package)
    for package in ("pesq", name):
        monkeypatch.setitem(sys.modules, package, None)
    evaluation = run({"a": np.tile(clips["a"], 4)})
    lacking = "estoi" if name == "pystoi" else "visqol"
    assert set(evaluation.missing) == {"mos_lqo_nb", "mos_lqo_wb", lacking}
    for key in ("visqol", "estoi"):
        assert np.isnan(evaluation.column(key)).all() == (key == lacking)


def test_tables_and_files_hold_the_rows_the_paper_and_the_definitions(tmp_path):
    from rich.console import Console

    values = np.random.default_rng(0).uniform(1, 4, (9, 5, len(METRICS)))
    # As wide as they get.
    values[:, :, COLUMN["snr_db"]] *= -10
    evaluation = evaluation_of(values)
    written = evaluation.write(tmp_path / "report")
    assert [path.name for path in written] == ["evaluation.json", "evaluation.md"]
    data = json.loads(written[0].read_text())
    assert [row["name"] for row in data["rows"]] == list(evaluation.rows)
    cell = data["rows"][1]["metrics"]["lsd"]
    assert cell["per_clip"] == values[1, :, COLUMN["lsd"]].tolist()
    assert cell["interval_95"][0] < cell["mean"] < cell["interval_95"][1]
    assert data["paper"]["MU-GAN8, Speaker99"]["lsd"] == 2.72
    assert data["strength_db"] == -3 and data["probes"]["silence_dbfs"] == -200
    assert set(data["versions"]) >= {"tonezoo", "numpy", "pesq"}
    assert set(data["metrics"]) == set(METRICS)
    text = written[1].read_text()
    assert "| paper U-net8, Speaker1 | 18.68 | 2.34 | 3.81 | - | - | - |" in text
    assert "| LSD |" not in text and "what is made up at -3 dB" in text
    for metric in METRICS.values():
        assert metric.title in text and metric.definition in text
    stream = io.StringIO()
    evaluation.print(Console(file=stream, width=80))
    printed = stream.getvalue()
    assert "…" not in printed
    for key in SHOWN:
        assert METRICS[key].title.split(", ")[0] in printed
    for expected in (f"{evaluation.column('snr_db')[1]:.2f}", "Speaker99", evaluation.verdict[:20]):
        assert expected in printed


def test_listening_scores_are_measured_where_their_packages_are_installed():
    for package in ("pesq", "visqol", "ai_edge_litert", "pystoi"):
        pytest.importorskip(package)
    t = np.arange(24_000) / 16_000
    voice = sum(np.sin(2 * np.pi * 120 * k * t) / k for k in range(1, 60))
    evaluation = run({"voice": 0.1 * voice * (np.sin(2 * np.pi * 1.5 * t) > -0.3)})
    means = {key: evaluation.column(key)[1] for key in SHOWN}
    assert 1 < means["mos_lqo_wb"] < means["mos_lqo_nb"] < 4.55
    assert 1 < means["visqol"] < 5 and 0.5 < means["estoi"] < 1
    assert evaluation.missing == {} and "tonezoo[eval]" not in " ".join(evaluation.notes)


def test_bad_clips_and_models_are_named(clips, without_packages):
    with pytest.raises(ValueError, match="no clip"):
        run({})
    with pytest.raises(ValueError, match="2 or more, received 1"):
        run(clips, ratio=1)
    with pytest.raises(ValueError, match=r"Clip short: .* 26 samples"):
        run({**clips, "short": np.ones(27)})
    with pytest.raises(ValueError, match=r"Clip stereo: .*mono"):
        run({"stereo": np.ones((4096, 2))})
    with pytest.raises(ValueError, match=r"Clip bad: .*1 NaN"):
        run({"bad": np.r_[np.ones(4095), np.nan]})
    # The models answer silence and noise well: those are longer.
    with pytest.raises(ValueError, match=r"Clip a: .*\(4098,\).*\(2049,\)"):
        run(clips, lambda low: low if len(low) == 2049 else repeat(low))
    with pytest.raises(ValueError, match="Clip a: The estimate has NaN"):
        run(clips, lambda low: repeat(low) * (np.nan if len(low) == 2049 else 1))


def test_a_model_that_fails_on_silence_is_refused_before_any_clip_is_scored(
    clips, without_packages
):
    done = []

    def by_its_peak(low):
        with np.errstate(invalid="ignore"):
            return repeat(low / low.max())

    with pytest.raises(ValueError, match=r"Probe, digital silence: .* 32000 NaN"):
        run(clips, by_its_peak, progress=lambda *count: done.append(count))
    assert not done


@pytest.mark.filterwarnings("error")
def test_a_model_that_is_silent_gets_a_report_like_any_other(clips, without_packages, tmp_path):
    run(clips, lambda low: 0 * repeat(low)).write(tmp_path)
    probes = json.loads((tmp_path / "evaluation.json").read_text())["probes"]
    assert probes["silence_dbfs"] == -200 and set(probes["lines_db"].values()) == {0}


@pytest.mark.parametrize("low_pass", LOW_PASSES)
def test_the_low_rate_is_made_with_the_low_pass_asked_for(clips, without_packages, low_pass):
    received = []

    def enhance(low):
        received.append(low)
        return repeat(low)

    evaluation = run({"a": clips["a"]}, enhance, low_pass=low_pass)
    low = decimate(clips["a"][:4098], 2, low_pass)
    np.testing.assert_array_equal(received[-1], low)
    spline = snr_db(clips["a"][:4098], upsample_spline(low, 2))
    assert evaluation.values[1, 0, COLUMN["snr_db"]] == pytest.approx(spline)
    assert evaluation.to_json()["low_pass"] == low_pass
    assert evaluation.stem == (
        "evaluation" if low_pass == "chebyshev" else f"evaluation_{low_pass}"
    )


def test_an_unknown_low_pass_is_told_before_anything_is_computed(clips):
    def enhance(low):
        raise AssertionError("computed")

    with pytest.raises(ValueError, match=r"^low_pass must be one of .* but is 'chebychev'"):
        run(clips, enhance, low_pass="chebychev")


@pytest.mark.filterwarnings("error")
def test_silent_clips_get_no_sentence_on_the_low_band_but_one_on_the_gap(without_packages):
    evaluation = run({"silence": np.zeros(4096)})
    assert "nan" not in evaluation.to_markdown()
    assert evaluation.low_band == []
    gap = next(gap for gap in evaluation.gaps if "low-band error (dB)" in gap)
    assert gap.endswith(": 0 of 1 clips have a finite value in every row, the others are left out.")
    (sentence,) = evaluation_of(np.ones((9, 2, len(METRICS)))).low_band
    assert "model's error is 1.0 dB" in sentence
