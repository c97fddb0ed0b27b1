import io
import json
import sys

import numpy as np
import pytest

from tonezoo.analysis.published import SEPARATION_SDR
from tonezoo.analysis.separation_evaluation import evaluate_separation, separation_scores
from tonezoo.analysis.separation_metrics import (
    SEPARATION_METRICS,
    bss_eval_frames,
    import_museval,
    si_sdr_db,
)

try:
    import_museval()
except ImportError as error:
    REASON = str(error)
else:
    REASON = ""
needs_museval = pytest.mark.skipif(bool(REASON), reason=REASON)

RATE_HZ = 8000
SOURCES = ("drums", "bass")
COLUMN = {key: index for index, key in enumerate(SEPARATION_METRICS)}


def stems(seed, seconds=2.0):
    """Noise, the drums twice as loud as the bass."""
    rng = np.random.default_rng(seed)
    samples = int(seconds * RATE_HZ)
    return {
        source: level * rng.standard_normal((samples, 1)).astype("float32")
        for source, level in zip(SOURCES, (0.2, 0.1), strict=True)
    }


TRACKS = {f"track {seed}": lambda seed=seed: stems(seed, 2.0 + seed) for seed in range(2)}


class Oracle:
    """Separates the tracks, which it knows, with an error of -20 dB of each reference."""

    def __init__(self, tracks):
        self.tracks = [load() for load in tracks.values()]

    def __call__(self, mixture):
        assert mixture.dtype == "float32"
        for references in self.tracks:
            if np.array_equal(mixture, sum(np.float64(r) for r in references.values()).astype("f")):
                return {source: 1.1 * reference for source, reference in references.items()}
        raise AssertionError("not a sum of references")


def run(tracks=TRACKS, separate=None, **options):
    options = {"sources": SOURCES, "sample_rate_hz": RATE_HZ, "model_name": "oracle", **options}
    return evaluate_separation(separate or Oracle(tracks), tracks, **options)


@pytest.fixture(scope="module")
def evaluation():
    if REASON:
        pytest.skip(REASON)
    return run(details={"shifts": 10, "overlap": 0.25})


def evaluation_of(sdr, si_sdr=None):
    """An evaluation with given SDR frames (track, row, source, frame), the same in all measures."""
    sdr = np.asarray(sdr, "float64")
    if si_sdr is None:
        si_sdr = np.zeros((2, len(sdr), 2))
    return separation_scores(
        model_name="model",
        sources=SOURCES,
        sample_rate_hz=RATE_HZ,
        tracks=tuple(f"track {i}" for i in range(len(sdr))),
        track_samples=(sdr.shape[-1] * RATE_HZ,) * len(sdr),
        frames=tuple(np.repeat(track[:, :, None], 4, axis=2) for track in sdr),
        si_sdr_db=np.asarray(si_sdr),
    )


def test_rows_are_the_model_and_the_mixture_shared_out(evaluation):
    assert evaluation.rows == ("oracle", "mixture / 2")
    assert evaluation.values.shape == (2, 2, 2, len(SEPARATION_METRICS))
    references = {source: np.float64(signal) for source, signal in stems(1, 3.0).items()}
    half = sum(references.values()) / 2
    frames = bss_eval_frames(references, dict.fromkeys(SOURCES, half), RATE_HZ)
    for source, name in enumerate(SOURCES):
        of_track = evaluation.values[1, 1, source]
        # float32 mixture against float64.
        assert of_track[0] == pytest.approx(np.median(frames[name]["SDR"]), abs=1e-4)
        assert of_track[2] == pytest.approx(np.median(frames[name]["SIR"]), abs=1e-4)
        assert of_track[-1] == pytest.approx(si_sdr_db(references[name], half), abs=1e-4)


