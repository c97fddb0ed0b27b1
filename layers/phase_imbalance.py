"""How differently the phases of an upsampling layer answer a constant, from its weights alone."""

import numpy as np


def transposed_phase_sums(kernel: np.ndarray, strides: int) -> np.ndarray:
    """Returns what each phase of a transposed convolution makes of a constant.

    D[p] = sum over m of w[m * strides + p].

    Args:
        kernel: (taps, filters, channels).
        strides: upsampling factor.

    Returns:
        (phase, filters, channels).

    >>> kernel = np.array([1.0, 2, 3, 4, 5]).reshape(5, 1, 1)
    >>> transposed_phase_sums(kernel, 2).ravel().tolist()  # 1 + 3 + 5 and 2 + 4
    [9.0, 6.0]
    """
    kernel = np.asarray(kernel, "float64")
    missing = -len(kernel) % strides
    kernel = np.pad(kernel, ((0, missing), (0, 0), (0, 0)))
    return kernel.reshape(-1, strides, *kernel.shape[1:]).sum(axis=0)


def subpixel_phase_sums(kernel: np.ndarray, factor: int) -> np.ndarray:
    """Returns what each phase of a subpixel convolution makes of a constant.

    Args:
        kernel: (taps, channels, factor * filters), phase-major: output p * filters + f is filter f
            of phase p.
        factor: upsampling factor.

    Returns:
        (phase, channels, filters).

    >>> kernel = np.array([[1.0, 2], [10, 20]]).reshape(2, 1, 2)
    >>> subpixel_phase_sums(kernel, 2).ravel().tolist()
    [11.0, 22.0]
    """
    kernel = np.asarray(kernel, "float64").sum(axis=0)
    return np.moveaxis(kernel.reshape(len(kernel), factor, -1), 1, 0)


def phase_imbalance(sums: np.ndarray) -> float:
    """Returns how far the phases lie apart, re their mean: 0 for a layer that makes no tone.

    The root mean square of D[p] - mean over the phases, input channels and filters, over that of
    the means: the level of the tones that a layer makes of constants, re the constant part of its
    output, where the channels' constants have nothing to do with each other. With one channel and
    one filter it is the root mean square of |D[p] - mean| / |mean|. Independent phases of a factor
    r give sqrt(r - 1) on average.

    Args:
        sums: (phase, ...), of one of the functions above.

    Returns:
        At least 0; infinite where the phases cancel, as those of zeros do not: they make 0.

    >>> phase_imbalance(np.array([9.0, 6.0]))  # 1.5 above and below 7.5
    0.2
    >>> phase_imbalance(np.array([[1.0, 2.0], [1.0, 2.0]]))
    0.0
    """
    mean = np.mean(sums, axis=0)
    deviation = float(np.sqrt(np.mean(np.square(sums - mean))))
    if deviation == 0:
        return 0.0
    level = float(np.sqrt(np.mean(np.square(mean))))
    return deviation / level if level > 0 else float("inf")
