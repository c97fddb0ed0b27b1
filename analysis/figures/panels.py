"""A figure as data: panels in rows, a caption, and the numbers that make its point."""

import dataclasses
import io
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from tonezoo.analysis.html_page import COLOUR_MAP
from tonezoo.analysis.spectrogram import FLOOR_DB, import_matplotlib
from tonezoo.files import atomic_path

PNG_DPI = 110
# About as many as a panel has pixels.
ROWS = 205
# The other colours of a PNG are those of the spectrograms.
GREYS, LINE_COLOURS = 26, 10
STYLE = {"font.size": 8.0, "svg.fonttype": "none", "svg.hashsalt": "tonezoo"}
PANEL_INCHES = (2.9, 2.3)
COLOUR_BAR_INCHES = 0.7


class Panel(Protocol):
    """What can be drawn on axes of its own."""

    @property
    def title(self) -> str: ...

    def draw(self, axes) -> Any: ...


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Spectrogram:
    """Levels over time and linear frequency.

    Attributes:
        title: of the panel.
        level_db: (bins, frames), frequency upwards from 0 Hz.
        sample_rate_hz: of the signal.
        hop_samples: from a frame to the next.
        floor_db: lower end of the colour range; the upper one is 0 dB.
    """

    title: str
    level_db: np.ndarray
    sample_rate_hz: float
    hop_samples: int
    floor_db: float = FLOOR_DB

    def draw(self, axes):
        duration_s = self.level_db.shape[1] * self.hop_samples / self.sample_rate_hz
        half_rate_khz = self.sample_rate_hz / 2000
        image = axes.imshow(
            merged(self.level_db, self.floor_db),
            origin="lower",
            aspect="auto",
            extent=(0, duration_s, 0, half_rate_khz),
            vmin=self.floor_db,
            vmax=0,
            cmap=COLOUR_MAP,
        )
        # A tone at half the rate would lie under the frame.
        axes.set_ylim(-0.01 * half_rate_khz, 1.02 * half_rate_khz)
        axes.set(xlabel="time (s)", ylabel="frequency (kHz)")
        return image


