"""One table for every task: averages, gaps, verdict, JSON, Markdown, terminal."""

import io
import json

import numpy as np
import pytest

from tonezoo.analysis.metrics import Metric
from tonezoo.analysis.scores import Scores

METRICS = {
    "snr_db": Metric("SNR (dB)", "how near", higher_is_better=True),
    "lsd": Metric("LSD", "how far", higher_is_better=False),
    "pesq": Metric("PESQ", "how it sounds", higher_is_better=True),
}


def scores_of(values, **options):
    """Scores of a model, a baseline and more rows, (row, item, metric) or with parts."""
    values = np.asarray(values, "float64")
    return Scores(
        **{
            "title": "toy",
            "rows": ("model", "input", *(f"other {i}" for i in range(len(values) - 2))),
            "items": tuple(f"clip {i}" for i in range(values.shape[1])),
            "metrics": METRICS,
            "values": values,
            "item_word": "clip",
            **options,
        }
    )


def test_intervals_are_bootstrap_percentiles_of_the_mean():
    clips = 400
    values = np.ones((3, clips, 3))
    values[0, :, 0] = np.random.default_rng(0).normal(10, 2, clips)
    summary = scores_of(values).summary
    mean, low, high = summary[0, 0]
    assert mean == pytest.approx(values[0, :, 0].mean())
    # The normal approximation: 1.96 standard errors either side.
    error = 1.96 * values[0, :, 0].std() / np.sqrt(clips)
    assert (mean - low, high - mean) == pytest.approx((error, error), rel=0.15)
    np.testing.assert_array_equal(summary[1], 1)
    np.testing.assert_array_equal(summary, scores_of(values).summary)
    assert (scores_of(values, seed=1).summary[0, 0, 1:] != summary[0, 0, 1:]).all()


def test_an_item_without_a_value_in_one_row_is_left_out_of_all_rows():
    values = np.ones((5, 3, 3))
    values[:, 2] = 5
    values[4, 2, 0] = np.inf
    values[:, 1:, 1] = np.nan
    values[:, :, 2] = np.nan
    scores = scores_of(values)
    assert (scores.summary[:, :2, 0] == 1).all()
    assert np.isnan(scores.summary[:, 2]).all()
    assert [gap.partition(" clips")[0] for gap in scores.gaps] == [
        "SNR (dB): 2 of 3",
        "LSD: 1 of 3",
        "PESQ: 0 of 3",
    ]
    assert set(scores.gaps) <= set(scores.notes)
    assert scores.to_json()["rows"][4]["metrics"]["snr_db"]["per_clip"] == [1, 1, None]
    assert "| model | 1.00 [1.00, 1.00] | 1.00 [1.00, 1.00] | - |" in scores.to_markdown()
    values[:, :, 2] = values[:, :, 1]
    assert scores_of(values).gaps[1].startswith("LSD; PESQ: 1 of 3 clips")


def test_the_verdict_names_what_is_better_and_worse_than_the_second_row():
    scores = scores_of([[[3, 3, np.nan]], [[2, 2, np.nan]], [[9, 0, np.nan]]])
    assert scores.verdict == (
        "model is better than the input in SNR (dB): 3.00 against 2.00; worse in LSD: 3.00 against "
        "2.00."
    )
    alone = scores_of(np.ones((1, 1, 3)), rows=("model",))
    assert alone.verdict == "There is nothing to compare model with."
    same = scores_of(np.ones((2, 1, 3)))
    assert same.verdict == "model is better than the input in nothing; worse in nothing."


def test_medians_may_hold_infinities_and_have_no_interval():
    values = np.ones((2, 3, 3))
    values[0, :, 0] = [1, np.inf, np.inf]
    values[:, 1:, 1] = [[np.nan, 4], [7, 8]]
    scores = scores_of(values, average="median")
    assert scores.summary[0, 0, 0] == np.inf and scores.summary[1, 0, 0] == 1
    np.testing.assert_array_equal(scores.summary[:, 1, 0], [2.5, 4.5])
    assert np.isnan(scores.summary[..., 1:]).all()
    assert "| model | inf | 2.50 | 1.00 |" in scores.to_markdown()
    cell = scores.to_json()["rows"][0]["metrics"]["snr_db"]
    assert cell == {"median": None, "per_clip": [1, None, None]}


