"""Scores as tables: Markdown for files, rich for terminals."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np

from tonezoo.text import printable

if TYPE_CHECKING:
    from tonezoo.analysis.scores import Scores

NO_VALUE = "-"

# An average, maybe with the ends of its interval, or nothing.
Cell = tuple[float, ...]
# Heading, columns, and the name and the cells of each row.
Table = tuple[str, list[str], list[tuple[str, list[Cell]]]]


def tables(scores: Scores) -> Iterator[Table]:
    """Yields the tables of scores, rows from papers at their ends.

    One table with a column for each metric that is shown; of items with parts a table for each
    metric, with a column for each part and one for the mean.
    """
    keys = list(scores.metrics)
    shown = list(scores.shown or keys)
    if not scores.parts:
        columns = [scores.metrics[key].title for key in shown]
        summary = scores.summary[:, [keys.index(key) for key in shown]]
        yield "", columns, [*_measured(scores, summary), *_published(scores, shown)]
        return
    for key in shown:
        index = keys.index(key)
        summary = np.concatenate(
            [scores.per_part[:, :, index], scores.summary[:, None, index]], axis=1
        )
        empty = [""] * len(scores.parts)
        rows = [*_measured(scores, summary), *_published(scores, [*empty, key])]
        yield scores.metrics[key].title, [*scores.parts, "mean"], rows


def _measured(scores: Scores, summary: np.ndarray) -> Iterator[tuple[str, list[Cell]]]:
    """Yields name and cells of each row; `summary` is (row, column, 3)."""
    for name, cells in zip(scores.rows, summary, strict=True):
        yield name, [tuple(value for value in cell if not np.isnan(value)) for cell in cells]


def _published(scores: Scores, keys: list[str]) -> Iterator[tuple[str, list[Cell]]]:
    """Yields name and cells of the published rows that have a value in one of the columns."""
    for name, values in scores.published.items():
        if any(key in values for key in keys):
            yield f"paper {name}", [_value(values, key) for key in keys]


def _value(values: Mapping[str, float], key: str) -> Cell:
    return (values[key],) if key in values else ()


def markdown_tables(scores: Scores) -> Iterator[str]:
    """Yields the lines of the tables as Markdown, an empty one after each table."""
    for heading, columns, rows in tables(scores):
        yield markdown_row([heading, *columns])
        yield markdown_row(["---", *("---:" for _ in columns)])
        for name, cells in rows:
            yield markdown_row([name, *(_text(cell, "{} [{}, {}]") for cell in cells)])
        yield ""


def markdown_row(cells: Iterable[str]) -> str:
    """Returns a row of a Markdown table.

    Example:

    >>> markdown_row(["|x|", "1"])
    '| \\\\|x\\\\| | 1 |'
    """
    return "| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |"


def print_tables(scores: Scores, console=None) -> None:
    """Prints tables, verdict and notes to a rich console; None for standard output."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = console or Console()
    for heading, columns, rows in tables(scores):
        # Narrow enough for six metrics on a terminal of 80 columns, names over several lines.
        table = Table(box=SIMPLE_HEAD, padding=0)
        width = 28 if scores.parts else 14
        table.add_column(Text(heading), max_width=width, overflow="fold")
        for column in columns:
            title = Text(column.replace(", ", ",\n"))
            table.add_column(title, justify="right", min_width=7, no_wrap=True)
        for name, cells in rows:
            # Text, because a name in square brackets would be read as markup.
            texts = [Text(_text(cell, "{}\n{}–{}")) for cell in cells]
            table.add_row(Text(name), *texts, style="bold" if name == scores.model_name else None)
        console.print(table)
    console.print(Text(printable(scores.verdict), style="bold"))
    console.print(Text(printable("\n".join(scores.notes)), style="dim"))


def _text(cell: Cell, with_interval: str) -> str:
    texts = [f"{value:.2f}" for value in cell]
    if len(texts) == 3:
        return with_interval.format(*texts)
    return texts[0] if texts else NO_VALUE
