"""Figures 2 to 5: what overlapping kernels of transposed convolutions add up to."""

import warnings
from collections.abc import Sequence

import numpy as np

from tonezoo.analysis.figures.material import Material
from tonezoo.analysis.figures.panels import Figure, Stems, rounded
from tonezoo.analysis.figures.starts import SEED, pytorch_start, seeded

PAPER = "Upsampling Artifacts in Neural Audio Synthesis"
ONES = 10
LENGTH = 8


def transposed(
    samples: Sequence[float], kernel: Sequence[float] | np.ndarray, stride: int
) -> np.ndarray:
    """Returns a transposed convolution of a signal, without padding and bias, (time,).

    Example: kernels of a length that is no multiple of the stride add up unevenly.

    >>> transposed([1, 1, 1, 1], [1, 1, 1], stride=2).tolist()
    [1.0, 1.0, 2.0, 1.0, 2.0, 1.0, 2.0, 1.0, 1.0]
    """
    from tonezoo.layers import TransposedConv1D

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of partial overlap, which is what is shown
        layer = TransposedConv1D(1, len(kernel), stride, padding="valid", use_bias=False)
    layer.build((1, None, 1))
    layer.set_weights([np.reshape(kernel, (-1, 1, 1))])
    return np.asarray(layer(np.reshape(samples, (1, -1, 1)).astype("float32")))[0, :, 0]


def steady(output: np.ndarray, length: int, stride: int) -> np.ndarray:
    """Returns the first period in which every sample sums as many kernels as there ever are.

    >>> steady(np.array([1, 1, 2, 1, 2, 1, 2, 1, 1]), length=3, stride=2).tolist()
    [2, 1]
    """
    start = -(-(length - 1) // stride) * stride
    return output[start : start + stride]


def figure_2(material: Material | None = None, seed: int = SEED) -> Figure:
    """Returns Figure 2: kernels beside each other, without overlap."""
    output = transposed([1, 1], [0.2, 0.3, -0.01], stride=3)
    return Figure(
        name="2",
        title=f"{PAPER}, Figure 2",
        caption="A transposed convolution as long as its stride puts one copy of its kernel "
        "beside the other: a constant comes out as the kernel, again and again, a periodic signal "
        "unless all of its weights are equal.",
        findings=(f"Output: {_listed(output)}; period 3.",),
        numbers=rounded({"output": output, "period_samples": 3}),
        set_up="Input 1, 1; weights 0.2, 0.3, -0.01; stride 3; no padding, no bias.",
        seed=None,
        rows=(
            (
                Stems(title="input", samples=np.ones(2)),
                Stems(title="length 3, stride 3", samples=output, groups=np.arange(6) // 3),
            ),
        ),
    )


def figure_3(material: Material | None = None, seed: int = SEED) -> Figure:
    """Returns Figure 3: kernels that overlap in part."""
    output = transposed([1, 1, 1, 1], [1, 1, 1], stride=2)
    return Figure(
        name="3",
        title=f"{PAPER}, Figure 3",
        caption="Where the length is no multiple of the stride, two kernels meet on some samples "
        "and one lies alone on others: a constant comes out as a tone though all weights are "
        "equal.",
        findings=(
            f"Output: {_listed(output)}; period 2, between {_listed(steady(output, 3, 2))}.",
        ),
        numbers=rounded({"output": output, "steady": steady(output, 3, 2), "period_samples": 2}),
        set_up="Input 1, 1, 1, 1; weights 1, 1, 1; stride 2; no padding, no bias.",
        seed=None,
        rows=(
            (
                Stems(title="input", samples=np.ones(4)),
                Stems(title="length 3, stride 2: partial overlap", samples=output),
            ),
        ),
    )


def figure_4(material: Material | None = None, seed: int = SEED) -> Figure:
    """Returns Figure 4: kernels that overlap in full, and the borders."""
    output = transposed([1, 1, 1, 1], [1, 1, 1], stride=1)
    inside = output == output.max()
    return Figure(
        name="4",
        title=f"{PAPER}, Figure 4",
        caption="Where the length is a multiple of the stride, as many kernels meet on every "
        "sample, and a constant stays one; only at the borders fewer meet.",
        findings=(f"Output: {_listed(output)}; {np.count_nonzero(~inside)} border samples.",),
        numbers=rounded({"output": output, "border_samples": int(np.count_nonzero(~inside))}),
        set_up="Input 1, 1, 1, 1; weights 1, 1, 1; stride 1; no padding, no bias.",
        seed=None,
        rows=(
            (
                Stems(title="input", samples=np.ones(4)),
                Stems(
                    title="length 3, stride 1: full overlap",
                    samples=output,
                    groups=np.where(inside, 0, 1),
                ),
            ),
        ),
    )


def figure_5(material: Material | None = None, seed: int = SEED) -> Figure:
    """Returns Figure 5: partial and full overlap, weights equal and random."""
    with seeded(seed):
        kernel = np.array(pytorch_start(LENGTH)["kernel_initializer"]((LENGTH,)))
    outputs, numbers = {}, {}
    for stride in (6, 4):
        for weights, taps in (("ones", np.ones(LENGTH)), ("random", kernel)):
            output = transposed(ONES * [1], taps, stride)
            period = steady(output, LENGTH, stride)
            outputs[f"{weights}, stride {stride}"] = output
            numbers[f"{weights}, stride {stride}"] = {
                "samples": len(output),
                "steady": period,
                "ripple": period.max() - period.min(),
            }
    ripples = ", ".join(f"{n['ripple']:.2f} ({title})" for title, n in numbers.items())
    return Figure(
        name="5",
        title=f"{PAPER}, Figure 5",
        caption="Ten ones through transposed convolutions of length 8. With a stride of 6 the "
        "overlap is partial and the output periodic, whatever the weights; with a stride of 4 it "
        "is full, and the output is constant between its borders if the weights are equal. Random "
        "weights, as before training, make it periodic all the same: its period is the stride.",
        findings=(f"Largest less smallest sample of a period: {ripples}.",),
        numbers=rounded({"kernel": kernel, **numbers}),
        set_up="Length 8, no padding, no bias; weights of ones, and uniform within 1 / sqrt(8).",
        seed=seed,
        rows=tuple(
            (Stems(title=title, samples=output, groups=np.arange(len(output)) % stride),)
            for title, output in outputs.items()
            for stride in (int(title.rsplit(maxsplit=1)[1]),)
        ),
        panel_inches=(6.5, 1.5),
    )


def _listed(samples: np.ndarray) -> str:
    return ", ".join(f"{sample:.4g}" for sample in samples)
