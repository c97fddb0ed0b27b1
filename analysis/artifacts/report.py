"""The artifacts of a model or of a recording: measured, told in sentences, and as JSON."""

import contextlib
import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tonezoo.analysis.aliasing import aliasing_to_signal_db
from tonezoo.analysis.artifacts.combs import Comb, combs_in_words, find_combs
from tonezoo.analysis.artifacts.lines import (
    INAUDIBLE_DBFS,
    LineSpectrum,
    checked_periods,
    common_period,
    measure_lines,
)
from tonezoo.analysis.artifacts.probing import (
    NOISE,
    ONES,
    SIGNALS,
    ProbedModel,
    samples_needed,
    without_borders,
)
from tonezoo.analysis.scores import finite_or_none
from tonezoo.audio.resampling import resample
from tonezoo.layers.phase_imbalance import phase_imbalance

# Eighths of the band whose levels are compared.
BANDS = 8
# How far below the level of a model's answer to noise its lines count, and the least such level.
BELOW_NOISE_DB = 100.0
LEAST_RMS = 1e-10
# Convolutions without padding lose some samples.
LEAST_RATIO = 0.5
# Of the sine, in cycles per input sample: its first nine harmonics fit below half the rate.
SINE_FREQUENCY = 0.05


@dataclass(frozen=True, kw_only=True, eq=False)
class Probe:
    """What a model made of one input, or a recording as it is.

    Attributes:
        name: of the input.
        samples: output, (time, channels), its borders cut off.
        channel: that in which a line stands out most.
        spectrum: lines of that channel; None where no period is known.
        combs: the combs found without knowing any period.
        phase_profile: of ones, period -> standard deviation over the phases of the mean of
            y[n P + p], re the mean of all.
        tilt_db: level of the highest eighth of the band re that of the lowest, in dB.
    """

    name: str
    samples: np.ndarray
    channel: int
    spectrum: LineSpectrum | None
    combs: tuple[Comb, ...]
    phase_profile: Mapping[int, float]
    tilt_db: float

    @property
    def line_db(self) -> float:
        """Prominence of the strongest line that stands out, 0 if none does."""
        if self.spectrum is not None:
            return max((line.prominence_db for line in self.spectrum.found), default=0.0)
        return max((comb.prominence_db for comb in self.combs), default=0.0)

    @property
    def sentence(self) -> str:
        """Which lines stand out."""
        if self.spectrum is None:
            return f"{self.name}: {combs_in_words(self.combs)}"
        found = self.spectrum.found
        if not found:
            return f"{self.name}: no line of the grid stands out."
        line = max(found, key=lambda line: line.prominence_db)
        text = (
            f"{self.name}: {len(found)} of {len(self.spectrum.lines)} lines stand out, most that "
            f"at {line.frequency_hz:,.0f} Hz, by {line.prominence_db:.0f} dB "
            f"({line.level_dbfs:.0f} dBFS)."
        )
        if not self.phase_profile:
            return text
        period, share = max(self.phase_profile.items(), key=lambda item: item[1])
        return f"{text} The means of the {period} phases lie {100 * share:.2g} % apart."


@dataclass(frozen=True, kw_only=True, eq=False)
class ArtifactReport:
    """What was measured of a model or of a recording.

    Attributes:
        title: name of it.
        sample_rate_hz: of the output.
        periods: that lines were looked for at, in samples; none where combs were.
        layers: findings on the upsampling layers, of models that have some.
        probes: by input.
        aliasing_db: of a sine, what lies neither at its frequency nor at a multiple of it, re what
            does; see `tonezoo.analysis.aliasing`. None of a recording, and of models that take
            features, or one length alone.
        notes: what else a reader has to know.
    """

    title: str
    sample_rate_hz: float
    periods: tuple[int, ...]
    layers: tuple
    probes: tuple[Probe, ...]
    aliasing_db: float | None = None
    notes: tuple[str, ...] = ()

    @property
    def line_db(self) -> float:
        """Prominence of the strongest line of all probes, 0 if none stands out."""
        return max((probe.line_db for probe in self.probes), default=0.0)

    @property
    def sentences(self) -> list[str]:
        """One for each layer, for each probe, and the notes."""
        return [
            *(finding.sentence for finding in self.layers),
            *(probe.sentence for probe in self.probes),
            *self._response,
            *self.notes,
        ]

    @property
    def _response(self) -> list[str]:
        """What the model does to noise and to a sine, in sentences."""
        tilts = [probe.tilt_db for probe in self.probes if probe.name == NOISE]
        sentences = [
            f"Of white noise the highest eighth of the band comes out at {tilt:+.0f} dB re the "
            "lowest."
            for tilt in tilts
        ]
        if self.aliasing_db is not None:
            sentences.append(
                f"Of a sine, what is neither the sine nor a harmonic comes out at "
                f"{self.aliasing_db:+.0f} dB re these."
            )
        return sentences

    def to_json(self) -> dict:
        """Returns everything but the signals as JSON types."""
        return {
            "title": self.title,
            "sample_rate_hz": self.sample_rate_hz,
            "periods": list(self.periods),
            "line_db": self.line_db,
            "aliasing_db": self.aliasing_db,
            "layers": [_layer_json(finding) for finding in self.layers],
            "probes": [_probe_json(probe) for probe in self.probes],
            "sentences": self.sentences,
        }


