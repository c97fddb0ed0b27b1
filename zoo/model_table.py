"""The table of all models: what can be told of them without running them."""

from collections.abc import Mapping, Sequence

from tonezoo.registry import model_entry, model_rows

TITLES = ("model", "preset", "parameters", "rate (Hz)", "receptive field (s)", "preset of")
NONE = "-"


def model_table(
    measured_titles: Sequence[str] = (),
    measured: Mapping[tuple[str, str], Sequence[str]] | None = None,
) -> list[str]:
    """Returns the lines of a Markdown table with a row for each preset of each model.

    The receptive field is how far apart the samples can be at most that one output sample depends
    on: "all" where an LSTM or attention sees all of a segment, "-" for critics.

    Args:
        measured_titles: titles of further columns.
        measured: their cells by model and preset; "-" for those that are not there.

    Example:

    >>> lines = model_table()
    >>> print([line for line in lines if "| m6 |" in line][0])
    | wave_unet | m6 | 10,263,498 | 22050 | 6.69 | the paper |
    """
    rows = [(*TITLES, *measured_titles), ("---",) * (len(TITLES) + len(measured_titles))]
    for row in model_rows():
        key = (row["name"], row["preset"])
        cells = (measured or {}).get(key, (NONE,) * len(measured_titles))
        rows.append(
            (
                *key,
                f"{row['parameters']:,}",
                str(row["sample_rate_hz"]),
                receptive_field(*key),
                "the paper" if row["of_the_paper"] else "ours",
                *cells,
            )
        )
    return [f"| {' | '.join(row)} |" for row in rows]


def receptive_field(name: str, preset: str) -> str:
    """Returns the receptive field of a preset in seconds, in words."""
    from tonezoo.models.base import AudioModel

    entry = model_entry(name)
    network = entry.model(**entry.presets[preset])
    if not isinstance(network, AudioModel):
        return NONE
    samples = network.receptive_field_samples
    return "all" if samples is None else f"{samples / network.sample_rate_hz:.3g}"
