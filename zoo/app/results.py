"""What the page shows of an answer: HTML with players, pictures and downloads, and their files."""

import contextlib
import hashlib
import html
import secrets
import shutil
import urllib.parse
from collections.abc import Iterator, Sequence
from pathlib import Path
from string import Template

from tonezoo.app.answers import Answer, Signal
from tonezoo.app.pictures import lines_of, loudest_db, spectrogram
from tonezoo.audio.writer import AudioWriter
from tonezoo.text import printable

LONGEST_STEM = 60

RESULT = Template("""<section class="tonezoo" aria-label="Result">
<p>$sentence</p>
<ul>$notices</ul>
<div class="panels">$panels</div>
$mixer
</section>""")
MIXER = Template("""<tonezoo-mixer>
<div class="transport"><button type="button" data-play disabled>Loading …</button>
<input type="range" data-seek min="0" max="$seconds" step="0.01" value="0" aria-label="Position">
<output data-time>0:00</output></div>
<div class="panels">$panels</div>
</tonezoo-mixer>""")
PANEL = Template("""<figure data-signal="$name"$stem>
<h3>$name</h3>
<div role="img" aria-label="Spectrogram of $name">$picture</div>
$controls
<figcaption>$caption</figcaption>
<a href="$url" download="$file">Download $name (WAV)</a>
</figure>""")
PLAYER = Template('<audio controls preload="metadata" src="$url" aria-label="Play $name"></audio>')
CHANNEL = Template("""<div class="channel">
<button type="button" data-mute aria-pressed="false" aria-label="Mute $name">Mute</button>
<button type="button" data-solo aria-pressed="false" aria-label="Solo $name">Solo</button>
</div>""")


class ResultFiles:
    """The audio files of the results that are on the page, in one folder; a folder per visit.

    A visit's next result takes the place of the one before, and the end of the visit removes it,
    also while it is made.

    Args:
        folder: where they are; it has to exist.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        # Visit -> whether it has ended, of those that something is computed for.
        self._has_ended: dict[str, bool] = {}

    @contextlib.contextmanager
    def computing(self, visit: str) -> Iterator[None]:
        """Removes, after the block, what it has left of a visit that has ended within it."""
        self._has_ended[visit] = False
        try:
            yield
        finally:
            if self._has_ended.pop(visit, False):
                self._remove(visit)

    def begin(self, visit: str) -> Path:
        """Returns a new folder for a result of a visit, in the place of its last one."""
        self._remove(visit)
        # The name of it cannot be guessed by who visits the page as well.
        folder = self._of(visit) / secrets.token_hex(8)
        folder.mkdir(parents=True)
        return folder

    def end(self, visit: str) -> None:
        """Removes what there is of a visit, and what is being computed for it when that is done."""
        if visit in self._has_ended:
            self._has_ended[visit] = True
        self._remove(visit)

    def _remove(self, visit: str) -> None:
        shutil.rmtree(self._of(visit), ignore_errors=True)

    def _of(self, visit: str) -> Path:
        # What a browser calls its visit may hold anything.
        return self.folder / hashlib.sha256(visit.encode()).hexdigest()[:16]


def result_html(answer: Answer, sentence: str, stem: str, folder: Path) -> str:
    """Returns an answer as HTML, after writing its signals as 32-bit float WAV files.

    Args:
        answer: what to show.
        sentence: on what was done, as text.
        stem: of the files' names, that of the upload.
        folder: of the files.
    """
    top_db = loudest_db((*answer.before, *answer.after))
    stem = stem[:LONGEST_STEM]

    def panels(signals: Sequence[Signal], in_mix: bool) -> str:
        return "".join(_panel(signal, top_db, stem, folder, in_mix) for signal in signals)

    before, after = panels(answer.before, False), panels(answer.after, answer.is_mix)
    first = answer.after[0]
    seconds = len(first.samples) / first.sample_rate_hz
    mixer = MIXER.substitute(seconds=f"{seconds:.2f}", panels=after)
    return RESULT.substitute(
        sentence=html.escape(printable(sentence)),
        notices="".join(f"<li>{html.escape(printable(text))}</li>" for text in answer.notices),
        panels=before if answer.is_mix else before + after,
        mixer=mixer if answer.is_mix else "",
    )


def problem_html(message: str) -> str:
    """Returns a message on what went wrong as HTML.

    >>> problem_html("2 > 1")
    '<section class="tonezoo"><p class="problem" role="alert">2 &gt; 1</p></section>'
    """
    text = html.escape(printable(message))
    return f'<section class="tonezoo"><p class="problem" role="alert">{text}</p></section>'


def _panel(signal: Signal, top_db: float, stem: str, folder: Path, in_mix: bool) -> str:
    path = folder / f"{stem}-{signal.name.replace(' ', '_')}.wav"
    with AudioWriter(path, signal.sample_rate_hz, signal.samples.shape[1]) as writer:
        writer.write(signal.samples)
    marked_hz, lines = lines_of(signal)
    facts = {
        "name": html.escape(signal.name),
        "url": html.escape(f"gradio_api/file={urllib.parse.quote(path.as_posix())}"),
    }
    marks = " They are marked." if marked_hz else ""
    return PANEL.substitute(
        facts,
        stem=" data-stem" if in_mix else "",
        picture=spectrogram(signal, marked_hz, top_db),
        controls=(CHANNEL if in_mix else PLAYER).substitute(facts),
        caption=f"{signal.sample_rate_hz} Hz; {html.escape(lines)}{marks}",
        file=html.escape(path.name),
    )
