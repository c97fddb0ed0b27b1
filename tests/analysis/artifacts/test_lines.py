"""Lines at known places and levels, in noise, music and silence."""

import numpy as np
import pytest
from signals import noise

from tonezoo.analysis.artifacts.lines import (
    measure_lines,
    periods_of,
    steady_spectrum_dbfs,
)

RATE_HZ = 16_000
SAMPLES = 2**17


def tone(cycles_per_sample, level_dbfs, phase=0.3):
    amplitude = 10 ** (level_dbfs / 20)
    return amplitude * np.cos(2 * np.pi * cycles_per_sample * np.arange(SAMPLES) + phase)


@pytest.mark.parametrize("level_dbfs", [-20, -40, -60, -80])
@pytest.mark.parametrize(
    ("periods", "multiple"), [([8], 3), ([2, 4, 32, 256], 77), ([10], 2), ([6, 12], 5)]
)
def test_a_tone_is_found_where_it_is_and_within_1_db(level_dbfs, periods, multiple):
    frequency = multiple / periods[-1]
    samples = noise(SAMPLES, std=3e-6) + tone(frequency, level_dbfs)
    found = measure_lines(samples, RATE_HZ, periods).found
    assert [line.frequency_hz for line in found] == pytest.approx([frequency * RATE_HZ])
    assert found[0].level_dbfs == pytest.approx(level_dbfs, abs=1)


def test_half_the_rate_has_the_level_of_its_samples():
    samples = 0.1 * (-1.0) ** np.arange(SAMPLES) + noise(SAMPLES, std=1e-5)
    (line,) = measure_lines(samples, RATE_HZ, [2]).lines
    assert line.level_dbfs == pytest.approx(-20, abs=0.1)


def test_prominence_is_the_level_over_its_surroundings():
    # A tone of amplitude a has a^2 / 4 over what noise of variance s^2 has in a bin of a Hann
    # window, s^2 * 3/8 / (n / 4) ... 1.5 s^2 / n; the mean of its dB is 2.5 dB below its mean.
    std, n_fft = 0.01, 4096
    samples = noise(SAMPLES, std=std) + tone(1 / 8, -40)
    line = measure_lines(samples, RATE_HZ, [8]).strongest
    expected = 10 * np.log10((0.01**2) / (4 * 1.5 * std**2 / n_fft)) + 2.5
    assert line.prominence_db == pytest.approx(expected, abs=1)


def test_a_line_has_the_shortest_period_on_whose_grid_it_lies():
    samples = noise(SAMPLES, std=1e-5)
    for cycles in (1 / 2, 1 / 4, 3 / 8):
        samples = samples + tone(cycles, -50)
    found = measure_lines(samples, RATE_HZ, [2, 4, 8]).found
    assert [(line.frequency_hz, line.period) for line in found] == [
        (4000.0, 4),
        (6000.0, 8),
        (8000.0, 2),
    ]


def test_periods_need_not_divide_each_other():
    samples = noise(SAMPLES, std=1e-5)
    for cycles in (1 / 4, 1 / 6, 1 / 12):
        samples = samples + tone(cycles, -50)
    spectrum = measure_lines(samples, RATE_HZ, [4, 6])
    # 1/12 is on neither grid.
    assert [line.period for line in spectrum.found] == [6, 4]
    assert len(spectrum.lines) == 4


def test_tones_beside_the_grid_are_not_lines_of_it():
    samples = noise(SAMPLES, std=1e-4) + tone(0.127, -30) + tone(0.3, -30)
    assert measure_lines(samples, RATE_HZ, [2, 4, 8]).found == ()


@pytest.mark.parametrize("seed", range(20))
def test_noise_has_no_lines(seed):
    samples = noise(2**16, seed=seed)
    assert measure_lines(samples, RATE_HZ, [2, 4, 32, 256]).found == ()


def test_a_steady_tone_stands_out_of_a_programme_that_comes_and_goes():
    rng = np.random.default_rng(0)
    loud = np.repeat(rng.uniform(size=SAMPLES // 4096) < 0.3, 4096)
    samples = loud * rng.standard_normal(SAMPLES) * 0.3 + tone(3 / 8, -50)
    samples += 1e-5 * rng.standard_normal(SAMPLES)
    (line,) = measure_lines(samples, RATE_HZ, [8]).found
    assert line.frequency_hz == 6000
    # The power of the programme, 50 dB above the tone's in a bin, would hide it.
    power = np.mean(np.abs(np.fft.rfft(samples.reshape(-1, 4096))) ** 2, axis=0)
    assert power[1536] < 10 * np.median(power)


def test_of_silence_the_prominence_is_the_level_above_120_dbfs():
    line = measure_lines(tone(1 / 4, -70), RATE_HZ, [4]).strongest
    assert line.prominence_db == pytest.approx(50, abs=0.1)
    assert measure_lines(np.zeros(SAMPLES), RATE_HZ, [4]).found == ()


def test_a_full_scale_sine_has_0_db():
    assert steady_spectrum_dbfs(tone(1 / 8, 0), 4096)[512] == pytest.approx(0, abs=0.01)


def test_periods_of_strides():
    assert periods_of([8, 8, 2, 2]) == (2, 4, 32, 256)
    assert periods_of([4, 1, 3]) == (3, 12)
    for strides in ([], [4, 0]):
        with pytest.raises(ValueError, match="Strides are whole numbers"):
            periods_of(strides)


@pytest.mark.parametrize(
    ("samples", "periods", "message"),
    [
        (np.zeros(100), [2], "need 16384 samples .* but there are 100"),
        (np.zeros(30_000), [1024], "need 32768 samples"),
        (np.zeros((2**15, 2)), [2], r"but got the shape \(32768, 2\)"),
        (np.append(np.zeros(2**15), np.nan), [2], "1 NaN or infinite samples of 32769"),
        (np.zeros(2**15), [], "Periods are products of strides"),
        (np.zeros(2**15), [1], "at least 2"),
        (np.zeros(2**15), [257, 263], "a common multiple of at most 65,536"),
    ],
)
def test_what_cannot_be_measured_is_told(samples, periods, message):
    with pytest.raises(ValueError, match=message):
        measure_lines(samples, RATE_HZ, periods)
