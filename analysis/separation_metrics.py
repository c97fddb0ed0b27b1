"""Measures of separated sources against their references, each named by its exact definition.

Signals are (time, channels), full scale 1.0; everything is computed in float64.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from tonezoo.analysis.metrics import Metric
from tonezoo.extras import import_extra

WINDOW_S = 1
# Keys of `bss_eval_frames`, in the order in which museval returns them.
BSS_EVAL = ("SDR", "ISR", "SIR", "SAR")

SEPARATION_METRICS = {
    "sdr_db": Metric(
        "SDR, BSSEval v4 (dB)",
        "museval's BSSEval v4, window and hop 1 s: 10 log10(sum ref^2 / sum (est - ref)^2) of each "
        "frame; of a track the median over the frames that have a value (nanmedian)",
        higher_is_better=True,
    ),
    "isr_db": Metric(
        "ISR, BSSEval v4 (dB)",
        "as SDR, with the error that a filter of 512 taps on the reference accounts for",
        higher_is_better=True,
    ),
    "sir_db": Metric(
        "SIR, BSSEval v4 (dB)",
        "as SDR, filtered reference over what filters of 512 taps on the other references add",
        higher_is_better=True,
    ),
    "sar_db": Metric(
        "SAR, BSSEval v4 (dB)",
        "as SDR, all filtered references over what remains of the estimate",
        higher_is_better=True,
    ),
    "si_sdr_db": Metric(
        "SI-SDR (dB)",
        "10 log10(sum (a ref)^2 / sum (est - a ref)^2), a = sum(est ref) / sum ref^2, over all "
        "samples and channels of a track, no mean removed",
        higher_is_better=True,
    ),
}


def import_museval():
    """Returns the module museval.

    Raises:
        ImportError: it is missing, with the extra to install, or ffmpeg is, which museval's own
            requirements look for when they are imported.
    """
    try:
        return import_extra("museval", "eval", "SDR needs")
    except RuntimeError as error:
        raise ImportError(
            "SDR needs the package museval, which does not load without ffmpeg and ffprobe: "
            f"`apt install ffmpeg` or `brew install ffmpeg`. It says: {error}"
        ) from error


def bss_eval_frames(
    references: Mapping[str, np.ndarray],
    estimates: Mapping[str, np.ndarray],
    sample_rate_hz: int,
) -> dict[str, dict[str, np.ndarray]]:
    """Returns SDR, ISR, SIR and SAR of each source in frames of 1 s: museval's BSSEval v4.

    The distortion filters (512 taps) are fitted to the whole track. What the last whole second
    leaves is no frame; a track of less than 1 s is one frame of its own length.

    Silence is museval's: a signal whose channels sum to zero in every sample. Where any reference
    or any estimate is silent in a frame, museval gives no value (nan) for ANY source there, and so
    does this; take nanmedian over frames. museval refuses sources that are silent in the whole
    track. Here they get nan, and the others the values they have without: a silent reference
    interferes with none, and no source's values depend on another's estimate.

    Args:
        references: true signal (time, channels) of each source.
        estimates: signal (time, channels) to be judged of each source.
        sample_rate_hz: sample rate of all signals.

    Returns:
        dB by source and by "SDR", "ISR", "SIR", "SAR", each (frame,); nan where there is no value,
        inf where there is no error.

    Raises:
        ValueError: the sources or shapes differ, there is none, a signal is empty, not
            (time, channels) or not finite, or museval finds no filters because references
            are copies of each other.
        ImportError: museval or ffmpeg is missing.

    Source: Stöter et al., "The 2018 Signal Separation Evaluation Campaign", 2018.
    """
    references = check_sources(references, "reference", tuple(references))
    shape = next(iter(references.values())).shape
    estimates = check_sources(estimates, "estimate", tuple(references), shape)
    museval = import_museval()
    window = WINDOW_S * sample_rate_hz
    empty = np.full(max(1, shape[0] // window), np.nan)
    result = {source: dict.fromkeys(BSS_EVAL, empty) for source in references}
    heard = [source for source in references if not _is_silent(references[source])]
    judged = [source for source in heard if not _is_silent(estimates[source])]
    if not judged:
        return result
    # museval refuses a silent estimate. Its stand-in matters to nothing but its own values, while
    # without its reference the other sources' SIR would change.
    stood_in = [estimates[source] if source in judged else references[source] for source in heard]
    try:
        with np.errstate(divide="ignore", invalid="ignore"):
            scores = museval.evaluate(
                [references[source] for source in heard],
                stood_in,
                win=window,
                hop=window,
                mode="v4",
            )
    except AttributeError as error:
        # museval 0.4.1 looks the error up under a name that NumPy 2 no longer has.
        if not isinstance(error.__context__, np.linalg.LinAlgError):
            raise
        raise ValueError(
            "museval finds no filters: of these references or channels, some are copies of others."
        ) from error
    for source in judged:
        row = heard.index(source)
        result[source] = {name: s[row] for name, s in zip(BSS_EVAL, scores, strict=True)}
    return result


def si_sdr_db(reference: np.ndarray, estimate: np.ndarray) -> float:
    """Returns the scale-invariant signal-to-distortion ratio over all samples and channels.

    10 log10(sum (a ref)^2 / sum (est - a ref)^2) with a = sum(est ref) / sum ref^2. No mean is
    removed.

    Args:
        reference: true signal, (time, channels).
        estimate: signal to be judged, (time, channels).

    Returns:
        dB; inf for a multiple of the reference, -inf for an estimate that has nothing of it (a
        silent one too), nan for a silent reference.

    Raises:
        ValueError: the shapes differ, or a signal is empty or not finite.

    Source: Le Roux et al., "SDR - Half-baked or Well Done?", 2019, Eq. 3.

    Example: twice the reference, and an error of half that amplitude beside it.

    >>> import numpy as np
    >>> reference = np.array([[3.0], [0.0]])
    >>> round(si_sdr_db(reference, np.array([[6.0], [3.0]])), 2)
    6.02
    """
    reference, estimate = np.asarray(reference, "float64"), np.asarray(estimate, "float64")
    if reference.shape != estimate.shape or not reference.size:
        raise ValueError(
            "SI-SDR compares two signals of one shape, at least one sample; received the shapes "
            f"{reference.shape} (reference) and {estimate.shape} (estimate)."
        )
    _check_finite("reference", reference)
    _check_finite("estimate", estimate)
    energy = np.sum(reference**2)
    if not energy:
        return np.nan
    target = np.sum(estimate * reference) / energy * reference
    if not target.any():
        return -np.inf
    with np.errstate(divide="ignore"):
        return float(10 * np.log10(np.sum(target**2) / np.sum((estimate - target) ** 2)))


def check_sources(
    signals: Mapping[str, np.ndarray],
    kind: str,
    sources: Sequence[str],
    shape: tuple[int, ...] | None = None,
) -> dict[str, np.ndarray]:
    """Returns the signals as float64, in the order of `sources`.

    Args:
        signals: signal (time, channels) of each source.
        kind: "reference" or "estimate", for the message.
        sources: names of the sources that there must be, and no others.
        shape: that of each signal; None for the first one's.

    Raises:
        ValueError: they are of other sources, of another shape, empty or not finite.

    Example:

    >>> import numpy as np
    >>> check_sources({"a": np.ones((1, 2))}, "estimate", ["a"], (1, 2))
    {'a': array([[1., 1.]])}
    """
    if not sources or set(signals) != set(sources):
        raise ValueError(
            f"There must be one {kind} of each source, {', '.join(sources) or 'at least one'}; "
            f"received {', '.join(map(str, signals)) or 'none'}."
        )
    checked = {source: np.asarray(signals[source], "float64") for source in sources}
    for source, signal in checked.items():
        shape = signal.shape if shape is None else shape
        if len(shape) != 2 or 0 in shape or signal.shape != shape:
            wanted = shape if len(shape) == 2 and 0 not in shape else "one sample or more"
            raise ValueError(
                f"The {kind} of {source} must be (time, channels), {wanted}; received the shape "
                f"{signal.shape}."
            )
        _check_finite(f"{kind} of {source}", signal)
    return checked


def _check_finite(name: str, signal: np.ndarray) -> None:
    if not np.isfinite(signal).all():
        raise ValueError(f"The {name} has NaN or infinite samples: no metric is defined on it.")


def _is_silent(signal: np.ndarray) -> bool:
    return not signal.sum(axis=1).any()
