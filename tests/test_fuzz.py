"""A short fuzzing campaign, and whether the campaign would notice what it is there to notice."""

import dataclasses
import itertools
import os
import random
import shutil
import signal

import fuzz
import numpy as np
import pytest
import soundfile
from fuzzing import judge
from fuzzing.cases import KINDS, Case, Fixtures, _disturb, build_case
from fuzzing.worker import Worker

SEED = 1
# Places where nothing can be made, as their beginnings.
NOT_WRITABLE = ("/dev/null", "/dev/full", "/dev/zero", "/dev/fd/0", "/proc/self", "/sys")


@pytest.fixture(scope="module")
def fixtures(tiny_model, tiny_run):
    return Fixtures(model=tiny_model, run=tiny_run)


@pytest.mark.slow
def test_short_campaign_finds_nothing(fixtures):
    seed = fuzz.seed_of_the_day()
    # Shown by pytest if the test fails.
    print(f"To repeat a case: python tests/fuzz.py --only KIND:NUMBER --seed {seed}")
    names = fuzz.case_names(files=24, command_lines=10, models=6)
    assert {name.split(":")[0] for name in names} == set(KINDS)
    results = list(fuzz.run_cases(names, seed=seed, fixtures=fixtures, limit_s=120))
    failed = {case.name: verdict for case, verdict in results if verdict.outcome == "failed"}
    assert failed == {}
    assert len(results) == len(names)
    outcomes = [verdict.outcome for _, verdict in results]
    assert outcomes.count("ok") > 5 and outcomes.count("refused") > 5
    assert not any(case.folder.exists() for case, _ in results)


@pytest.mark.slow
def test_one_file_of_256_channels_does_not_end_a_batch(fixtures):
    """Vorbis of so many ends the process: case 19 of the campaign that found it."""
    ((_, verdict),) = fuzz.run_cases(["batches:19"], seed=77, fixtures=fixtures, limit_s=120)
    assert verdict.problems == [] and "OGG cannot hold 1024 channels" in verdict.output


def test_each_day_has_its_seed(monkeypatch, capsys):
    assert 20260101 <= fuzz.seed_of_the_day() <= 21000101
    seeds = []
    monkeypatch.setattr(fuzz, "seed_of_the_day", lambda: 20260131)
    monkeypatch.setattr(fuzz, "make_fixtures", lambda folder: None)
    monkeypatch.setattr(fuzz, "summarize", lambda *_: None)
    monkeypatch.setattr(fuzz, "run_cases", lambda names, *, seed, **_: seeds.append(seed) or [])
    for words, seed in (([], 20260131), (["--seed", "7"], 7)):
        monkeypatch.setattr("sys.argv", ["fuzz.py", *words])
        assert fuzz.main() == 0
        assert f"Seed {seed}." in capsys.readouterr().out
    assert seeds == [20260131, 7]


@pytest.mark.slow
def test_hangs_and_crashes_are_told_and_the_next_case_runs(fixtures, tmp_path):
    case = build_case("files:0", SEED, tmp_path, fixtures)
    case = dataclasses.replace(case, words=["evaluate", str(fixtures.model)])
    with Worker(fixtures, limit_s=0.01) as worker:
        verdict = worker.run(case)
    assert verdict.outcome == "failed" and verdict.problems == ["hang: no end after 0 s"]
    with Worker(fixtures, limit_s=120) as worker:
        assert worker.run(dataclasses.replace(case, words=["verify", "none"])).outcome == "refused"
        os.kill(worker.pid, signal.SIGKILL)
        verdict = worker.run(case)
        assert verdict.problems == ["crash: the process ended with -9"]
        verdict = worker.run(dataclasses.replace(case, words=["verify", "none"]))
        assert verdict.outcome == "refused" and "There is no model at none" in verdict.output


def test_a_case_is_the_same_each_time(tmp_path, tmp_path_factory):
    """Inputs and command line depend on the seed and the name of the case alone."""
    fakes = tmp_path_factory.mktemp("fakes")
    fixtures = Fixtures(model=fakes / "model", run=fakes / "run")
    (fixtures.model / "1").mkdir(parents=True)
    (fixtures.model / "1" / "manifest.json").write_text('{"files": {}, "manifest_sha256": ""}')
    fixtures.run.mkdir()
    (fixtures.run / "config.json").write_text("{}")
    for name in fuzz.case_names(files=80, command_lines=20, models=20):
        contents = []
        for seed in (SEED, SEED, SEED + 1):
            folder = tmp_path / str(len(contents)) / name
            case = build_case(name, seed, folder, fixtures)
            words = [word.replace(str(folder.parent), "") for word in case.words]
            content = judge.snapshot(folder)
            files = [(path.relative_to(folder), what) for path, what in content.items()]
            contents.append((words, sorted(files), case.terminal, case.columns))
        assert contents[0] == contents[1]
        assert contents[0] != contents[2]