def measure_model(
    model: ProbedModel,
    *,
    inputs: Sequence[str] = SIGNALS,
    recordings: Mapping[str, tuple[np.ndarray, float]] | None = None,
    periods: Sequence[int] = (),
) -> ArtifactReport:
    """Measures the artifacts of a model.

    Args:
        model: see `tonezoo.analysis.artifacts.sources`.
        inputs: of "silence", "ones" and "noise".
        recordings: name -> audio (time, channels) and its rate in Hz; it is resampled to that of
            the model's input.
        periods: of the lines, in output samples; by default those of the layers found.

    Raises:
        ValueError: the model fails on an input, its output is not finite or too short, or it gives
            less than half as many steps as it takes.

    Example:

    >>> from tonezoo import create_model
    >>> from tonezoo.analysis.artifacts.sources import keras_model
    >>> import keras
    >>> keras.utils.set_random_seed(0)
    >>> report = measure_model(keras_model(create_model("demucs", preset="tiny")), inputs=["noise"])
    >>> report.periods, [finding.artifact for finding in report.layers]
    ((4, 16, 64), ['tonal', 'tonal', 'tonal'])
    """
    recordings = recordings or {}
    wrong = set(inputs) - set(SIGNALS)
    if wrong or not (inputs or recordings):
        raise ValueError(
            f"Inputs are {', '.join(SIGNALS)} and recordings, at least one. Received "
            f"{', '.join(sorted(wrong)) or 'none'}."
        )
    taken = model.first_input
    first = model.answer("white noise", taken)
    ratio = len(first) / taken.shape[1]
    if ratio < LEAST_RATIO:
        raise ValueError(
            f"{model.name} gives {len(first)} steps for {taken.shape[1]}. Models that "
            "make audio are measured: they give at least as many steps as they take."
        )
    # Random weights may give very little; what lies far below that is nothing.
    floor_dbfs = 20 * np.log10(max(float(first.std()), LEAST_RMS)) - BELOW_NOISE_DB
    layers, notes = (), []
    if model.model is not None:
        layers = _layer_findings(model, taken, len(first))
    wanted = periods or sorted({f.layer.period for f in layers if f.layer.kind != "inverse STFT"})
    if not wanted and not layers and model.model is not None:
        notes.append(
            f"{model.name} has no upsampling layer that can be found: no layer of it takes and "
            "gives (batch, time, channels), with more time steps. If it raises the rate in another "
            "way, give --strides."
        )
    known_periods = tuple(checked_periods(wanted)) if wanted else ()
    needed = samples_needed(common_period(known_periods))
    probes = [
        _probe(name, _signal(model, name, needed, ratio), model, known_periods, floor_dbfs)
        for name in inputs
    ]
    input_rate_hz = model.sample_rate_hz / (ratio if model.features is None else 1)
    for name, (audio, rate_hz) in recordings.items():
        signal = model.input_of(resample(audio, rate_hz, input_rate_hz))
        own = without_borders(resample(audio, rate_hz, model.sample_rate_hz))
        probes.append(_probe(name, signal, model, known_periods, floor_dbfs, own.mean(axis=1)))
    return ArtifactReport(
        title=model.name,
        sample_rate_hz=model.sample_rate_hz,
        periods=known_periods,
        layers=layers,
        probes=tuple(probes),
        aliasing_db=_aliasing_db(model, ratio),
        notes=tuple(notes),
    )


def measure_audio(
    name: str, audio: np.ndarray, sample_rate_hz: float, periods: Sequence[int] = ()
) -> ArtifactReport:
    """Measures the lines in a recording.

    Args:
        name: for titles.
        audio: (time, channels).
        sample_rate_hz: its rate.
        periods: of the lines, in samples, as of the strides of a model; none to look for combs.

    Raises:
        ValueError: it is too short, or not finite.
    """
    known_periods = tuple(checked_periods(periods)) if periods else ()
    probe = _measured(name, audio, sample_rate_hz, known_periods)
    return ArtifactReport(
        title=name, sample_rate_hz=sample_rate_hz, periods=known_periods, layers=(), probes=(probe,)
    )


def _layer_findings(model: ProbedModel, inputs: np.ndarray, output_samples: int) -> tuple:
    from tonezoo.analysis.artifacts.layer_findings import find_upsampling, measure_layer

    found = find_upsampling(model.model, inputs, output_samples)
    return tuple(measure_layer(layer) for layer in found)


