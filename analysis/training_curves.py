"""The figures of a training log over the steps, as a picture."""

import os
from collections.abc import Mapping, Sequence

from tonezoo.analysis.spectrogram import import_matplotlib
from tonezoo.files import atomic_path

COLUMNS = 3


def save_training_curves(path: str | os.PathLike, log: Sequence[Mapping]) -> None:
    """Writes a PNG with a panel for each figure of a training phase, logarithmic upwards.

    Args:
        path: the PNG, replaced when it is complete.
        log: lines of a run's log.jsonl: "step" and figures.

    Raises:
        ImportError: matplotlib is missing; it is in the extra `eval`.
        ValueError: the log is empty.
    """
    if not log:
        raise ValueError("The training log is empty: no epoch was finished. Train longer.")
    import_matplotlib()
    from matplotlib.figure import Figure

    names = [name for name in log[0] if name not in ("phase", "name", "step")]
    rows = -(-len(names) // COLUMNS)
    figure = Figure(figsize=(3.2 * COLUMNS, 2.0 * rows), layout="constrained")
    panels = figure.subplots(rows, COLUMNS, squeeze=False).ravel()
    steps = [line["step"] for line in log]
    for panel, name in zip(panels, names, strict=False):
        panel.plot(steps, [line[name] for line in log], linewidth=1, color="tab:blue")
        panel.set(title=name, xlabel="step", yscale="log")
        panel.grid(alpha=0.3, which="both", linewidth=0.5)
    for panel in panels[len(names) :]:
        panel.remove()
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", dpi=110)
