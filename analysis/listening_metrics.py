"""What packages predict that listeners would say of a signal: PESQ, ViSQOL and ESTOI.

All take mono signals (time,) of equal length, full scale 1.0. What they do is what their packages
do; the packages come with the extra `eval`.
"""

import functools
import warnings
from collections.abc import Callable, Iterator
from types import ModuleType

import numpy as np

from tonezoo.analysis.metrics import check_signals
from tonezoo.audio.resampling import resample
from tonezoo.extras import import_extra

RATE_HZ = 16_000
# The reference code of PESQ overruns its table of 50 utterances and crashes; in 20 s there cannot
# be as many, because an utterance and the pause after it take 0.4 s. ViSQOL's time grows with the
# square of the length.
PIECE_S = 20
# pystoi looks at 30 frames of 25.6 ms, half over each other.
SHORTEST_ESTOI_S = 0.4


def mos_lqo(
    reference: np.ndarray, estimate: np.ndarray, sample_rate_hz: float, band: str = "nb"
) -> float:
    """Returns PESQ's predicted listening score: P.862.1 (narrowband) or P.862.2 (wideband).

    Both signals are resampled to 16 kHz if they have another rate. Longer than 20 s, they are cut
    into equal pieces of at most 20 s, whose scores are averaged.

    Args:
        reference: true signal, (time,).
        estimate: signal to be judged, (time,).
        sample_rate_hz: sample rate of both signals.
        band: "nb", at most 4.549, which barely sees above 4 kHz, or "wb", at most 4.644.

    Returns:
        About 1 to the maximum; nan where PESQ has no value: less than 0.25 s, a silent signal, or
        no utterance found.

    Raises:
        ValueError: the shapes differ, a signal is empty, not mono, or not finite, or the band is
            unknown.
        ImportError: the package pesq is missing.
    """
    if band not in ("nb", "wb"):
        raise ValueError(f'PESQ knows the bands "nb" and "wb", received {band!r}.')
    pesq = import_pesq()

    def score(ref, est):
        try:
            return pesq.pesq(RATE_HZ, ref, est, band)
        # ValueError: the level alignment divides by the power of an estimate that is nearly silent.
        except (pesq.BufferTooShortError, pesq.NoUtterancesError, ValueError):
            return np.nan

    return _mean_of_pieces(score, reference, estimate, sample_rate_hz)


def visqol(reference: np.ndarray, estimate: np.ndarray, sample_rate_hz: float) -> float:
    """Returns the listening score that ViSQOL predicts in its speech mode, by its lattice model.

    Both signals are resampled to 16 kHz if they have another rate. Longer than 20 s, they are cut
    into equal pieces of at most 20 s, whose scores are averaged. The estimate's level is matched to
    the reference's. That of the reference counts: what lies below a floor of ViSQOL's own is not
    looked at, so the same pair made softer scores higher.

    Args:
        reference: true signal, (time,).
        estimate: signal to be judged, (time,).
        sample_rate_hz: sample rate of both signals.

    Returns:
        1 to 5, of a copy 4.1 to 4.7; nan where ViSQOL has no value: less than about 0.7 s, or a
        silent signal.

    Raises:
        ValueError: the shapes differ, or a signal is empty, not mono, or not finite.
        ImportError: the package visqol-python, or what its lattice model runs on, is missing.

    Source: Chinen et al., "ViSQOL v3: An Open Source Production Ready Objective Speech and Audio
    Metric", 2020; the package visqol-python.
    """
    measure = visqol_measure()

    def score(ref, est):
        try:
            return measure(ref, est, RATE_HZ).moslqo
        # Too short for a spectrogram, or for a patch of it.
        except (ValueError, IndexError):
            return np.nan

    return _mean_of_pieces(score, reference, estimate, sample_rate_hz)


