"""The page of the demo: one HTML file that holds its pictures and audio and needs nothing else."""

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tonezoo.analysis.html_page import wav_data_uri
from tonezoo.analysis.metrics import METRICS, Metric, snr_db
from tonezoo.analysis.super_resolution_evaluation import SuperResolutionScores
from tonezoo.recipes.demo.clip import Clip, kilohertz
from tonezoo.recipes.demo.pictures import colour_scale_svg, loss_curves_svg, spectrogram_svg
from tonezoo.recipes.demo.template import CURVES, PAGE, PANEL, SECTION, TABLE

# A line of the page, by which a later demo knows it as one that it may replace.
GENERATOR = '<meta name="generator" content="tonezoo demo">'


@dataclass(frozen=True, kw_only=True)
class Example:
    """A clip and what a model and the spline made of it.

    Attributes:
        clip: the model's input, and the target if there is one.
        spline: cubic spline through the input, (time * ratio,).
        output: of the model, (time * ratio,).
        sample_rate_hz: of spline, output and target.
        ratio: that over the input's rate.
    """

    clip: Clip
    spline: np.ndarray
    output: np.ndarray
    sample_rate_hz: int
    ratio: int

    @property
    def low_rate_hz(self) -> float:
        return self.sample_rate_hz / self.ratio

    @property
    def signals(self) -> dict[str, tuple[np.ndarray, float]]:
        """Name -> signal and sample rate, from the input to the target."""
        signals = {
            "input": (self.clip.low, self.low_rate_hz),
            "spline": (self.spline, self.sample_rate_hz),
            "output": (self.output, self.sample_rate_hz),
        }
        if self.clip.target is not None:
            signals["target"] = (self.clip.target, self.sample_rate_hz)
        return signals


@dataclass(frozen=True, kw_only=True)
class Shown:
    """A model's part of the page.

    Attributes:
        example: what it made of a clip.
        evaluation: its figures, None where there is nothing to compare with.
        manifest: of the exported model.
    """

    example: Example
    evaluation: SuperResolutionScores | None
    manifest: Mapping


@dataclass(frozen=True, kw_only=True)
class Separation:
    """A song, its sources, and what a model took them for.

    Attributes:
        mixture: (time, channels).
        stems: the sources, name -> (time, channels).
        outputs: the model's, of the same names.
        sample_rate_hz: of all.
        manifest: of the exported model.
    """

    mixture: np.ndarray
    stems: Mapping[str, np.ndarray]
    outputs: Mapping[str, np.ndarray]
    sample_rate_hz: int
    manifest: Mapping

    @property
    def signals(self) -> dict[str, np.ndarray]:
        """Name -> signal of what there is to hear."""
        return {"mixture": self.mixture, **self.outputs}


@dataclass(frozen=True, kw_only=True)
class Training:
    """How the tiny model came about.

    Attributes:
        recipe: its name.
        minutes: the time it was given.
        log: lines of the run's log.
        loss_weights: weight of each loss term.
    """

    recipe: str
    minutes: float
    log: Sequence[Mapping]
    loss_weights: Mapping[str, float]


def page(enhanced: Sequence[Shown], separation: Separation, tiny: Shown, training: Training) -> str:
    """Returns the whole page as HTML."""
    examples = [shown.example for shown in enhanced]
    return PAGE.substitute(
        generator=GENERATOR,
        low=" or ".join(kilohertz(example.low_rate_hz) for example in examples),
        high=kilohertz(examples[0].sample_rate_hz),
        holes=", ".join(
            f"one of {kilohertz(example.low_rate_hz)} holds nothing above "
            f"{kilohertz(example.low_rate_hz / 2)}"
            for example in examples
        ),
        scale=colour_scale_svg(),
        enhanced="".join(map(enhanced_section, enhanced)),
        separated=separated_section(separation),
        tiny_minutes=f"{training.minutes:g}",
        tiny_facts=model_facts(tiny.manifest),
        tiny_clip=paragraphs(tiny.example.clip.notes),
        tiny_panels=panels(tiny.example),
        tiny_figures=figures(tiny),
        curves=curves(training),
        recipe=html.escape(training.recipe),
        files=len(tiny.manifest["files"]),
        definitions=definitions(),
    )


