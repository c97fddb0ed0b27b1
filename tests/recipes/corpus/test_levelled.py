"""Songs whose stems are brought to one level."""

import numpy as np
import pytest
import soundfile
from signals import noise, write_audio

from tonezoo.recipes.corpus.levelled import main

RATE_HZ = 8000
STEMS = ("drums", "bass", "other", "vocals")


def write_song(folder, levels):
    for number, (source, level) in enumerate(zip(STEMS, levels, strict=True)):
        write_audio(folder / f"{source}.wav", level * noise(2 * RATE_HZ, 2, seed=number), RATE_HZ)


def rms_db(folder):
    stems = [soundfile.read(folder / f"{source}.wav")[0] for source in STEMS]
    with np.errstate(divide="ignore"):
        return np.array([20 * np.log10(np.sqrt(np.mean(stem**2))) for stem in stems])


def test_stems_come_to_levels_a_few_decibels_apart_and_silent_ones_stay_silent(tmp_path, capsys):
    write_song(tmp_path / "songs" / "a", (1.0, 0.01, 0.1, 0.002))
    write_song(tmp_path / "songs" / "b", (0.02, 0.0, 1.0, 0.5))
    options = ["--songs", str(tmp_path / "songs"), "--sample-rate-hz", str(RATE_HZ)]
    main([str(tmp_path / "out"), *options])
    assert "2 songs in" in capsys.readouterr().out
    a, b = rms_db(tmp_path / "out" / "a"), rms_db(tmp_path / "out" / "b")
    # Before they were up to 54 dB apart.
    assert np.ptp(a) < 15 and np.ptp(b[[0, 2, 3]]) < 15
    assert b[1] == -np.inf
    stems = [soundfile.read(tmp_path / "out" / "a" / f"{s}.wav")[0] for s in STEMS]
    assert np.abs(sum(stems)).max() == pytest.approx(0.8, abs=1e-3)
    with pytest.raises(SystemExit, match=r"out/a .*exists"):
        main([str(tmp_path / "out"), *options])


def test_songs_that_cannot_be_levelled_are_refused(tmp_path):
    write_song(tmp_path / "songs" / "silent", (0.0, 0.0, 0.0, 0.0))
    with pytest.raises(SystemExit, match=r"All stems of .*silent are silent"):
        main([str(tmp_path / "out"), "--songs", str(tmp_path / "songs")])
    assert not list((tmp_path / "out").glob("*"))
    with pytest.raises(SystemExit, match="There is no folder"):
        main([str(tmp_path / "out"), "--songs", str(tmp_path / "nowhere")])