@pytest.mark.filterwarnings("error")
def test_parts_are_averaged_by_themselves_then_together():
    # (row, item, part, metric)
    values = np.zeros((2, 3, 3, 1))
    values[0, :, 0, 0] = [1, 2, 9]
    values[0, :, 1, 0] = [5, 6, np.nan]
    values[:, :, 2] = np.nan
    options = {"parts": ("drums", "bass", "flute"), "metrics": {"snr_db": METRICS["snr_db"]}}
    options |= {"average": "median", "part_word": "source", "published": {"A": {"snr_db": 7}}}
    scores = scores_of(values, **options)
    np.testing.assert_array_equal(scores.per_part[:, :, 0, 0], [[2, 5.5, np.nan], [0, 0, np.nan]])
    np.testing.assert_array_equal(scores.column("snr_db"), [3.75, 0])
    assert scores.gaps == [
        "SNR (dB), bass: 2 of 3 clips have a value in every row, the others are left out.",
        "Without a value in any clip, hence left out of means: flute.",
    ]
    text = scores.to_markdown()
    assert "| SNR (dB) | drums | bass | flute | mean |" in text
    assert "| model | 2.00 | 5.50 | - | 3.75 |" in text and "| paper A | - | - | - | 7.00 |" in text
    data = json.loads(json.dumps(scores.to_json(), allow_nan=False))
    assert data["sources"] == ["drums", "bass", "flute"]
    assert data["rows"][0]["metrics"]["snr_db"] == {
        "mean": 3.75,
        "per_source": {"drums": 2, "bass": 5.5, "flute": None},
        "per_clip": {"drums": [1, 2, 9], "bass": [5, 6, None], "flute": [None] * 3},
    }
    nothing = scores_of(np.full((2, 1, 3, 1), np.nan), **options)
    assert np.isnan(nothing.summary).all() and "- | - | - | - |" in nothing.to_markdown()


def test_files_hold_what_is_shown_and_the_rest_is_in_the_json(tmp_path):
    values = np.random.default_rng(0).uniform(1, 4, (3, 5, 3))
    scores = scores_of(
        values,
        shown=("pesq", "snr_db"),
        published={"[a|b]": {"pesq": 4.5}, "without": {"lsd": 1.0}},
        facts={"sample_rate_hz": 8000},
        remarks=("Said so.",),
        packages=("no-such-package",),
        stem="evaluation_soft",
        rows=("a_name_of_21_letters_1", "input", "other"),
    )
    written = scores.write(tmp_path / "new")
    assert [path.name for path in written] == ["evaluation_soft.json", "evaluation_soft.md"]
    assert sorted(written) == sorted((tmp_path / "new").iterdir())
    data = json.loads(written[0].read_text())
    assert data["model"] == "a_name_of_21_letters_1" and data["sample_rate_hz"] == 8000
    cell = data["rows"][1]["metrics"]["lsd"]
    assert cell["per_clip"] == values[1, :, 1].tolist()
    assert cell["interval_95"][0] < cell["mean"] < cell["interval_95"][1]
    assert data["paper"]["without"] == {"lsd": 1.0}
    assert data["versions"]["no-such-package"] is None and data["versions"]["numpy"]
    text = written[1].read_text()
    assert "|  | PESQ | SNR (dB) |" in text and r"| paper [a\|b] | 4.50 | - |" in text
    assert "without" not in text and "how far" in text and "- Said so." in text
    assert "no-such-package None" in text and f"**{scores.verdict}**" in text
    stream = io.StringIO()
    from rich.console import Console

    scores.print(Console(file=stream, width=80))
    printed = stream.getvalue()
    assert f"{values[1, :, 2].mean():.2f}" in printed and "[a|b]" in printed
    assert "…" not in printed and scores.verdict[:40] in printed


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"items": ()}, "There is no clip to evaluate on"),
        ({"average": "mode"}, "average must be one of mean, median, but is 'mode'"),
        ({"rows": ("model",)}, r"\(row, item, metric\), \(1, 3, 3\); received .* \(2, 3, 3\)"),
        ({"parts": ("a",)}, r"\(row, item, part, metric\), \(2, 3, 1, 3\)"),
    ],
)
def test_values_that_do_not_fit_are_told(options, message):
    with pytest.raises(ValueError, match=message):
        scores_of(np.ones((2, 3, 3)), **options)
