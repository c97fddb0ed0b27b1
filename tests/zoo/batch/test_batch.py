"""`tonezoo batch` in this process: the outputs are those of the verbs, wrong input is explained."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

pytest.importorskip("apache_beam")

from tonezoo.audio.jobs import FileResult
from tonezoo.batch.handler import SavedModelHandler
from tonezoo.batch.pipeline import Settings, read_results
from tonezoo.batch.plan import plan_jobs
from tonezoo.batch.run import write_failed
from tonezoo.tasks import find_task

# Of float WAV files the bytes hold the time at which they were written.
PCM = ("--bit-depth", "16")


def remarks(err: str, out_dir) -> list[str]:
    """Returns the summary of a command, without the progress bar."""
    lines = err.replace(str(out_dir), "OUT").splitlines()
    return [line for line in lines if "━" not in line]


@pytest.fixture
def inputs(tmp_path, write_audio):
    """A folder for each verb, with files of several kinds, and bad ones."""
    folder = tmp_path / "in"
    write_audio(folder / "enhance" / "a.wav", samples=1001)
    write_audio(folder / "enhance" / "a" / "b.flac", rate_hz=3000, channels=2)
    write_audio(folder / "enhance" / "high.wav", rate_hz=8000)
    write_audio(folder / "separate" / "song.wav", 44_100, 9000, channels=2)
    write_audio(folder / "separate" / "mono.wav", 22_050, 2001)
    mel = np.random.default_rng(0).uniform(-4, 0, (23, 80)).astype("float32")
    write_audio(folder / "vocode" / "voice.wav", 22_050, 3000)
    np.save(folder / "vocode" / "mel.npy", mel)
    np.save(folder / "vocode" / "natural.npy", 3 * mel)
    for verb in ("enhance", "separate", "vocode"):
        (folder / verb / "bad.wav").write_text("not audio")
        nan = np.full(300, np.nan)
        soundfile.write(folder / verb / "nan.wav", nan, 4000, subtype="FLOAT")
    return folder


@pytest.mark.parametrize(
    ("verb", "words", "good"),
    [
        ("enhance", "--segment-s 0.1", 2),
        pytest.param(
            "separate",
            "--segment-s 0.1 --shifts 2 --two-stems vocals --residual",
            2,
            marks=pytest.mark.slow,
        ),
        pytest.param("vocode", "--segment-s 0.02", 2, marks=pytest.mark.slow),
    ],
)
def test_outputs_and_remarks_are_those_of_the_verb(
    cli, inputs, model_of, contents, tmp_path, verb, words, good
):
    words = [*words.split(), "--model", model_of(verb), *PCM]
    code, _, alone = cli(verb, inputs / verb, "--out", tmp_path / "alone", *words)
    assert code == 1 and f"{good} of " in alone
    batch, source = tmp_path / "batch", inputs / verb
    code, out, err = cli("batch", verb, "--input", source, "--output", batch, *words)
    assert (code, out) == (1, "")
    assert remarks(err, batch) == remarks(alone, tmp_path / "alone")
    made = contents(batch)
    failed = [json.loads(line) for line in made.pop("failed.jsonl").splitlines()]
    assert made == contents(tmp_path / "alone")
    said = [line.removeprefix("failed: ") for line in alone.splitlines() if "failed: " in line]
    assert [row["error"] for row in failed] == said
    assert all(row["path"] in row["error"] for row in failed)


@pytest.mark.slow
def test_without_a_model_each_file_has_the_one_that_suits_it(cli, write_audio, contents, tmp_path):
    for rate_hz in (4000, 8000):
        write_audio(tmp_path / "in" / f"{rate_hz}.wav", rate_hz, 300)
    assert cli("enhance", tmp_path / "in", "--out", tmp_path / "alone", *PCM)[0] == 0
    words = ("--input", tmp_path / "in" / "*.wav", "--output", tmp_path / "batch", *PCM)
    assert cli("batch", "enhance", *words)[0] == 0
    assert contents(tmp_path / "batch") == contents(tmp_path / "alone")
    assert len({len(file) for file in contents(tmp_path / "batch").values()}) == 2


def test_finished_files_are_left_alone_and_the_list_of_bad_ones_is_of_the_last_run(
    cli, write_audio, model_of, contents, tmp_path
):
    # Brackets are wildcards to those who look for files, and the pattern matches the outputs too.
    folder, out = tmp_path / "in", tmp_path / "in" / "out [1]"
    for name in "abc":
        write_audio(folder / f"{name}.wav")
    words = ("batch", "enhance", "--output", out, "--model", model_of("enhance"), *PCM)
    pattern = ("--input", folder / "**" / "*.wav")
    code, _, err = cli(*words, *pattern, "--files-at-once", 2)
    assert code == 0 and "3 of 3 files enhanced" in err
    first = contents(out)
    assert sorted(first) == ["a.wav", "b.wav", "c.wav"]
    (out / "a.wav").write_text("kept")
    (out / "b.wav").unlink()
    (out / ".tonezoo-0123").mkdir()
    (folder / "c.wav").write_text("done, and bad now")
    (folder / "d.wav").write_text("bad")
    code, printed, err = cli(*words, *pattern)
    assert code == 1 and "2 of 4 files are done already" in printed
    assert "1 of 2 files enhanced" in err
    second = contents(out)
    assert b"d.wav" in second.pop("failed.jsonl")
    assert second == first | {"a.wav": b"kept"}
    (folder / "d.wav").unlink()
    code, printed, err = cli(*words, "--input", folder)
    assert code == 0 and "3 of 3 files are done already" in printed
    assert contents(out) == second


def test_failures_of_finished_rounds_are_kept_when_the_runner_gives_up(
    cli, write_audio, model_of, tmp_path, monkeypatch
):
    failed = tmp_path / "out" / "failed.jsonl"
    for name in "abc":
        write_audio(tmp_path / "in" / f"{name}.wav")
    words = ("--input", tmp_path / "in", "--output", tmp_path / "out", "--files-at-once", 1)
    failed.parent.mkdir()
    for good_rounds in (1, 0):
        failed.write_text("of an earlier run")
        rounds = iter(range(good_rounds))

        def run_part(jobs, settings, beam_options, rounds=rounds):
            if next(rounds, None) is None:
                raise ValueError("The cluster is gone.")
            return [FileResult(path=job.path, output=job.output, error="bad") for job in jobs]

        monkeypatch.setattr("tonezoo.batch.run.run_part", run_part)
        code, _, err = cli("batch", "enhance", *words, "--model", model_of("enhance"))
        assert code == 1 and "error: The cluster is gone." in err
        if good_rounds:
            (row,) = map(json.loads, failed.read_text().splitlines())
            assert row == {"path": str(tmp_path / "in" / "a.wav"), "error": "bad"}
    assert not failed.exists()


def test_the_list_of_failures_is_json_whatever_the_files_are_called(tmp_path):
    names = ["ä.wav", "caf\udce9.wav", 'a "b"\n.wav']
    results = [FileResult(path=Path(name), output=Path(), error=f"{name} is bad") for name in names]
    write_failed(results, str(tmp_path / "failed.jsonl"))
    text = (tmp_path / "failed.jsonl").read_text("utf-8")
    assert "ä" in text
    rows = list(map(json.loads, text.splitlines()))
    assert rows == [{"path": name, "error": f"{name} is bad"} for name in names]


def test_results_come_in_the_order_of_the_jobs(tmp_path):
    (tmp_path / "results").mkdir()
    for index in (10, 9):
        result = {"path": f"{20 - index}.wav", "output": "out"}
        (tmp_path / "results" / f"{index}.json").write_text(json.dumps(result))
    settings = Settings(
        task="any",
        model=None,
        options=None,
        format="wav",
        bit_depth=None,
        scratch=str(tmp_path),
        batch_size=1,
    )
    assert [result.path for result in read_results(settings)] == ["11.wav", "10.wav"]


def test_a_file_with_some_of_its_stems_is_not_done(write_audio, tmp_path):
    task = find_task("separation")
    song = write_audio(tmp_path / "song.wav")
    options = task.file_options(sources=["drums, bass"], residual=True)
    numbers = dict.fromkeys(("sample_rate_hz", "channels", "grid_samples", "segment_samples"), 1)
    facts = task.facts(sources=("drums", "bass", "vocals"), context_samples=0, **numbers)
    settings = {"facts": facts, "options": options, "format": "flac", "report": print}
    (job,) = plan_jobs(task, str(song), str(tmp_path / "out"), **settings)
    assert job.output == str(tmp_path / "out" / "song")
    for name in ("drums", "bass", "residual"):
        assert not job.is_done()
        (tmp_path / "out" / "song").mkdir(parents=True, exist_ok=True)
        (tmp_path / "out" / "song" / f"{name}.flac").touch()
    assert job.is_done()


def test_patterns_folders_and_lists_keep_places(write_audio, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a.wav", "x/a.wav", "x/y/b.flac", ".hidden/c.wav", "x/y/d[1].ogg"):
        write_audio(tmp_path / "in" / name)
    (tmp_path / "in" / "notes.txt").touch()
    (tmp_path / "list.txt").write_text(f"\n{tmp_path}/in/a.wav\nin/x/y\n", encoding="utf-8-sig")
    task = find_task("super_resolution")

    def outputs(input):
        settings = {"facts": None, "options": None, "format": "ogg", "report": print}
        return [(job.path, job.files[0]) for job in plan_jobs(task, input, "out", **settings)]

    found = [("in/a.wav", "out/a.ogg"), ("in/x/a.wav", "out/x/a.ogg")]
    assert outputs("in/**/*.wav") == found
    assert outputs("in/*/*.wav") == found[1:]
    assert outputs("in/a.wav") == found[:1]
    assert outputs("in/x/y/d[1].ogg") == [("in/x/y/d[1].ogg", "out/d[1].ogg")]
    assert outputs("in") == [
        *found,
        ("in/x/y/b.flac", "out/x/y/b.ogg"),
        ("in/x/y/d[1].ogg", "out/x/y/d[1].ogg"),
    ]
    assert outputs("list.txt") == [
        (f"{tmp_path}/in/a.wav", "out/a.ogg"),
        ("in/x/y/b.flac", "out/b.ogg"),
        ("in/x/y/d[1].ogg", "out/d[1].ogg"),
    ]


@pytest.fixture
def paths(tmp_path, write_audio):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("a file")
    (tmp_path / "latin.txt").write_bytes(b"\xe4.wav\n")
    (tmp_path / "blank.txt").write_text("\n \n")
    low = write_audio(tmp_path / "low" / "a.wav")
    write_audio(tmp_path / "low" / "other" / "a.flac")
    (tmp_path / "twice.txt").write_text(f"{low}\n{low}\n")
    return {"tmp": tmp_path}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("enhance --input {tmp}/no/*.wav --output {tmp}/o", "There is no file {tmp}/no/*.wav"),
        ("enhance --input {tmp}/no --output {tmp}/o", "Give a pattern in quotes"),
        ("enhance --input {tmp}/no.txt --output {tmp}/o", "There is no file {tmp}/no.txt"),
        ("enhance --input {tmp}/latin.txt --output {tmp}/o", "is not text in UTF-8"),
        ("enhance --input {tmp}/blank.txt --output {tmp}/o", "names no files"),
        ("enhance --input {tmp}/empty --output {tmp}/o", "No audio was found"),
        ("enhance --input {tmp}/twice.txt --output {tmp}/o", "would both be written to"),
        ("enhance --input {tmp}/low/*.wav --output {tmp}/low", "would be overwritten"),
        ("enhance --input {tmp}/low/a.wav {tmp}/low/b.wav --output {tmp}/o", "b.wav belongs to no"),
        ("enhance --input {tmp}/low --output {tmp}/file", "Cannot write to the folder"),
        ("enhance --input {tmp}/low --output {tmp}/file/o", "Cannot write to the folder"),
        ("enhance --input {tmp}/low --output {tmp}/o --model nothing", "There is no model at"),
        ("enhance --input {tmp}/low --output {tmp}/o --model {tmp}/empty", "is not a tonezoo mod"),
        (
            "enhance --input {tmp}/low --output {tmp}/o --model demucs_small_music",
            "`tonezoo separate` takes it",
        ),
        ("enhance --input {tmp}/low --output {tmp}/o --formt ogg", "There is no option --formt"),
        ("enhance --input {tmp}/low --output {tmp}/o --format mp3", "mp3"),
        ("enhance --input {tmp}/low --output {tmp}/o --bit-depth 7", "7"),
        ("enhance --input {tmp}/low --output {tmp}/o --segment-s 0", "The segment is 0.0 s"),
        ("enhance --input {tmp}/low --output {tmp}/o --strength 99", "The strength is 99.0 dB"),
        ("separate --input {tmp}/low --output {tmp}/o --sources piano", "no source 'piano'"),
        ("separate --input {tmp}/low --output {tmp}/o --clip-mode x", "clip_mode must be one of"),
    ],
)
def test_wrong_input_gets_one_message_and_leaves_nothing(cli, paths, words, message):
    before = sorted(paths["tmp"].rglob("*"))
    code, _, err = cli("batch", *words.format(**paths).split())
    assert code == 1
    assert message.format(**paths) in err and err.count("error:") == 1 and "Traceback" not in err
    assert sorted(paths["tmp"].rglob("*")) == before


def test_two_files_of_one_name_in_different_places_of_a_list_are_refused(cli, paths, tmp_path):
    listed = (tmp_path / "low" / "a.wav", tmp_path / "low" / "other" / "a.flac")
    (tmp_path / "list.txt").write_text("".join(f"{path}\n" for path in listed))
    words = ("--input", tmp_path / "list.txt", "--output", tmp_path / "o")
    code, _, err = cli("batch", "enhance", *words)
    assert code == 1 and f"{listed[0]} and {listed[1]} would both be written to" in err


def test_options_that_are_missing_or_of_another_kind_are_explained_by_the_parser(cli, tmp_path):
    words = ("--input", tmp_path, "--output", tmp_path)
    for more in (
        ("improve",),
        ("enhance",),
        ("vocode", *words),
        ("enhance", *words, "--batch-size", 0),
    ):
        code, _, err = cli("batch", *more)
        assert code == 2 and "Traceback" not in err


def test_what_the_runner_cannot_do_is_told_with_its_own_words(
    cli, write_audio, model_of, tmp_path, monkeypatch
):
    """A model that TensorFlow cannot load, though its files are those that were written."""
    from untrained_export import sign

    shutil.copytree(model_of("enhance"), tmp_path / "model")
    (tmp_path / "model" / "1" / "variables" / "variables.index").write_bytes(b"not this")
    sign(tmp_path / "model" / "1")
    write_audio(tmp_path / "a.wav")
    words = ("--input", tmp_path / "a.wav", "--output", tmp_path / "out")
    code, _, err = cli("batch", "enhance", *words, "--model", tmp_path / "model")
    assert code == 1 and "error: Beam did not finish" in err
    assert "cannot be loaded as a SavedModel" in err
    assert not [*tmp_path.glob("out/*"), *tmp_path.glob("out/.*")]


def test_chunks_of_one_shape_are_one_call_and_one_that_fails_harms_no_other():
    calls = []

    def model(x):
        calls.append(x.shape)
        if np.isnan(x).any():
            raise ValueError("This is no number.")
        if x.max() > 9:
            raise RuntimeError("too much\nat this place")
        return 2 * x

    handler = SavedModelHandler("any", batch_size=8)
    assert handler.batch_elements_kwargs() == {"min_batch_size": 8, "max_batch_size": 8}
    chunks = [np.full((2, 3, 1), 1.0), np.full((1, 5, 1), 2.0), np.full((1, 3, 1), 3.0)]
    results = [result.inference for result in handler.run_inference(chunks, model)]
    assert calls == [(3, 3, 1), (1, 5, 1)]
    for chunk, result in zip(chunks, results, strict=True):
        np.testing.assert_array_equal(result, 2 * chunk)

    chunks += [np.full((1, 3, 1), np.nan), np.full((1, 5, 1), 10.0)]
    results = [result.inference for result in handler.run_inference(chunks, model)]
    assert results[3:] == ["This is no number.", "RuntimeError: too much"]
    np.testing.assert_array_equal(results[2], 2 * chunks[2])


def test_batches_give_each_chunk_its_own_output(cli, write_audio, model_of, tmp_path):
    for index in range(3):
        write_audio(tmp_path / "in" / f"{index}.wav", samples=1100)
    words = ("--model", model_of("enhance"), "--segment-s", 0.1)
    assert cli("enhance", tmp_path / "in", "--out", tmp_path / "alone", *words)[0] == 0
    words = (*words, "--input", tmp_path / "in", "--output", tmp_path / "batch")
    assert cli("batch", "enhance", *words, "--batch-size", 4)[0] == 0
    for index in range(3):
        alone, _ = soundfile.read(tmp_path / "alone" / f"{index}.wav")
        batch, _ = soundfile.read(tmp_path / "batch" / f"{index}.wav")
        np.testing.assert_allclose(batch, alone, rtol=0, atol=1e-6)
