"""Scores of a vocoder's copy synthesis beside Griffin-Lim's."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from tonezoo.analysis.griffin_lim import griffin_lim
from tonezoo.analysis.listening_metrics import missing_packages
from tonezoo.analysis.metrics import METRICS, Metric
from tonezoo.analysis.scores import Scores
from tonezoo.analysis.super_resolution_evaluation import measure

if TYPE_CHECKING:
    from tonezoo.tasks.vocoding import VocodingFacts
    from tonezoo.tasks.vocoding.engine import Vocoder

ITERATIONS = (32, 200)
BASELINES = tuple(f"Griffin-Lim, {count} iterations" for count in ITERATIONS)
SIGNAL_KEYS = ("lsd", "mos_lqo_nb", "mos_lqo_wb", "visqol", "estoi")
VOCODING_METRICS = {
    "mel_distance": Metric(
        "mel distance",
        "mean absolute difference of the log10 mel magnitudes that the model takes",
        higher_is_better=False,
    ),
    **{key: METRICS[key] for key in SIGNAL_KEYS},
}


def evaluate_vocoding(
    model: "Vocoder",
    clips: Mapping[str, np.ndarray],
    *,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Scores:
    """Scores a vocoder and Griffin-Lim of 32 and 200 iterations on the same mel spectrograms.

    Each clip's mel spectrogram is vocoded and the waveform, cut to the clip's length, compared with
    the clip. Nothing is rounded or clipped.

    Args:
        model: a `tonezoo.tasks.vocoding.engine.Vocoder`.
        clips: name and mono samples (time,) at the model's rate of each clip.
        seed: of the first phases of Griffin-Lim, and of the bootstrap.
        progress: called after each clip with the number of finished and of all clips.

    Raises:
        ValueError: there is no clip, or the model fails on one, which the message names.
        ImportError: librosa is missing.
    """
    if not clips:
        raise ValueError("There is no clip to evaluate on: `clips` is empty.")
    facts = model.facts
    missing = missing_packages()
    keys = [key for key in SIGNAL_KEYS if key not in missing]
    available = [key not in missing for key in VOCODING_METRICS]
    values = np.full((1 + len(BASELINES), len(clips), len(VOCODING_METRICS)), np.nan)
    for number, (name, samples) in enumerate(clips.items()):
        reference = np.asarray(samples, "float32")
        try:
            mel = model.mel(reference, facts.sample_rate_hz)
            waveforms = [model.vocode(mel), *griffin_lim_waveforms(mel, facts, seed)]
            for row, waveform in enumerate(waveforms):
                estimate = waveform[: len(reference)]
                distance = np.abs(model.mel(estimate, facts.sample_rate_hz) - mel).mean()
                scores = measure(
                    reference, estimate, ratio=1, sample_rate_hz=facts.sample_rate_hz, keys=keys
                )
                values[row, number, available] = [distance, *scores]
        except ValueError as error:
            raise ValueError(f"Clip {name}: {error}") from error
        if progress:
            progress(number + 1, len(clips))
    return Scores(
        title=f"{model.name}, {facts.sample_rate_hz} Hz",
        rows=(model.name, *BASELINES),
        items=tuple(clips),
        metrics=VOCODING_METRICS,
        values=values,
        item_word="clip",
        facts={
            "sample_rate_hz": facts.sample_rate_hz,
            "hop_samples": facts.hop_samples,
            "bands": facts.channels,
            "seed": seed,
        },
        remarks=(
            "Copy synthesis: the mel spectrogram of each clip, made audible by the model and by "
            "librosa's fast Griffin-Lim, from the non-negative magnitudes whose mel spectrogram is "
            "nearest to it.",
            *dict.fromkeys(missing.values()),
        ),
        packages=("librosa", "pesq", "visqol-python", "pystoi"),
        seed=seed,
    )


def griffin_lim_waveforms(mel: np.ndarray, facts: "VocodingFacts", seed: int) -> list[np.ndarray]:
    """Returns Griffin-Lim's waveforms, one for each of `ITERATIONS`."""
    return griffin_lim(
        mel,
        ITERATIONS,
        sample_rate_hz=facts.sample_rate_hz,
        hop_samples=facts.hop_samples,
        window_samples=facts.window_samples,
        lowest_hz=facts.lowest_hz,
        highest_hz=facts.highest_hz,
        seed=seed,
    )