def _aliasing_db(model: ProbedModel, ratio: float) -> float | None:
    if not model.takes_audio or model.input_samples is not None:
        return None

    def process(samples: np.ndarray) -> np.ndarray:
        return model.answer("a sine", model.input_of(samples[:, None]))

    # A model whose lengths follow another rule, or that makes silence of a sine, has no ratio.
    with contextlib.suppress(ValueError):
        return aliasing_to_signal_db(
            process, frequency=SINE_FREQUENCY, level=model.noise_rms, factor=round(ratio)
        )
    return None


def _signal(model: ProbedModel, name: str, needed: int, ratio: float) -> np.ndarray:
    """Returns a probe whose answer has the output samples needed."""
    samples = int(np.ceil(needed / ratio))
    if model.input_samples is not None:
        samples = model.input_samples * -(-samples // model.input_samples)
    else:
        # A multiple of any stride.
        samples = 1024 * -(-samples // 1024) if model.takes_audio else samples
    return model.signal(name, samples)


def _probe(
    name: str,
    signal: np.ndarray,
    model: ProbedModel,
    periods: tuple[int, ...],
    floor_dbfs: float,
    own: np.ndarray | None = None,
) -> Probe:
    """Returns what a model makes of a signal; the lines of a recording itself do not count."""
    output = without_borders(model.answer(name, signal))
    return _measured(name, output, model.sample_rate_hz, periods, floor_dbfs, own)


def _measured(
    name: str,
    output: np.ndarray,
    sample_rate_hz: float,
    periods: tuple[int, ...],
    floor_dbfs: float = INAUDIBLE_DBFS,
    own: np.ndarray | None = None,
) -> Probe:
    spectra = [
        measure_lines(channel, sample_rate_hz, periods, floor_dbfs=floor_dbfs)
        for channel in (output.T if periods else ())
    ]
    if spectra and own is not None:
        theirs = measure_lines(own, sample_rate_hz, periods)
        spectra = [each.over(theirs) for each in spectra]
    combs: dict[int, Comb] = {}
    combs_of = [() if periods else find_combs(channel, sample_rate_hz) for channel in output.T]
    for comb in itertools.chain(*combs_of):
        kept = combs.setdefault(comb.period, comb)
        if comb.prominence_db > kept.prominence_db:
            combs[comb.period] = comb
    standing_out = [
        max((line.prominence_db for line in lines), default=0.0)
        for lines in ([each.found for each in spectra] if periods else combs_of)
    ]
    channel = int(np.argmax(standing_out))
    return Probe(
        name=name,
        samples=output,
        channel=channel,
        spectrum=spectra[channel] if periods else None,
        combs=tuple(combs[period] for period in sorted(combs)),
        phase_profile={p: phase_profile(output, p) for p in periods if name == ONES},
        tilt_db=tilt_db(output),
    )


def phase_profile(output: np.ndarray, period: int) -> float:
    """Returns how far the means of the phases of a period lie apart, re the mean of all.

    std_p / |mean_p| of E_n[y(n P + p)], both root-mean-square over channels.

    Args:
        output: (time, channels).
        period: P, in samples.

    >>> phase_profile(np.tile([[3.0], [1.0]], (8, 1)), 2)
    0.5
    """
    steps = len(output) // period
    return phase_imbalance(output[: steps * period].reshape(steps, period, -1).mean(axis=0))


def tilt_db(output: np.ndarray) -> float:
    """Returns the level of the highest eighth of the band re that of the lowest, in dB.

    >>> round(tilt_db(np.random.default_rng(0).standard_normal((65536, 1))))
    0
    """
    power = np.mean(np.abs(np.fft.rfft(output - output.mean(axis=0), axis=0)) ** 2, axis=1)
    edge = len(power) // BANDS
    low, high = power[1:edge].mean(), power[-edge:].mean()
    return float(10 * np.log10(max(high, 1e-20) / max(low, 1e-20)))


def _layer_json(finding) -> dict:
    layer = finding.layer
    return {
        **{name: getattr(layer, name) for name in ("name", "kind", "factor", "period")},
        "imbalance": finite_or_none(finding.imbalance),
        **{name: getattr(finding, name) for name in ("droop_db", "image_db")},
        "artifact": finding.artifact,
    }


def _probe_json(probe: Probe) -> dict:
    spectrum = probe.spectrum
    return {
        "name": probe.name,
        "line_db": probe.line_db,
        "threshold_db": None if spectrum is None else spectrum.threshold_db,
        "lines": [] if spectrum is None else [dataclasses.asdict(x) for x in spectrum.lines],
        "combs": [dataclasses.asdict(comb) for comb in probe.combs],
        "phase_profile": {str(p): finite_or_none(x) for p, x in probe.phase_profile.items()},
        "tilt_db": probe.tilt_db,
    }
