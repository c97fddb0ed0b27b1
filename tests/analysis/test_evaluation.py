import io
import json
import sys

import numpy as np
import pytest

from tonezoo.analysis.evaluation import NOISE_LEVELS_DBFS, Evaluation, evaluate
from tonezoo.analysis.metrics import METRICS, lsd, snr_db
from tonezoo.analysis.probes import Probes
from tonezoo.audio.resampling import LOW_PASSES, decimate, upsample_spline

COLUMN = {key: index for index, key in enumerate(METRICS)}


@pytest.fixture
def without_pesq(monkeypatch):
    monkeypatch.setitem(sys.modules, "pesq", None)


@pytest.fixture(scope="module")
def clips():
    rng = np.random.default_rng(0)
    return {name: 0.1 * rng.standard_normal(4099).astype("float32") for name in ("a", "b", "c")}


def repeat(low):
    return np.repeat(low, 2)


def run(clips, enhance=repeat, **options):
    options = {"ratio": 2, "sample_rate_hz": 16_000, "model_name": "repeat", **options}
    return evaluate(enhance, clips, **options)


def evaluation_of(scores, remarks=()):
    """An evaluation with given scores (row, clip, metric)."""
    return Evaluation(
        model_name="model",
        ratio=4,
        sample_rate_hz=16_000,
        low_pass="chebyshev",
        seed=0,
        clip_names=tuple(f"clip {i}" for i in range(scores.shape[1])),
        scores=scores,
        probes=Probes(-200.0, {8000.0: 0.5, 4000.0: 1.5}),
        remarks=remarks,
    )


def test_rows_are_the_model_the_spline_and_the_spline_with_noise(clips, without_pesq):
    evaluation = run(clips)
    assert evaluation.scores.shape == (2 + len(NOISE_LEVELS_DBFS), 3, len(METRICS))
    reference = clips["b"][:4098]
    low = decimate(reference, 2)
    b = evaluation.scores[:, 1]
    assert b[0, COLUMN["snr_db"]] == pytest.approx(snr_db(reference, repeat(low)))
    assert b[0, COLUMN["lsd"]] == pytest.approx(lsd(reference, repeat(low)))
    assert np.isnan(b[:, COLUMN["mos_lqo_nb"] :]).all()


def test_spline_row_is_the_models_own_spline_and_noise_has_the_stated_rms(without_pesq):
    from tonezoo.layers import Interpolate1D

    def spline(low):
        return np.ravel(Interpolate1D(2, "cubic")(low[None, :, None]))

    t = np.arange(20_000)
    silent_but_long = {"faint": 1e-6 * np.sin(0.01 * t)}
    evaluation = run(silent_but_long, spline)
    np.testing.assert_array_equal(evaluation.scores[0], evaluation.scores[1])
    # On a signal this faint the error is the noise: SNR = signal level - noise level.
    signal_dbfs = 20 * np.log10(1e-6 / np.sqrt(2))
    expected = signal_dbfs - np.array(NOISE_LEVELS_DBFS)
    snr = evaluation.scores[2:, 0, COLUMN["snr_db"]]
    np.testing.assert_allclose(snr, expected, atol=0.1)
    # The rows differ in the level only.
    np.testing.assert_allclose(np.diff(snr), 6, atol=1e-3)


def test_noise_depends_on_seed_and_name_alone(clips, without_pesq):
    scores = run(clips).scores
    backwards = run(dict(reversed(clips.items()))).scores
    np.testing.assert_array_equal(scores, backwards[:, ::-1])
    other = run(clips, seed=1).scores
    np.testing.assert_array_equal(scores[:2], other[:2])
    assert (scores[2:, :, 0] != other[2:, :, 0]).all()


def test_progress_counts_finished_clips(clips, without_pesq):
    calls = []
    run(clips, progress=lambda done, total: calls.append((done, total)))
    assert calls == [(1, 3), (2, 3), (3, 3)]


def test_intervals_are_bootstrap_percentiles_of_the_mean():
    rng = np.random.default_rng(0)
    clips = 400
    scores = np.ones((8, clips, len(METRICS)))
    scores[0, :, 0] = rng.normal(10, 2, clips)
    summary = evaluation_of(scores).summary
    mean, low, high = summary[0, 0]
    assert mean == pytest.approx(scores[0, :, 0].mean())
    # The normal approximation: 1.96 standard errors either side.
    error = 1.96 * scores[0, :, 0].std() / np.sqrt(clips)
    assert (mean - low, high - mean) == pytest.approx((error, error), rel=0.15)
    np.testing.assert_array_equal(summary[1], 1)
    np.testing.assert_array_equal(summary, evaluation_of(scores).summary)


def test_a_clip_without_a_value_in_one_row_is_left_out_of_all_rows():
    scores = np.ones((8, 3, len(METRICS)))
    scores[:, 2] = 5
    scores[4, 2, 0] = np.inf
    scores[:, 1:, 1] = np.nan
    scores[:, :, 2] = np.nan
    evaluation = evaluation_of(scores)
    assert (evaluation.summary[:, 0, 0] == 1).all()
    assert (evaluation.summary[:, 1, 0] == 1).all()
    assert np.isnan(evaluation.summary[:, 2]).all()
    assert any("SNR (dB): 2 of 3 clips" in note for note in evaluation.notes)
    assert any("LSD, hop 512: 0 of 3 clips" in note for note in evaluation.notes)
    assert len(evaluation.gaps) == 3
    assert evaluation.to_json()["rows"][4]["metrics"]["snr_db"]["per_clip"] == [1, 1, None]