def estoi(reference: np.ndarray, estimate: np.ndarray, sample_rate_hz: float) -> float:
    """Returns the extended short-time objective intelligibility, computed by the package pystoi.

    Correlation of the two signals' spectrograms (15 third-octave bands from 150 Hz to 4.3 kHz, at
    10 kHz, each band and frame normalised) in stretches of 0.38 s, averaged; frames of the
    reference that are 40 dB below its loudest are left out. Nothing above 5 kHz is looked at.

    Args:
        reference: true signal, (time,).
        estimate: signal to be judged, (time,).
        sample_rate_hz: sample rate of both signals, a whole number of Hz.

    Returns:
        About 0 to 1, of a copy 1; nan for a silent signal and for less than 0.4 s of sound.

    Raises:
        ValueError: the shapes differ, or a signal is empty, not mono, or not finite.
        ImportError: the package pystoi is missing.

    Source: Jensen and Taal, "An Algorithm for Predicting the Intelligibility of Speech Masked by
    Modulated Noise Maskers", 2016; the package pystoi.
    """
    reference, estimate = check_signals(reference, estimate)
    pystoi = import_pystoi()
    is_short = len(reference) < SHORTEST_ESTOI_S * sample_rate_hz
    if is_short or not reference.any() or not estimate.any():
        return float("nan")
    # pystoi draws noise of 1e-16 from the global generator, which is not ours to move.
    state = np.random.get_state()
    np.random.seed(0)
    try:
        with warnings.catch_warnings():
            # It returns 1e-5 then, which is no value.
            warnings.filterwarnings("error", "Not enough STFT frames", RuntimeWarning)
            return float(pystoi.stoi(reference, estimate, int(sample_rate_hz), extended=True))
    except RuntimeWarning:
        return float("nan")
    finally:
        np.random.set_state(state)


def import_pesq() -> ModuleType:
    """Returns the module pesq, or raises ImportError with the extra to install."""
    return import_extra("pesq", "eval", "PESQ needs")


def import_pystoi() -> ModuleType:
    """Returns the module pystoi, or raises ImportError with the extra to install."""
    return import_extra("pystoi", "eval", "ESTOI needs")


def visqol_measure() -> Callable:
    """Returns ViSQOL's function of reference, estimate and sample rate, in speech mode.

    Raises:
        ImportError: the package, or what its lattice model runs on, is missing, with the extra to
            install. Without the lattice ViSQOL falls back to a formula that flatters by up to 2.
    """
    try:
        import ai_edge_litert  # noqa: F401
        import visqol  # noqa: F401
    except ImportError as error:
        raise ImportError(
            'ViSQOL needs the package visqol-python with its extra "lattice": '
            'pip install "tonezoo[eval]".'
        ) from error
    return _loaded_visqol()


@functools.cache
def _loaded_visqol() -> Callable:
    from visqol import VisqolApi

    api = VisqolApi()
    api.create(mode="speech", use_lattice_model=True)
    return api.measure_from_arrays


# How a metric that needs a package finds it.
REQUIREMENTS = {
    "mos_lqo_nb": import_pesq,
    "mos_lqo_wb": import_pesq,
    "visqol": visqol_measure,
    "estoi": import_pystoi,
}


def missing_packages() -> dict[str, str]:
    """Returns the metrics that cannot be computed here, each with what is missing."""
    missing = {}
    for key, find in REQUIREMENTS.items():
        try:
            find()
        except ImportError as error:
            missing[key] = str(error)
    return missing


def _mean_of_pieces(score, reference, estimate, sample_rate_hz) -> float:
    """Returns the mean of a score over the pieces that have one, nan where none has."""
    scores = [score(*pair) for pair in _pieces(reference, estimate, sample_rate_hz)]
    scores = [value for value in scores if np.isfinite(value)]
    return float(np.mean(scores)) if scores else float("nan")


def _pieces(reference, estimate, sample_rate_hz) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields both signals at 16 kHz in equal pieces of at most 20 s, silent ones left out."""
    signals = check_signals(reference, estimate)
    resampled = [resample(signal, sample_rate_hz, RATE_HZ) for signal in signals]
    pieces = -(-len(resampled[0]) // (PIECE_S * RATE_HZ))
    for pair in zip(*(np.array_split(signal, pieces) for signal in resampled), strict=True):
        if all(piece.any() for piece in pair):
            yield pair
