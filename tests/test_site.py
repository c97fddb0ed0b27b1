"""The site that `make docs` built: its links, and what a browser makes of it from the disk."""

import inspect
import re
import runpy
import urllib.parse
from collections import defaultdict
from html.parser import HTMLParser
from pathlib import Path

import pytest

import tonezoo
from tonezoo import recipes, serving, tasks
from tonezoo.serving import server

ROOT = Path(__file__).parents[1]
SITE = ROOT / "site"
PHONE = {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def site(source_tree) -> Path:
    if not (SITE / "index.html").is_file():
        pytest.skip("`make docs` has not built the site")
    return SITE


class Page(HTMLParser):
    """What a page refers to, and the names in it."""

    def __init__(self, path: Path):
        super().__init__()
        self.names: set[str] = set()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        given = {name: value or "" for name, value in attributes}
        self.names |= {given[key] for key in ("id", "name") if key in given}
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        elif tag == "link" and given.get("rel") != "canonical":
            self.loaded.append(given["href"])
        elif "src" in given:
            self.loaded.append(given["src"])


@pytest.fixture(scope="module")
def read(site) -> dict[Path, Page]:
    return {path.resolve(): Page(path) for path in site.rglob("*.html")}


def test_links_lead_to_pages_and_names_that_are_there(site, read):
    assert len(read) > 35
    missing, inside = defaultdict(set), 0
    for path, page in read.items():
        # Of the page for servers that do not find one, links begin at the server's root.
        if path.name == "404.html":
            continue
        for link in (*page.links, *page.loaded):
            parts = urllib.parse.urlsplit(link)
            if parts.scheme or link == "#":
                continue
            target = (path.parent / urllib.parse.unquote(parts.path)).resolve()
            target = target if parts.path else path
            target = target / "index.html" if target.is_dir() else target
            inside += 1
            name = urllib.parse.unquote(parts.fragment)
            is_there = target.is_file() and (
                not name or target not in read or name in read[target].names
            )
            if not is_there:
                missing[path.relative_to(site.resolve()).as_posix()].add(link)
    assert inside > 5000
    assert not missing


def test_nothing_is_loaded_from_other_hosts(read):
    loaded = [link for page in read.values() for link in page.loaded]
    assert len(loaded) > 100
    assert not [link for link in loaded if re.match(r"(https?:)?//", link)]


def test_every_page_and_picture_of_the_repository_is_on_it(site, source_tree):
    tree = {path.relative_to(ROOT) for path in (ROOT / "docs").rglob("*.png")}
    assert tree and not [path for path in tree if not (site / path).is_file()]
    pages = {path.relative_to(ROOT) for path in (ROOT / "docs").rglob("*.md")}
    assert not [path for path in pages if not (site / path).with_suffix(".html").is_file()]
    for name in ("recipes", "savedmodels", "benchmarks"):
        assert (site / name / "index.html").is_file()


def test_what_users_import_is_in_the_api(site, read):
    names = set().union(*(read[path.resolve()].names for path in (site / "api").glob("*.html")))
    public = [
        (f"{package.__name__}.{name}", getattr(package, name))
        for package in (tonezoo, serving, server, tasks)
        for name in package.__all__
    ]
    for task in map(tasks.find_task, tasks.list_tasks()):
        kinds = (task.facts, task.file_options, task.evaluation_options, task.export_options)
        public += [(kind.__name__, kind) for kind in kinds]
    public += [(recipe.__name__, recipe) for recipe in (recipes.list_recipes, recipes.load_recipe)]
    for name, found in public:
        if inspect.ismodule(found):
            assert (site / "api" / f"{name}.html").is_file()
        elif callable(found):
            assert {name, f"{found.__module__}.{found.__qualname__}"} & names, name
    assert {"tonezoo.serving.client.Client", "tonezoo.serving.bundle.write_bundle"} <= names
    assert not [name for name in names if name.startswith("tonezoo.serving.client.grpc")]


def test_examples_are_code(site):
    page = (site / "api" / "tonezoo.layers.html").read_text(encoding="utf-8")
    article = page[page.index("<article") :]
    assert article.count('class="gp">&gt;&gt;&gt; ') > 50
    assert "<blockquote>" not in article


@pytest.fixture
def open_page(browser, site):
    errors, requests = [], []
    context = browser.new_context(viewport=PHONE)

    def open_file(name):
        page = context.new_page()
        page.set_default_timeout(20_000)
        page.on("pageerror", lambda error: errors.append(error))
        page.on("request", lambda request: requests.append(request.url))
        page.goto((site / name).as_uri())
        return page

    yield open_file
    context.close()
    assert not errors
    assert requests and not [each for each in requests if not each.startswith(("file:", "data:"))]


@pytest.mark.slow
def test_pages_fit_a_phone(open_page):
    for name in ("index.html", "docs/figures.html", "docs/metrics.html", "api/tonezoo.layers.html"):
        page = open_page(name)
        size = "[document.documentElement.scrollWidth, window.innerWidth]"
        width, window = page.evaluate(size)
        assert width <= window == PHONE["width"], name
        sizes = page.evaluate(
            "[...document.querySelectorAll('article img')].map(i => i.naturalWidth)"
        )
        assert all(sizes), name


@pytest.mark.slow
def test_the_site_is_searched_without_a_server(open_page):
    page = open_page("index.html")
    page.locator("label.md-header__button[for=__search]").first.click()
    page.get_by_role("textbox", name="Search").press_sequentially("TransposedConv1D")
    found = page.locator(".md-search-result__link").first
    found.wait_for()
    found.click()
    page.wait_for_url(re.compile(r"transposed|layers", re.IGNORECASE))
    page.locator("article").get_by_text("TransposedConv1D").first.wait_for()


@pytest.fixture(scope="module")
def lay_out(source_tree):
    return runpy.run_path(str(ROOT / "docs" / "site" / "lay_out.py"))


def test_links_are_rewritten_for_the_site(lay_out):
    included = {"docs/layers.md", "docs/layers.png", "README.md"}
    github = "https://github.com/tonezoo/tonezoo"
    raw = "https://raw.githubusercontent.com/tonezoo/tonezoo"
    for page, link, expected in (
        ("README.md", f"{github}/blob/main/docs/layers.md#tones", "docs/layers.md#tones"),
        ("README.md", f"{raw}/main/docs/layers.png", "docs/layers.png"),
        ("recipes/README.md", "../docs/layers.md", "../docs/layers.md"),
        ("docs/models.md", "../zoo/models/demucs.py", f"{github}/blob/main/zoo/models/demucs.py"),
        ("docs/figures.md", "notebooks", f"{github}/tree/main/docs/notebooks"),
        ("docs/layers.md", "#tones", "#tones"),
        ("docs/layers.md", "https://arxiv.org/abs/2010.14356", "https://arxiv.org/abs/2010.14356"),
    ):
        text = lay_out["rewritten"](f"[a\nlink]({link})", page, included)
        assert text == f"[a\nlink]({expected})"
    code = "```python\nf[0](missing)\n```"
    assert lay_out["rewritten"](code, "README.md", included) == code
    with pytest.raises(ValueError, match=r"docs/a.md: gone.md leads to no file"):
        lay_out["rewritten"]("[b](gone.md)", "docs/a.md", included)


def test_every_package_with_code_has_a_page(lay_out):
    found = lay_out["packages"]()
    assert next(iter(found)) == "tonezoo" and found["tonezoo.layers"] == ROOT / "layers"
    assert found["tonezoo.tasks.separation"] == ROOT / "zoo" / "tasks" / "separation"
    assert "::: tonezoo.app.server\n" in lay_out["api_page"]("tonezoo.app", ROOT / "zoo" / "app")
    page = lay_out["api_page"]("tonezoo.recipes", ROOT / "recipes")
    assert 'members: ["Recipe", "list_recipes", "load_recipe"]\n' in page
