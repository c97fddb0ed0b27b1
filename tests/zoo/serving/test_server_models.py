"""Which versions of which models a server serves, as they come, go and fail."""

import time

import pytest

from tonezoo.serving.server.errors import Code, RequestError
from tonezoo.serving.server.models import ModelStore, VersionStatus, model_folders


class Versions:
    """Makes folders of versions, and loads those that hold no file `bad`."""

    def __init__(self, root):
        self.root, self.loaded, self.lines = root, [], []
        self.store = ModelStore(root, self.load, self.lines.append)

    def make(self, *names, bad=False):
        for name in names:
            (self.root / name).mkdir(parents=True, exist_ok=True)
            if bad:
                (self.root / name / "bad").write_text("bad")
        return self

    def load(self, name, number, folder):
        self.loaded.append((name, number))
        if (folder / "bad").exists():
            raise ValueError("its output differs")
        return Loaded(name, number)

    @property
    def served(self):
        return {name: version.number for name, version in self.store.served.items()}

    def states(self, name):
        return {number: status.state for number, status in self.store.status(name).items()}


class Loaded:
    def __init__(self, name, number):
        self.name, self.number, self.closed = name, number, False

    def close(self):
        self.closed = True


@pytest.fixture
def versions(tmp_path):
    made = Versions(tmp_path / "models")
    yield made
    made.store.stop()


def test_the_newest_version_of_each_model_is_served(versions):
    versions.make("a/1", "a/9", "a/10", "b/3", "notes", ".hidden/1", "c/v1", "d/007")
    versions.store.start(poll_s=60)
    assert versions.served == {"a": 10, "b": 3}
    assert versions.loaded == [("a", 10), ("b", 3)]
    assert versions.store.find("a").number == versions.store.find("a", 10).number == 10
    assert versions.lines == ["a: version 10 is served.", "b: version 3 is served."]


def test_the_folder_of_one_model_will_do(versions):
    versions.make("a/1", "a/2")
    assert model_folders(versions.root / "a") == {"a": versions.root / "a"}


@pytest.mark.parametrize(
    ("name", "number", "wanted"),
    [("c", None, r"Latest\(c\)"), ("a", 1, r"Specific\(a, 1\)"), ("", None, r"Latest\(\)")],
)
def test_what_is_not_served_is_answered_with_what_is(versions, name, number, wanted):
    versions.make("a/1", "a/2", "b/3").store.start(poll_s=60)
    with pytest.raises(RequestError, match=f"{wanted}.*a .version 2., b .version 3.") as error:
        versions.store.find(name, number)
    assert error.value.code is Code.NOT_FOUND
    with pytest.raises(
        RequestError, match=r"of model c. This server serves a .version 2."
    ) as error:
        versions.store.status("c")
    assert error.value.code is Code.NOT_FOUND


def test_a_new_version_takes_the_place_of_the_old_one(versions):
    versions.make("a/1").store.start(poll_s=60)
    old = versions.store.find("a")
    versions.make("a/2", "b/1").store.poll()
    assert versions.served == {"a": 2, "b": 1} and old.closed
    assert versions.states("a") == {2: "AVAILABLE", 1: "END"}
    versions.store.poll()
    assert versions.loaded == [("a", 1), ("a", 2), ("b", 1)]  # nothing twice


def test_a_version_that_fails_leaves_the_older_one_and_is_told_once(versions):
    versions.make("a/1").store.start(poll_s=60)
    versions.make("a/2", bad=True)
    for _ in range(3):
        versions.store.poll()
    assert versions.served == {"a": 1} and not versions.store.find("a").closed
    assert versions.loaded == [("a", 1), ("a", 2)]
    assert versions.lines[-1] == "a: version 2 is not served: its output differs"
    failed = VersionStatus("END", Code.FAILED_PRECONDITION, "its output differs")
    assert versions.store.status("a", 2) == {2: failed}


def test_a_version_that_failed_is_tried_again_when_its_files_change(versions):
    versions.make("a/1").make("a/2", bad=True).store.start(poll_s=60)
    assert versions.served == {"a": 1}
    (versions.root / "a" / "2" / "bad").rename(versions.root / "a" / "2" / "good")
    versions.store.poll()
    assert versions.served == {"a": 2}