def test_good_estimates_have_their_sdr_and_beat_the_baseline(evaluation):
    np.testing.assert_allclose(evaluation.per_part[0, :, 0, 0], 20, atol=1e-3)
    # Half of the mixture: error bass / 2 - drums / 2, 10 log10(4 / 1.25); the bass 10 log10(0.8).
    np.testing.assert_allclose(evaluation.per_part[1, :, 0, 0], [5.05, -0.97], atol=0.15)
    np.testing.assert_allclose(
        evaluation.summary[:, 0, 0], evaluation.per_part[:, :, 0, 0].mean(axis=1)
    )
    assert (evaluation.per_part[0] > evaluation.per_part[1])[:, COLUMN["si_sdr_db"], 0].all()
    assert "better in drums, bass, no better in none" in evaluation.verdict


@needs_museval
def test_perfect_estimates_get_infinite_scores_and_a_report(tmp_path):
    tracks = {"a": lambda: stems(0, 1.0)}
    evaluation = run(tracks, lambda mixture: stems(0, 1.0))
    assert evaluation.summary[0, 0, 0] == np.inf and np.isfinite(evaluation.summary[1, 0, 0])
    evaluation.write(tmp_path)
    data = json.loads((tmp_path / "evaluation.json").read_text())
    assert data["rows"][0]["metrics"]["sdr_db"]["mean"] is None
    assert "| oracle | inf | inf | inf |" in (tmp_path / "evaluation.md").read_text()


def test_scores_are_medians_over_frames_then_tracks_then_the_mean_of_sources():
    nan = np.nan
    sdr = np.zeros((3, 2, 2, 4))
    sdr[0, 0] = [[1, 2, nan, 9], [0, 0, nan, 0]]
    sdr[1, 0] = [[4, 4, 5, 30], [nan, nan, 1, nan]]
    sdr[2, 0] = [[-8, -8, -8, -8], [8, 8, 8, 8]]
    evaluation = evaluation_of(sdr)
    np.testing.assert_array_equal(evaluation.values[0, :, :, 0], [[2, 0], [4.5, 1], [-8, 8]])
    np.testing.assert_array_equal(evaluation.per_part[0, :, 0, 0], [2, 1])
    np.testing.assert_array_equal(evaluation.summary[:, 0, 0], [1.5, 0])
    assert any(
        "of 12 frames, these have one: model: 11; mixture / 2: 12" in g for g in evaluation.gaps
    )


@pytest.mark.filterwarnings("error")
def test_a_track_without_a_value_in_one_row_is_left_out_of_both():
    sdr = np.zeros((3, 2, 2, 1))
    sdr[:, 0, 0, 0] = [1, 5, 7]
    sdr[:, 1, 0, 0] = [-1, -5, -7]
    sdr[2, 0, 0] = np.nan
    evaluation = evaluation_of(sdr)
    np.testing.assert_array_equal(evaluation.per_part[:, 0, 0, 0], [3, -3])
    assert any(
        gap.startswith("SDR, BSSEval v4 (dB); ISR") and "(dB), drums: 2 of 3 tracks" in gap
        for gap in evaluation.gaps
    )


@pytest.mark.filterwarnings("error")
def test_a_source_that_is_silent_everywhere_is_left_out_of_means_but_a_silent_estimate_is_not():
    sdr = np.ones((2, 2, 2, 3))
    sdr[:, :, 1] = np.nan
    si_sdr = np.zeros((2, 2, 2))
    si_sdr[:, :, 1] = np.nan
    evaluation = evaluation_of(sdr, si_sdr)
    np.testing.assert_array_equal(evaluation.summary[:, 0, 0], [1, 1])
    assert "Without a value in any track, hence left out of means: bass." in evaluation.gaps
    # The bass is there, but the model gives none.
    si_sdr[0, :, 1], si_sdr[1, :, 1] = -np.inf, 0
    evaluation = evaluation_of(sdr, si_sdr)
    assert np.isnan(evaluation.summary[:, 0, 0]).all()
    assert evaluation.summary[0, -1, 0] == -np.inf
    assert "cannot be judged" in evaluation.verdict
    assert "| model | 1.00 | - | - |" in evaluation.to_markdown()


