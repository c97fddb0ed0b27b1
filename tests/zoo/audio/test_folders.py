"""Which files of a folder are taken: links, suffixes, and what is left out."""

import pytest
from signals import noise, write_audio

from tonezoo.audio.folders import AUDIO_SUFFIXES, find_audio
from tonezoo.audio.reader import read_audio

FORMATS = {
    "WAV": (".wav", ".wave"),
    "RF64": (".rf64", ".bw64"),
    "W64": (".w64",),
    "FLAC": (".flac",),
    "OGG": (".ogg", ".oga", ".opus"),
    "MP3": (".mp3",),
    "AIFF": (".aif", ".aiff", ".aifc"),
}


def names(folder):
    return [path.relative_to(folder).as_posix() for path in find_audio(folder).files]


def test_what_is_listed_can_be_read(tmp_path):
    assert {suffix for suffixes in FORMATS.values() for suffix in suffixes} == set(AUDIO_SUFFIXES)
    for format, suffixes in FORMATS.items():
        for suffix in suffixes:
            subtype = "OPUS" if suffix == ".opus" else None
            for name in (f"a{suffix}", f"b{suffix.upper()}"):
                path = tmp_path / name
                write_audio(path, noise(1000, 1), 8000, format=format, subtype=subtype)
    found = find_audio(tmp_path)
    assert len(found.files) == 2 * len(AUDIO_SUFFIXES) and found.left_out is None
    for path in found.files:
        assert read_audio(path)[0].shape == (1000, 1)


def test_what_is_left_out_is_counted_in_one_line(tmp_path):
    for name in ("a.wav", "b.m4a", "c/d.M4A", "c/e.wma", "notes.txt", "cover.jpg", ".f.m4a"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert find_audio(tmp_path).left_out == (
        f"3 files of {tmp_path} are left out (2 .m4a, 1 .wma): such audio is not read. Convert "
        "them to WAV or FLAC, for example with ffmpeg."
    )
    with pytest.raises(ValueError, match=r"No audio .* looked for\. 1 file of .* \(1 \.wma\)"):
        (tmp_path / "c" / "d.M4A").unlink()
        find_audio(tmp_path / "c")


def test_links_are_followed_and_each_folder_is_taken_once(tmp_path):
    elsewhere, folder = tmp_path / "elsewhere", tmp_path / "folder"
    for path in (elsewhere / "deep" / "a.wav", folder / "z" / "b.wav", tmp_path / "one.wav"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (folder / "linked").symlink_to(elsewhere)
    (folder / "file.wav").symlink_to(tmp_path / "one.wav")
    assert names(folder) == ["file.wav", "linked/deep/a.wav", "z/b.wav"]
    (elsewhere / "loop").symlink_to(folder)
    (folder / "self").symlink_to(".")
    (folder / "a").symlink_to("z")  # the same folder, by a name that comes first
    (folder / "circle.wav").symlink_to("circle.wav")
    (folder / "dangling.wav").symlink_to("nowhere.wav")
    assert names(folder) == ["file.wav", "linked/deep/a.wav", "z/b.wav"]
    (tmp_path / "whole").symlink_to(folder)
    assert names(tmp_path / "whole") == names(folder)
