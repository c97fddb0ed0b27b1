"""A process that stays alive and runs one command line after the other, and its handle."""

import contextlib
import dataclasses
import faulthandler
import functools
import multiprocessing
import os
import resource
import shutil
import sys
import tempfile
import time
import traceback
import warnings
from pathlib import Path

from fuzzing import judge
from fuzzing.cases import Case, Fixtures

OUTPUT_LIMIT_BYTES = 2**28
# What a process may map beyond what it has mapped once TensorFlow is loaded.
ADDRESS_LIMIT_BYTES = 2**33
# TensorFlow keeps something of every model that was loaded.
CASES_PER_PROCESS = 150


@dataclasses.dataclass(frozen=True, kw_only=True)
class Verdict:
    """What became of a case: "ok", "refused" or "failed", where `problems` says why."""

    outcome: str
    problems: list[str]
    seconds: float
    memory_mib: float = 0.0
    output: str = ""


class Worker:
    """Runs cases in a process of its own, which is replaced when it crashes or hangs.

    Args:
        fixtures: the intact model is loaded once by a process, not once by a case.
        limit_s: time limit of a case.
    """

    def __init__(self, fixtures: Fixtures, limit_s: float):
        self._fixtures, self._limit_s = fixtures, limit_s
        self._process, self._left = None, 0

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._stop()

    @property
    def pid(self) -> int:
        """The process that runs the cases."""
        return self._process.pid

    def run(self, case: Case) -> Verdict:
        if not self._left:
            self._start()
        self._left -= 1
        started = time.perf_counter()
        try:
            self._pipe.send(case)
            if self._pipe.poll(self._limit_s):
                return self._pipe.recv()
            reason = f"hang: no end after {self._limit_s:.0f} s"
        except (EOFError, ConnectionError):
            self._process.join()
            reason = f"crash: the process ended with {self._process.exitcode}"
        seconds = time.perf_counter() - started
        output = "".join(_read(Path(self._folder, name)) for name in ("stdout", "stderr"))
        self._stop()
        return Verdict(outcome="failed", problems=[reason], seconds=seconds, output=output)

    def _start(self):
        self._stop()
        # Never a fork: TensorFlow's threads would be missing in it.
        context = multiprocessing.get_context("spawn")
        self._folder = tempfile.mkdtemp(prefix="tonezoo-fuzz-worker-")
        self._pipe, theirs = context.Pipe()
        arguments = (theirs, self._folder, self._fixtures, self._limit_s)
        self._process = context.Process(target=_serve, args=arguments, daemon=True)
        self._process.start()
        theirs.close()
        if self._pipe.recv() != "ready":
            raise RuntimeError("The worker did not start.")
        self._left = CASES_PER_PROCESS

    def _stop(self):
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._pipe.close()
            shutil.rmtree(self._folder)
        self._process, self._left = None, 0


def _serve(pipe, folder, fixtures, limit_s):
    """Runs in the process: judges each case that comes through the pipe, until it is closed."""
    with contextlib.suppress(EOFError, BrokenPipeError):
        _serve_cases(pipe, Path(folder), fixtures, limit_s)


def _serve_cases(pipe, folder, fixtures, limit_s):
    from tonezoo import terminal

    terminal.import_keras()
    _load_once(fixtures)
    # As at a terminal, but every time and not once a process.
    warnings.simplefilter("always", UserWarning)
    warnings.simplefilter("always", RuntimeWarning)
    for kind, limit in ((resource.RLIMIT_FSIZE, OUTPUT_LIMIT_BYTES), *_address_limit()):
        resource.setrlimit(kind, (limit, resource.getrlimit(kind)[1]))
    pipe.send("ready")
    while True:
        case = pipe.recv()
        before = judge.snapshot(case.folder)
        finished = _run(case, folder, limit_s)
        found = judge.problems(case, finished, before, judge.snapshot(case.folder))
        outcome = "refused" if finished.exit_code else "ok"
        pipe.send(
            Verdict(
                outcome="failed" if found else outcome,
                problems=found,
                seconds=finished.seconds,
                memory_mib=finished.memory_mib,
                output=finished.stdout + finished.stderr,
            )
        )


def _load_once(fixtures):
    """Makes loading the intact model and run cost nothing from the second time on."""
    from tonezoo import pretrained

    load = pretrained.load
    remembered = functools.lru_cache(load)
    intact = {str(fixtures.model), str(fixtures.run)}
    pretrained.load = lambda path: (remembered if str(path) in intact else load)(path)


def _address_limit():
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
    except OSError:
        return ()
    return ((resource.RLIMIT_AS, pages * resource.getpagesize() + ADDRESS_LIMIT_BYTES),)


def _run(case, folder, limit_s):
    """Runs the command line as the shell would, as far as one process can tell."""
    from tonezoo import cli

    os.chdir(case.folder / "work")
    os.environ["COLUMNS"] = str(case.columns)
    os.environ.pop("FORCE_COLOR", None)
    if case.terminal:
        os.environ["FORCE_COLOR"] = "1"
    sys.argv = ["tonezoo", *case.words]
    with _captured(folder):
        faulthandler.enable()
        faulthandler.dump_traceback_later(0.9 * limit_s)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        started = time.perf_counter()
        try:
            cli.main()
            exit_code = 0
        except SystemExit as stop:
            exit_code = stop.code or 0
        except BaseException:
            traceback.print_exc()
            exit_code = 1
        seconds = time.perf_counter() - started
        growth = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak
        faulthandler.cancel_dump_traceback_later()
        faulthandler.disable()
    kib = 1024 if sys.platform == "darwin" else 1
    return judge.Finished(
        exit_code=exit_code,
        stdout=_read(folder / "stdout"),
        stderr=_read(folder / "stderr"),
        seconds=seconds,
        memory_mib=growth / kib / 1024,
    )


@contextlib.contextmanager
def _captured(folder):
    """Sends both outputs to files, what libraries write to file descriptors included."""
    kept, streams = [os.dup(1), os.dup(2)], (sys.stdout, sys.stderr)
    # The errors are those of a UTF-8 locale.
    with (
        open(folder / "stdout", "w", buffering=1, encoding="utf-8", errors="strict") as stdout,
        open(
            folder / "stderr", "w", buffering=1, encoding="utf-8", errors="backslashreplace"
        ) as stderr,
    ):
        try:
            os.dup2(stdout.fileno(), 1)
            os.dup2(stderr.fileno(), 2)
            sys.stdout, sys.stderr = stdout, stderr
            yield
        finally:
            sys.stdout, sys.stderr = streams
            for descriptor, copy in enumerate(kept, 1):
                os.dup2(copy, descriptor)
                os.close(copy)


def _read(path):
    return path.read_text(errors="replace") if path.exists() else ""
