"""What pages of one HTML file are made of: their style, pictures as SVG, sound as URIs."""

import base64
import io
import re
from collections.abc import Callable

import numpy as np

from tonezoo.analysis.spectrogram import import_matplotlib

COLOUR_MAP = "magma"
# Replaced by currentColor, which matplotlib does not know.
INK = "#0a0b0c"
SVG_STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "tonezoo",
    "font.size": 8.0,
    "axes.linewidth": 0.6,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
}
# The style sheet of a page, for light and dark screens.
STYLE = """:root { color-scheme: light dark; --ink: #1c1c22; --dim: #5a5a66; --paper: #fbfbf9;
  --card: #ffffff; --line: #d9d9d4; --mark: #fff3d6; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e6ea; --dim: #a5a5b0; --paper: #16161a; --card: #1e1e24; --line: #3a3a44;
    --mark: #3a3220; }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
main { max-width: 76rem; margin: 0 auto; padding: 1.5rem 1rem 3rem; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 .75rem; }
h2 { font-size: 1.3rem; line-height: 1.25; margin: 2.5rem 0 .5rem; padding-top: 1.25rem;
  border-top: 1px solid var(--line); overflow-wrap: anywhere; }
h3 { font-size: 1rem; margin: 0 0 .4rem; text-transform: capitalize; }
ul { padding-left: 1.2rem; }
p, dl, ul { max-width: 46rem; margin: .5rem 0; overflow-wrap: anywhere; }
.panels { display: grid; grid-template-columns: repeat(var(--panels), minmax(0, 1fr)); gap: 1rem;
  margin: 1rem 0; }
@media (max-width: 60rem) { .panels { grid-template-columns: repeat(2, minmax(0, 1fr)); } }
@media (max-width: 36rem) {
  .panels { grid-template-columns: minmax(0, 1fr); }
  .table { font-size: .875rem; }
}
figure { margin: 0; padding: .75rem; background: var(--card); border: 1px solid var(--line);
  border-radius: .5rem; }
figure svg, .scale svg { display: block; width: 100%; height: auto; }
.scale { max-width: 24rem; margin: 0 0 1rem; }
audio { display: block; width: 100%; margin: .5rem 0; }
figcaption, small, .dim { color: var(--dim); }
figcaption { font-size: .875rem; line-height: 1.4; }
.table { overflow-x: auto; margin: .75rem 0; border: 1px solid var(--line); border-radius: .5rem;
  background: var(--card); }
table { border-collapse: separate; border-spacing: 0; width: 100%;
  font-variant-numeric: tabular-nums; }
th, td { padding: .35rem .7rem; text-align: right; vertical-align: top;
  border-bottom: 1px solid var(--line); }
td { white-space: nowrap; }
tbody tr:last-child > * { border-bottom: 0; }
tr > :first-child { position: sticky; left: 0; min-width: 8.5rem; background: var(--card); }
thead th { vertical-align: bottom; }
tbody th { text-align: left; font-weight: normal; }
@media (min-width: 60rem) { tbody th { white-space: nowrap; } }
tr.model > * { background: var(--mark); font-weight: 600; }
td small { display: block; font-weight: normal; font-size: .75rem; }
dt { font-weight: 600; margin-top: .5rem; }
dd { margin: 0; }
pre { overflow-x: auto; padding: .75rem; background: var(--card); border: 1px solid var(--line);
  border-radius: .5rem; font-size: .875rem; }
"""


def html_document(title: str, body: str, head: str = "") -> str:
    """Returns a page in the style of all; its parts are HTML, or templates of it.

    >>> html_document("Lines", "<p>None.</p>").splitlines()[-5:]
    ['<main>', '<p>None.</p>', '</main>', '</body>', '</html>']
    """
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
{head}<title>{title}</title>
<style>
{STYLE}</style>
</head>
<body>
<main>
{body}
</main>
</body>
</html>
"""


def inline_svg(width_in: float, height_in: float, draw: Callable) -> str:
    """Returns what `draw` puts on a figure's axes as an <svg> element to stand in HTML."""
    matplotlib = import_matplotlib()
    text = io.StringIO()
    with matplotlib.rc_context(SVG_STYLE):
        figure = matplotlib.figure.Figure(figsize=(width_in, height_in), layout="constrained")
        draw(figure.subplots())
        nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        figure.savefig(text, format="svg", transparent=True, metadata=nothing)
    # The XML prologue has no place in HTML.
    svg = text.getvalue()[text.getvalue().index("<svg") :].replace(INK, "currentColor")
    # Every picture of a page would have the same names, to which nothing refers; the page has a
    # font, and smooth scaling is better than the pixels of frames.
    names, font, pixels = (
        r' id="[a-zA-Z.0-9]+_\d+"',
        r"font-family: [^;]+; ",
        r"image-rendering:[^\"]+",
    )
    return re.sub(f"{names}|{font}|{pixels}", "", svg)


def draw_spectrogram(
    axes, level_db: np.ndarray, seconds: float, top_hz: float, lowest_db: float, highest_db: float
) -> None:
    """Puts levels (bin, frame) on axes of seconds and kHz, in the colours of all pages."""
    axes.imshow(
        level_db,
        origin="lower",
        aspect="auto",
        interpolation="none",
        extent=(0, seconds, 0, top_hz / 1000),
        vmin=lowest_db,
        vmax=highest_db,
        cmap=COLOUR_MAP,
    )
    axes.set(xlabel="time (s)", ylabel="frequency (kHz)")


def wav_data_uri(samples: np.ndarray, sample_rate_hz: int) -> str:
    """Returns a signal as a 16-bit WAV file inside a URI; what exceeds +-1 is clamped.

    Example:

    >>> wav_data_uri(np.zeros(2, "float32"), 16_000)[:22]
    'data:audio/wav;base64,'
    """
    import soundfile

    file = io.BytesIO()
    soundfile.write(file, samples.clip(-1, 1), sample_rate_hz, format="WAV", subtype="PCM_16")
    return "data:audio/wav;base64," + base64.b64encode(file.getvalue()).decode()
