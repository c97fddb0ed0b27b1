import pytest

from tonezoo.analysis.training_curves import save_training_curves


def test_a_picture_of_every_figure(tmp_path):
    pytest.importorskip("matplotlib")
    log = [{"phase": 0, "name": "generator", "step": s, "loss": 1 / s, "l2": 2 / s} for s in (1, 2)]
    save_training_curves(tmp_path / "curves.png", log)
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(ValueError, match="no epoch was finished"):
        save_training_curves(tmp_path / "none.png", [])
    assert [path.name for path in tmp_path.iterdir()] == ["curves.png"]
