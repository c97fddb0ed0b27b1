"""The demo: its clip, its page, what it replaces and what it leaves alone."""

import base64
import dataclasses
import io
import os
import re
import subprocess
import sys
from html.parser import HTMLParser

import numpy as np
import pytest
import soundfile
from stubs import REPEAT
from tiny_run import SETTINGS

from tonezoo.analysis.metrics import METRICS
from tonezoo.analysis.super_resolution_evaluation import evaluate
from tonezoo.recipes import demo
from tonezoo.recipes.demo.clip import clip_of_recording, procedural_clip, read_recording
from tonezoo.recipes.demo.page import GENERATOR, Example, Separation, Shown, Training, page
from tonezoo.tasks import find_task
from tonezoo.tasks.super_resolution import TASK
from tonezoo.tasks.super_resolution.engine import SuperResolver

MANIFEST = {
    "name": "speech",
    "model": "MuGanGenerator",
    "parameters": 1_234_567,
    "training_steps": 89,
    "recipe": "mu_gan_small",
    "data_licence": "made-up <speech>",
    "files": {"saved_model.pb": "", "golden.npz": ""},
}
HOSTILE_NAME = '<script>&".wav'
DEMO_FILES = (
    "audio/shipped/band_extender_speech_x4/output.wav",
    *("audio/separated/bass.wav", "audio/tiny/output.wav"),
    "runs/mu_gan_tiny/config.json",
    *("savedmodels/mu_gan_tiny/1/manifest.json", "index.html"),
)
MY_FILES = ("runs/mu_gan_small_x4/config.json", "savedmodels/mine/1/a", "audio/mine.wav", "notes")


@pytest.fixture(scope="module")
def model() -> SuperResolver:
    return REPEAT


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """Writes a chirp to a file; returns its path."""

    def write(sample_rate_hz, duration_s=0.5, channels=1, name="recording.wav"):
        path = tmp_path_factory.mktemp("recordings") / name
        # The further channels are silent: the mean is chirp / channels.
        samples = np.zeros((round(duration_s * sample_rate_hz), channels))
        samples[:, 0] = chirp(np.arange(len(samples)) / sample_rate_hz)
        soundfile.write(path, samples, sample_rate_hz)
        return path

    return write


def chirp(time_s):
    return 0.5 * np.sin(2 * np.pi * (200 + 500 * time_s) * time_s)


def clip_of(path, model):
    return clip_of_recording(read_recording(path), model)


def test_a_file_at_the_input_rate_is_the_input_and_has_no_target(recorded, model):
    path = recorded(4000)
    clip = clip_of(path, model)
    np.testing.assert_array_equal(clip.low, soundfile.read(path, dtype="float32")[0])
    assert clip.target is None
    assert "no target" in clip.notes[-1]


def test_a_file_below_the_input_rate_is_resampled_up(recorded, model):
    clip = clip_of(recorded(2000, duration_s=1.0), model)
    assert clip.target is None and len(clip.low) == 4000
    assert "Resampled up from 2000 Hz" in " ".join(clip.notes)


@pytest.mark.parametrize("rate_hz", [8000, 16_000, 44_100, 48_000])
def test_a_file_above_the_input_rate_becomes_target_and_input(recorded, model, rate_hz):
    clip = clip_of(recorded(rate_hz, duration_s=1.0, channels=2), model)
    assert clip.target.shape == (16_000,) and clip.low.shape == (4000,)
    expected = chirp(np.arange(16_000) / 16_000) / 2
    np.testing.assert_allclose(clip.target[800:-800], expected[800:-800], atol=2e-3)
    np.testing.assert_allclose(clip.low[200:-200], expected[800:-800:4], atol=5e-3)
    notes = " ".join(clip.notes)
    assert "2 channels were averaged" in notes and "compared with the file itself" in notes
    assert ("holds nothing above 4 kHz" in notes) == (rate_hz == 8000)


def test_a_long_file_is_cut_and_says_so(recorded, model):
    clip = clip_of(recorded(16_000, duration_s=12.5), model)
    assert len(clip.target) == 160_000
    assert "first 10 s" in clip.notes[0]
    assert "first" not in clip_of(recorded(16_000, duration_s=10.0), model).notes[0]


def test_files_that_are_too_short_are_refused(recorded):
    with pytest.raises(ValueError, match=r"0\.050 s long.*at least 0\.1 s"):
        read_recording(recorded(8000, duration_s=0.05))


def test_the_procedural_clip_is_not_trained_or_evaluated_on(model):
    from tonezoo.recipes.corpus.speech import procedural_corpus
    from tonezoo.tasks.evaluation_data import EVALUATION_SEED

    clip = procedural_clip(model)
    assert len(clip.target) == 4 * len(clip.low)
    for seed in (0, 1, EVALUATION_SEED):
        (other,) = procedural_corpus(seed=seed, clips=1).values()
        assert not np.array_equal(other[: len(clip.target)], clip.target)