def enhanced_section(shown: Shown) -> str:
    """Returns the part of a shipped speech model."""
    example = shown.example
    rates = f"{kilohertz(example.low_rate_hz)} to {kilohertz(example.sample_rate_hz)}"
    return SECTION.substitute(
        title=html.escape(f"From {rates}: {shown.manifest['name']}"),
        facts=model_facts(shown.manifest),
        clip=paragraphs(example.clip.notes),
        guide=guide(example),
        panels=panels(example),
        figures=figures(shown),
    )


def separated_section(separation: Separation) -> str:
    """Returns the part of the shipped separation model."""
    captions = {
        "mixture": "What the model gets.",
        **{name: f"What the model takes for {name}." for name in separation.outputs},
    }
    cells = [
        panel(name, captions[name], samples, separation.sample_rate_hz, separation.sample_rate_hz)
        for name, samples in separation.signals.items()
    ]
    return SECTION.substitute(
        title=html.escape(f"A song in its sources: {separation.manifest['name']}"),
        facts=model_facts(separation.manifest),
        clip=paragraphs(
            ["The song is made up, and nothing was trained on it: tonezoo's procedural songs."]
        ),
        guide="Listen for what of the other sources is left in each, and for what is missing.",
        panels=side_by_side(cells),
        figures=separation_figures(separation),
    )


def separation_figures(separation: Separation) -> str:
    """Returns the table of how near each output is to its source."""
    count = len(separation.stems)
    titles = ("the model's output", f"the mixture / {count}")
    head = "".join(f'<th scope="col">{title}</th>' for title in titles)
    rows = []
    for name, stem in separation.stems.items():
        estimates = (separation.outputs[name], separation.mixture / count)
        values = (snr_db(stem.ravel(), estimate.ravel()) for estimate in estimates)
        cells = "".join(f"<td>{value:.2f}</td>" for value in values)
        rows.append(f'<tr><th scope="row">{html.escape(name)}</th>{cells}</tr>')
    return TABLE.substitute(
        about="Signal-to-noise ratio in dB, 10 log10 of the source's energy over that of the "
        "difference, of this song alone; more is better:",
        label="Signal-to-noise ratio of each source",
        head=head,
        rows="".join(rows),
        remarks="",
    )


def model_facts(manifest: Mapping) -> str:
    """Returns a sentence on size and training of an exported model."""
    before = " after those of earlier runs" if manifest.get("started_from") else ""
    return html.escape(
        f"{manifest['model']}, {manifest['parameters']:,} parameters. Recipe: "
        f"{manifest['recipe']}; training steps: {manifest['training_steps']:,}{before}; training "
        f"data: {manifest['data_licence'].rstrip('.')}."
    )


def paragraphs(sentences: Sequence[str]) -> str:
    return f"<p>{html.escape(' '.join(sentences))}</p>" if sentences else ""


def guide(example: Example) -> str:
    """Returns what to look and listen for."""
    if example.clip.target is None:
        return html.escape(
            "See what the output has above the input's band, and whether it goes with the sounds "
            "below: an s is a cloud at the top, a vowel a stack of lines. Listen whether "
            "consonants are clearer than in the spline, and for hiss or roughness that does not "
            "belong to the recording."
        )
    return html.escape(
        "See how much of the target's upper band the output has, and whether it is in the right "
        "places: an s is a cloud at the top, a vowel a stack of lines. Listen for consonants, dull "
        "in input and spline and bright in the target, and for hiss or roughness in the output "
        "that the target does not have."
    )


def panels(example: Example) -> str:
    """Returns spectrogram, player and caption of each signal, to stand beside each other."""
    low, high = kilohertz(example.low_rate_hz), kilohertz(example.sample_rate_hz)
    captions = {
        "input": f"What the model gets, at {low}. The player has a copy resampled to {high}: "
        "browsers differ in how they play low rates.",
        "spline": "A cubic spline through the input: the baseline. It adds nothing but faint "
        "mirror images.",
        "output": "What the model makes of the input.",
        "target": f"The original at {high}, which the model does not get.",
    }
    cells = [
        panel(name, captions[name], samples, rate_hz, example.sample_rate_hz)
        for name, (samples, rate_hz) in example.signals.items()
    ]
    return side_by_side(cells)


def side_by_side(cells: Sequence[str]) -> str:
    return f'<div class="panels" style="--panels: {len(cells)}">{"".join(cells)}</div>'


