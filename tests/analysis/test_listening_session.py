"""A listening test clicked through in a browser, and the file that it saves scored."""

import csv
import json

import numpy as np
import pytest
import soundfile

from tonezoo.analysis.listening_scores import score_listening_test
from tonezoo.analysis.listening_test import COLUMNS, read_key, write_listening_test

SYSTEMS = ("spline", "demucs", "reference")
PAIRS = 6


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    for clip in ("one", "two"):
        for system in SYSTEMS:
            (tmp_path / system).mkdir(exist_ok=True)
            noise = 0.1 * rng.standard_normal(1600)
            soundfile.write(tmp_path / system / f"{clip}.wav", noise, 8000)
    write_listening_test([tmp_path / name for name in SYSTEMS], tmp_path / "test")
    return tmp_path / "test"


@pytest.fixture
def page(browser, folder):
    context = browser.new_context(accept_downloads=True)
    page = context.new_page()
    page.set_default_timeout(10_000)
    errors, requests = [], []
    page.on("pageerror", lambda error: errors.append(error))
    page.on("request", lambda request: requests.append(request.url))
    page.goto((folder / "index.html").as_uri())
    yield page
    context.close()
    assert not errors
    assert not [url for url in requests if not url.startswith(("file:", "blob:", "data:"))]


def begin(page, name):
    page.get_by_label("Your name or code").fill(name)
    page.get_by_role("button", name="Start").click()


def hear(page, side):
    """Plays A or B to its end."""
    page.get_by_role("button", name=f"Play {side}").click()
    page.get_by_role("region", name=side, exact=True).get_by_text("✓ Heard").wait_for()


def hear_by_keys(page):
    for side in ("left", "right"):
        page.keyboard.press("Space")
        page.wait_for_function(
            "side => document.getElementById(side).dataset.state === 'heard'", arg=side
        )


def place(page):
    return page.locator("#place").inner_text()


def save(page, path, name="Save the answers"):
    with page.expect_download() as download:
        page.get_by_role("link", name=name, exact=True).click()
    download.value.save_as(path)
    with open(path, newline="", encoding="utf-8") as file:
        return download.value.suggested_filename, list(csv.DictReader(file))


@pytest.mark.slow
def test_a_session_by_mouse_is_saved_and_scored(page, folder, cli):
    begin(page, 'Anna "the ear", p1')
    assert place(page) == f"Pair 1 of {PAIRS}"
    choices = ("A", "B", "No preference", "A", "B", "A")
    for number, choice in enumerate(choices, start=1):
        answer = page.get_by_role("group").get_by_role("button", name=choice, exact=True)
        assert answer.is_disabled()
        hear(page, "A")
        assert answer.is_disabled()
        hear(page, "B")
        answer.click()
        if number == 3:
            page.reload()
            assert place(page) == f"Pair 4 of {PAIRS}"
    name, rows = save(page, folder / "anna.csv")
    assert name == "listening-Anna_the_ear_p1.csv"
    assert tuple(rows[0]) == COLUMNS and len(rows) == PAIRS
    sides = {"A": "left", "B": "right", "No preference": "none"}
    assert [row["choice"] for row in rows] == [sides[choice] for choice in choices]
    key = read_key(folder / "key.json")
    systems = {code: sound["system"] for code, sound in key["sounds"].items()}
    heard = {(row["clip"], frozenset((row["left"], row["right"]))) for row in rows}
    assert len(heard) == PAIRS and all(0.3 < float(row["seconds"]) < 60 for row in rows)
    assert {row["listener"] for row in rows} == {'Anna "the ear", p1'}

    scores = score_listening_test([folder / "anna.csv"])
    winners = [systems[row[row["choice"]]] for row in rows if row["choice"] != "none"]
    for pair in scores.preferences:
        mine = [
            systems[row[row["choice"]]]
            for row in rows
            if {systems[row["left"]], systems[row["right"]]} == {pair.first, pair.second}
            and row["choice"] != "none"
        ]
        assert (pair.wins, pair.losses) == (mine.count(pair.first), mine.count(pair.second))
    assert sum(pair.wins + pair.losses for pair in scores.preferences) == len(winners) == 5
    code, out, err = cli("listen", "--score", folder / "anna.csv", "--out", folder / "scores")
    assert code == 0, err
    assert "1 listener" in out and "spline" in out
    written = json.loads((folder / "scores" / "listening.json").read_text())
    assert written == json.loads(json.dumps(scores.to_json()))


@pytest.mark.slow
def test_a_session_by_keyboard_with_a_way_back_and_a_second_listener(page, folder):
    page.keyboard.type("ben 01")  # the field has the focus
    page.keyboard.press("Enter")
    page.keyboard.press("1")
    assert place(page) == f"Pair 1 of {PAIRS}"  # nothing was heard yet
    page.keyboard.press("Space")
    page.keyboard.press("Space")  # stopped before its end
    assert page.locator("#left").get_attribute("data-state") == "new"
    for key in "120121":
        hear_by_keys(page)
        page.keyboard.press(key)
    page.get_by_role("heading", name="Thank you").wait_for()
    page.get_by_role("button", name="Back to the last pair").click()
    for _ in range(PAIRS - 1):
        page.keyboard.press("ArrowLeft")
    assert place(page) == f"Pair 1 of {PAIRS}"
    page.keyboard.press("ArrowLeft")
    assert place(page) == f"Pair 1 of {PAIRS}"
    pressed = page.locator('[data-choice="left"]')
    assert pressed.get_attribute("aria-pressed") == "true"
    page.keyboard.press("0")  # another answer, without hearing it again
    assert place(page) == f"Pair 2 of {PAIRS}"
    for _ in range(PAIRS - 1):
        page.keyboard.press("ArrowRight")
    _, rows = save(page, folder / "ben.csv")
    assert [row["choice"] for row in rows] == ["none", "right", "none", "left", "right", "left"]

    page.get_by_role("button", name="Another listener").click()
    begin(page, "cleo")
    hear_by_keys(page)
    page.keyboard.press("2")
    _, of_cleo = save(page, folder / "cleo.csv", "Save the answers so far")
    assert len(of_cleo) == 1 and of_cleo[0]["listener"] == "cleo"
    scores = score_listening_test([folder / "ben.csv", folder / "cleo.csv"])
    assert scores.listeners == ("ben 01", "cleo")
    answers = [pair.wins + pair.losses + pair.ties for pair in scores.preferences]
    assert sum(answers) == PAIRS + 1


@pytest.mark.slow
def test_orders_are_those_of_the_seed_and_the_listener(page):
    order = "JSON.stringify(orderFor('{}'))"
    anna, again, ben = (page.evaluate(order.format(name)) for name in ("anna", "anna", "ben"))
    assert anna == again != ben
    # Which side a system is on does not tell which it is: of a hundred listeners, half.
    first = page.evaluate(
        "Array.from({length: 100}, (_, i) => orderFor('p' + i).filter(t => t.left < t.right)"
        ".length).reduce((a, b) => a + b)"
    )
    assert first == 100 * PAIRS // 2
    places = page.evaluate(
        "Array.from({length: 300}, (_, i) => orderFor('p' + i)"
        ".findIndex(t => t.clip === test.pairs[0].clip && [t.left, t.right]"
        ".includes(test.pairs[0].first) && [t.left, t.right].includes(test.pairs[0].second)))"
    )
    assert min(np.bincount(places, minlength=PAIRS)) > 25  # of 50 on average
