"""`tonezoo batch` with inputs, outputs and model on a file system that only Beam knows.

It stands in for gs:// and the like: it has no folders, lists by prefix, matches wildcards as Beam
does, and renames nothing onto a file.
"""

import shutil
from pathlib import Path

import pytest

pytest.importorskip("apache_beam")

from apache_beam.io.filesystem import CompressionTypes, FileMetadata, FileSystem

from tonezoo.batch.plan import plan_jobs
from tonezoo.tasks import find_task

SCHEME = "elsewhere://"


class Elsewhere(FileSystem):
    """elsewhere://a/b is the file a/b in `root`."""

    root = Path()

    @classmethod
    def scheme(cls):
        return SCHEME.removesuffix("://")

    def _here(self, path: str) -> Path:
        assert path.startswith(SCHEME), path
        return self.root / path.removeprefix(SCHEME)

    def join(self, basepath, *paths):
        return "/".join([basepath.rstrip("/"), *paths])

    def split(self, path):
        folder, _, name = path.rpartition("/")
        return folder, name

    def has_dirs(self):
        return False

    def mkdirs(self, path):
        raise AssertionError("there are no folders")

    def _list(self, dir_or_prefix):
        for path in sorted(path for path in self.root.rglob("*") if path.is_file()):
            name = SCHEME + path.relative_to(self.root).as_posix()
            if name.startswith(dir_or_prefix):
                yield FileMetadata(name, path.stat().st_size)

    def create(self, path, mime_type="", compression_type=CompressionTypes.AUTO):
        self._here(path).parent.mkdir(parents=True, exist_ok=True)
        return open(self._here(path), "wb")

    def open(self, path, mime_type="", compression_type=CompressionTypes.AUTO):
        return open(self._here(path), "rb")

    def rename(self, source_file_names, destination_file_names):
        for source, target in zip(source_file_names, destination_file_names, strict=True):
            assert not self.exists(target)
            self._here(source).rename(self._here(target))

    def exists(self, path):
        return self._here(path).is_file()

    def delete(self, paths):
        for path in paths:
            self._here(path).unlink()

    def copy(self, source_file_names, destination_file_names):
        raise NotImplementedError

    size = last_updated = checksum = metadata = copy


@pytest.fixture
def elsewhere(tmp_path, monkeypatch) -> Path:
    monkeypatch.setattr(Elsewhere, "root", tmp_path / "elsewhere")
    return tmp_path / "elsewhere"


@pytest.mark.slow
def test_everything_may_be_elsewhere(cli, elsewhere, write_audio, model_of, contents, tmp_path):
    good = [write_audio(elsewhere / "in" / name, 44_100) for name in ("a.wav", "deep/b.wav")]
    (elsewhere / "in" / "bad.wav").write_text("not audio")
    shutil.copytree(model_of("separate"), elsewhere / "model")
    options = ("--two-stems", "bass", "--bit-depth", "16")
    words = ("--out", tmp_path / "alone", "--model", model_of("separate"), *options)
    assert cli("separate", elsewhere / "in", *words)[0] == 1
    alone = contents(tmp_path / "alone")
    assert len(alone) == 4

    # A part of a killed run.
    (elsewhere / "out" / ".tonezoo-batch" / "0").mkdir(parents=True)
    (elsewhere / "out" / ".tonezoo-batch" / "0" / "1-asked").write_text("left over")
    (elsewhere / "out" / "a").mkdir()
    (elsewhere / "out" / "a" / "bass.wav").write_text("half of it")
    for folder in ("out", "out/a", "out/deep"):
        (elsewhere / folder).mkdir(exist_ok=True)
        (elsewhere / folder / ".tonezoo-0123-bass.wav").write_text("a part of it")
    words = ("--output", f"{SCHEME}out", "--model", f"{SCHEME}model", *options)
    code, out, err = cli("batch", "separate", "--input", f"{SCHEME}in/**.wav", *words)
    assert (code, out) == (1, ""), err
    assert f"failed: {SCHEME}in/bad.wav is not readable" in err and "2 of 3 files separ" in err
    made = contents(elsewhere / "out")
    assert f'"path": "{SCHEME}in/bad.wav"' in made.pop("failed.jsonl").decode()
    assert made == alone

    paths = [*(f"{SCHEME}{path.relative_to(elsewhere)}" for path in good), f"{SCHEME}in/no.wav"]
    (elsewhere / "list.txt").write_text("\n".join(paths[::2]))
    code, out, err = cli("batch", "separate", "--input", f"{SCHEME}list.txt", *words)
    assert code == 1 and "1 of 2 files are done already" in out
    assert f"There is no file and no folder {SCHEME}in/no.wav." in err


def test_an_input_elsewhere_is_not_overwritten(cli, elsewhere, write_audio, model_of):
    write_audio(elsewhere / "in" / "a.wav")
    words = ("--output", f"{SCHEME}in", "--model", model_of("enhance"))
    code, _, err = cli("batch", "enhance", "--input", f"{SCHEME}in/*.wav", *words)
    assert code == 1 and "would be overwritten" in err
    code, _, err = cli("batch", "enhance", "--input", f"{SCHEME}nothing/*.wav", *words)
    assert code == 1 and f"There is no file {SCHEME}nothing/*.wav" in err


def planned(input, output):
    task = find_task("super_resolution")
    settings = {"facts": None, "options": None, "format": "wav", "report": print}
    return plan_jobs(task, input, output, **settings)


def test_outputs_inside_the_folder_of_the_inputs_are_no_inputs(elsewhere, write_audio):
    for name in ("a.wav", "deep/b.wav", "out/a.wav"):
        write_audio(elsewhere / "in" / name)
    jobs = planned(f"{SCHEME}in/**.wav", f"{SCHEME}in/out")
    assert [(job.path, job.output, job.is_done()) for job in jobs] == [
        (f"{SCHEME}in/a.wav", f"{SCHEME}in/out/a.wav", True),
        (f"{SCHEME}in/deep/b.wav", f"{SCHEME}in/out/deep/b.wav", False),
    ]


def test_brackets_in_a_name_elsewhere_are_no_wildcards(elsewhere, write_audio):
    write_audio(elsewhere / "in" / "a[1].wav")
    (job,) = planned(f"{SCHEME}in/a[1].wav", f"{SCHEME}out")
    assert (job.path, job.output) == (f"{SCHEME}in/a[1].wav", f"{SCHEME}out/a[1].wav")