def panel(name: str, caption: str, samples: np.ndarray, rate_hz: float, high_hz: int) -> str:
    """Returns the spectrogram, player and caption of a signal (time,) or (time, channels).

    Args:
        rate_hz: of the signal.
        high_hz: of the player and of the spectrogram's axis.
    """
    from tonezoo.audio.resampling import resample

    mono = samples if samples.ndim == 1 else samples.mean(axis=1)
    picture = spectrogram_svg(mono, rate_hz, top_hz=high_hz / 2, ratio=round(high_hz / rate_hz))
    label = f"Spectrogram of the {name}: 0 to {kilohertz(high_hz / 2)}, "
    label += f"{len(samples) / rate_hz:.1f} s. {caption}"
    audio = wav_data_uri(resample(samples, rate_hz, high_hz), high_hz)
    return PANEL.substitute(
        name=name,
        caption=html.escape(caption),
        label=html.escape(label),
        picture=picture,
        audio=audio,
    )


def figures(shown: Shown) -> str:
    """Returns the table of an evaluation with what it says in words."""
    evaluation = shown.evaluation
    if evaluation is None:
        return "<p>No figures: there is no target to compare the output with.</p>"
    clips = len(evaluation.items)
    about = (
        f"Of this clip of {len(shown.example.output) / shown.example.sample_rate_hz:.1f} s alone:"
        if clips == 1
        else f"Means over {clips} procedural clips that it was not trained on, and their 95 % "
        "bootstrap intervals:"
    )
    head = "".join(f'<th scope="col">{heading(metric)}</th>' for metric in METRICS.values())
    rows = []
    for name, summary in zip(evaluation.rows, evaluation.summary, strict=True):
        cells = "".join(cell(values, with_interval=clips > 1) for values in summary)
        emphasis = ' class="model"' if name == evaluation.model_name else ""
        rows.append(f'<tr{emphasis}><th scope="row">{html.escape(name)}</th>{cells}</tr>')
    remarks = [
        *evaluation.beside_the_spline,
        evaluation.verdict,
        *evaluation.probes.sentences,
        *evaluation.gaps,
    ]
    return TABLE.substitute(
        about=html.escape(about),
        label=html.escape(f"Figures of {evaluation.model_name} and its baselines"),
        head=head,
        rows="".join(rows),
        remarks="".join(f"<li>{html.escape(remark)}</li>" for remark in remarks),
    )


def heading(metric: Metric) -> str:
    arrow, better = ("↑", "higher") if metric.higher_is_better else ("↓", "lower")
    title = html.escape(metric.title)
    return f'{title}&nbsp;<span title="{better} is better">{arrow}</span>'


def cell(summary: np.ndarray, *, with_interval: bool) -> str:
    """Returns a table cell of a mean and its interval."""
    mean, low, high = summary
    if not np.isfinite(mean):
        return "<td>–</td>"
    interval = f"<small>{low:.2f} – {high:.2f}</small>" if with_interval else ""
    return f"<td>{mean:.2f}{interval}</td>"


def curves(training: Training) -> str:
    """Returns the loss curves of a run, one plot per network."""
    active = {term: weight for term, weight in training.loss_weights.items() if weight}
    total = " + ".join(f"{weight:g} {term}" for term, weight in active.items())
    plots = (
        (
            "autoencoder",
            {"loss": "loss"},
            "mean square error",
            "Autoencoder",
            "Trained first, to reproduce its input; the generator's feature loss compares its "
            "code of output and target.",
        ),
        (
            "generator",
            {"loss": "loss", **{term: term for term in active}},
            "loss",
            "Generator",
            f"Its terms before weighting, and the sum that is minimised: loss = {total}.",
        ),
        (
            "generator",
            {"discriminator_loss": "loss", "discriminator_accuracy": "accuracy"},
            "loss, accuracy",
            "Discriminator",
            "Learns to tell output from target. An accuracy of 0.5 is guessing; towards 1 it sees "
            "through the generator, whose adversarial term then grows.",
        ),
    )
    cells = []
    for phase, names, ylabel, title, text in plots:
        log = [
            line for line in training.log if line["name"] == phase and names.keys() <= line.keys()
        ]
        if log:
            picture = loss_curves_svg(log, names, ylabel=ylabel)
            cells.append(
                CURVES.substitute(
                    title=title,
                    text=html.escape(text),
                    label=html.escape(f"{title}: {', '.join(names.values())} over training steps."),
                    picture=picture,
                )
            )
    return side_by_side(cells)


def definitions() -> str:
    return "".join(
        f"<dt>{html.escape(metric.title)}</dt><dd>{html.escape(metric.definition)}.</dd>"
        for metric in METRICS.values()
    )
