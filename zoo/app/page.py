"""The page: what is on it, and what happens when something is clicked."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tonezoo.app.answers import Limits, answer, read_recording
from tonezoo.app.offers import Offer
from tonezoo.app.results import ResultFiles, problem_html, result_html
from tonezoo.tasks.super_resolution import LARGEST_STRENGTH_DB

TITLE = "tonezoo"
LEAST_STRENGTH_DB = -30.0
MOST_WAITING = 16
INTRODUCTION = """# tonezoo

Give a recording to a model, and hear and see what it makes of it. Mono or stereo, up to
{seconds:g} s and {megabytes:g} MB: WAV, FLAC, OGG or MP3. {where} It and what the model
makes of it are deleted within an hour, the latter as soon as you close this page."""
HERE = "It is processed on the machine that shows this page, and goes nowhere else."
THERE = "It goes to this page's machine, and from there to the model server at {server}."


def build_page(
    offers: Sequence[Offer], limits: Limits, files: ResultFiles, server: str | None = None
) -> Any:
    """Returns the page as `gradio.Blocks`.

    Args:
        offers: models to choose from, the first one chosen.
        limits: of recordings.
        files: where results are kept.
        server: address of the server whose models they are; None for this machine's.
    """
    import gradio

    by_label = {offer.label: offer for offer in offers}
    first = offers[0]

    def choose(label: str):
        strength_db = by_label[label].strength_db
        return gradio.update(visible=strength_db is not None, value=strength_db or 0.0)

    def run(
        path: str | None,
        label: str,
        strength_db: float,
        request: gradio.Request,
        progress=gradio.Progress(),  # noqa: B008  # that is how Gradio finds it
    ) -> str:
        if path is None:
            return problem_html("Upload or record something first.")
        if not Path(path).is_file():
            return problem_html(
                "The recording is gone: it is kept for less than an hour. Upload it again."
            )
        visit = str(request.session_hash)
        try:
            # A page that is closed meanwhile does not stop it.
            with files.computing(visit):
                offer = by_label[label]
                progress(0.0, desc="reading")
                recording, notice = read_recording(path, limits)
                progress(0.0, desc="loading the model")
                engine: Any = offer.load()
                got = answer(
                    engine,
                    recording,
                    None if offer.strength_db is None else strength_db,
                    lambda share: progress(share, desc="computing"),
                )
                progress(1.0, desc="drawing")
                sentence = f"{Path(path).name} through {engine.name}. {notice or ''}".rstrip()
                return result_html(got, sentence, Path(path).stem, files.begin(visit))
        # What the user can mend, or wait for; anything else is a fault, which Gradio shows as such.
        except (ValueError, ConnectionError, MemoryError) as error:
            return problem_html(str(error) or type(error).__name__)

    def leave(request: gradio.Request) -> None:
        files.end(str(request.session_hash))

    with gradio.Blocks(title=TITLE, analytics_enabled=False) as page:
        where = HERE if server is None else THERE.format(server=server)
        gradio.Markdown(
            INTRODUCTION.format(seconds=limits.seconds, megabytes=limits.megabytes, where=where)
        )
        with gradio.Row():
            recording = gradio.Audio(
                label="Recording",
                sources=["upload", "microphone"],
                type="filepath",
                # Trimmed or not, the model is to get what was uploaded, not what a browser decoded.
                editable=False,
                buttons=[],
                elem_id="recording",
            )
            with gradio.Column():
                model = gradio.Dropdown(
                    list(by_label), value=first.label, label="Model", elem_id="model"
                )
                strength = gradio.Slider(
                    LEAST_STRENGTH_DB,
                    LARGEST_STRENGTH_DB,
                    value=first.strength_db or 0.0,
                    step=0.5,
                    label="Strength (dB)",
                    info="Of what the model makes up above the band of its input; 0 as trained.",
                    visible=first.strength_db is not None,
                    elem_id="strength",
                )
                button = gradio.Button("Run", variant="primary", elem_id="run")
        result = gradio.HTML(elem_id="result", min_height=80)
        model.change(choose, model, strength, api_visibility="private")
        button.click(
            run,
            [recording, model, strength],
            result,
            api_visibility="private",
            concurrency_limit=1,
        )
        page.unload(leave)
    page.queue(max_size=MOST_WAITING)
    return page
