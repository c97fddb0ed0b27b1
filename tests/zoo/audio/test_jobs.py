"""What is taken of the files and folders that a command is given."""

import io
import os
from pathlib import Path

import pytest
from rich.console import Console
from signals import noise, write_audio

from tonezoo.audio.jobs import FileResult, plan_outputs, process_files, summarize


def planned(paths, out, folder=None):
    """Returns the inputs that would be worked on, relative to a folder."""
    plan = plan_outputs([Path(path) for path in paths], Path(out), lambda stem: f"{stem}.flac")
    return sorted(os.path.relpath(path, folder) for path in plan.outputs.values())


@pytest.fixture
def music(tmp_path, monkeypatch):
    for name in ("a.wav", "b/c.wav", "enhanced/a.wav", "enhanced/b/c.wav"):
        write_audio(tmp_path / "music" / name, noise(100, 1), 8000)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "music"


@pytest.mark.parametrize("out", ["music/enhanced", "{}/enhanced", "./b/../music/enhanced", "link"])
@pytest.mark.parametrize("given", ["music", "{}", "./music", "whole"])
def test_earlier_outputs_below_an_input_are_not_taken(music, given, out):
    """However the two folders are spelled."""
    (music.parent / "link").symlink_to(music / "enhanced")
    (music.parent / "whole").symlink_to(music)
    taken = planned([given.format(music)], out.format(music), music)
    assert [Path(path).name for path in taken] == ["a.wav", "c.wav"]
    assert not any("enhanced" in path for path in taken)


def test_an_output_folder_that_is_or_holds_the_input_leaves_nothing_out(music):
    everything = ["a.wav", "b/c.wav", "enhanced/a.wav", "enhanced/b/c.wav"]
    assert planned([music], music, music) == everything
    assert planned(["music"], ".", music) == everything


def test_what_is_left_out_is_printed_before_the_work(music):
    (music / "b" / "d.m4a").touch()
    plan = plan_outputs([music, music / "a.wav"][:1], music / "enhanced", lambda stem: stem)
    assert [notice.partition(":")[0] for notice in plan.notices] == [
        f"1 file of {music} is left out (1 .m4a)"
    ]
    output = io.StringIO()
    process_files(plan, lambda *_: None, console=Console(file=output, width=80), doing="x")
    assert output.getvalue().startswith(plan.notices[0])


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_names_that_no_codec_writes_do_not_stop_the_summary(tmp_path, encoding):
    output = io.TextIOWrapper(io.BytesIO(), encoding, errors="backslashreplace")
    result = FileResult(path=Path("caf\udce9.wav"), output=Path("out/caf\udce9.wav"), seconds=1.0)
    assert summarize([result], Console(file=output), "enhanced") == 0
    output.flush()
    assert b"out/caf\\udce9.wav (1.0 s)" in output.buffer.getvalue()