class Tags(HTMLParser):
    """The tags of a page with their attributes, and its text."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.text = [], ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        self.text += "\n" if tag in ("p", "li") else ""

    def handle_data(self, data):
        self.text += data

    def attributes(self, name):
        return [attributes for tag, attributes in self.tags if tag == name]


def shown(model, clip, evaluation=None):
    example = Example(
        clip=clip,
        spline=np.repeat(clip.low, 4) / 2,
        output=np.repeat(clip.low, 4),
        sample_rate_hz=16_000,
        ratio=4,
    )
    return Shown(example=example, evaluation=evaluation, manifest=MANIFEST)


@pytest.fixture(scope="module")
def evaluation():
    """Random scores of a model and its baselines on three clips; one metric has gaps."""
    rng = np.random.default_rng(0)
    measured = evaluate(
        lambda low: np.repeat(low, 4),
        {name: rng.uniform(-1, 1, 100) for name in ("one", "two", "three")},
        ratio=4,
        sample_rate_hz=16_000,
        model_name="repeat",
    )
    scores = rng.uniform(1, 9, measured.values.shape)
    scores[0, 1, -1] = np.nan
    scores[:, :, -2] = np.nan
    return dataclasses.replace(measured, values=scores)


@pytest.fixture(scope="module")
def html(model, recorded, evaluation) -> str:
    """A page without a target for the shipped model, and with one for the tiny one."""
    pytest.importorskip("matplotlib")
    log = [
        {"name": "autoencoder", "step": 5, "loss": 0.02},
        {"name": "generator", "step": 5, "loss": 0.5, "l2": 0.01, "adversarial": 0.7}
        | {"discriminator_loss": 1.4, "discriminator_accuracy": 0.5},
    ]
    weights = {"l2": 1.0, "feature": 0.0, "adversarial": 1e-3}
    stems = {name: np.full((4410, 2), level) for name, level in (("bass", 0.4), ("rest", 0.1))}
    separation = Separation(
        mixture=sum(stems.values()),
        stems=stems,
        outputs={name: 0.9 * stem for name, stem in stems.items()},
        sample_rate_hz=44_100,
        manifest=MANIFEST | {"name": "songs"},
    )
    return page(
        [shown(model, clip_of(recorded(4000, name=HOSTILE_NAME), model))],
        separation,
        shown(model, clip_of(recorded(16_000), model), evaluation),
        Training(recipe="mu_gan_tiny", minutes=1.0, log=log, loss_weights=weights),
    )


def test_the_page_is_self_contained(html):
    tags = Tags(html)
    for _, attributes in tags.tags:
        for name in ("src", "href", "xlink:href", "srcset", "action", "data"):
            assert attributes.get(name, "#").startswith(("data:", "#"))
    assert not re.search(r"@import|url\((?!#)", html)
    assert not {tag for tag, _ in tags.tags} & {"script", "link", "iframe", "object"}


def test_names_from_outside_are_text(html):
    text = Tags(html).text
    assert f"The clip is {HOSTILE_NAME}." in text and "made-up <speech>" in text


def test_every_signal_has_a_player_and_a_picture_with_a_description(html):
    tags = Tags(html)
    players = tags.attributes("audio")
    # Input, spline, output; the mixture and two sources; and with a target once more.
    assert len(players) == 3 + 3 + 4
    for player in (*players[:3], *players[6:]):
        header, _, data = player["src"].partition(",")
        assert header == "data:audio/wav;base64"
        samples, rate_hz = soundfile.read(io.BytesIO(base64.b64decode(data, validate=True)))
        assert rate_hz == 16_000 and samples.shape == (8000,) and abs(samples).max() > 0.2
    pictures = [div for div in tags.attributes("div") if div.get("role") == "img"]
    assert len(pictures) == 1 + len(players) + 3
    assert all(len(picture["aria-label"]) > 20 for picture in pictures)
    assert len(tags.attributes("svg")) == len(pictures)
    ids = [attributes["id"] for _, attributes in tags.tags if "id" in attributes]
    referred = set(re.findall(r'href="#(\w+)"|url\(#(\w+)\)', html))
    assert {name or clip for name, clip in referred} <= set(ids)


def test_the_input_is_drawn_to_its_own_nyquist_frequency(html):
    # Frames of 32 ms at either rate: 65 frequencies up to 2 kHz, 257 up to 8 kHz.
    heights = [int(image["height"]) for image in Tags(html).attributes("image")]
    assert heights == [1, 65, 257, 257, 257, 257, 257, 65, 257, 257, 257]
    assert html.count(">nothing above 2 kHz<") == 2


def test_the_table_shows_the_evaluation(html, evaluation):
    rows = re.findall(r"<tr[^>]*><th scope=\"row\">(.*?)</th>(.*?)</tr>", html)
    assert [name for name, _ in rows] == ["bass", "rest", *evaluation.rows]
    # Outputs at 0.9 of their sources; half of the mixture is 0.25.
    values = [[20.0, 20 * np.log10(0.4 / 0.15)], [20.0, 20 * np.log10(0.1 / 0.15)]]
    for (_, cells), expected in zip(rows[:2], values, strict=True):
        assert re.findall(r"<td>(.*?)</td>", cells) == [f"{value:.2f}" for value in expected]
    rows = rows[2:]
    for (_, cells), summary in zip(rows, evaluation.summary, strict=True):
        expected = [
            f"{mean:.2f}<small>{low:.2f} – {high:.2f}</small>" if np.isfinite(mean) else "–"
            for mean, low, high in summary
        ]
        assert re.findall(r"<td>(.*?)</td>", cells) == expected
    text = Tags(html).text
    assert evaluation.verdict in text and "No figures: there is no target" in text
    assert f"{METRICS['estoi'].title}: 2 of 3 clips" in text


def test_the_page_says_what_is_better_and_worse_than_the_spline(html, evaluation):
    text = Tags(html).text
    better, worse = (
        re.search(f"{word} than the plain spline in (.*)\\.", text)[1].split("; ")
        for word in ("Better", "Worse")
    )
    lower_is_better = {"lsd", "lsd_hop512", "lsd_kuleshov", "low_band_error_db"}
    assert lower_is_better == {key for key, m in METRICS.items() if not m.higher_is_better}
    headings = re.findall(r'<th scope="col">([^<]*?)&nbsp;<span title="(\w+) is better">', html)
    assert headings == [
        (metric.title, "lower" if key in lower_is_better else "higher")
        for key, metric in METRICS.items()
    ]
    for key, model, spline in zip(METRICS, *evaluation.summary[:2, :, 0], strict=True):
        line = f"{METRICS[key].title}: {model:.2f} against {spline:.2f}"
        is_better = model < spline if key in lower_is_better else model > spline
        assert (line in better) == is_better
        assert (line in worse) == (np.isfinite(model) and not is_better)


def test_the_page_says_that_the_tiny_model_is_not_good(html):
    text = Tags(html).text
    assert "This is not a good model." in text
    assert "loss = 1 l2 + 0.001 adversarial." in text


def run_demo(*words):
    return subprocess.run(
        [sys.executable, "-m", "tonezoo.recipes.demo", *map(str, words)],
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.fixture
def earlier(tmp_path):
    """A folder with an earlier demo in it, without the tiny model's audio, and the user's files."""
    folder = tmp_path / "demo"
    write_all(folder, "old", [part for part in DEMO_FILES if "tiny/output" not in part])
    write_all(folder, "mine", MY_FILES)
    (folder / "index.html").write_text(f"<head>\n{GENERATOR}\n")
    return folder


def write_all(folder, text, names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def contents(folder):
    """Relative path -> text of each file."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): path.read_text() for path in files}


