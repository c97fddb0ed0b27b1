import fractions

import numpy as np
import pytest

from tonezoo.audio.checks import check_rate_hz, check_signal


@pytest.mark.parametrize("rate_hz", [100, 44_100, 11_025.5, 10_000_000, np.int32(8000)])
def test_rates(rate_hz):
    check_rate_hz(rate_hz)
    check_rate_hz(fractions.Fraction(44_100, 4))


@pytest.mark.parametrize(
    "rate_hz",
    [
        *(0, -1, 99.9, 1e-6, 10_000_001, np.inf, -np.inf, np.nan),
        *("4000", b"4000", None, [4000], True, 4000 + 0j, np.array([4000, 4000])),
    ],
)
def test_what_is_no_rate(rate_hz):
    with pytest.raises(ValueError, match=r"^The rate is .*, but has .* from 100 to 10,000,000\.$"):
        check_rate_hz(rate_hz, "The rate")


@pytest.mark.parametrize(
    "shape", [(1,), (0,), (8000,), (1, 1), (2, 2), (8000, 2), (1024, 1024), (0, 2), (9000, 1024)]
)
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_signals(shape, dtype):
    check_signal(np.zeros(shape, dtype))


@pytest.mark.parametrize("shape", [(2, 8000), (1, 8000), (1, 2), (8, 9), (9000, 1025)])
def test_more_channels_than_samples_or_than_files_hold(shape):
    message = rf"shape \({shape[0]}, {shape[1]}\) .* {shape[1]} channels.*\(time, channels\).*\.T"
    with pytest.raises(ValueError, match=message):
        check_signal(np.zeros(shape, "float32"))


@pytest.mark.parametrize(
    "samples",
    [
        *(np.zeros(8, "int16"), np.zeros(8, bool), np.zeros(8, complex), np.array(["a"])),
        *(np.zeros(()), np.zeros((8, 0)), np.zeros((1, 8, 1))),
    ],
    ids=lambda samples: f"{samples.dtype}{samples.shape}",
)
def test_what_is_no_signal(samples):
    with pytest.raises(ValueError, match="Give floating-point numbers, full scale 1, of shape"):
        check_signal(samples)
