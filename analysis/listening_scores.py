"""The results of blind A/B listening tests: who was preferred to whom, and how sure that is."""

import csv
import itertools
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from tonezoo.analysis.listening_test import CHOICES, COLUMNS, KEY_NAME, read_key
from tonezoo.analysis.score_tables import markdown_row
from tonezoo.files import atomic_path

CONFIDENCE = 0.95
TITLES = ("first", "second", "first preferred", "second preferred", "no preference")
NOTE = (
    "Share: of the answers that prefer one of the two, how many prefer the first, with the exact "
    "binomial (Clopper-Pearson) interval of 95 %. p: exact two-sided binomial test of an even "
    "chance, not corrected for the number of pairs. Both take the answers as independent, although "
    "a listener gives several."
)


class Answer(NamedTuple):
    """A listener's answer to a pair: the systems, sorted as the key has them, and who won."""

    listener: str
    clip: str
    first: str
    second: str
    winner: str | None


@dataclass(frozen=True)
class Preference:
    """How often one system was preferred to another.

    Attributes:
        first, second: names of the systems.
        wins: answers that prefer the first.
        losses: answers that prefer the second.
        ties: answers without a preference.
    """

    first: str
    second: str
    wins: int
    losses: int
    ties: int

    @property
    def share(self) -> float | None:
        """Of the answers with a preference, those for the first; None where there are none."""
        decided = self.wins + self.losses
        return self.wins / decided if decided else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """The Clopper-Pearson interval of 95 % of the share; None where there is none.

        >>> [round(end, 4) for end in Preference("a", "b", wins=8, losses=2, ties=5).interval]
        [0.4439, 0.9748]
        """
        test = self._test
        if test is None:
            return None
        low, high = test.proportion_ci(CONFIDENCE, method="exact")
        return float(low), float(high)

    @property
    def p_value(self) -> float | None:
        """Of the exact two-sided test that either is as likely; None without a preference.

        >>> round(Preference("a", "b", wins=8, losses=2, ties=5).p_value, 4)
        0.1094
        """
        test = self._test
        return None if test is None else float(test.pvalue)

    @property
    def _test(self):
        from scipy.stats import binomtest

        decided = self.wins + self.losses
        return binomtest(self.wins, decided, 0.5) if decided else None


@dataclass(frozen=True)
class ListeningScores:
    """What listeners preferred, pair by pair of systems.

    Attributes:
        preferences: of each pair of systems, in the order of the key.
        listeners: names, sorted.
        question: that was asked.
    """

    preferences: tuple[Preference, ...]
    listeners: tuple[str, ...]
    question: str

    def to_json(self) -> dict[str, Any]:
        return {
            "question": self.question,
            "listeners": list(self.listeners),
            "pairs": [
                {
                    "first": pair.first,
                    "second": pair.second,
                    "wins": pair.wins,
                    "losses": pair.losses,
                    "no_preference": pair.ties,
                    "share": pair.share,
                    "interval": pair.interval,
                    "p_value": pair.p_value,
                }
                for pair in self.preferences
            ],
            "note": NOTE,
        }

    def rows(self) -> list[tuple[str, ...]]:
        """Returns the cells of a table, its titles first."""
        rows: list[tuple[str, ...]] = [(*TITLES, "share", "p")]
        for pair in self.preferences:
            share, p = "-", "-"
            if pair.interval and pair.share is not None and pair.p_value is not None:
                low, high = pair.interval
                share = f"{pair.share:.2f} [{low:.2f}, {high:.2f}]"
                p = f"{pair.p_value:.2g}"
            counts = (str(pair.wins), str(pair.losses), str(pair.ties))
            rows.append((pair.first, pair.second, *counts, share, p))
        return rows

    def markdown(self) -> str:
        titles, *rows = self.rows()
        lines = [
            f"# {self.question}",
            "",
            f"{len(self.listeners)} listeners.",
            "",
            markdown_row(titles),
            markdown_row(["---", "---", *5 * ["---:"]]),
            *map(markdown_row, rows),
            "",
            NOTE,
        ]
        return "\n".join(lines) + "\n"

    def write(self, folder: str | os.PathLike) -> None:
        """Writes listening.json and listening.md to a folder."""
        texts = {".json": json.dumps(self.to_json(), indent=2) + "\n", ".md": self.markdown()}
        for suffix, text in texts.items():
            with atomic_path(Path(folder) / f"listening{suffix}") as path:
                path.write_text(text, encoding="utf-8")

    def print(self) -> None:
        """Prints the table to the terminal."""
        from rich.box import SIMPLE_HEAD
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        console = Console()
        titles, *rows = self.rows()
        table = Table(box=SIMPLE_HEAD)
        for title in titles:
            is_name = title in TITLES[:2]
            table.add_column(Text(title), justify="left" if is_name else "right", overflow="fold")
        for row in rows:
            table.add_row(*map(Text, row))
        listeners = len(self.listeners)
        console.print(Text(f"{self.question} {listeners} listener{'s' * (listeners != 1)}."))
        console.print(table)
        console.print(Text(NOTE, style="dim"))


