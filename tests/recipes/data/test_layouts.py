import pytest

from tonezoo.recipes.data.layouts import find_clips


def tree(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def names(paths, root):
    return [path.relative_to(root).as_posix() for path in paths]


@pytest.fixture
def speakers(tmp_path):
    return tree(tmp_path, *(f"p22{s}/p22{s}_00{i}.wav" for s in (5, 6, 8) for i in (1, 2)))


@pytest.fixture(scope="module", params=["wav48", "wav48_silence_trimmed"])
def vctk(request, tmp_path_factory):
    """A VCTK tree of empty files: 233 recordings of p225, two of each of 108 others."""
    root = tmp_path_factory.mktemp("VCTK-Corpus")
    endings = [".wav"] if request.param == "wav48" else ["_mic1.flac", "_mic2.flac"]
    counts = {"p225": 233, **{f"p{number}": 2 for number in range(226, 333)}, "s5": 2}
    tree(
        root,
        "README.txt",
        "txt/p225/p225_001.txt",
        f"{request.param}/log.wav",
        *(
            f"{request.param}/{speaker}/{speaker}_{number:03d}{ending}"
            for speaker, count in counts.items()
            for number in range(1, count + 1)
            for ending in endings
        ),
    )
    return root / request.param, endings[0]


def test_folder_takes_every_audio_file_sorted_and_no_others(tmp_path):
    tree(tmp_path, "b.wav", "a/z.FLAC", "a/y.Mp3", "x.ogg", "notes.txt", ".hidden.wav", ".d/in.wav")
    (tmp_path / "folder.wav").mkdir()
    clips = find_clips(tmp_path)
    assert names(clips.train, tmp_path) == ["a/y.Mp3", "a/z.FLAC", "b.wav", "x.ogg"]
    assert (clips.test, clips.layout, clips.root) == ((), "folder", tmp_path)


def test_linked_folders_are_searched_and_what_is_left_out_is_reported(tmp_path):
    tree(tmp_path / "elsewhere", "p1/a.opus", "p1/b.m4a")
    root = tree(tmp_path / "root", "c.wave")
    (root / "linked").symlink_to(tmp_path / "elsewhere")
    lines = []
    clips = find_clips(root, hold_out="p1", report=lines.append)
    assert names(clips.train, root) == ["c.wave"]
    assert names(clips.test, root) == ["linked/p1/a.opus"]
    assert len(lines) == 1 and lines[0].startswith(f"1 file of {root} is left out (1 .m4a)")


@pytest.mark.parametrize("name", ["caf\u00e9", "cafe\u0301"])
@pytest.mark.parametrize("pattern", ["caf\u00e9", "cafe\u0301", "caf[\u00e9]*"])
def test_patterns_and_names_are_compared_however_accents_are_encoded(tmp_path, name, pattern):
    tree(tmp_path, f"{name}/1.wav", "b/2.wav")
    assert names(find_clips(tmp_path, hold_out=pattern).test, tmp_path) == [f"{name}/1.wav"]


def test_a_hidden_folder_above_the_root_does_not_hide_the_files(tmp_path):
    root = tree(tmp_path / ".cache" / "audio", "a.wav")
    assert len(find_clips(root).train) == 1


@pytest.mark.parametrize(
    ("hold_out", "expected"),
    [
        ("p228", ["p228/p228_001.wav", "p228/p228_002.wav"]),  # a folder
        (["p226_001.wav"], ["p226/p226_001.wav"]),  # a name
        (["p226_001"], ["p226/p226_001.wav"]),  # a stem
        (["*_002"], [f"p22{s}/p22{s}_002.wav" for s in (5, 6, 8)]),
        (["p22[56]/*_001.*"], ["p225/p225_001.wav", "p226/p226_001.wav"]),  # a path
        (
            ["p228", "p226_001"],
            ["p226/p226_001.wav", "p228/p228_001.wav", "p228/p228_002.wav"],
        ),
    ],
)
def test_held_out_files_leave_train_and_join_test(speakers, hold_out, expected):
    clips = find_clips(speakers, hold_out=hold_out)
    assert names(clips.test, speakers) == expected
    assert len(clips.train) == 6 - len(expected)
    assert not set(clips.train) & set(clips.test)


def test_a_pattern_that_matches_nothing_is_named_with_examples(speakers):
    with pytest.raises(ValueError, match=r"'p999' matches none of the 6 .*p225/p225_001\.wav"):
        find_clips(speakers, hold_out=["p228", "p999"])


def test_holding_out_everything_is_an_error(speakers):
    with pytest.raises(ValueError, match="Nothing is left to train on"):
        find_clips(speakers, hold_out="p*")


def test_piano_splits_88_6_6(tmp_path):
    tree(tmp_path, *(f"{index:03d}.wav" for index in range(100)))
    clips = find_clips(tmp_path, layout="piano")
    assert names(clips.train, tmp_path) == [f"{index:03d}.wav" for index in range(88)]
    assert names(clips.test, tmp_path) == [f"{index:03d}.wav" for index in range(94, 100)]


def test_piano_holds_out_more_on_request(tmp_path):
    tree(tmp_path, *(f"{index:03d}.wav" for index in range(100)))
    clips = find_clips(tmp_path, layout="piano", hold_out=["000", "090"])
    assert names(clips.test, tmp_path)[:3] == ["000.wav", "090.wav", "094.wav"]
    assert len(clips.train) == 87


def test_a_single_piano_file_leaves_nothing_to_train_on(tmp_path):
    with pytest.raises(ValueError, match="Nothing is left to train on"):
        find_clips(tree(tmp_path, "only.wav"), layout="piano")


@pytest.mark.parametrize("above", [True, False], ids=["corpus", "audio folder"])
def test_vctk_speaker1(vctk, above):
    root, ending = vctk
    clips = find_clips(root.parent if above else root, layout="vctk_speaker1")
    assert names(clips.train, root) == [f"p225/p225_{i:03d}{ending}" for i in range(1, 224)]
    assert names(clips.test, root) == [f"p225/p225_{i:03d}{ending}" for i in range(226, 234)]


@pytest.mark.parametrize("above", [True, False], ids=["corpus", "audio folder"])
@pytest.mark.parametrize("layout", ["vctk_speaker99", "auto"])
def test_vctk_speaker99(vctk, above, layout):
    root, ending = vctk
    clips = find_clips(root.parent if above else root, layout=layout)
    train, test = ({path.parent.name for path in paths} for paths in (clips.train, clips.test))
    assert clips.layout == "vctk_speaker99"
    assert train == {f"p{number}" for number in range(225, 324)}
    assert test == {*(f"p{number}" for number in range(324, 333)), "s5"} - {"p323"}
    assert len(clips.train) == 233 + 98 * 2
    assert all(path.name.endswith(ending) for path in clips.train + clips.test)


def test_a_speaker_is_held_out_of_vctk_speaker99(vctk):
    clips = find_clips(vctk[0], hold_out="p226")
    assert {path.parent.name for path in clips.test} >= {"p226", "s5"}
    assert "p226" not in {path.parent.name for path in clips.train}


def test_vctk_speaker1_of_a_release_that_lacks_some_recordings(tmp_path):
    tree(tmp_path, *(f"wav48/p225/p225_{i:03d}.wav" for i in range(20)))
    clips = find_clips(tmp_path, layout="vctk_speaker1")
    assert (len(clips.train), len(clips.test)) == (12, 8)
    assert find_clips(tmp_path).layout == "folder"


@pytest.mark.parametrize(
    ("layout", "message"),
    [
        ("vctk_speaker1", "is not a VCTK corpus.*wav48/<speaker>.*Give the complete corpus"),
        ("vctk_speaker99", "is not a VCTK corpus.*wav48/<speaker>.*Give the complete corpus"),
        ("vctk", "Unknown layout 'vctk'.*folder, vctk_speaker1, vctk_speaker99, piano"),
    ],
)
def test_another_layout_than_the_one_asked_for(speakers, layout, message):
    with pytest.raises(ValueError, match=message):
        find_clips(speakers, layout=layout)


def test_an_incomplete_vctk_is_refused_with_its_counts(tmp_path):
    tree(tmp_path, *(f"wav48/p{number}/a.wav" for number in range(225, 325)))
    with pytest.raises(ValueError, match=r"has 100 speakers.* 99 to train on and 10 to test on"):
        find_clips(tmp_path, layout="vctk_speaker99")
    with pytest.raises(ValueError, match=r"has 1 recordings of speaker p225"):
        find_clips(tmp_path, layout="vctk_speaker1")


def test_folders_that_cannot_be_searched(tmp_path):
    tree(tmp_path, "a.wav", "empty/notes.txt")
    with pytest.raises(ValueError, match=r"There is no folder .*missing"):
        find_clips(tmp_path / "missing")
    with pytest.raises(ValueError, match=r"a\.wav is a file, but a folder"):
        find_clips(tmp_path / "a.wav")
    with pytest.raises(ValueError, match=r"No audio was found in .*\.wav, \.flac, \.ogg, \.mp3"):
        find_clips(tmp_path / "empty")
