import pytest

from tonezoo.analysis.training_curves import save_loss_curves, save_training_curves

LOG = [{"phase": 0, "name": "generator", "step": s, "loss": 1 / s, "l2": 2 / s} for s in (1, 2, 5)]

LOSSES = ("loss", "val_loss")


@pytest.fixture
def drawn(monkeypatch):
    """The figures that are saved."""
    figure = pytest.importorskip("matplotlib.figure").Figure
    saved, save = [], figure.savefig

    def recorded(self, *arguments, **options):
        saved.append(self)
        save(self, *arguments, **options)

    monkeypatch.setattr(figure, "savefig", recorded)
    return saved


def test_a_picture_has_a_panel_of_every_figure_with_its_values(tmp_path, drawn):
    save_training_curves(tmp_path / "curves.png", LOG)
    (figure,) = drawn
    assert [panel.get_title() for panel in figure.axes] == ["loss", "l2"]
    for panel, factor in zip(figure.axes, (1, 2), strict=True):
        (line,) = panel.lines
        assert line.get_xdata().tolist() == [1, 2, 5]
        assert line.get_ydata().tolist() == [factor, factor / 2, factor / 5]
        assert (panel.get_xlabel(), panel.get_yscale()) == ("step", "log")
    picture = pytest.importorskip("matplotlib.image").imread(tmp_path / "curves.png")
    height, width = picture.shape[:2]
    assert (width, height) == tuple((figure.get_size_inches() * 110).astype(int))
    blue = (picture[..., 2] > 0.5) & (picture[..., 0] < 0.3)
    for panel in figure.axes:
        box = panel.get_position()  # from 0 to 1, upwards
        rows = slice(int((1 - box.y1) * height), int((1 - box.y0) * height))
        assert blue[rows, int(box.x0 * width) : int(box.x1 * width)].any()


def test_runs_stand_side_by_side_with_the_loss_of_their_validation(tmp_path, drawn):
    validated = [{**line, "val_loss": 3 * line["loss"]} for line in LOG]
    save_loss_curves(tmp_path / "curves.png", {"first": LOG, "second": validated}, LOSSES)
    (figure,) = drawn
    assert [panel.get_title() for panel in figure.axes] == ["first", "second"]
    first, second = (panel.lines for panel in figure.axes)
    assert [line.get_label() for line in second] == ["loss", "val_loss"]
    assert len(first) == 1 and second[1].get_ydata() == pytest.approx([3, 3 / 2, 3 / 5])
    with pytest.raises(ValueError, match="no epoch was finished"):
        save_loss_curves(tmp_path / "none.png", {"first": LOG, "second": []}, LOSSES)


def test_an_empty_log_is_explained_and_nothing_is_left(tmp_path):
    with pytest.raises(ValueError, match="no epoch was finished"):
        save_training_curves(tmp_path / "none.png", [])
    assert not [*tmp_path.iterdir()]
