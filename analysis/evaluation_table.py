"""An evaluation as a table: Markdown for files, rich for terminals."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tonezoo.analysis.metrics import METRICS
from tonezoo.analysis.published import published_scores

if TYPE_CHECKING:
    from tonezoo.analysis.evaluation import Evaluation

NO_VALUE = "-"
# A seventh column would not fit into 80; the evaluation tells the low-band error in words.
COLUMNS = {key: metric for key, metric in METRICS.items() if key != "low_band_error_db"}


def markdown_table(evaluation: Evaluation) -> str:
    """Returns the evaluation as Markdown: heading, table, verdict, notes."""
    titles = [metric.title for metric in COLUMNS.values()]
    lines = [
        f"# {evaluation.model_name}, x{evaluation.ratio} to {evaluation.sample_rate_hz} Hz",
        "",
        markdown_row(["", *titles]),
        markdown_row(["---", *("---:" for _ in titles)]),
    ]
    for name, cells in table_rows(evaluation):
        lines.append(markdown_row([name, *(_cell(cell, "{} [{}, {}]") for cell in cells)]))
    lines += ["", f"**{evaluation.verdict}**", ""]
    return "\n".join(lines + [f"- {note}" for note in evaluation.notes])


def rich_table(evaluation: Evaluation):
    """Returns the evaluation as a rich renderable: table, verdict, notes."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    # Narrow enough for a terminal of 80 columns, names over two lines.
    table = Table(box=SIMPLE_HEAD, padding=0)
    table.add_column("", max_width=14)
    for metric in COLUMNS.values():
        table.add_column(metric.title.replace(", ", ",\n"), justify="right", no_wrap=True)
    for name, cells in table_rows(evaluation):
        texts = [_cell(cell, "{}\n{}–{}") for cell in cells]
        style = "bold" if name == evaluation.model_name else None
        # Text, because a name in square brackets would be read as markup.
        table.add_row(*map(Text, [name, *texts]), style=style)
    notes = Text("\n".join(evaluation.notes), style="dim")
    return Group(table, Text(evaluation.verdict, style="bold"), notes)


def table_rows(evaluation: Evaluation) -> list[tuple[str, list[tuple[float, ...]]]]:
    """Returns name and cells of each row, the paper's at the end.

    A measured cell is (mean, low, high), a published one (value,); () where there is no value.
    """
    shown = [index for index, key in enumerate(METRICS) if key in COLUMNS]
    rows = []
    for name, summary in zip(evaluation.row_names, evaluation.summary[:, shown], strict=True):
        rows.append((name, [tuple(cell) if np.isfinite(cell[0]) else () for cell in summary]))
    for name, scores in published_scores(evaluation.ratio).items():
        cells = [(scores[key],) if key in scores else () for key in COLUMNS]
        rows.append((f"paper {name}", cells))
    return rows


def markdown_row(cells: list[str]) -> str:
    """Returns a row of a Markdown table.

    Example:

    >>> markdown_row(["|x|", "1"])
    '| \\\\|x\\\\| | 1 |'
    """
    return "| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |"


def _cell(values: tuple[float, ...], with_interval: str) -> str:
    texts = [f"{value:.2f}" for value in values]
    if len(texts) == 3:
        return with_interval.format(*texts)
    return texts[0] if texts else NO_VALUE
