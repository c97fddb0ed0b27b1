"""The serving benchmark runs, loses nothing and prints a row for each kind of call."""

import os
import subprocess
import sys

import pytest

SMALL = "--seconds 0.05 --clients 1,3 --batches 1,2 --rounds 1 --requests 12 --soak 25"


@pytest.mark.slow
def test_the_tables_are_complete(source_tree):
    done = subprocess.run(
        [sys.executable, source_tree / "benchmarks" / "serving.py", *SMALL.split()],
        env={**os.environ, "CUDA_VISIBLE_DEVICES": "-1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stdout.splitlines() if line.startswith("| ")]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    calls, soak = rows[2:6], rows[8:]
    names = ["direct, batch 1", "direct, batch 2", "served, 1 client", "served, 3 clients"]
    assert [row[0] for row in calls] == names
    assert all(float(row[1]) > 0 and row[-2:] == ["0", "0"] for row in calls)
    assert "1.00" in {row[2] for row in calls[:2]}
    assert [row[0] for row in soak] == ["5", "10", "15", "20", "25"]
    assert all(float(row[1]) > 0 and row[-2:] == ["0", "0"] for row in soak)
