"""Measures `tonezoo separate`: memory by length, an endless stream, and the joins of segments.

    python benchmarks/separate.py [--model MODEL] [--parts memory,stream,joins] [--hours 8]

memory: peak resident memory of the command on stereo files of 10 seconds, 5 minutes and 1 hour,
each in a fresh process. stream: the same of the segments alone, through a model that does nothing,
on generated streams of 5 minutes and of --hours. joins: what of a sustained tone of 440 Hz repeats
with the segments, in dB of the tone: through the identity, a model of convolutions alone, and the
model; the same of one call on the whole tone, without any joins.
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["KERAS_BACKEND"] = "tensorflow"

import numpy as np
from commands import print_row, run, run_tonezoo, write_noise

from tonezoo.tasks.separation import TASK, SeparationOptions
from tonezoo.tasks.separation.engine import Separator

RATE_HZ = 44_100
MEMORY_S = {"10 s": 10, "5 min": 300, "1 h": 3600}
REFERENCE = "5 min"
TONE_HZ = 440
JOIN_SEGMENT_S, JOIN_OVERLAP, JOINS = 2.0, 0.25, 8
SIDEBANDS = 8


def main() -> None:
    parts = {"memory": measure_memory, "stream": measure_stream, "joins": measure_joins}
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default=TASK.default_models[0], help="default %(default)s")
    parser.add_argument("--parts", default=",".join(parts), help="some of: %(default)s")
    parser.add_argument("--hours", type=float, default=8.0, help="length of the stream")
    parser.add_argument("--stream-s", type=float, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.stream_s is not None:
        consume(options.stream_s)
        return
    unknown = set(options.parts.split(",")) - parts.keys()
    if unknown:
        parser.error(f"--parts takes some of {', '.join(parts)}.")
    print(
        f"{options.model}; {os.cpu_count()} CPU cores, load {os.getloadavg()[0]:.1f} at the start."
    )
    # A process inherits the peak memory of the one that starts it: joins, which load TensorFlow,
    # come last.
    for name in parts:
        if name in options.parts.split(","):
            print()
            parts[name](options)


def measure_memory(options) -> None:
    """Prints peak memory and duration of the command for each length."""
    done = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, seconds in MEMORY_S.items():
            path = write_noise(Path(folder, f"{seconds}.wav"), seconds, RATE_HZ, channels=2)
            words = ("--out", Path(folder, "out"), "--model", options.model)
            done[name] = run_tonezoo("separate", path, *words)
            if done[name].exit_code:
                raise SystemExit(f"The command failed:\n{done[name].message}")
    print_row("file", "peak memory [MB]", f"of that of {REFERENCE}", "with the start [s]")
    print_row(*4 * ["---"])
    for name, command in done.items():
        ratio = command.peak_mb / done[REFERENCE].peak_mb
        print_row(name, f"{command.peak_mb:.0f}", f"{ratio:.3f}", f"{command.seconds:.1f}")


def measure_stream(options) -> None:
    """Prints peak memory and duration of the segments alone."""
    lengths = {REFERENCE: 300.0, f"{options.hours:g} h": 3600 * options.hours}
    done = {
        name: run(sys.executable, __file__, "--stream-s", str(seconds))
        for name, seconds in lengths.items()
    }
    print_row("stream", "peak memory [MB]", f"of that of {REFERENCE}", "with the start [s]")
    print_row(*4 * ["---"])
    for name, command in done.items():
        if command.exit_code:
            raise SystemExit(f"The stream failed:\n{command.message}")
        ratio = command.peak_mb / done[REFERENCE].peak_mb
        print_row(name, f"{command.peak_mb:.0f}", f"{ratio:.3f}", f"{command.seconds:.1f}")


def consume(seconds: float) -> None:
    """Separates a generated stream and checks its length and the sum of its sources."""
    second = np.random.default_rng(0).uniform(-0.3, 0.3, (RATE_HZ, 2)).astype("float32")
    model = Separator(
        lambda x: np.repeat(x[:, :, None] / 4, 4, axis=2),
        sources=("drums", "bass", "other", "vocals"),
        channels=2,
        sample_rate_hz=RATE_HZ,
        segment_samples=10 * RATE_HZ,
        grid_samples=1,
        context_samples=1000,
        name="stub",
    )
    samples, first = 0, None
    for block in model.stream(lambda: (second for _ in range(round(seconds))), RATE_HZ):
        first = block[: len(second)] if first is None else first
        samples += len(block)
    assert first is not None
    if samples != round(seconds) * RATE_HZ or np.abs(first.sum(axis=1) - second).max() > 1e-3:
        raise SystemExit("The stream came out otherwise than it went in.")


def measure_joins(options) -> None:
    """Prints what repeats with the segments, relative to the tone."""
    import keras

    from tonezoo.models.demucs import Demucs
    from tonezoo.pretrained import load

    keras.utils.set_random_seed(0)
    convolutions = Demucs(width=16, depth=5, lstm_layers=0, upsampler="subpixel")
    convolutions.build((None, None, 2))
    identity = stub(lambda x: x[:, :, None], ("all",), 1, 0)
    models = {
        "identity": identity,
        "convolutions alone (small, untrained, no LSTM)": stub(
            lambda x: np.asarray(convolutions(x)),
            convolutions.sources,
            convolutions.grid_samples,
            convolutions.context_samples,
        ),
        options.model: load(options.model),
    }
    print_row("model", "source", "at the segment rate [dB]", "in one call [dB]")
    print_row(*4 * ["---"])
    for name, model in models.items():
        assert isinstance(model, Separator)
        hop = model.segment_and_hop(
            SeparationOptions(segment_s=JOIN_SEGMENT_S, overlap=JOIN_OVERLAP)
        )[1]
        tone = sustained_tone((JOINS + 4) * hop, hop)
        pieces = separated(model, tone, JOIN_SEGMENT_S)
        whole = separated(model, tone, len(tone) / RATE_HZ)
        for source in model.sources:
            levels = (sidebands_db(stems[source], hop) for stems in (pieces, whole))
            print_row(name, source, *(f"{level:.0f}" for level in levels))


def stub(call, sources, grid_samples: int, context_samples: int) -> Separator:
    return Separator(
        call,
        sources=sources,
        channels=2,
        sample_rate_hz=RATE_HZ,
        segment_samples=RATE_HZ,
        grid_samples=grid_samples,
        context_samples=context_samples,
        name="stub",
    )


def sustained_tone(samples: int, hop: int) -> np.ndarray:
    """Returns a stereo tone near TONE_HZ with half a period more than whole ones in a hop."""
    periods = round(TONE_HZ / RATE_HZ * hop) + 0.5
    phase = 2 * np.pi * periods / hop * np.arange(samples)
    return np.repeat(0.3 * np.sin(phase)[:, None], 2, axis=1).astype("float32")


def separated(model: Separator, tone: np.ndarray, segment_s: float) -> dict:
    options = SeparationOptions(segment_s=segment_s, overlap=JOIN_OVERLAP)
    return model.separate(tone, RATE_HZ, options)


def sidebands_db(stem: np.ndarray, hop: int) -> float:
    """Returns the strongest line at the tone +- k / hop, k = 1 ... 8, in dB of the tone's."""
    inside = stem[2 * hop : (2 + JOINS) * hop, 0].astype("float64")
    window = np.blackman(len(inside) + 1)[:-1]
    spectrum = np.abs(np.fft.rfft(inside * window))
    tone = round((round(TONE_HZ / RATE_HZ * hop) + 0.5) * JOINS)
    lines = [spectrum[tone + sign * JOINS * k] for k in range(1, SIDEBANDS + 1) for sign in (1, -1)]
    return 20 * np.log10(max(max(lines), 1e-30) / max(spectrum[tone], 1e-30))


if __name__ == "__main__":
    main()
