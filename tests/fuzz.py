"""Runs mutated audio files, damaged models and random command lines through the command line.

    python tests/fuzz.py --files 2000 --command-lines 500 --models 400
    python tests/fuzz.py --only files:123 --seed 20260131

`enhance` gets each mutated file alone and eight at a time, `evaluate` folders of five of them, all
three commands damaged models. After each command there must be no traceback, an exit code
of 0, 1 or 2 with a message for people, no half-written or temporary file, and outputs of exactly
the length that their inputs ask for; memory and time are limited. The commands run in a process
that stays alive and is replaced when it crashes or hangs.

Each day has a seed of its own, which is printed; `--seed` repeats that of another day.

The last table counts the outcomes; each failure comes with the command that repeats it alone.
`--only` (repeatable) keeps the folder of the case and prints the command's output.
"""

import argparse
import collections
import contextlib
import datetime
import json
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from fuzzing.cases import BATCH_FILES, FOLDER_FILES, KINDS, Case, Fixtures, build_case
from fuzzing.worker import Verdict, Worker
from rich.console import Console
from rich.progress import track
from rich.table import Table
from rich.text import Text
from tiny_run import train_tiny

OUTCOMES = ("ok", "refused", "failed")


def case_names(*, files: int, command_lines: int, models: int) -> list[str]:
    """Returns the names of a campaign's cases.

    Each file is enhanced alone and in a batch; the first quarter is evaluated in folders too.
    """
    counts = {
        "files": files,
        "batches": files // BATCH_FILES,
        "folders": files // 4 // FOLDER_FILES,
        "models": models,
        "commands": command_lines,
    }
    return [f"{kind}:{number}" for kind, count in counts.items() for number in range(count)]


def seed_of_the_day() -> int:
    """Returns today's date as a number, such as 20260131, in universal time."""
    return int(datetime.datetime.now(datetime.UTC).strftime("%Y%m%d"))


def run_cases(
    names: Iterable[str], *, seed: int, fixtures: Fixtures, limit_s: float, keep: bool = False
) -> Iterator[tuple[Case, Verdict]]:
    """Yields each case and what became of it; its folder is removed unless `keep`."""
    with Worker(fixtures, limit_s) as worker:
        for name in names:
            folder = Path(tempfile.mkdtemp(prefix="tonezoo-fuzz-"))
            try:
                case = build_case(name, seed, folder, fixtures)
                yield case, worker.run(case)
            finally:
                if not keep:
                    shutil.rmtree(folder)


def make_fixtures(folder: Path) -> Fixtures:
    """Trains and exports the tiny model, or takes what an earlier call left in the folder."""
    from tonezoo.terminal import import_keras

    fixtures = Fixtures(model=folder / "model", run=folder / "run")
    if not fixtures.model.exists():
        import_keras()
        from tonezoo.serving.export import export

        train_tiny("super_resolution", fixtures.run)
        export(fixtures.run, fixtures.model, report=lambda line: None)
    return fixtures


def summarize(results: list[tuple[Case, Verdict]], seed: int, console: Console) -> None:
    """Prints the counts by kind and outcome, the extremes, and every failure."""
    table = Table("kind", "cases", *OUTCOMES, "slowest (s)", "case")
    for kind in KINDS:
        of_kind = [(c, v) for c, v in results if c.name.startswith(f"{kind}:")]
        if of_kind:
            counts = collections.Counter(verdict.outcome for _, verdict in of_kind)
            slowest, verdict = max(of_kind, key=lambda result: result[1].seconds)
            cells = (len(of_kind), *(counts[outcome] for outcome in OUTCOMES))
            table.add_row(kind, *map(str, cells), f"{verdict.seconds:.1f}", slowest.name)
    console.print(table)
    case, verdict = max(results, key=lambda result: result[1].memory_mib)
    console.print(f"Largest growth of memory: {verdict.memory_mib:.0f} MiB, by {case.name}.")
    for case, verdict in results:
        if verdict.outcome == "failed":
            show(f"\n{case.name}: {'; '.join(verdict.problems)}", console)
            show(f"  {case.words} {case.description}", console)
            console.print(f"  python tests/fuzz.py --only {case.name} --seed {seed}")


def show(text: str, console: Console) -> None:
    """Prints text that may hold anything: file names are part of it."""
    readable = re.sub(r"[^\n\t\x20-\x7e]", lambda match: ascii(match.group())[1:-1], text)
    console.print(Text(readable), soft_wrap=True)


def case_name(text: str) -> str:
    kind, _, number = text.partition(":")
    if kind not in KINDS or not number.isdecimal():
        raise argparse.ArgumentTypeError(f"one of {', '.join(KINDS)}, a colon and a number")
    return text


def log_line(case: Case, verdict: Verdict) -> str:
    line = {"case": case.name, "outcome": verdict.outcome, "seconds": verdict.seconds}
    line |= {"memory_mib": verdict.memory_mib, "problems": verdict.problems, "words": case.words}
    return json.dumps({**line, "description": case.description, "output": verdict.output})


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--files", type=int, default=200, help="mutated audio files")
    parser.add_argument("--command-lines", type=int, default=50, help="random command lines")
    parser.add_argument("--models", type=int, default=40, help="damaged models and runs")
    parser.add_argument("--seed", type=int, default=seed_of_the_day(), help="today's: %(default)s")
    parser.add_argument("--limit-s", type=float, default=60, help="time limit of a command")
    parser.add_argument(
        "--only", action="append", type=case_name, metavar="KIND:NUMBER", help="this case alone"
    )
    parser.add_argument("--fixtures", type=Path, help="folder that keeps the tiny model")
    parser.add_argument("--log", type=Path, help="file for a JSON line a case")
    arguments = parser.parse_args()
    console = Console(width=None if sys.stdout.isatty() else 120)
    names = arguments.only or case_names(
        files=arguments.files, command_lines=arguments.command_lines, models=arguments.models
    )
    if not names:
        parser.error("there is nothing to run: ask for files, models or command lines")
    console.print(f"Seed {arguments.seed}.", highlight=False)
    results = []
    with tempfile.TemporaryDirectory() as temporary, contextlib.ExitStack() as stack:
        fixtures = make_fixtures((arguments.fixtures or Path(temporary)).absolute())
        log = stack.enter_context(open(arguments.log or os.devnull, "w"))
        cases = run_cases(
            names,
            seed=arguments.seed,
            fixtures=fixtures,
            limit_s=arguments.limit_s,
            keep=bool(arguments.only),
        )
        for case, verdict in track(cases, "fuzzing", total=len(names), console=console):
            results.append((case, verdict))
            print(log_line(case, verdict), file=log, flush=True)
            if arguments.only:
                show(f"{case.folder}: {case.description}\n{verdict.output}", console)
    summarize(results, arguments.seed, console)
    return int(any(verdict.outcome == "failed" for _, verdict in results))


if __name__ == "__main__":
    sys.exit(main())
