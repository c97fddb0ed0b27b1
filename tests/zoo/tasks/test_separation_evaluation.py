"""Evaluating separation models: which tracks, what is written, and what is refused."""

import json
import shutil
import sys

import numpy as np
import pytest
import signals
import soundfile
from stubs import separator, shares

from tonezoo.analysis.separation_metrics import import_museval, si_sdr_db
from tonezoo.audio import SOURCES
from tonezoo.recipes.data import tracks as tracks_module
from tonezoo.tasks.separation import SeparationOptions
from tonezoo.tasks.separation import evaluation as module
from tonezoo.tasks.separation.evaluation import evaluate_separator, evaluation_tracks

RATE_HZ = 8000


@pytest.fixture
def museval():
    try:
        return import_museval()
    except ImportError as error:
        pytest.skip(str(error))


def unequal(sources=("drums", "bass"), channels=2):
    """A model that gives every source a share of the mixture."""
    options = {"segment_samples": 4000, "grid_samples": 1, "context_samples": 0}
    return separator(shares(0.9, 0.1), sources, channels=channels, **options)


def write_tracks(root, *names, seconds=2.0, rate_hz=RATE_HZ, sources=("drums", "bass")):
    """Writes noise of several levels, whose mean is 0."""
    for number, name in enumerate(names):
        stems = signals.noise(len(sources), round(seconds * rate_hz), 2, seed=number, std=0.03)
        for level, (source, stem) in enumerate(zip(sources, stems, strict=True), 1):
            path = root / name / f"{source}.wav"
            signals.write_audio(path, level * (stem - stem.mean()), rate_hz, subtype="FLOAT")
    return root


def run_folder(root, **data):
    """A folder that tells what a model was trained on."""
    root.mkdir(parents=True)
    data = {"name": "songs", "train": [], "test": [], "hold_out": []} | data
    config = {"recipe": "demucs_tiny", "options": {}, "data": data}
    (root / "config.json").write_text(json.dumps(config))
    return root


def chosen(data, model=None, **trained):
    """Returns the names of the tracks that are evaluated on, and what is reported."""
    provenance = {"name": "songs", "train": [], "test": [], "hold_out": []} | trained
    lines = []
    return evaluation_tracks(data, provenance, model or unequal(), lines.append), lines


def test_all_tracks_of_a_folder_are_evaluated_on(tmp_path):
    root = write_tracks(tmp_path / "songs", "b", "a/live", seconds=0.1)
    tracks, lines = chosen(root)
    assert list(tracks) == ["a/live", "b"]
    assert lines == [f"Evaluating on 2 tracks of {root}, from live to b."]
    stems = tracks["b"]()
    assert list(stems) == ["drums", "bass"]
    for source, samples in stems.items():
        expected, _ = soundfile.read(root / "b" / f"{source}.wav", dtype="float32")
        np.testing.assert_array_equal(samples, expected)


def test_held_out_tracks_are_evaluated_on_without_a_warning(tmp_path):
    root = write_tracks(tmp_path / "songs", "a", "b", "c", seconds=0.1)
    tracks, lines = chosen(root, train=["a", "b"], test=["c"], hold_out=["c"])
    assert list(tracks) == ["c"] and len(lines) == 1


def test_the_test_part_of_musdb_is_evaluated_on(tmp_path):
    root = write_tracks(tmp_path / "musdb18hq", "train/a", "test/b", "test/c", seconds=0.1)
    tracks, lines = chosen(root, name="musdb18hq", train=["train/a"], test=["test/b", "test/c"])
    assert list(tracks) == ["test/b", "test/c"] and len(lines) == 1


def test_a_warning_tells_of_tracks_that_were_trained_on(tmp_path):
    root = write_tracks(tmp_path / "songs", "a", "b", seconds=0.1)
    tracks, lines = chosen(root, train=["a"])
    assert list(tracks) == ["a", "b"]
    (warning,) = [line for line in lines if line.startswith("Warning: ")]
    assert "trained on 1 of these 2 " in warning and "songs/a" in warning


