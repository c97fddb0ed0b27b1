"""The table of all models, on the command line and on its page."""

import re

from tonezoo import model_table as module
from tonezoo.model_table import TITLES, model_table, receptive_field


def cells(lines):
    return [re.findall(r"(?<=\| ).*?(?= \|)", line) for line in lines if line.startswith("| ")]


def test_the_page_has_a_row_of_every_preset_with_what_is_known_of_it(source_tree):
    page = (source_tree / "docs" / "models.md").read_text(encoding="utf-8")
    rows = cells(page.split("<!-- table -->")[1].splitlines())
    assert [row[: len(TITLES)] for row in rows] == cells(model_table())
    # Critics are not run on audio.
    for row in rows[2:]:
        measured = row[len(TITLES) :]
        assert len(measured) == 2 and ("-" in measured) == (row[4] == "-")


def test_the_command_prints_the_table(cli, monkeypatch):
    # Making every model takes seconds.
    monkeypatch.setattr(module, "model_table", lambda: ["| model |", "| mu_gan |"])
    code, out, _ = cli("models", "--table")
    assert code == 0 and out.splitlines() == ["| model |", "| mu_gan |"]


def test_receptive_fields_are_known_or_told_to_be_all():
    # 147,443 samples for 16,389; the interpolation's reach is counted for the worst grid position.
    assert 131_055 / 22_050 < float(receptive_field("wave_unet", "m6")) < 147_443 / 22_050 + 0.01
    assert receptive_field("demucs", "small") == receptive_field("open_unmix", "umx") == "all"
    assert receptive_field("mu_gan_discriminator", "full") == "-"
