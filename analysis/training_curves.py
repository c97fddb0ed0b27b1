"""The figures of training logs over the steps, as pictures."""

import os
from collections.abc import Mapping, Sequence

from tonezoo.analysis.spectrogram import import_matplotlib
from tonezoo.files import atomic_path

COLUMNS = 3
COLORS = ("tab:blue", "tab:orange")


def save_training_curves(path: str | os.PathLike, log: Sequence[Mapping]) -> None:
    """Writes a PNG with a panel for each figure of a training phase, logarithmic upwards.

    Args:
        path: the PNG, replaced when it is complete.
        log: lines of a run's log.jsonl: "step" and figures.

    Raises:
        ImportError: matplotlib is missing; it is in the extra `eval`.
        ValueError: the log is empty.
    """
    names = [name for name in log[0] if name not in ("phase", "name", "step")] if log else []
    _save(path, {name: {name: _points(log, name)} for name in names})


def save_loss_curves(
    path: str | os.PathLike, logs: Mapping[str, Sequence[Mapping]], names: Sequence[str]
) -> None:
    """Writes a PNG with a panel for each run.

    Args:
        path: the PNG, replaced when it is complete.
        logs: name of the run -> lines of its log.jsonl.
        names: of the figures in its panel, two at most: of those that it has.

    Raises:
        ImportError: matplotlib is missing; it is in the extra `eval`.
        ValueError: a log is empty.
    """
    panels = {}
    for run, log in logs.items():
        panels[run] = {name: _points(log, name) for name in names if log and name in log[0]}
    _save(path, panels)


def _points(log: Sequence[Mapping], name: str) -> tuple[list, list]:
    return [line["step"] for line in log], [line[name] for line in log]


def _save(path: str | os.PathLike, contents: Mapping[str, Mapping[str, tuple]]) -> None:
    """Writes panels by title, each with curves (steps, values) by name."""
    if not contents or not all(contents.values()):
        raise ValueError("The training log is empty: no epoch was finished. Train longer.")
    import_matplotlib()
    from matplotlib.figure import Figure

    rows = -(-len(contents) // COLUMNS)
    figure = Figure(figsize=(3.2 * COLUMNS, 2.0 * rows), layout="constrained")
    panels = figure.subplots(rows, COLUMNS, squeeze=False).ravel()
    for panel, (title, curves) in zip(panels, contents.items(), strict=False):
        for color, (name, points) in zip(COLORS, curves.items(), strict=False):
            panel.plot(*points, linewidth=1, color=color, label=name)
        panel.set(title=title, xlabel="step", yscale="log")
        panel.grid(alpha=0.3, which="both", linewidth=0.5)
        if len(curves) > 1:
            panel.legend(fontsize="small")
    for panel in panels[len(contents) :]:
        panel.remove()
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", dpi=110)