def merged(level_db: np.ndarray, floor_db: float) -> np.ndarray:
    """Returns levels in `ROWS` rows, the power of their bins averaged, at least `floor_db`.

    Left to the drawing, levels would be averaged, and a line among nothing become half of nothing.

    >>> levels = np.full((1025, 1), -100.0)
    >>> levels[512] = 0
    >>> merged(levels, -100.0)[[0, 102], 0].round(2).tolist()  # a fifth of the power
    [-100.0, -6.99]
    """
    edges = np.linspace(0, len(level_db), min(ROWS, len(level_db)) + 1).round().astype(int)
    power = np.add.reduceat(10 ** (level_db / 10), edges[:-1]) / np.diff(edges)[:, None]
    return np.maximum(10 * np.log10(power), floor_db)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Stems:
    """Single samples; those of different `groups` (time,) in different colours."""

    title: str
    samples: np.ndarray
    groups: np.ndarray | None = None

    def draw(self, axes):
        samples = np.asarray(self.samples)
        groups = np.zeros(len(samples), int) if self.groups is None else self.groups
        for group in np.unique(groups):
            place = np.flatnonzero(groups == group)
            lines = axes.stem(place, samples[place], linefmt=f"C{group}-", basefmt=" ")
            lines.markerline.set_markersize(3.5)
        axes.axhline(0, color="0.6", lw=0.6, zorder=0)
        axes.margins(x=0.04, y=0.12)
        axes.set(xlabel="sample")
        axes.xaxis.get_major_locator().set_params(integer=True)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Curves:
    """Lines: label -> (x, y); one whose label ends in ", fit" is dashed, of the colour before."""

    title: str
    lines: Mapping[str, tuple[Sequence[float] | np.ndarray, Sequence[float] | np.ndarray]]
    xlabel: str
    ylabel: str
    xlim: tuple[float, float]
    xticks: Sequence[float]
    marker: str = ""

    def draw(self, axes):
        colour = None
        for label, (x, y) in self.lines.items():
            fits = label.endswith(", fit")
            options = {"ls": "--", "color": colour} if fits else {"marker": self.marker}
            colour = axes.plot(x, y, lw=1, label=label, **options)[0].get_color()
        axes.set(xlabel=self.xlabel, ylabel=self.ylabel, xlim=self.xlim, xticks=self.xticks)
        axes.legend(frameon=False, fontsize=7)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Figure:
    """A figure of a paper, computed anew.

    Attributes:
        name: what `tonezoo figures --only` calls it.
        title: which figure of which paper it redraws.
        caption: what is to be seen.
        findings: sentences with the numbers that make its point.
        numbers: these and more, in JSON types; levels in dB re the largest magnitude of the
            input's short-time Fourier transform.
        set_up: what went through what.
        seed: of all that is random; None where nothing is.
        rows: panels, row by row; None leaves a place empty. Spectrograms of a row share a range.
        panel_inches: width and height of a panel.
    """

    name: str
    title: str
    caption: str
    findings: tuple[str, ...]
    numbers: dict[str, Any]
    set_up: str
    seed: int | None
    rows: tuple[tuple[Panel | None, ...], ...]
    panel_inches: tuple[float, float] = PANEL_INCHES

    def draw(self):
        """Returns a `matplotlib.figure.Figure`, which a notebook shows.

        Raises:
            ImportError: matplotlib is missing.
        """
        matplotlib = import_matplotlib()
        with matplotlib.rc_context(STYLE):
            columns = max(map(len, self.rows))
            width, height = self.panel_inches
            figure = matplotlib.figure.Figure(
                figsize=(columns * width + COLOUR_BAR_INCHES, len(self.rows) * height),
                layout="constrained",
            )
            grid = figure.subplots(len(self.rows), columns, squeeze=False)
            for axes_row, panels in zip(grid, self.rows, strict=True):
                _draw_row(figure, axes_row, panels)
        return figure

    def to_json(self) -> dict[str, Any]:
        """Returns all but the panels, in JSON types."""
        names = ("name", "title", "caption", "findings", "numbers", "set_up", "seed")
        return {name: getattr(self, name) for name in names}

    def save(self, folder: str | os.PathLike) -> tuple[Path, Path, Path]:
        """Writes figure_NAME.png, .svg and .json, each whole or not at all.

        Args:
            folder: where to; created if needed.

        Returns:
            The three paths.

        Raises:
            ValueError: a file cannot be written.
            ImportError: matplotlib is missing.
        """
        drawn = self.draw()
        paths = tuple(
            Path(folder) / f"figure_{self.name}.{kind}" for kind in ("png", "svg", "json")
        )
        png, svg, numbers = paths
        with import_matplotlib().rc_context(STYLE):
            with atomic_path(png) as temporary:
                _save_png(drawn, temporary)
            with atomic_path(svg) as temporary:
                drawn.savefig(temporary, format="svg", dpi=PNG_DPI, metadata={"Date": None})
        text = json.dumps(self.to_json(), indent=2, ensure_ascii=False, allow_nan=False)
        with atomic_path(numbers) as temporary:
            temporary.write_text(text + "\n", encoding="utf-8")
        return png, svg, numbers


def _save_png(drawn, path: Path) -> None:
    """Writes a PNG of 256 colours, of a third of the size: noise does not compress."""
    from matplotlib import colormaps, colors
    from PIL import Image

    palette = [
        *colormaps[COLOUR_MAP](np.linspace(0, 1, 256 - GREYS - LINE_COLOURS)),
        *colormaps["gray"](np.linspace(0, 1, GREYS)),
        *(colors.to_rgba(f"C{number}") for number in range(LINE_COLOURS)),
    ]
    chosen = Image.new("P", (1, 1))
    chosen.putpalette(np.rint(255 * np.array(palette)[:, :3]).astype("uint8").tobytes())
    pixels = io.BytesIO()
    drawn.savefig(pixels, format="png", dpi=PNG_DPI)
    image = Image.open(pixels).convert("RGB").quantize(palette=chosen, dither=Image.Dither.NONE)
    image.save(path, format="png", optimize=True)


def _draw_row(figure, axes_row, panels) -> None:
    image = None
    for axes, panel in zip(axes_row, (*panels, *(len(axes_row) * [None])), strict=False):
        if panel is None:
            axes.axis("off")
            continue
        drawn = panel.draw(axes)
        axes.set_title(panel.title, fontsize=8.5)
        if isinstance(panel, Spectrogram):
            image = drawn
    if image is not None:
        figure.colorbar(image, ax=list(axes_row), label="level (dB)", pad=0.01, aspect=16)


def rounded(value: Any) -> Any:
    """Returns numbers, and those in lists and dictionaries, to four decimals, in JSON types.

    >>> rounded({"a": np.float32(0.5), "b": np.array([1.00004, 2])})
    {'a': 0.5, 'b': [1.0, 2.0]}
    """
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [rounded(item) for item in value]
    if isinstance(value, (str, bool, int, type(None))):
        return value
    # Adding zero makes -0.0 0.0.
    return round(float(value), 4) + 0.0