def score_listening_test(
    results: Sequence[str | os.PathLike], key: str | os.PathLike | None = None
) -> ListeningScores:
    """Counts the answers of all listeners and returns who was preferred to whom.

    Args:
        results: CSV files that the page saved.
        key: the key.json beside the page; None for one beside the first of the results.

    Raises:
        ValueError: no key, or results that are none of this test; names the file and the line.
    """
    key_path = Path(results[0]).parent / KEY_NAME if key is None else Path(key)
    facts = read_key(key_path)
    answers: dict[tuple, tuple[str, Answer]] = {}
    for path in results:
        for where, answer in _read_answers(Path(path), facts):
            identity = answer[:4]
            if identity in answers:
                raise ValueError(
                    f"{where}: {answer.listener} has answered this pair in {answers[identity][0]} "
                    "already. Give every listener's answers once, and every listener another name."
                )
            answers[identity] = where, answer
    given = [answer for _, answer in answers.values()]
    return ListeningScores(
        tuple(_preference(given, *pair) for pair in itertools.combinations(facts["systems"], 2)),
        tuple(sorted({answer.listener for answer in given})),
        facts["question"],
    )


def _preference(answers: Sequence[Answer], first: str, second: str) -> Preference:
    winners = [a.winner for a in answers if (a.first, a.second) == (first, second)]
    return Preference(
        first, second, winners.count(first), winners.count(second), winners.count(None)
    )


def _read_answers(path: Path, key: dict) -> Iterator[tuple[str, Answer]]:
    """Yields where an answer is and the answer."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ValueError(f"Cannot read {path}: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is no text. Give the CSV that the page saved.") from error
    rows = csv.reader(text.splitlines(keepends=True))
    header = next(rows, [])
    if tuple(header) != COLUMNS:
        raise ValueError(
            f"{path}, line 1: the columns are {', '.join(header) or 'missing'}, but have to be "
            f"{', '.join(COLUMNS)}. Give the CSV as the page saved it."
        )
    for row in rows:
        where = f"{path}, line {rows.line_num}"
        if row:
            yield where, _answer(where, row, key)


def _answer(where: str, row: list[str], key: dict) -> Answer:
    if len(row) != len(COLUMNS):
        raise ValueError(f"{where}: {len(row)} cells, but there are {len(COLUMNS)} columns.")
    cells = dict(zip(COLUMNS, row, strict=True))
    if cells["test"] != key["test"]:
        raise ValueError(
            f"{where}: an answer to the test {cells['test']}, but the key is that of "
            f"{key['test']}. Give the {KEY_NAME} of that test with --key."
        )
    if not cells["listener"]:
        raise ValueError(f"{where}: the listener has no name.")
    if cells["choice"] not in CHOICES:
        raise ValueError(
            f"{where}: the choice is {cells['choice']!r}, but has to be one of "
            f"{', '.join(CHOICES)}."
        )
    sounds = {side: key["sounds"].get(cells[side]) for side in ("left", "right")}
    for side, sound in sounds.items():
        if sound is None or sound["clip"] != cells["clip"]:
            raise ValueError(
                f"{where}: {cells[side]!r} is no sound of the clip {cells['clip']!r} in the key."
            )
    systems = {side: sound["system"] for side, sound in sounds.items()}
    first, second = sorted(systems.values(), key=key["systems"].index)
    if first == second:
        raise ValueError(f"{where}: left and right are the same sound.")
    return Answer(cells["listener"], cells["clip"], first, second, systems.get(cells["choice"]))
