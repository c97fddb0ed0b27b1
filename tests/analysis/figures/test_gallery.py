"""docs/figures.md and the notebooks say and do what the figures are."""

import os
import re
import runpy
import subprocess
import sys

import pytest

from tonezoo.analysis.figures import FIGURES

QUICK = ("2", "3", "4", "5", "6", "7", "8", "10", "mu_gan_1", "mu_gan_5")
NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
NOTEBOOKS = ("transposed", "interpolation", "subpixel", "networks")


def words(text):
    return " ".join(text.replace("*", "").split())


def like(text):
    """A pattern of the text with any numbers, which are compared on their own."""
    return "".join(
        rf"({NUMBER.pattern})" if NUMBER.fullmatch(part) else re.escape(part)
        for part in re.split(rf"({NUMBER.pattern})", text)
    )


@pytest.fixture
def page(source_tree):
    text = (source_tree / "docs" / "figures.md").read_text(encoding="utf-8")
    return {
        found[1]: words(found[2])
        for found in re.finditer(r"\(figures/figure_(\w+)\.png\)(.*?)(?=!\[|\Z)", text, re.DOTALL)
    }


def test_every_figure_has_its_picture(page, source_tree):
    assert [*page] == [*FIGURES]
    pictures = list((source_tree / "docs" / "figures").iterdir())
    assert {path.name for path in pictures} == {f"figure_{name}.png" for name in FIGURES}
    assert sum(path.stat().st_size for path in pictures) < 1.5e6


@pytest.mark.parametrize("name", QUICK)
def test_the_page_says_what_the_figure_says(page, name):
    figure = FIGURES[name]()
    assert words(figure.caption) in page[name] and words(figure.set_up) in page[name]
    findings = words(" ".join(figure.findings))
    found = re.search(like(findings), page[name])
    assert found, f"the page lacks: {findings}"
    expected = [float(number) for number in NUMBER.findall(findings)]
    # Machines round differently; what lies at the edge of float32 is as good as nothing.
    for ours, pages in zip(expected, map(float, found.groups()), strict=True):
        assert pages == pytest.approx(ours, abs=1.01) or max(pages, ours) < -100


@pytest.mark.slow
@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_runs(source_tree, name, capsys):
    runpy.run_path(str(source_tree / "docs" / "notebooks" / f"{name}.py"))
    assert capsys.readouterr().out.strip()


def test_the_notebooks_are_all_of_them(source_tree):
    found = {path.stem for path in (source_tree / "docs" / "notebooks").glob("*.py")}
    assert found == {*NOTEBOOKS}


def test_scripts_become_notebooks(source_tree, tmp_path):
    pytest.importorskip("jupytext")
    import nbformat

    script = source_tree / "docs" / "notebooks" / "transposed.py"
    target = tmp_path / "transposed.ipynb"
    subprocess.run(
        [sys.executable, "-m", "jupytext", "--to", "ipynb", "--output", target, script],
        check=True,
        capture_output=True,
        env={**os.environ, "JUPYTER_PLATFORM_DIRS": "1"},
    )
    notebook = nbformat.read(target, as_version=4)
    nbformat.validate(notebook)
    kinds = [cell.cell_type for cell in notebook.cells]
    marks = re.findall(r"^# %%( \[markdown\])?$", script.read_text(), re.MULTILINE)
    assert kinds == ["markdown" if mark else "code" for mark in marks]
    assert notebook.cells[0].source.startswith("# Transposed convolutions")
