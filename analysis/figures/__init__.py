"""The figures of the two papers, redrawn from tonezoo's own layers and models.

Each is a function of a few lines that returns a `Figure`: panels, a caption and numbers.

>>> figure = figure_3()
>>> figure.findings
('Output: 1, 1, 2, 1, 2, 1, 2, 1, 1; period 2, between 2, 1.',)
"""

from collections.abc import Callable, Sequence

from tonezoo.analysis.figures.kernels import figure_2, figure_3, figure_4, figure_5
from tonezoo.analysis.figures.layer_stacks import figure_6, figure_7, figure_8, figure_10
from tonezoo.analysis.figures.material import Material
from tonezoo.analysis.figures.mu_gan import figure_mu_gan_1, figure_mu_gan_5
from tonezoo.analysis.figures.networks import figure_1, figure_9
from tonezoo.analysis.figures.panels import Figure
from tonezoo.analysis.figures.receptive_fields import figure_mu_gan_6

__all__ = ["FIGURES", "Figure", "Material", "chosen_figures"]

FIGURES: dict[str, Callable[..., Figure]] = {
    "1": figure_1,
    "2": figure_2,
    "3": figure_3,
    "4": figure_4,
    "5": figure_5,
    "6": figure_6,
    "7": figure_7,
    "8": figure_8,
    "9": figure_9,
    "10": figure_10,
    "mu_gan_1": figure_mu_gan_1,
    "mu_gan_5": figure_mu_gan_5,
    "mu_gan_6": figure_mu_gan_6,
}


def chosen_figures(names: Sequence[str] | None) -> tuple[str, ...]:
    """Returns the names of figures in the order of `FIGURES`; all for None.

    Raises:
        ValueError: unknown names, or none; lists those that there are.

    >>> chosen_figures(["7", "5"])
    ('5', '7')
    """
    if names is None:
        return tuple(FIGURES)
    unknown = [name for name in names if name not in FIGURES]
    if unknown or not names:
        received = ", ".join(map(repr, unknown)) or "no name"
        raise ValueError(f"There is no figure {received}. There are {', '.join(FIGURES)}.")
    return tuple(name for name in FIGURES if name in names)
