"""The report on artifacts as one HTML file, and in a terminal."""

import html
import json
import os
from pathlib import Path
from string import Template

import numpy as np

from tonezoo.analysis.artifacts.combs import frequencies_hz
from tonezoo.analysis.artifacts.lines import steady_spectrum_dbfs
from tonezoo.analysis.artifacts.report import ArtifactReport, Probe
from tonezoo.analysis.html_page import (
    INK,
    draw_spectrogram,
    html_document,
    inline_svg,
    wav_data_uri,
)
from tonezoo.analysis.spectrogram import FLOOR_DB, spectrogram_db
from tonezoo.files import atomic_path
from tonezoo.text import printable

# Of a signal that is shown and played.
SHOWN_S = 4.0
PLAYED_PEAK = 0.5
LINE_COLOUR = "#d1605e"
# Lines marked in a picture, the strongest first.
MOST_MARKS = 64
SPECTRUM_FFT = 4096
RANGE_DB = 120.0

LAYERS = Template("""
<h2>Upsampling layers, each by itself</h2>
<div class="table" role="region" aria-label="Upsampling layers" tabindex="0">
<table><thead><tr><th>layer</th><th>kind</th><th>factor</th><th>lines every (Hz)</th>
<th>imbalance of the phases</th><th>at half the input's rate (dB)</th><th>images (dB)</th>
<th>artifact</th></tr></thead><tbody>$rows</tbody></table>
</div>
""")
PROBE = Template("""
<h2>$name</h2>
<p>$sentence</p>
<figure><div role="img" aria-label="Spectrogram and mean spectrum of the output for $name">$picture
</div>
<audio controls preload="metadata" src="$audio" aria-label="Play the output for $name"></audio>
<figcaption>Level over time and its mean in dB; $marks. Played $gain.</figcaption></figure>
""")


def report_page(report: ArtifactReport) -> str:
    """Returns a report as an HTML file that needs nothing else.

    Raises:
        ImportError: matplotlib is missing; it is in the extra `eval`.
    """
    sentences = "".join(f"<li>{html.escape(text)}</li>" for text in report.sentences)
    rows = "".join(_row(finding, report.sample_rate_hz) for finding in report.layers)
    title = f"Artifacts of {html.escape(report.title)}"
    layers = LAYERS.substitute(rows=rows) if rows else ""
    probes = "".join(_probe(probe, report.sample_rate_hz) for probe in report.probes)
    return html_document(title, f"<h1>{title}</h1>\n<ul>{sentences}</ul>\n{layers}\n{probes}")


def write_report(report: ArtifactReport, folder: str | os.PathLike) -> list[Path]:
    """Writes a report as JSON and as a page into a folder, each file whole or not at all.

    Returns:
        The paths.

    Raises:
        ValueError: they cannot be written there.
        ImportError: matplotlib is missing; it is in the extra `eval`.
    """
    texts = {
        Path(folder, "artifacts.html"): report_page(report),
        Path(folder, "artifacts.json"): json.dumps(report.to_json(), indent=2, allow_nan=False),
    }
    for target, text in texts.items():
        with atomic_path(target) as path:
            path.write_text(printable(text) + "\n", encoding="utf-8")
    return list(texts)


def print_report(report: ArtifactReport, console) -> None:
    """Prints a report to a rich console."""
    from rich.table import Table
    from rich.text import Text

    if report.periods:
        table = Table("lines every", title="dB above the surroundings (* stands out)")
        for probe in report.probes:
            table.add_column(Text(f"{probe.name} (dB)"))
        for period in report.periods:
            cells = [_strongest(probe, period) for probe in report.probes]
            table.add_row(f"{report.sample_rate_hz / period:,.2f} Hz", *cells)
        console.print(table)
    for sentence in report.sentences:
        console.print(Text(sentence), soft_wrap=True)


def _strongest(probe: Probe, period: int) -> str:
    """Returns the highest prominence of the lines that a period adds to the shorter ones."""
    assert probe.spectrum is not None
    lines = [line for line in probe.spectrum.lines if line.period == period]
    found = [line.prominence_db for line in probe.spectrum.found if line.period == period]
    if found:
        return f"{max(found):.1f} *"
    return f"{max(line.prominence_db for line in lines):.1f}"


def _row(finding, sample_rate_hz: float) -> str:
    layer = finding.layer
    figures = [f"{finding.imbalance:.3f}"] + [
        "-" if value is None else f"{value:+.1f}" for value in (finding.droop_db, finding.image_db)
    ]
    cells = [
        layer.kind,
        f"x{layer.factor}",
        f"{sample_rate_hz / layer.period:,.2f}",
        *figures,
        finding.artifact,
    ]
    return (
        f'<tr><th scope="row">{html.escape(layer.name)}</th>'
        + "".join(f"<td>{cell}</td>" for cell in cells)
        + "</tr>"
    )


def _probe(probe: Probe, sample_rate_hz: float) -> str:
    channel = probe.samples[: int(SHOWN_S * sample_rate_hz), probe.channel]
    peak = float(np.abs(channel).max())
    gain = PLAYED_PEAK / peak if peak > 0 else 1.0
    marked = _marked(probe, sample_rate_hz)
    return PROBE.substitute(
        name=html.escape(probe.name),
        sentence=html.escape(probe.sentence),
        picture=_picture(channel, sample_rate_hz, marked),
        audio=wav_data_uri((gain * channel).astype("float32"), round(sample_rate_hz)),
        marks=f"the {len(marked)} strongest lines are marked" if marked else "no line is marked",
        gain="as it is" if gain == 1 else f"{20 * np.log10(gain):+.0f} dB louder than it is",
    )


def _marked(probe: Probe, sample_rate_hz: float) -> list[float]:
    """Returns the frequencies of the lines to mark, in Hz."""
    if probe.spectrum is None:
        return frequencies_hz(probe.combs)[:MOST_MARKS]
    found = sorted(probe.spectrum.found, key=lambda line: -line.prominence_db)
    return [line.frequency_hz for line in found[:MOST_MARKS]]


def _picture(channel: np.ndarray, sample_rate_hz: float, marked: list[float]) -> str:
    level_db = spectrogram_db(channel).round()
    # Silence is dark.
    top_db = level_db.max() if level_db.max() > FLOOR_DB else 0.0
    spectrum = steady_spectrum_dbfs(channel, SPECTRUM_FFT)
    top_hz = sample_rate_hz / 2

    def draw(axes):
        figure = axes.figure
        axes.remove()
        left, right = figure.subplots(1, 2, sharey=True, width_ratios=(3, 2))
        seconds = len(channel) / sample_rate_hz
        draw_spectrogram(left, level_db, seconds, top_hz, top_db - 80, top_db)
        right.plot(spectrum, np.linspace(0, top_hz / 1000, len(spectrum)), linewidth=0.6, color=INK)
        right.plot(
            np.full(len(marked), spectrum.max() + 4),
            np.array(marked) / 1000,
            "<",
            color=LINE_COLOUR,
            markersize=3,
        )
        right.set(
            xlabel="mean level (dBFS)",
            xlim=(max(spectrum.min(), spectrum.max() - RANGE_DB) - 4, spectrum.max() + 8),
            ylim=(0, top_hz / 1000),
        )

    return inline_svg(7.5, 2.8, draw)
