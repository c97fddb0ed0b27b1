"""Figures as files: all of them, whole, and with what they claim in them."""

import json

import numpy as np
import pytest

from tonezoo.analysis.figures.panels import ROWS, Curves, Figure, Spectrogram, Stems, merged

pytest.importorskip("matplotlib")


def figure(level_db):
    return Figure(
        name="test",
        title="A test",
        caption="One of each.",
        findings=("It is -40 dB.",),
        numbers={"level_db": -40.0},
        set_up="Nothing.",
        seed=3,
        rows=(
            (
                Spectrogram(
                    title="levels", level_db=level_db, sample_rate_hz=8000, hop_samples=512
                ),
                Spectrogram(
                    title="deeper",
                    level_db=level_db,
                    sample_rate_hz=16_000,
                    hop_samples=512,
                    floor_db=-150,
                ),
            ),
            (
                Stems(title="samples", samples=np.array([0.5, -1, 2])),
                Curves(
                    title="curves",
                    lines={"a": ([0, 1], [0, 1]), "a, fit": ([0, 1], [1, 0])},
                    xlabel="x",
                    ylabel="y",
                    xlim=(0, 1),
                    xticks=(0, 1),
                ),
            ),
        ),
    )


def test_axes_and_colours_have_the_ranges_that_they_should():
    drawn = figure(np.full((1025, 20), -40.0)).draw()
    levels, deeper, stems, curves, *_ = drawn.axes
    for axes, top_khz, floor_db in ((levels, 4, -100), (deeper, 8, -150)):
        (image,) = axes.images
        assert image.get_clim() == (floor_db, 0)
        assert image.get_extent()[2:] == [0, top_khz]
        assert axes.get_ylim()[0] < 0 and top_khz < axes.get_ylim()[1] < 1.05 * top_khz
        np.testing.assert_allclose(image.get_array(), -40)
    assert levels.images[0].get_extent()[1] == 20 * 512 / 8000
    assert stems.get_title() == "samples" and curves.get_xlim() == (0, 1)
    data, fit = curves.lines
    assert data.get_color() == fit.get_color() and fit.get_linestyle() == "--"
    # A colour bar beside the row of spectrograms alone.
    assert len(drawn.axes) == 5


def test_merged_bins_keep_their_power_and_their_place():
    level_db = np.full((1025, 2), -100.0)
    level_db[1024] = -10
    level_db[0] = -300
    rows = merged(level_db, -100.0)
    assert rows.shape == (ROWS, 2) and rows.max() == rows[-1, 0]
    assert rows[-1, 0] == pytest.approx(-10 - 10 * np.log10(5), abs=1e-3)
    assert rows.min() == -100


def test_a_figure_is_three_whole_files(tmp_path):
    image = pytest.importorskip("matplotlib.image")
    drawn = figure(np.linspace(-100, 0, 1025)[:, None] * np.ones(30))
    png, svg, numbers = drawn.save(tmp_path / "new")
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == [
        "figure_test.json",
        "figure_test.png",
        "figure_test.svg",
    ]
    pixels = image.imread(png)
    assert pixels.shape[1] > 600 and (pixels[0, 0, :3] == 1).all()
    text = svg.read_text()
    assert ">frequency (kHz)<" in text and "<image" in text
    found = json.loads(numbers.read_text())
    assert found["numbers"] == {"level_db": -40} and found["seed"] == 3
    assert found["caption"] == "One of each." and found["set_up"] == "Nothing."
    again = drawn.save(tmp_path / "again")
    for first, second in zip((png, svg, numbers), again, strict=True):
        assert first.read_bytes() == second.read_bytes()


def test_a_figure_that_fails_leaves_nothing(tmp_path):
    broken = figure(np.zeros((1025, 20)))
    broken.numbers["level_db"] = float("nan")
    with pytest.raises(ValueError):
        broken.save(tmp_path)
    assert not list(tmp_path.glob("*.json*"))


def test_a_folder_in_the_way_is_explained(tmp_path):
    (tmp_path / "figure_test.png").mkdir()
    with pytest.raises(ValueError, match="is a folder"):
        figure(np.zeros((1025, 20))).save(tmp_path)