def test_a_bad_recording_is_one_message_and_leaves_the_earlier_demo(tmp_path, earlier):
    (tmp_path / "notes.wav").write_text("not audio")
    before = contents(earlier)
    for path, message in (("notes.wav", "not readable as audio"), ("none.wav", "No such file")):
        done = run_demo(earlier, "--input", tmp_path / path)
        assert done.returncode == 1
        assert message in done.stderr and "Traceback" not in done.stderr and not done.stdout
    assert contents(earlier) == before


def test_other_files_are_not_replaced(tmp_path):
    write_all(tmp_path, "mine", ["runs/mu_gan_tiny/config.json"])
    done = run_demo(tmp_path)
    assert done.returncode == 1
    assert "holds runs/mu_gan_tiny, not written by a demo" in done.stderr
    assert contents(tmp_path) == {"runs/mu_gan_tiny/config.json": "mine"}


@pytest.mark.parametrize(
    ("page", "accepted"),
    [
        (f"<head>\n{GENERATOR}\n", True),
        ("<p>Notes on the tonezoo demo</p>", False),
        (f"<p>A page of <code>tonezoo</code> has {GENERATOR} in it.</p>", False),
        (None, False),
    ],
)
def test_a_page_of_a_demo_is_told_from_others(tmp_path, page, accepted):
    write_all(tmp_path, "old", ["audio/shipped/output.wav"])
    if page is not None:
        (tmp_path / "index.html").write_text(page)
    if accepted:
        demo.check_folder(tmp_path)
    else:
        with pytest.raises(ValueError, match=r"shipped.*not written by a demo"):
            demo.check_folder(tmp_path)


