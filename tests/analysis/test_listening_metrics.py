"""What packages predict of listeners: PESQ, ViSQOL, ESTOI."""

import math
import sys
from functools import partial

import numpy as np
import pytest
import signals

from tonezoo.analysis import listening_metrics
from tonezoo.analysis.listening_metrics import estoi, mos_lqo, visqol
from tonezoo.audio.resampling import resample

noise = partial(signals.noise, std=1.0)


def speech_like(seconds, rate_hz=16_000):
    """Bursts of harmonics of 120 Hz, which PESQ takes for utterances."""
    t = np.arange(int(seconds * rate_hz)) / rate_hz
    voice = sum(np.sin(2 * np.pi * 120 * k * t) / k for k in range(1, 30))
    return 0.1 * voice * (np.sin(2 * np.pi * 1.5 * t) > -0.3)


def test_mos_lqo_names_the_extra_when_pesq_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "pesq", None)
    with pytest.raises(ImportError, match=r"tonezoo\[eval\]"):
        mos_lqo(np.ones(8000), np.ones(8000), 16_000)


def test_mos_lqo_reaches_its_maximum_on_a_copy_and_falls_with_noise():
    pytest.importorskip("pesq")
    x = speech_like(2)
    assert mos_lqo(x, x, 16_000, "nb") == pytest.approx(4.549, abs=1e-3)
    assert mos_lqo(x, x, 16_000, "wb") == pytest.approx(4.644, abs=1e-3)
    y = x + 1e-2 * noise(len(x))
    assert mos_lqo(x, y, 16_000, "wb") < 4
    at_48_khz = [np.repeat(s, 3) for s in (x, y)]
    assert mos_lqo(*at_48_khz, 48_000, "wb") < 4


def test_mos_lqo_is_nan_where_pesq_has_no_value():
    pytest.importorskip("pesq")
    x, silence = speech_like(1), np.zeros(16_000)
    for pair in [(x[:3999], x[:3999]), (silence, silence), (silence, x), (x, silence)]:
        assert math.isnan(mos_lqo(*pair, 16_000))
    with pytest.raises(ValueError, match="'super'"):
        mos_lqo(x, x, 16_000, "super")


def test_long_recordings_are_scored_in_pieces_of_at_most_20_s(monkeypatch):
    pesq = pytest.importorskip("pesq")
    lengths = []

    def score(rate_hz, reference, estimate, band):
        lengths.append(len(reference) / rate_hz)
        return len(lengths)

    monkeypatch.setattr(pesq, "pesq", score)
    x = noise(16_000 * 41)
    assert mos_lqo(x, x, 16_000) == 2
    np.testing.assert_allclose(lengths, 41 / 3, atol=1e-3)


@pytest.mark.parametrize(
    ("metric", "module", "package"),
    [
        (visqol, "visqol", "visqol-python"),
        (visqol, "ai_edge_litert", '"lattice"'),
        (estoi, "pystoi", "pystoi"),
    ],
)
def test_the_extra_is_named_where_a_package_is_missing(monkeypatch, metric, module, package):
    if module == "ai_edge_litert":
        pytest.importorskip("visqol")
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=rf'{package}.*pip install "tonezoo\[eval\]"'):
        metric(speech_like(1), speech_like(1), 16_000)


@pytest.fixture
def packages():
    for package in ("visqol", "ai_edge_litert", "pystoi"):
        pytest.importorskip(package)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("metric", [visqol, estoi])
def test_a_copy_has_the_highest_score_and_more_noise_a_lower_one(packages, metric):
    x = speech_like(2)
    copy, *noisy = (metric(x, x + level * noise(len(x)), 16_000) for level in (0, 1e-3, 1e-2, 1e-1))
    assert [copy, *noisy] == sorted([copy, *noisy], reverse=True) and len({*noisy}) == 3
    assert copy == pytest.approx(1) if metric is estoi else 4.1 < copy < 4.8
    assert noisy[-1] < (0.7 if metric is estoi else 2.5)
    at_48_khz = [resample(signal, 16_000, 48_000) for signal in (x, x + 1e-2 * noise(len(x)))]
    assert metric(*at_48_khz, 48_000) == pytest.approx(noisy[1], abs=0.1)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("metric", [visqol, estoi])
def test_silence_and_what_is_too_short_have_no_value(packages, metric):
    x, silence = speech_like(1), np.zeros(16_000)
    for pair in [(silence, silence), (silence, x), (x, silence), (x[:1], x[:1])]:
        assert math.isnan(metric(*pair, 16_000))
    assert math.isnan(metric(x[:5000], x[:5000], 16_000))
    # A click alone, which pystoi finds too few frames in.
    click = silence.copy()
    click[3000:3100] = 1
    assert metric is visqol or math.isnan(estoi(click, click, 16_000))
    with pytest.raises(ValueError, match="estimate has NaN"):
        metric(x, x * np.nan, 16_000)
    with pytest.raises(ValueError, match="equal length"):
        metric(x, x[1:], 16_000)


def test_scores_are_those_of_the_packages(packages):
    import pystoi
    from visqol import VisqolApi

    x = speech_like(2)
    y = x + 1e-2 * noise(len(x))
    api = VisqolApi()
    api.create(mode="speech", use_lattice_model=True)
    assert visqol(x, y, 16_000) == pytest.approx(api.measure_from_arrays(x, y, 16_000).moslqo)
    polynomial = VisqolApi()
    polynomial.create(mode="speech", use_lattice_model=False)
    flattered = polynomial.measure_from_arrays(x, y, 16_000).moslqo
    assert visqol(x, y, 16_000) != pytest.approx(flattered, abs=0.05)
    assert estoi(x, y, 16_000) == pytest.approx(pystoi.stoi(x, y, 16_000, extended=True))
    assert estoi(x, y, 16_000) != pytest.approx(pystoi.stoi(x, y, 16_000), abs=0.01)


def test_long_recordings_are_scored_by_visqol_in_pieces_too(packages, monkeypatch):
    lengths = []

    class Result:
        moslqo = 3.0

    def measure(reference, estimate, rate_hz):
        lengths.append(len(reference) / rate_hz)
        return Result

    monkeypatch.setattr(listening_metrics, "_loaded_visqol", lambda: measure)
    x = noise(16_000 * 50)
    x[: 16_000 * 17] = 0
    assert visqol(x, noise(16_000 * 50, seed=1), 16_000) == 3
    # Of three pieces the first is silent.
    np.testing.assert_allclose(lengths, 50 / 3, atol=1e-3)
    assert len(lengths) == 2


def test_intelligibility_leaves_the_global_generator_alone_and_is_the_same_again(packages):
    x = speech_like(1)
    y = np.where(np.arange(len(x)) < 8000, x, 0)
    np.random.seed(1)
    before = np.random.get_state()[1].copy()
    first = estoi(x, y, 16_000)
    np.testing.assert_array_equal(np.random.get_state()[1], before)
    np.random.seed(2)
    assert estoi(x, y, 16_000) == first