def test_without_the_newest_version_the_one_before_is_served_again(versions):
    versions.make("a/1", "a/2", "b/1").store.start(poll_s=60)
    (versions.root / "a" / "2").rmdir()
    (versions.root / "b" / "1").rmdir()
    versions.store.poll()
    assert versions.served == {"a": 1} and versions.states("a") == {1: "AVAILABLE"}
    with pytest.raises(RequestError, match=r"serves a .version 1.[.]"):
        versions.store.status("b")


def test_a_folder_that_is_away_for_a_moment_ends_no_service(versions, tmp_path):
    versions.make("a/1").store.start(poll_s=60)
    versions.root.rename(tmp_path / "elsewhere")
    for _ in range(2):
        versions.store.poll()
    assert versions.served == {"a": 1}
    assert len(versions.lines) == 2 and "does not exist" in versions.lines[-1]


def test_a_model_that_cannot_be_read_ends_no_service_and_is_told_once(versions, monkeypatch):
    versions.make("a/1", "b/1", "c/1").store.start(poll_s=60)
    with monkeypatch.context() as patched:
        forbid(patched, versions.root / "b")
        versions.make("a/2", "b/2", "c/2")
        for _ in range(2):
            versions.store.poll()
        assert versions.served == {"a": 2, "b": 1, "c": 2}
    told = [line for line in versions.lines if line.startswith("b: ")]
    reason = "PermissionError: [Errno 13] Permission denied"
    assert told == [
        "b: version 1 is served.",
        f"b: versions could not be looked for: {reason}",
    ]
    versions.store.poll()
    assert versions.served == {"a": 2, "b": 2, "c": 2}


def test_if_the_only_model_cannot_be_read_that_is_the_reason(versions, monkeypatch):
    forbid(monkeypatch, versions.make("b/1").root / "b")
    with pytest.raises(ValueError, match=r"No model can be served.\nb: PermissionError"):
        versions.store.start(poll_s=60)


def forbid(monkeypatch, folder):
    """Lets the list of a folder be refused; its mode would not stop root."""
    iterdir = type(folder).iterdir

    def refuse(path):
        if path == folder:
            raise PermissionError(13, "Permission denied")
        return iterdir(path)

    monkeypatch.setattr(type(folder), "iterdir", refuse)


def test_a_report_that_no_one_reads_stops_nothing(tmp_path, caplog):
    made = Versions(tmp_path / "models").make("a/1", "b/1")
    lines = made.lines

    def report(line):
        if "a: " in line:
            raise BrokenPipeError("no one reads")
        lines.append(line)

    made.store = ModelStore(made.root, made.load, report)
    made.store.start(poll_s=60)
    old = made.store.find("a")
    made.make("a/2", "b/2").store.poll()
    assert made.served == {"a": 2, "b": 2} and old.closed
    assert made.states("a") == {2: "AVAILABLE", 1: "END"}
    assert "b: version 2 is served." in lines
    assert "Not reported: a: version 2 is served." in caplog.text
    made.store.stop()


def test_new_versions_are_looked_for_and_at_the_end_all_are_given_up(versions):
    versions.make("a/1").store.start(poll_s=0.01)
    versions.make("a/2")
    until = time.monotonic() + 10
    while versions.served != {"a": 2} and time.monotonic() < until:
        time.sleep(0.01)
    last = versions.store.find("a")
    versions.store.stop()
    assert last.closed and versions.served == {}
    with pytest.raises(RequestError, match="no model at present"):
        versions.store.find("a")


def test_folders_without_a_model_to_serve_are_refused(versions, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="file is a file, but models lie in a folder"):
        model_folders(tmp_path / "file")
    with pytest.raises(ValueError, match="nothing does not exist"):
        model_folders(tmp_path / "nothing")
    versions.make("notes")
    with pytest.raises(ValueError, match=r"There is no model in .*models: no folder in it holds"):
        versions.store.start(poll_s=60)
    versions.make("a/1")
    (versions.root / "a" / "1" / "manifest.json").write_text("{}")
    with pytest.raises(ValueError, match=r"is a single version of a model. Give the folder"):
        model_folders(versions.root / "a" / "1")


def test_if_no_model_can_be_served_the_reasons_are_told(versions):
    versions.make("a/1", "a/2", "b/1", bad=True)
    reasons = "a 1: its output differs\na 2: its output differs\nb 1: its output differs"
    with pytest.raises(ValueError, match=f"No model can be served.\n{reasons}"):
        versions.store.start(poll_s=60)
