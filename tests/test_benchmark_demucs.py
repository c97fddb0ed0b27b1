"""The Demucs benchmark runs and prints a row for each upsampling layer asked for."""

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow
SMALL = ("--preset", "tiny", "--rounds", "1", "--segment-s", "0.2", "--batch", "2")


def run(source_tree, *words) -> list[list[str]]:
    """Returns the cells of the rows that the benchmark prints."""
    done = subprocess.run(
        [sys.executable, source_tree / "benchmarks" / "demucs.py", *SMALL, *words],
        env={**os.environ, "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stdout.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_upsamplers(source_tree):
    kinds = ("transposed", "nearest", "linear", "cubic")
    words = ("--parts", "upsamplers", "--upsamplers", ",".join(kinds))
    header, _, *rows = run(source_tree, *words)
    assert [row[0] for row in rows] == list(kinds)
    assert all(len(row) == len(header) for row in rows)
    paper = {row[0]: row[header.index("the paper")] for row in rows}
    assert (paper["nearest"], paper["linear"], paper["cubic"]) == ("1.33", "1.35", "")
    assert all(float(row[header.index("step [ms]")]) > 0 for row in rows)


def test_jax(source_tree):
    pytest.importorskip("jax")
    words = ("--backend", "jax", "--upsamplers", "subpixel", "--dtypes", "mixed_bfloat16")
    rows = run(source_tree, *words)
    header, models = rows[0], [row for row in rows if row[0].startswith("tiny")]
    assert [row[0] for row in models] == ["tiny, subpixel"]
    assert all(len(row) == len(header) for row in models)
    assert {row[1] for row in models} == {"18,924"}
    assert all(float(row[header.index("step [ms]")]) > 0 for row in models)
