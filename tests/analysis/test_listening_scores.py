"""Scores of listening tests, and results that are none."""

import json

import pytest

from tonezoo.analysis.listening_scores import Preference, score_listening_test

HEADER = "test,listener,trial,clip,left,right,choice,seconds,seed"
KEY = {
    "test": "abc",
    "question": "Which?",
    "systems": ["zebra", "ant"],
    "clips": {"c1": {"name": "one"}, "c2": {"name": "two"}},
    "sounds": {
        "z1": {"clip": "c1", "system": "zebra"},
        "a1": {"clip": "c1", "system": "ant"},
        "z2": {"clip": "c2", "system": "zebra"},
        "a2": {"clip": "c2", "system": "ant"},
    },
}


@pytest.fixture
def results(tmp_path):
    (tmp_path / "key.json").write_text(json.dumps(KEY))

    def write(name, *rows, header=HEADER):
        path = tmp_path / name
        path.write_text("\n".join((header, *rows)) + "\n", encoding="utf-8")
        return path

    return write


def test_answers_are_counted_over_listeners_whatever_the_side(results):
    anna = results("anna.csv", "abc,anna,1,c1,z1,a1,left,3.0,0", "abc,anna,2,c2,a2,z2,right,1,0")
    ben = results("ben.csv", 'abc,"ben, 2",1,c1,a1,z1,left,3.0,0', "abc,'x,2,c2,z2,a2,none,1.5,0")
    scores = score_listening_test([anna, ben])
    assert scores.preferences == (Preference("zebra", "ant", wins=2, losses=1, ties=1),)
    assert scores.listeners == ("'x", "anna", "ben, 2")
    assert scores.rows()[1][:5] == ("zebra", "ant", "2", "1", "1")


def test_the_interval_and_the_test_are_the_exact_ones():
    # P(X >= 9 | n = 10, 1/2) = 11 / 1024, both sides.
    pair = Preference("a", "b", wins=9, losses=1, ties=4)
    assert pair.p_value == pytest.approx(22 / 1024)
    low, high = pair.interval
    # The ends are where the tails have 2.5 %: n = 10, k = 9.
    assert 10 * low**9 * (1 - low) + low**10 == pytest.approx(0.025)
    assert high**10 == pytest.approx(1 - 0.025)
    none = Preference("a", "b", wins=0, losses=0, ties=3)
    assert none.share is None and none.interval is None and none.p_value is None
    sure = Preference("a", "b", wins=5, losses=0, ties=0)
    assert sure.interval == (pytest.approx(0.025 ** (1 / 5)), 1.0)
    assert sure.p_value == pytest.approx(2 / 32)


def test_the_command_prints_a_table_and_writes_both_files(results, cli, tmp_path):
    path = results("anna.csv", "abc,anna,1,c1,z1,a1,left,3.0,0")
    (tmp_path / "away").mkdir()
    moved = path.rename(tmp_path / "away" / "anna.csv")
    code, out, err = cli("listen", "--score", moved)
    assert code == 1 and "key.json" in err and "tonezoo listen" in err
    key = ("--key", tmp_path / "key.json")
    code, out, err = cli("listen", "--score", moved, *key, "--out", tmp_path / "scores")
    assert code == 0, err
    assert "Which? 1 listener." in out and "zebra" in out
    text = (tmp_path / "scores" / "listening.md").read_text()
    assert "| zebra | ant | 1 | 0 | 0 | 1.00 [0.03, 1.00] | 1 |" in text
    (pair,) = json.loads((tmp_path / "scores" / "listening.json").read_text())["pairs"]
    assert pair["wins"] == 1 and pair["interval"] == [pytest.approx(0.025), 1.0]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("abc,anna,1,c1,z1,a1,left,3.0", r"r.csv, line 3: 8 cells, but there are 9"),
        ("abc,anna,1,c1,z1,a1,A,3.0,0", "line 3: the choice is 'A'"),
        ("other,anna,1,c1,z1,a1,left,3.0,0", "line 3: an answer to the test other"),
        ("abc,,1,c1,z1,a1,left,3.0,0", "line 3: the listener has no name"),
        ("abc,anna,1,c1,z1,q,left,3.0,0", "line 3: 'q' is no sound of the clip 'c1'"),
        ("abc,anna,1,c1,z1,a2,left,3.0,0", "line 3: 'a2' is no sound of the clip 'c1'"),
        ("abc,anna,1,c1,z1,z1,left,3.0,0", "line 3: left and right are the same"),
        ("abc,anna,7,c2,a2,z2,left,3.0,0", r"line 3: anna has answered .*r.csv, line 2"),
    ],
)
def test_a_row_that_is_no_answer_is_named_by_its_line(results, row, message):
    path = results("r.csv", "abc,anna,2,c2,z2,a2,none,1.5,0", row)
    with pytest.raises(ValueError, match=message):
        score_listening_test([path])


def test_files_that_are_no_results_or_no_key_are_refused(results, tmp_path):
    good = results("good.csv")
    with pytest.raises(ValueError, match="line 1: the columns are a;b"):
        score_listening_test([results("r.csv", header="a;b")])
    (tmp_path / "empty.csv").touch()
    with pytest.raises(ValueError, match="line 1: the columns are missing"):
        score_listening_test([tmp_path / "empty.csv"])
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match="is no text"):
        score_listening_test([tmp_path / "binary.csv"])
    with pytest.raises(ValueError, match=r"Cannot read .*nowhere.csv"):
        score_listening_test([tmp_path / "nowhere.csv"])
    for text in ("{}", "[]", "no JSON", '{"test": 1, "sounds": {}, "clips": {}, "systems": []}'):
        (tmp_path / "other.json").write_text(text)
        with pytest.raises(ValueError, match=r"other.json is no key"):
            score_listening_test([good], tmp_path / "other.json")
