"""The page of a listening test: its sounds, its blindness, and what is refused."""

import base64
import io
import json
import re

import numpy as np
import pytest
import soundfile

from tonezoo.analysis.listening_test import read_key, write_listening_test

RATE_HZ = 8000
SECRETS = ("grandmother", "wavenetty", "bluebird")


def sound(seed=0, samples=800, channels=1, gain=0.1):
    return gain * np.random.default_rng(seed).standard_normal((samples, channels))


def write(path, samples, rate_hz=RATE_HZ):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, rate_hz, subtype="PCM_24")
    return path


@pytest.fixture
def folders(tmp_path):
    for index, system in enumerate(SECRETS):
        for clip in ("robin", "deep/wren"):
            write(tmp_path / system / f"{clip}.wav", sound(index, gain=0.02 * (1 + index)))
    return [tmp_path / system for system in SECRETS]


def embedded(out) -> dict:
    page = (out / "index.html").read_text(encoding="utf-8")
    return json.loads(re.search(r'id="test" type="application/json">(.*?)</script>', page)[1])


def decoded(out) -> dict:
    files = embedded(out)["audio"].items()
    return {code: soundfile.read(io.BytesIO(base64.b64decode(text))) for code, text in files}


def test_every_pair_of_systems_is_there_for_every_clip(folders, tmp_path):
    write_listening_test(folders, tmp_path / "out")
    test, key = embedded(tmp_path / "out"), read_key(tmp_path / "out" / "key.json")
    pairs = set()
    for pair in test["pairs"]:
        first, second = (key["sounds"][pair[side]] for side in ("first", "second"))
        assert first["clip"] == second["clip"] == pair["clip"]
        name = key["clips"][pair["clip"]]["name"]
        pairs.add((name, *sorted((first["system"], second["system"]))))
    grandmother, wavenetty, bluebird = SECRETS
    assert pairs == {
        (clip, *couple)
        for clip in ("robin", "deep/wren")
        for couple in ((grandmother, wavenetty), (bluebird, grandmother), (bluebird, wavenetty))
    }
    assert len(test["pairs"]) == 6 and len(test["audio"]) == 6


def test_the_page_names_no_system_no_clip_and_loads_nothing(folders, tmp_path):
    write_listening_test(folders, tmp_path / "out")
    page = (tmp_path / "out" / "index.html").read_bytes()
    sounds = b"".join(base64.b64decode(x) for x in embedded(tmp_path / "out")["audio"].values())
    for secret in (*SECRETS, "robin", "wren"):
        assert secret.encode() not in page.lower() and secret.encode() not in sounds
    assert b"http" not in page and b"src=" not in page


def test_codes_depend_on_seed_and_sounds_and_do_not_sort_as_the_systems(folders, tmp_path):
    keys = {}
    for seed in range(8):
        write_listening_test(folders, tmp_path / str(seed), seed=seed)
        keys[seed] = read_key(tmp_path / str(seed) / "key.json")
    write_listening_test(folders, tmp_path / "again", seed=3)
    assert read_key(tmp_path / "again" / "key.json") == keys[3]
    assert len({key["test"] for key in keys.values()}) == 8
    orders = {
        tuple(sound["system"] for _, sound in sorted(key["sounds"].items()))
        for key in keys.values()
    }
    assert len(orders) > 4


def test_all_versions_of_a_clip_have_one_level_and_are_otherwise_as_they_were(folders, tmp_path):
    stimuli = write_listening_test(folders, tmp_path / "out")
    key = read_key(tmp_path / "out" / "key.json")
    for code, (samples, rate_hz) in decoded(tmp_path / "out").items():
        where = key["sounds"][code]
        assert rate_hz == RATE_HZ
        level_db = 20 * np.log10(np.sqrt(np.mean(samples**2)))
        assert level_db == pytest.approx(-23, abs=0.01)
        clip = key["clips"][where["clip"]]["name"]
        original, _ = soundfile.read(tmp_path / where["system"] / f"{clip}.wav")
        gain = samples @ original / (original @ original)
        np.testing.assert_allclose(samples, gain * original, atol=2**-15)
    assert stimuli.level_dbfs["robin"] == pytest.approx(-23)


