"""The package as it is installed: what it contains, what it needs, what it loads at start."""

import configparser
import subprocess
import sys

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

SLOW_TO_IMPORT = {
    "tensorflow",
    "keras",
    "jax",
    "scipy.signal",
    "librosa",
    "matplotlib",
    "soundfile",
    "soxr",
    "apache_beam",
}
EXTRAS_AT_THE_FLOOR = ("tfio", "dev")
PACKAGES = {"zoo", "layers", "recipes", "analysis", "savedmodels"}


@pytest.fixture
def setup(source_tree) -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    parser.read(source_tree / "setup.cfg")
    return parser


def test_the_packages_listed_are_the_folders_of_the_tree(setup, source_tree):
    roots = dict(line.split(" = ") for line in setup["options"]["package_dir"].strip().splitlines())
    assert set(roots.values()) == {path.parent.name for path in source_tree.glob("*/__init__.py")}
    assert set(roots.values()) == PACKAGES
    # A module in a folder that is not listed would be left out of the wheel without a word.
    in_tree = set()
    for package, folder in roots.items():
        for path in (source_tree / folder).rglob("*.py"):
            inside = path.parent.relative_to(source_tree / folder)
            in_tree.add(".".join([package, *inside.parts]))
    assert set(setup["options"]["packages"].split()) == in_tree


def test_ci_tries_the_oldest_versions_that_the_metadata_admits(setup, source_tree):
    lines = (source_tree / "tests" / "floor-constraints.txt").read_text().splitlines()
    tried = dict(line.split("==") for line in lines if not line.startswith("#"))
    extras = setup["options.extras_require"]
    named = (setup["options"]["install_requires"], *(extras[e] for e in EXTRAS_AT_THE_FLOOR))
    text = "\n".join(named)
    required = [Requirement(line) for line in text.splitlines() if line and line[0] != "#"]
    assert len(required) > len(tried) / 2
    for requirement in required:
        for specifier in requirement.specifier:
            if specifier.operator in (">=", "=="):
                assert Version(tried[requirement.name]) == Version(specifier.version), requirement


@pytest.mark.parametrize("arguments", [("-c", "import tonezoo"), ("-m", "tonezoo", "--help")])
def test_the_start_imports_nothing_slow(arguments):
    finished = subprocess.run(
        [sys.executable, "-X", "importtime", *arguments], capture_output=True, text=True
    )
    assert finished.returncode == 0, finished.stderr[-2000:]
    # "import time: self [us] | cumulative | name"; `python -m` imports `tonezoo` before the flag.
    imported = {line.rpartition("|")[2].strip() for line in finished.stderr.splitlines()}
    assert "tonezoo" in imported
    assert imported.isdisjoint(SLOW_TO_IMPORT)
