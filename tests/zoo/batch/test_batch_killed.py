"""A batch in several processes that is killed half way, and the same command again."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import soundfile

pytest.importorskip("apache_beam")

FILES, BAD = 200, 10
PATIENCE_S = 240


@pytest.fixture
def folder(tmp_path, write_audio):
    """200 files, 10 of which are bad in one of five ways."""
    for index in range(FILES):
        path = write_audio(tmp_path / "in" / f"{index:03d}.wav", samples=200 + index % 7)
        if index % (FILES // BAD) == 3:
            spoil(path, index // (FILES // BAD) % 5)
    return tmp_path / "in"


def spoil(path, way):
    if way == 0:
        path.write_bytes(b"")
    elif way == 1:
        path.write_text("This is not audio.\n")
    elif way == 2:
        path.write_bytes(path.read_bytes()[:-100])
    elif way == 3:
        soundfile.write(path, np.full(200, np.nan), 4000, subtype="FLOAT")
    else:
        soundfile.write(path, np.zeros(200), 48_000)


def outputs(folder):
    return sorted(path for path in folder.glob("*.wav")) if folder.exists() else []


@pytest.mark.slow
def test_killed_half_way_the_same_command_completes_it(cli, folder, model_of, contents, tmp_path):
    out, alone = tmp_path / "out", tmp_path / "alone"
    options = ["--model", str(model_of("enhance")), "--bit-depth", "16"]
    words = ["batch", "enhance", "--input", str(folder / "*.wav"), "--output", str(out), *options]
    processes = ["--direct_num_workers=2", "--direct_running_mode=multi_processing"]
    with open(tmp_path / "log", "w") as log:
        running = subprocess.Popen(
            [sys.executable, "-m", "tonezoo", *words, *processes],
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    deadline = time.monotonic() + PATIENCE_S
    # Beam's second job of 100 files is some seconds of starting processes away.
    while len(outputs(out)) < FILES // 4:
        assert running.poll() is None and time.monotonic() < deadline, (
            tmp_path / "log"
        ).read_text()
        time.sleep(0.05)
    os.killpg(running.pid, signal.SIGKILL)
    running.wait()
    done = {path: path.stat().st_mtime_ns for path in outputs(out)}
    assert FILES // 4 <= len(done) <= FILES // 2

    code, _, err = cli("enhance", folder, "--out", alone, *options)
    assert code == 1 and f"{FILES - BAD} of {FILES} files enhanced" in err
    said = sorted(line[8:] for line in err.splitlines() if line.startswith("failed: "))
    assert len(said) == BAD

    code, printed, err = cli(*words, *processes, "--files-at-once", FILES)
    assert code == 1 and f"{len(done)} of {FILES} files are done already" in printed
    assert f"{FILES - BAD - len(done)} of {FILES - len(done)} files enhanced" in err
    assert done.items() <= {path: path.stat().st_mtime_ns for path in outputs(out)}.items()
    made = contents(out)
    failed = [json.loads(line) for line in made.pop("failed.jsonl").splitlines()]
    assert sorted(row["error"] for row in failed) == said
    assert made == contents(alone)