def test_the_page_can_be_told_for_one_of_a_demo(html):
    assert GENERATOR in html.splitlines()


def test_folders_that_cannot_be_written_to_are_refused(tmp_path):
    (tmp_path / "runs").write_text("a file")
    with pytest.raises(ValueError, match="runs: it is a file"):
        demo.check_folder(tmp_path)


def test_only_the_parts_of_a_demo_are_replaced(earlier, tmp_path):
    write_all(tmp_path / "new", "new", DEMO_FILES)
    (earlier / "runs" / "mu_gan_tiny" / "stale").touch()
    demo.replace_parts(earlier, tmp_path / "new", tmp_path / "aside")
    assert contents(earlier) == dict.fromkeys(DEMO_FILES, "new") | dict.fromkeys(MY_FILES, "mine")


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
def test_an_error_while_replacing_leaves_the_earlier_demo(earlier, tmp_path, monkeypatch, error):
    """At each of the moves, before it and after it."""
    write_all(tmp_path / "new", "new", DEMO_FILES)
    before, new = contents(earlier), contents(tmp_path / "new")
    replace = os.replace
    # Five parts go aside, six take their place.
    for moves, is_made in [(moves, is_made) for moves in range(11) for is_made in (False, True)]:
        countdown = iter(range(moves, -1, -1))

        def failing(source, target, countdown=countdown, is_made=is_made):
            fails = next(countdown, None) == 0
            if is_made or not fails:
                replace(source, target)
            if fails:
                raise error

        monkeypatch.setattr(os, "replace", failing)
        with pytest.raises(error):
            demo.replace_parts(earlier, tmp_path / "new", tmp_path / "aside")
        assert contents(earlier) == before and contents(tmp_path / "new") == new
    monkeypatch.undo()
    (tmp_path / "new" / "index.html").unlink()
    with pytest.raises(FileNotFoundError):
        demo.replace_parts(earlier, tmp_path / "new", tmp_path / "aside")
    assert contents(earlier) == before


@pytest.mark.slow
def test_a_failure_while_training_leaves_the_earlier_demo(
    earlier, tiny_model, tiny_separation_model, monkeypatch
):
    from tonezoo import pretrained
    from tonezoo.recipes import runner

    def fail(request, report):
        request.run.mkdir(parents=True)
        raise ValueError("loss became NaN")

    shipped = dict.fromkeys(TASK.default_models, tiny_model)
    shipped |= dict.fromkeys(find_task("separation").default_models, tiny_separation_model)
    monkeypatch.setattr(pretrained, "shipped_models", lambda: shipped)
    monkeypatch.setattr(runner, "train", fail)
    before = contents(earlier)
    with pytest.raises(ValueError, match="loss became NaN"):
        demo.make_demo(earlier)
    assert contents(earlier) == before
    assert not list(earlier.glob(".*"))


@pytest.mark.slow
def test_the_whole_demo_replaces_an_earlier_one(earlier, recorded):
    # In a process of its own, as training makes a distribution strategy.
    code = """
import sys
from tonezoo.recipes.demo import make_demo
from tonezoo.tasks import evaluation_data
evaluation_data.PROCEDURAL_CLIPS = 1
make_demo(sys.argv[1], recording_path=sys.argv[2], settings=sys.argv[3:])
"""
    recording = recorded(22_050, duration_s=1.0)
    command = [sys.executable, "-c", code, earlier, recording, *SETTINGS, "epochs=2"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    assert {path.name for path in earlier.iterdir()} == {
        "index.html",
        "audio",
        "runs",
        "savedmodels",
        "notes",
    }
    assert {(earlier / name).read_text() for name in MY_FILES} == {"mine"}
    assert b"old" not in {(earlier / name).read_bytes() for name in DEMO_FILES}
    tags = Tags((earlier / "index.html").read_text())
    assert len(tags.attributes("audio")) == 4 + 4 + 5 + 4
    assert "recording.wav" in tags.text
    x4, x2 = TASK.default_models
    assert x4 in tags.text and x2 in tags.text
    for name, low_hz in ((f"shipped/{x4}", 4000), (f"shipped/{x2}", 8000), ("tiny", 4000)):
        _, rate_hz = soundfile.read(earlier / "audio" / name / "input.wav")
        output, high_hz = soundfile.read(earlier / "audio" / name / "output.wav")
        assert (rate_hz, high_hz) == (low_hz, 16_000) and len(output) % 4 == 0
    for name in ("mixture", "drums", "bass", "other", "vocals"):
        song, rate_hz = soundfile.read(earlier / "audio" / "separated" / f"{name}.wav")
        assert rate_hz == 44_100 and song.shape == (5 * 44_100, 2) and song.any()
    model = earlier / "savedmodels" / "mu_gan_tiny" / "1"
    assert (model / "manifest.json").is_file()
