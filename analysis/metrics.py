"""Measures of a signal against its reference, each named by its exact definition.

All take mono signals (time,) of equal length, full scale 1.0, and compute in float64. What packages
predict of listeners is in `tonezoo.analysis.listening_metrics`.
"""

from typing import NamedTuple

import numpy as np

from tonezoo.analysis.spectrogram import power_frames

N_FFT = 2048
POWER_FLOOR = 1e-8


class Metric(NamedTuple):
    """How tables name a metric, its definition in a line, and which of two values is better."""

    title: str
    definition: str
    higher_is_better: bool


METRICS = {
    "snr_db": Metric("SNR (dB)", "10 log10(sum ref^2 / sum (est - ref)^2)", higher_is_better=True),
    "lsd": Metric(
        "LSD, paper Eq. 8",
        "log10 power, floored at 1e-8, of a 2048-point Hann STFT with hop 2048; RMS of the "
        "difference over frequency, mean over frames",
        higher_is_better=False,
    ),
    "lsd_hop512": Metric(
        "LSD, hop 512",
        "as LSD, paper Eq. 8, with hop 512 and centred frames (AP-BWE's comparison)",
        higher_is_better=False,
    ),
    "lsd_kuleshov": Metric(
        "LSD, Kuleshov",
        "ln(power + 1e-8) of a centred 2048-point Hann STFT with hop 512; RMS of the difference "
        "over frames, mean over frequency: another scale",
        higher_is_better=False,
    ),
    "low_band_error_db": Metric(
        "low-band error (dB)",
        "10 log10 of error over reference energy below 0.75 of the input's Nyquist frequency, "
        "over the whole clip",
        higher_is_better=False,
    ),
    "mos_lqo_nb": Metric(
        "PESQ nb", "MOS-LQO of P.862.1, narrowband, at most 4.549", higher_is_better=True
    ),
    "mos_lqo_wb": Metric(
        "PESQ wb", "MOS-LQO of P.862.2, wideband, at most 4.644", higher_is_better=True
    ),
    "visqol": Metric(
        "ViSQOL",
        "MOS-LQO of ViSQOL v3 in speech mode at 16 kHz, lattice model, 1 to 5, of a copy 4.1 to "
        "4.7 (visqol-python)",
        higher_is_better=True,
    ),
    "estoi": Metric(
        "ESTOI",
        "extended short-time objective intelligibility, 0 to 1, below 5 kHz (pystoi)",
        higher_is_better=True,
    ),
}


def snr_db(reference: np.ndarray, estimate: np.ndarray) -> float:
    """Returns the signal-to-noise ratio, 10 log10(sum ref^2 / sum (est - ref)^2), in dB.

    Args:
        reference: true signal, (time,).
        estimate: signal to be judged, (time,).

    Returns:
        dB; inf for a perfect copy, -inf for a silent reference, nan if both are silent.

    Raises:
        ValueError: the shapes differ, or a signal is empty, not mono, or not finite.

    Example:

    >>> import numpy as np
    >>> round(snr_db(np.array([3.0, 4.0]), np.array([3.0, 3.0])), 2)
    13.98
    """
    reference, estimate = check_signals(reference, estimate)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.sum(reference**2) / np.sum((estimate - reference) ** 2)
        return float(10 * np.log10(ratio))


