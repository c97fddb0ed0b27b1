"""The benchmark of batches compares the outputs and prints a row for each command."""

import importlib

import pytest

pytest.importorskip("apache_beam")

SMALL = ("--files", "2", "--seconds", "0.2", "--rounds", "1")


@pytest.mark.slow
def test_the_table_is_complete(source_tree, cli, monkeypatch, capfd):
    monkeypatch.syspath_prepend(source_tree / "benchmarks")
    batch, commands = map(importlib.import_module, ("batch", "commands"))
    shown = batch.commands(2)
    # It starts processes that load TensorFlow, as the batch that is killed does.
    del shown["2 processes"]

    def run_here(*words):
        code, _, err = cli(*words)
        seconds = 2.0 if words[0] == "enhance" else 4.0
        return commands.Command(exit_code=code, message=err, seconds=seconds, peak_mb=0.0)

    monkeypatch.setattr(batch, "run_tonezoo", run_here)
    monkeypatch.setattr(batch, "commands", lambda files: shown)
    monkeypatch.setattr("sys.argv", ["batch.py", *SMALL])
    batch.main()
    lines = [line for line in capfd.readouterr().out.splitlines() if line.startswith("| ")]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert rows[2:] == [
        ["tonezoo enhance", "2.0", "1.00", "1.00"],
        *([name, "4.0", "0.50", "0.50"] for name in shown),
    ]
    assert len(rows[0]) == 4 and len(shown) == 3