def test_a_high_peak_brings_all_versions_of_the_clip_down(tmp_path):
    peaky = np.full((800, 1), 1e-4)
    peaky[400] = 0.5
    paths = [write(tmp_path / "a.wav", peaky), write(tmp_path / "b.wav", sound())]
    write_listening_test(paths, tmp_path / "out")
    samples = [x for x, _ in decoded(tmp_path / "out").values()]
    peaks = sorted(np.abs(x).max() for x in samples)
    assert 20 * np.log10(peaks[-1]) == pytest.approx(-1, abs=0.01)
    levels = [np.sqrt(np.mean(x**2)) for x in samples]
    assert levels[0] == pytest.approx(levels[1], rel=1e-3)


def test_a_question_cannot_end_the_script(tmp_path):
    paths = [write(tmp_path / f"{name}.wav", sound(i)) for i, name in enumerate("ab")]
    question = "Less </script><b>tonal?"
    write_listening_test(paths, tmp_path / "out", question=question)
    assert embedded(tmp_path / "out")["question"] == question
    assert (tmp_path / "out" / "index.html").read_text().count("</script>") == 2


def test_files_of_one_name_are_told_apart_by_their_folders(tmp_path):
    paths = [write(tmp_path / name / "out.wav", sound(i)) for i, name in enumerate("ab")]
    assert write_listening_test(paths, tmp_path / "test").systems == ("a/out", "b/out")


def test_another_test_is_not_overwritten(folders, tmp_path):
    for _ in range(2):
        write_listening_test(folders, tmp_path / "out")
    before = (tmp_path / "out" / "index.html").read_bytes()
    with pytest.raises(ValueError, match="holds another listening test"):
        write_listening_test(folders, tmp_path / "out", seed=1)
    assert (tmp_path / "out" / "index.html").read_bytes() == before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda root: write(root / SECRETS[1] / "robin.wav", sound(), 16_000), "has 16000 Hz"),
        (
            lambda root: write(root / SECRETS[1] / "robin.wav", sound(samples=801)),
            r"robin.wav has 801 samples in 1 channels, .*800 in 1",
        ),
        (
            lambda root: write(root / SECRETS[2] / "robin.wav", sound(channels=2)),
            "800 samples in 2 channels",
        ),
        (lambda root: write(root / SECRETS[0] / "robin.wav", sound(gain=0)), "is silent"),
        (lambda root: (root / SECRETS[1] / "robin.wav").unlink(), "lacks 1 of the 2 clips, robin"),
        (lambda root: write(root / SECRETS[1] / "robin.flac", sound()), "are both robin"),
        (lambda root: (root / SECRETS[1] / "robin.wav").write_bytes(b"x"), "not readable"),
    ],
)
def test_sounds_that_cannot_be_compared_are_refused(folders, tmp_path, change, message):
    change(tmp_path)
    with pytest.raises(ValueError, match=message):
        write_listening_test(folders, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_one_system_files_beside_folders_and_repeated_paths_are_refused(folders, tmp_path):
    file = write(tmp_path / "a.wav", sound())
    for paths, message in (
        ([file], "at least two systems, received 1"),
        ([file, folders[0]], "a.wav is no folder"),
        ([file, file], "was given twice"),
        ([folders[0], tmp_path / "none"], "none is no folder"),
        ([write(tmp_path / f"{i}.wav", sound(i, channels=3)) for i in range(2)], "mono or stereo"),
    ):
        with pytest.raises(ValueError, match=message):
            write_listening_test(paths, tmp_path / "out")


def test_the_command_says_what_it_wrote_and_what_to_keep(cli, folders, tmp_path):
    code, out, err = cli("listen", *folders, "--out", tmp_path / "out", "--question", "Which?")
    assert code == 0, err
    assert "6 pairs of 3 systems and 2 clips" in out and "key.json" in out
    assert embedded(tmp_path / "out")["question"] == "Which?"
    for words, message in (
        ((), "with --out"),
        (("--out", "x", "--key", "k"), "belongs to --score"),
    ):
        code, out, err = cli("listen", *folders, *words)
        assert code == 1 and message in err
