"""README and docs: every code block runs or is checked, links and tables hold."""

import ast
import contextlib
import re
from collections.abc import Iterator

import pytest
from doc_blocks import ROOT, Scratch, blocks, check_block, run_page, tokens
from tiny_run import smallest_networks

import tonezoo.layers
from tonezoo.analysis.metrics import METRICS
from tonezoo.recipes import list_recipes, separation, super_resolution, vocoding
from tonezoo.recipes.config import override

DOCS = (
    "layers",
    "artifacts",
    "role_of_training",
    "figures",
    "models",
    "mu_gan",
    "band_extender",
    "training",
    "distributed",
    "separation",
    "vocoding",
    "metrics",
    "listening",
    "exporting",
    "serving",
    "client",
    "app",
    "batch",
    "deploying",
)
PAGES = (
    "README.md",
    "savedmodels/README.md",
    "recipes/README.md",
    "benchmarks/README.md",
    *(f"docs/{name}.md" for name in DOCS),
)
LINKS = ("link_open", "image")
OWN_PAGE = re.compile(
    r"https://(github\.com/tonezoo/tonezoo/blob|raw\.githubusercontent\.com/tonezoo/tonezoo)/main/"
)
SLOW = re.compile(r"^tonezoo (train|evaluate|export)|\.fit\(", re.MULTILINE)


def read(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def page_cases() -> list:
    """Returns the pages, those marked slow that hold a line which takes more than seconds."""
    return [
        pytest.param(page, marks=pytest.mark.slow)
        if (ROOT / page).is_file() and SLOW.search(read(page))
        else page
        for page in PAGES
    ]


@pytest.fixture
def scratch(tmp_path, monkeypatch, cli, one_device, short_filters, request) -> Iterator[Scratch]:
    monkeypatch.chdir(tmp_path)
    made = Scratch(tmp_path, cli, lambda: request.getfixturevalue("tiny_run"))
    yield made
    for server in made.served:
        server.stop()


def test_every_page_is_listed(source_tree):
    found = {path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").rglob("*.md")}
    assert found == {page for page in PAGES if page.startswith("docs/")}


@pytest.mark.parametrize("page", PAGES)
def test_every_block_can_be_run_or_checked(source_tree, page):
    found = blocks(read(page), page)
    for before, block in zip([None, *found], found, strict=False):
        check_block(block, before)


@pytest.mark.parametrize("page", page_cases())
def test_the_blocks_run_and_print_what_the_page_says(source_tree, scratch, page):
    # The README trains a whole MU-GAN, of which it tells no size.
    with smallest_networks() if page == "README.md" else contextlib.nullcontext():
        run_page(blocks(read(page), page), scratch)


@pytest.mark.parametrize("page", (*PAGES, "CONTRIBUTING.md"))
def test_links_and_pictures_lead_somewhere(source_tree, page):
    inline = [child for token in tokens(read(page)) for child in token.children or ()]
    links = [t.attrGet("href") or t.attrGet("src") for t in inline if t.type in LINKS]
    assert links or page == "CONTRIBUTING.md"
    for link in links:
        path, _, anchor = link.partition("#")
        if own := OWN_PAGE.match(path):
            target = ROOT / path[own.end() :]
        elif path.startswith("https://"):
            continue
        else:
            # The package index shows the README alone.
            assert page != "README.md", f"{link} has to be absolute"
            target = ((ROOT / page).parent / path) if path else ROOT / page
        assert target.exists(), f"{page}: {link}"
        assert not anchor or anchor in anchors(target.read_text(encoding="utf-8")), link


def anchors(text: str) -> set[str]:
    """Returns the names that GitHub gives to headings."""
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def first_cells(page: str, heading: str) -> list[str]:
    """Returns the first cell of each row of the table under a heading."""
    section = f"\n{read(page)}".split(f"\n{heading}\n")[1].split("\n#")[0]
    rows = re.findall(r"^\| (.*?) \|", section, re.MULTILINE)
    return rows[1:]  # without the heading; the line below it has no spaces


def test_the_tables_name_what_there_is(source_tree):
    recipes = re.findall(r"`(\w+)`", "".join(first_cells("docs/training.md", "## Recipes")))
    assert sorted(recipes) == sorted(list_recipes())
    titles = first_cells("docs/metrics.md", "# Metrics")
    assert titles == [metric.title for metric in METRICS.values()]
    layers = read("docs/layers.md")
    names = {*tonezoo.layers.__all__} - {"UPSAMPLER_KINDS"}
    assert not [name for name in names if not re.search(rf"\b{name}\b", layers)]
    methods = {f'"{kind}"' for kind in tonezoo.layers.UPSAMPLER_KINDS}
    assert methods - {'"transposed"', '"subpixel"'} == {
        *first_cells("docs/layers.md", "### InterpolatedConv1D and Interpolate1D")
    }


def test_the_options_and_their_defaults_are_those_of_the_code(source_tree):
    for page, config in (
        ("docs/training.md", super_resolution.Config()),
        ("docs/separation.md", separation.Config()),
        ("docs/vocoding.md", vocoding.Config()),
    ):
        rows = re.findall(r"^\| (`[\w`, ]+`) \| `([^`]+)` \|", read(page), re.MULTILINE)
        assert len(rows) > 15
        defaults = [
            f"{name}={default}" for names, default in rows for name in re.findall(r"\w+", names)
        ]
        assert override(config, defaults) == config


def test_the_errors_explained_are_in_the_code(source_tree):
    sources = [path for name in ("zoo", "recipes") for path in (ROOT / name).rglob("*.py")]
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in sources]
    nodes = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Constant)]
    messages = [node.value for node in nodes if isinstance(node.value, str)]
    cells = [
        cell
        for page in ("docs/training.md", "docs/distributed.md")
        for cell in first_cells(page, "## Common errors")
    ]
    fragments = re.findall("`([^`]+)`", "".join(cells))
    assert len(fragments) > 16
    for fragment in fragments:
        assert any(fragment in message for message in messages), fragment