def test_noise_beats_a_model_only_if_as_good_in_both_lsd_and_pesq():
    scores = np.full((8, 2, len(METRICS)), 3.0)
    scores[0, :, COLUMN["lsd"]], scores[0, :, COLUMN["mos_lqo_wb"]] = 1.5, 3.0
    assert evaluation_of(scores).beaten_by_noise() == ()
    assert evaluation_of(scores).verdict.startswith("model is better than noise")
    scores[3, :, COLUMN["lsd"]], scores[3, :, COLUMN["mos_lqo_wb"]] = 1.0, 2.9
    assert evaluation_of(scores).beaten_by_noise() == ()
    scores[5, :, COLUMN["lsd"]] = 1.5
    scores[1, :, COLUMN["lsd"]] = 1.0  # the spline itself is no noise row
    assert evaluation_of(scores).beaten_by_noise() == ("spline + noise at -66 dBFS",)
    assert "beaten by spline + noise at -66 dBFS" in evaluation_of(scores).verdict


def test_without_pesq_the_columns_are_empty_and_the_extra_is_named(clips, without_pesq):
    evaluation = run(clips)
    with pytest.raises(ValueError, match=r"cannot be judged without PESQ wb.*tonezoo\[eval\]"):
        evaluation.beaten_by_noise()
    assert "cannot be judged" in evaluation.verdict
    row = next(line for line in evaluation.to_markdown().splitlines() if "| spline |" in line)
    assert row.endswith("| - | - |")


def test_tables_and_files_hold_the_rows_the_paper_and_the_definitions(tmp_path):
    from rich.console import Console

    scores = np.random.default_rng(0).uniform(1, 4, (8, 5, len(METRICS)))
    evaluation = evaluation_of(scores)
    evaluation.write(tmp_path / "report")
    data = json.loads((tmp_path / "report" / "evaluation.json").read_text())
    assert [row["name"] for row in data["rows"]] == list(evaluation.row_names)
    cell = data["rows"][1]["metrics"]["lsd"]
    assert cell["per_clip"] == scores[1, :, COLUMN["lsd"]].tolist()
    assert cell["interval_95"][0] < cell["mean"] < cell["interval_95"][1]
    assert data["paper"]["MU-GAN8, Speaker99"]["lsd"] == 2.72
    assert data["low_rate_hz"] == 4000
    assert set(data["versions"]) >= {"tonezoo", "numpy", "pesq"}
    text = (tmp_path / "report" / "evaluation.md").read_text()
    assert "| paper U-net8, Speaker1 | 18.68 | 2.34 | - | - | 3.81 | - |" in text
    assert "| LSD |" not in text
    for metric in METRICS.values():
        assert metric.title in text and metric.definition in text
    stream = io.StringIO()
    evaluation.print(Console(file=stream, width=80))
    printed = stream.getvalue()
    assert "…" not in printed
    for expected in (f"{scores[1, :, 0].mean():.2f}", "Speaker99", evaluation.verdict[:20]):
        assert expected in printed


def test_pesq_is_measured_where_it_is_installed():
    pytest.importorskip("pesq")
    t = np.arange(16_000) / 16_000
    voice = sum(np.sin(2 * np.pi * 120 * k * t) / k for k in range(1, 60))
    evaluation = run({"voice": 0.1 * voice * (np.sin(2 * np.pi * 1.5 * t) > -0.3)})
    nb, wb = evaluation.summary[1, -2:, 0]
    assert 1 < wb < nb < 4.55


def test_bad_clips_and_models_are_named(clips, without_pesq):
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


def test_a_model_that_fails_on_silence_is_refused_before_any_clip_is_scored(clips, without_pesq):
    done = []

    def by_its_peak(low):
        with np.errstate(invalid="ignore"):
            return repeat(low / low.max())

    with pytest.raises(ValueError, match=r"Probe, digital silence: .* 32000 NaN"):
        run(clips, by_its_peak, progress=lambda *count: done.append(count))
    assert not done


@pytest.mark.filterwarnings("error")
def test_a_model_that_is_silent_gets_a_report_like_any_other(clips, without_pesq, tmp_path):
    run(clips, lambda low: 0 * repeat(low)).write(tmp_path)
    probes = json.loads((tmp_path / "evaluation.json").read_text())["probes"]
    assert probes["silence_dbfs"] == -200 and set(probes["lines_db"].values()) == {0}


@pytest.mark.parametrize("low_pass", LOW_PASSES)
def test_the_low_rate_is_made_with_the_low_pass_asked_for(clips, without_pesq, low_pass):
    received = []

    def enhance(low):
        received.append(low)
        return repeat(low)

    evaluation = run({"a": clips["a"]}, enhance, low_pass=low_pass)
    low = decimate(clips["a"][:4098], 2, low_pass)
    np.testing.assert_array_equal(received[-1], low)
    spline = snr_db(clips["a"][:4098], upsample_spline(low, 2))
    assert evaluation.scores[1, 0, COLUMN["snr_db"]] == pytest.approx(spline)
    assert evaluation.to_json()["low_pass"] == low_pass


def test_an_unknown_low_pass_is_told_before_anything_is_computed(clips):
    def enhance(low):
        raise AssertionError("computed")

    with pytest.raises(ValueError, match=r"^low_pass must be one of .* but is 'chebychev'"):
        run(clips, enhance, low_pass="chebychev")


@pytest.mark.filterwarnings("error")
def test_silent_clips_get_no_sentence_on_the_low_band_but_one_on_the_gap(without_pesq):
    evaluation = run({"silence": np.zeros(4096)})
    assert "nan" not in evaluation.to_markdown()
    assert evaluation.low_band == []
    assert any(gap.startswith("low-band error (dB): 0 of 1 clips") for gap in evaluation.gaps)
    (sentence,) = evaluation_of(np.ones((8, 2, len(METRICS)))).low_band
    assert "model's error is 1.0 dB" in sentence