@pytest.mark.slow
def test_every_track_is_read_once_and_those_that_cannot_be_are_skipped(
    tmp_path, museval, monkeypatch
):
    root = write_tracks(tmp_path / "songs", "a", "b", "c", "d", "e", seconds=0.1)
    (root / "a" / "bass.wav").unlink()
    path = root / "c" / "drums.wav"
    path.write_bytes(path.read_bytes()[:1000])
    soundfile.write(root / "d" / "bass.wav", np.zeros((800, 5)), RATE_HZ)
    reads = []

    def read_track(path, **options):
        reads.append(path.name)
        return tracks_module.read_track(path, **options)

    monkeypatch.setattr(module, "read_track", read_track)
    run, lines = run_folder(tmp_path / "runs" / "x"), []
    evaluation = evaluate_separator(run, unequal(), data=root, report=lines.append)
    assert reads == list("abcde")
    assert evaluation.items == ("b", "e")
    skipped = [line for line in lines if line.startswith("Skipped: ")]
    for line, message in zip(
        skipped, ("a lacks bass", "drums.wav is trunc", "5 chan"), strict=True
    ):
        assert message in line
    for name in "be":
        shutil.rmtree(root / name)
    with pytest.raises(ValueError, match=r"None of the 3 tracks can be used\. Skipped: .*lacks"):
        evaluate_separator(run, unequal(), data=root, report=lines.append)


def test_a_folder_without_tracks_is_explained(tmp_path):
    with pytest.raises(ValueError, match="No track was found in"):
        chosen(write_tracks(tmp_path, "a", sources=("piano",), seconds=0.1))


def test_procedural_tracks_are_fitted_to_the_model(monkeypatch):
    monkeypatch.setattr(module, "PROCEDURAL_TRACKS", 2)
    monkeypatch.setattr(module, "PROCEDURAL_TRACK_S", 1.0)
    tracks, lines = chosen(None, unequal(channels=1))
    assert len(tracks) == 2 and "procedural tracks that were not trained on" in lines[0]
    for read in tracks.values():
        stems = read()
        assert list(stems) == ["drums", "bass"]
        assert all(x.shape == (8000, 1) for x in stems.values())
    with pytest.raises(ValueError, match=r"have no piano\. Give a folder of tracks with --data"):
        chosen(None, unequal(sources=("drums", "piano")))


@pytest.mark.slow
def test_scores_are_those_of_the_separated_mixtures(tmp_path, museval):
    """Shares of the mixture of uncorrelated sources: SI-SDR is the ratio of their energies."""
    root = write_tracks(tmp_path / "songs", "a", "b")
    run = run_folder(tmp_path / "runs" / "x")
    done, lines = [], []
    evaluation = evaluate_separator(
        run,
        unequal(),
        data=root,
        options=SeparationOptions(shifts=1, overlap=0.5),
        report=lines.append,
        progress=lambda *counts: done.append(counts),
    )
    assert done == [(1, 2), (2, 2)]
    assert evaluation.parts == ("drums", "bass") and evaluation.items == ("a", "b")
    assert evaluation.facts["details"] == {"shifts": 1, "overlap": 0.5, "segment_s": 0.5}
    for track, name in enumerate("ab"):
        stems = [soundfile.read(root / name / f"{s}.wav")[0] for s in ("drums", "bass")]
        for row in range(2):
            for index, stem in enumerate(stems):
                # A share, whichever, of the mixture; one shift alone cuts the segments elsewhere.
                expected = si_sdr_db(stem, stems[0] + stems[1])
                assert evaluation.values[row, track, index, -1] == pytest.approx(expected, abs=1e-3)
    # Of the SDR the share matters: 0.1 of the mixture is nearly silence, whose SDR is 0 dB.
    assert evaluation.values[0, 0, 1, 0] == pytest.approx(0.8, abs=0.4)
    assert sorted(p.name for p in run.iterdir()) == [
        *("config.json", "evaluation.json", "evaluation.md", "museval"),
    ]
    assert f"Wrote {run / 'evaluation.json'}" in lines[-1] and "2 files of museval" in lines[-1]