def low_band_error_db(reference: np.ndarray, estimate: np.ndarray, ratio: int) -> float:
    """Returns the error in the band that the low-rate input holds, relative to the reference there.

    10 log10(E(est - ref) / E(ref)), E the energy below 0.75 of the input's Nyquist frequency (of
    the whole signal's Fourier transform): what a model does to what it need not touch.

    Args:
        reference: true signal, (time,).
        estimate: signal to be judged, (time,).
        ratio: its rate over the input's.

    Returns:
        dB; -inf for a perfect copy, nan if the reference is silent in the band.

    Raises:
        ValueError: the shapes differ, or a signal is empty, not mono, or not finite.

    Example: a tenth of the amplitude, added where it is not looked for and where it is.

    >>> import numpy as np
    >>> low, high = (np.cos(np.pi * k / 32 * np.arange(640)) for k in (2, 16))
    >>> round(low_band_error_db(low, low + 0.1 * high, 4)) < -200
    True
    >>> round(low_band_error_db(low, 1.1 * low, 4), 3)
    -20.0
    """
    reference, estimate = check_signals(reference, estimate)
    bins = np.linspace(0, ratio, len(reference) // 2 + 1) < 0.75
    kept, wrong = (
        np.sum(np.abs(np.fft.rfft(signal)[bins]) ** 2)
        for signal in (reference, estimate - reference)
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(10 * np.log10(wrong / kept)) if kept else np.nan


def lsd(reference: np.ndarray, estimate: np.ndarray) -> float:
    """Returns the log-spectral distance "LSD, paper Eq. 8".

    mean over frames of sqrt(mean over frequency of (log10 P_ref - log10 P_est)^2), where P is
    max(|STFT|^2, 1e-8): 2048-point STFT, periodic Hann window, frames beside each other (hop 2048)
    from sample 0, the incomplete last frame left out. The floor of 1e-8 matters much, the hop
    hardly. White noise added to a low-passed signal lowers this distance: never judge by it alone.

    Args:
        reference: true signal, (time,). Shorter than one frame: zero-padded to one.
        estimate: signal to be judged, (time,).

    Raises:
        ValueError: the shapes differ, or a signal is empty, not mono, or not finite.

    Source: "Adversarial Audio Super-Resolution with Unsupervised Feature Losses", Eq. 8; window,
    frame length and floor are not in the paper and were chosen to agree with its figures.

    Example: ten times the amplitude is a hundred times the power.

    >>> import numpy as np
    >>> noise = np.random.default_rng(0).standard_normal(8192)
    >>> round(lsd(noise, 10 * noise), 4)
    2.0
    """
    reference, estimate = check_signals(reference, estimate)
    return _log10_rms_distance(reference, estimate, hop=N_FFT)


def lsd_hop512(reference: np.ndarray, estimate: np.ndarray) -> float:
    """Returns the log-spectral distance of AP-BWE's comparison of TFiLM, AFiLM, NVSR and AERO.

    As `lsd`, but with hop 512 and frames centred on the samples 0, 512, ... (signal extended by
    reflection, as torch.stft does), because the published figures are computed like that.

    Args:
        reference: true signal, (time,). Shorter than one frame: zero-padded to one.
        estimate: signal to be judged, (time,).

    Raises:
        ValueError: the shapes differ, or a signal is empty, not mono, or not finite.

    Example:

    >>> import numpy as np
    >>> noise = np.random.default_rng(0).standard_normal(8192)
    >>> round(lsd_hop512(noise, 10 * noise), 4)
    2.0
    """
    reference, estimate = check_signals(reference, estimate)
    return _log10_rms_distance(_centred(reference), _centred(estimate), hop=512)


def lsd_kuleshov(reference: np.ndarray, estimate: np.ndarray) -> float:
    """Returns the log-spectral distance of the audio-super-res code, on another scale than `lsd`.

    mean over FREQUENCY of sqrt(mean over FRAMES of (ln P_ref - ln P_est)^2), where P is
    |STFT|^2 + 1e-8: 2048-point STFT, periodic Hann window, hop 512, frames centred on the samples
    0, 512, ... (reflection). That code's cap at 10 is left out.

    Args:
        reference: true signal, (time,). Shorter than one frame: zero-padded to one.
        estimate: signal to be judged, (time,).

    Raises:
        ValueError: the shapes differ, or a signal is empty, not mono, or not finite.

    Source: Kuleshov et al., "Audio Super Resolution using Neural Networks", 2017, the code.

    Example: ln 100 = 4.6052.

    >>> import numpy as np
    >>> noise = np.random.default_rng(0).standard_normal(8192)
    >>> round(lsd_kuleshov(noise, 10 * noise), 4)
    4.6052
    """
    signals = check_signals(reference, estimate)
    log_powers = [np.log(power_frames(_centred(s), N_FFT, 512) + POWER_FLOOR) for s in signals]
    squares = (log_powers[0] - log_powers[1]) ** 2
    return float(np.sqrt(squares.mean(axis=0)).mean())


def check_signals(reference: np.ndarray, estimate: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns two signals as float64.

    Raises:
        ValueError: the shapes differ, or a signal is empty, not mono, or not finite.
    """
    reference, estimate = np.asarray(reference, "float64"), np.asarray(estimate, "float64")
    if reference.ndim != 1 or reference.shape != estimate.shape or not len(reference):
        raise ValueError(
            "Metrics compare two mono signals (time,) of equal length, at least one sample; "
            f"received the shapes {reference.shape} (reference) and {estimate.shape} (estimate)."
        )
    for name, signal in (("reference", reference), ("estimate", estimate)):
        if not np.isfinite(signal).all():
            raise ValueError(f"The {name} has NaN or infinite samples: no metric is defined on it.")
    return reference, estimate


def _centred(samples: np.ndarray) -> np.ndarray:
    samples = np.pad(samples, (0, max(0, N_FFT - len(samples))))
    return np.pad(samples, N_FFT // 2, mode="reflect")


def _log10_rms_distance(reference: np.ndarray, estimate: np.ndarray, hop: int) -> float:
    log_powers = [
        np.log10(np.maximum(power_frames(s, N_FFT, hop), POWER_FLOOR))
        for s in (reference, estimate)
    ]
    squares = (log_powers[0] - log_powers[1]) ** 2
    return float(np.sqrt(squares.mean(axis=1)).mean())