@needs_museval
@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_silence_in_tracks_gets_a_report_without_nan(tmp_path):
    def without_bass():
        return {**stems(0), "bass": np.zeros((2 * RATE_HZ, 1), "float32")}

    def silence():
        return dict.fromkeys(SOURCES, np.zeros((RATE_HZ // 2, 1), "float32"))

    tracks = {"a": lambda: stems(0), "b": without_bass, "c": silence}
    evaluation = run(tracks)
    assert np.isfinite(evaluation.values[:, 1, 0, 0]).all()
    assert np.isnan(evaluation.values[:, 1, 1, 0]).all() and np.isnan(evaluation.values[:, 2]).all()
    np.testing.assert_array_equal(evaluation.per_part[:, 1, :, 0], evaluation.values[:, 0, 1])
    evaluation.write(tmp_path)
    json.loads((tmp_path / "evaluation.json").read_text(), parse_constant=pytest.fail)
    assert " nan" not in (tmp_path / "evaluation.md").read_text()
    frames = json.loads((tmp_path / "museval" / "c.json").read_text())["targets"][0]["frames"]
    assert [frame["duration"] for frame in frames] == [0.5]
    nothing = run({"c": silence})
    assert np.isnan(nothing.summary[..., 0]).all() and "cannot be judged" in nothing.verdict


def test_files_hold_scores_definitions_and_published_rows(evaluation, tmp_path):
    paths = evaluation.write(tmp_path / "report")
    names = ["evaluation.json", "evaluation.md", "museval/track 0.json", "museval/track 1.json"]
    assert [str(path.relative_to(tmp_path / "report")) for path in paths] == names
    assert sorted(p for p in (tmp_path / "report").rglob("*") if p.is_file()) == sorted(paths)
    data = json.loads(paths[0].read_text(), parse_constant=pytest.fail)
    assert [row["name"] for row in data["rows"]] == ["oracle", "mixture / 2"]
    cell = data["rows"][1]["metrics"]["sdr_db"]
    assert cell["mean"] == evaluation.summary[1, 0, 0]
    assert cell["per_source"]["bass"] == evaluation.per_part[1, 1, 0, 0]
    assert cell["per_track"]["bass"] == evaluation.values[1, :, 1, 0].tolist()
    assert data["tracks"] == ["track 0", "track 1"] and data["track_s"] == [2, 3]
    assert data["details"] == {"shifts": 10, "overlap": 0.25}
    assert data["paper"]["modified transposed"] == {"sdr_db": 5.37}
    assert set(data["versions"]) >= {"tonezoo", "numpy", "museval"}
    text = paths[1].read_text()
    for name, sdr in SEPARATION_SDR.items():
        assert f"| paper {name} | - | - | {sdr:.2f} |" in text
    baseline = " | ".join(f"{sdr:.2f}" for sdr in (*evaluation.per_part[1, :, 0, 0],))
    assert f"| mixture / 2 | {baseline} | {evaluation.summary[1, 0, 0]:.2f} |" in text
    for metric in SEPARATION_METRICS.values():
        assert f"{metric.title}: {metric.definition}." in text
    for expected in (
        "shifts 10; overlap 0.25",
        "track 0; track 1",
        "mixture / 2: each",
        "museval ",
    ):
        assert expected in text
    assert "50 test tracks of MUSDB18: not comparable" in text


def test_musevals_files_are_read_by_museval_with_the_same_medians(evaluation, tmp_path):
    import museval

    evaluation.write(tmp_path)
    store = museval.EvalStore()
    for path in (tmp_path / "museval").glob("*.json"):
        store.add_track(museval.json2df(json.loads(path.read_text()), path.stem))
    medians = store.agg_frames_tracks_scores()
    for source, name in enumerate(SOURCES):
        for key in ("SDR", "ISR", "SIR", "SAR"):
            ours = evaluation.per_part[0, source, COLUMN[f"{key.lower()}_db"], 0]
            # The files have five decimals.
            assert float(medians[name, key]) == pytest.approx(ours, abs=1e-5)


def test_tables_fit_into_80_columns(evaluation):
    from rich.console import Console

    stream = io.StringIO()
    evaluation.print(Console(file=stream, width=80))
    printed = stream.getvalue()
    assert "…" not in printed
    for expected in (
        "SI-SDR (dB)",
        "paper Sams-Net",
        "5.65",
        f"{evaluation.summary[1, 0, 0]:.2f}",
    ):
        assert expected in printed


@needs_museval
def test_tracks_are_read_one_after_the_other_and_progress_is_told():
    events = []

    def track(seed):
        events.append(f"read {seed}")
        return stems(seed, 1.0)

    run(
        {"folder/a": lambda: track(0), "b": lambda: track(1)},
        lambda mixture: dict.fromkeys(SOURCES, mixture),
        progress=lambda done, total: events.append((done, total)),
    )
    assert events == ["read 0", (1, 2), "read 1", (2, 2)]


@needs_museval
def test_tracks_that_cannot_be_read_are_left_out_and_told():
    def damaged():
        raise ValueError("b.wav is cut off.")

    tracks = {"a": lambda: stems(0, 1.0), "b": damaged, "c": lambda: stems(1, 1.0)}
    told, done = [], []

    def shared(mixture):
        return dict.fromkeys(SOURCES, mixture)

    evaluation = run(tracks, shared, skip=told.append, progress=lambda *count: done.append(count))
    assert evaluation.items == ("a", "c") and evaluation.values.shape[:2] == (2, 2)
    assert told == ["Skipped: b.wav is cut off."] and done == [(1, 3), (2, 3), (3, 3)]
    with pytest.raises(ValueError, match=r"^Track b: b.wav is cut off\.$"):
        run(tracks, shared)
    with pytest.raises(ValueError, match=r"None of the 1 tracks can be used\. Skipped: b\.wav"):
        run({"b": damaged}, shared, skip=told.append)
    # What a model does wrong is not the track's fault.
    with pytest.raises(ValueError, match="Track a: There must be one estimate"):
        run(tracks, lambda mixture: {}, skip=told.append)


@needs_museval
def test_bad_tracks_and_models_are_named():
    one = {"a": lambda: stems(0, 1.0)}

    def changed(**signals):
        return {"b": lambda: {**stems(0, 1.0), **signals}}

    with pytest.raises(ValueError, match=r"Track b: .*drums, bass; received drums, bass, vocals"):
        run(changed(vocals=np.ones((8000, 1))), dict)
    with pytest.raises(
        ValueError, match=r"Track b: The reference of bass .*\(8000, 1\); .*\(2, 1\)"
    ):
        run(changed(bass=np.ones((2, 1))), dict)
    with pytest.raises(ValueError, match="Track b: The reference of drums has NaN"):
        run(changed(drums=np.full((8000, 1), np.nan)), dict)
    with pytest.raises(ValueError, match=r"Track a: .*one estimate of each .*received drums\."):
        run(one, lambda mixture: {"drums": mixture})
    with pytest.raises(ValueError, match=r"Track a: The estimate of drums .*\(8000, 1\); .*\(7999"):
        run(one, lambda mixture: dict.fromkeys(SOURCES, mixture[1:]))
    with pytest.raises(ValueError, match="Track a: The estimate of bass has NaN"):
        run(one, lambda mixture: {"drums": mixture, "bass": mixture * np.inf})


def test_bad_arguments_are_told_before_anything_is_read():
    def load():
        raise AssertionError("read")

    tracks = {"a": load}
    with pytest.raises(ValueError, match="no track"):
        run({}, dict)
    for sources in (("drums",), ("drums", "drums"), ()):
        with pytest.raises(ValueError, match="two or more different names"):
            run(tracks, dict, sources=sources)
    for rate in (0, 44_100.5):
        with pytest.raises(ValueError, match=f"whole number of Hz, received {rate}"):
            run(tracks, dict, sample_rate_hz=rate)
    for details in ({"window": np.ones(2)}, {"gain": np.nan}):
        with pytest.raises(ValueError, match="`details` cannot be written as JSON"):
            run(tracks, dict, details=details)
    for name in ("", "/a", "../a", "a/../../b"):
        with pytest.raises(ValueError, match="relative path"):
            run({name: load}, dict)


def test_a_missing_museval_is_told_before_anything_is_read(monkeypatch):
    monkeypatch.setitem(sys.modules, "museval", None)
    with pytest.raises(ImportError, match="museval"):
        run({"a": lambda: pytest.fail("read")}, dict)