@pytest.mark.slow
def test_evaluate_writes_json_markdown_and_museval_files(
    cli, tiny_separation_run, tmp_path, museval, short_filters
):
    root = write_tracks(tmp_path / "songs", "a", "b", rate_hz=44_100, sources=SOURCES)
    write_tracks(root, "damaged", seconds=0.1, rate_hz=44_100, sources=SOURCES)
    (root / "damaged" / "bass.wav").write_text("text")
    run = shutil.copytree(tiny_separation_run, tmp_path / "run")
    config = json.loads((run / "config.json").read_text())
    config["data"] |= {"name": "songs", "train": ["a"]}
    (run / "config.json").write_text(json.dumps(config))
    words = ["evaluate", run, "--data", root, "--out", tmp_path / "scores"]
    code, out, err = cli(*words, "--overlap", "0.1", "--segment-s", "1.5")
    assert code == 0, err
    assert "Skipped: " in out and "bass.wav" in out
    assert "Warning: " in out and "trained on 1 of these 3" in out
    assert "mixture / 4" in out and "SDR, BSSEval v4" in out
    scores = json.loads((tmp_path / "scores" / "evaluation.json").read_text())
    assert scores["tracks"] == ["a", "b"] and scores["sources"] == list(SOURCES)
    assert scores["details"] == {"shifts": 0, "overlap": 0.1, "segment_s": 1.5}
    assert [row["name"] for row in scores["rows"]] == ["run", "mixture / 4"]
    for row in scores["rows"]:
        values = row["metrics"]["sdr_db"]["per_source"].values()
        assert all(isinstance(value, float) for value in values)
    assert "mixture / 4" in (tmp_path / "scores" / "evaluation.md").read_text()
    for name in ("a", "b"):
        store = json.loads((tmp_path / "scores" / "museval" / f"{name}.json").read_text())
        assert [target["name"] for target in store["targets"]] == list(SOURCES)
        assert all(len(target["frames"]) == 2 for target in store["targets"])
    # Next to the run nothing is written where --out says otherwise.
    assert not (run / "evaluation.json").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--ratio", "4"], "--ratio: not for a model of separation. Leave it out."),
        (["--low-pass", "soxr"], "--low-pass: not for a model of separation. Leave it out."),
        (["--ratio", "4", "--low-pass", "fft"], "--ratio, --low-pass: not for a model of separat"),
        (["--overlap", "1"], "The overlap is 1.0. Give a share of the segment from 0 to 0.95"),
        (["--shifts", "-1"], "The number of shifts is -1."),
        (["--segment-s", "0.01"], "The segment is 0.01 s."),
        (["--data", "{empty}"], "No track was found in"),
        (["--data", "{empty}/no"], "There is no folder"),
    ],
)
def test_wrong_input_gets_one_message_and_leaves_nothing(
    cli, tiny_separation_model, tmp_path, words, message
):
    (tmp_path / "empty").mkdir()
    words = [word.format(empty=tmp_path / "empty") for word in words]
    code, _, err = cli("evaluate", tiny_separation_model, *words, "--out", tmp_path / "scores")
    assert code == 1 and message in err and "Traceback" not in err
    assert not (tmp_path / "scores").exists()


@pytest.mark.slow
@pytest.mark.parametrize("option", ["--shifts", "--overlap", "--segment-s"])
def test_options_of_separation_are_not_for_super_resolution(cli, tiny_model, tmp_path, option):
    value = {"--shifts": "1", "--overlap": "0.5", "--segment-s": "5"}[option]
    code, _, err = cli("evaluate", tiny_model, option, value, "--out", tmp_path / "scores")
    assert code == 1 and f"{option}: not for a model of super-resolution. Leave it out." in err
    assert not (tmp_path / "scores").exists()


@pytest.mark.slow
def test_missing_museval_is_explained(cli, tiny_separation_model, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "museval", None)
    root = write_tracks(tmp_path / "songs", "a", seconds=0.2, rate_hz=44_100, sources=SOURCES)
    words = ["evaluate", tiny_separation_model, "--data", root, "--out", tmp_path / "scores"]
    code, _, err = cli(*words)
    assert code == 1 and "tonezoo[eval]" in err and "Traceback" not in err
    assert not (tmp_path / "scores").exists()