@pytest.mark.parametrize(
    "text",
    [
        "```ruby\nputs 1\n```",
        "```\nno language\n```",
        "    indented = 1",
        "```python\n1 +\n```",
        "```sh\nrm -r runs\n```",
        "```bash\nfor\n```",
        "```sh\ntonezoo enhance 'low.wav\n```",
        "```sh\ntonezoo enhance low.wav --to high\n```",
        "```sh\ntonezoo improve low.wav\n```",
        "```sh\ntonezoo train mu_gan_huge\n```",
        "```sh\ntonezoo train mu_gan_tiny --set colour=1\n```",
        "```sh\npip install '.[evil]'\n```",
        "```sh\nmake coffee\n```",
        "```sh\nmake demo MILK=1\n```",
        "```sh\npython -m tonezoo.nothing\n```",
        "```sh\npython benchmarks/mu_gan.py --depth 3\n```",
        "```sh\ncurl http://localhost:8501/v1/models/m:predict -d '{}'\n```",
        "```text\n1\n```",
    ],
)
def test_a_block_that_cannot_be_run_or_checked_is_refused(source_tree, text):
    (block,) = blocks(text)
    with pytest.raises(AssertionError, match="page, line 1"):
        check_block(block, None)


@pytest.mark.parametrize(
    "text",
    [
        "```python\nprint(1)  # 2\n```",
        "```python\nprint(\n    1\n)  # 2\n```",
        "```python\nprint(1)\n```\n\n```text\n2\n```",
        "```python\nprint(1)\n```\n\n```text\n1\n2\n```",
        "```python\nx = 1\n```\n\n```python\nprint(x)  # 2\n```",
        "```python\nraise SystemExit\n```",
        "```sh\ntonezoo verify nothing\n```",
        "```sh\ntonezoo recipes\n```\n\n```text\nmu_gan_huge: ...\n```",
        "```sh\ntensorboard --logdir nothing\n```",
    ],
)
def test_a_page_that_says_what_is_not_so_is_caught(source_tree, scratch, text):
    with pytest.raises(AssertionError, match="page, line"):
        run_page(blocks(text), scratch)


def test_a_page_that_says_what_is_so_passes(source_tree, scratch):
    text = "```python\nx = 1\nprint(x)  # 1\nprint(2)\n```\n\n```text\n1\n...\n```"
    run_page(blocks(text), scratch)