def test_no_command_line_names_a_place_outside_its_folder_to_write_to(tmp_path, monkeypatch):
    """Not the fixtures either: `evaluate` without `--out` writes into a run."""
    fixtures = Fixtures(model=tmp_path / "fixtures" / "model", run=tmp_path / "fixtures" / "run")
    fixtures.model.mkdir(parents=True)
    fixtures.run.mkdir()
    monkeypatch.setattr("fuzzing.cases._write_clip", lambda rng, path, **options: write_clip(path))
    copies = 0
    for number in range(1500):
        folder = tmp_path / str(number)
        command, *words = build_case(f"commands:{number}", SEED, folder, fixtures).words
        written = [word.removeprefix("--out=") for word in words if word.startswith("--out=")]
        written += [after for word, after in itertools.pairwise(words) if word == "--out"]
        if command == "evaluate":
            written += [word for word in words if "fixtures" in word]
        for path in written:
            path = os.path.normpath(folder / "work" / path)
            is_inside = path.startswith(str(folder))
            assert is_inside or path.startswith(NOT_WRITABLE), (number, words)
        copies += any(str(folder / name) in word for word in words for name in ("model", "run"))
        shutil.rmtree(folder)
    assert copies > 500


def test_the_end_of_a_device_is_not_cut_off():
    for seed in range(100):
        words = ["--out=/dev/null"]
        _disturb(random.Random(seed), words, {"bad": []})
        assert all(word.endswith("/dev/null") for word in words if "/dev/" in word)


def write_clip(path):
    path.parent.mkdir(exist_ok=True)
    path.touch()
    return path


def finished(stderr="", exit_code=0, **options):
    return judge.Finished(
        **{"exit_code": exit_code, "stdout": "", "stderr": stderr, "seconds": 1.0, "memory_mib": 0},
        **options,
    )


SUMMARY = "1 of 1 files enhanced, 0.2 s of audio."
REFUSED = "failed: a.wav is empty (0 bytes).\n0 of 1 files enhanced, 0.0 s of audio; 1 failed."


@pytest.mark.parametrize(
    ("ending", "outputs", "problem"),
    [
        (finished(SUMMARY), {"a.wav": 400}, None),
        (finished(REFUSED, 1), {}, None),
        (finished("Usage: tonezoo ...\nError: No such option: --x", 2), {}, None),
        (finished("╭─ Error ─╮\n│ Option '--x' requires an argument.", 2), {}, None),
        (finished("Usage: tonezoo ...\nError: No such option: --x", 2), {"a.wav": 400}, "changed"),
        (finished("", 2), {}, "exit code 2 without an explanation"),
        (finished(SUMMARY), {"a.wav": 404}, "100 samples at 4000 Hz became 404"),
        (finished(SUMMARY), {}, "1 files enhanced, but 0 written"),
        (finished(REFUSED, 1), {"a.wav": 400}, "0 files enhanced, but 1 written"),
        (finished(SUMMARY), {"a.wav": 400, ".tonezoo-1/a.wav": 400}, "but 2 written"),
        (finished(SUMMARY), {"a.wav": None}, "cannot be read"),
        (finished(SUMMARY), {"a.wav": np.full(400, np.nan)}, "not finite"),
        (finished(SUMMARY), {"a.txt": None}, "wrote or removed"),
        (finished(REFUSED), {}, "exit code 0 with an error message"),
        (finished(REFUSED, 3), {}, "exit code 3"),
        (finished(SUMMARY, 1), {"a.wav": 400}, "exit code 1 without an explanation"),
        (finished("failed: bad\n0 of 1 files enhanced", 1), {}, "without an explanation"),
        (finished("Traceback (most recent call last):\n", 1), {}, "traceback"),
        (finished("error: KeyError: 'ratio' of the manifest is missing", 1), {}, "raw exception"),
        (finished(f"a.py:3: UserWarning: odd\n{SUMMARY}"), {"a.wav": 400}, "warning of a library"),
        (finished("error: Unable to allocate 16 GiB for an array", 1), {}, "out of memory"),
    ],
)
def test_the_judge_notices(tmp_path, ending, outputs, problem):
    source = tmp_path / "a.wav"
    soundfile.write(source, np.zeros(100), 4000)
    words = ["enhance", str(source), "--out", str(tmp_path / "out")]
    case = Case(name="files:0", folder=tmp_path, words=words, inputs=(known(source),))
    before = judge.snapshot(tmp_path)
    for name, samples in outputs.items():
        path = tmp_path / "out" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if samples is None:
            path.write_text("half")
        else:
            samples = np.zeros(samples) if isinstance(samples, int) else samples
            soundfile.write(path, samples, 16_000, subtype="FLOAT")
    found = judge.problems(case, ending, before, judge.snapshot(tmp_path))
    if problem is None:
        assert found == []
    else:
        assert any(problem in line for line in found), found


def known(path):
    from fuzzing.audio import AudioInput

    return AudioInput(path=path, frames=100, rate_hz=4000, channels=1, description="")


def test_the_judge_notices_what_is_missing_changed_or_too_large(tmp_path):
    source = tmp_path / "a.wav"
    soundfile.write(source, np.zeros(100), 4000)
    case = Case(
        name="files:0", folder=tmp_path, words=["enhance", str(source)], must_pass=(source,)
    )
    state = judge.snapshot(tmp_path)
    assert judge.problems(case, finished(REFUSED, 1), state, state) == [
        "'a.wav' is intact, but was not enhanced"
    ]
    (memory,) = judge.problems(
        dataclasses.replace(case, words=["verify", "x"]),
        dataclasses.replace(finished(), memory_mib=2000),
        state,
        state,
    )
    assert memory == "memory grew by 2000 MiB"
    source.write_text("overwritten")
    for words, ending in [("verify", finished()), ("evaluate", finished(REFUSED, 1))]:
        case = dataclasses.replace(case, words=[words, "x"], must_pass=())
        found = judge.problems(case, ending, state, judge.snapshot(tmp_path))
        assert any(str(source) in line for line in found)
