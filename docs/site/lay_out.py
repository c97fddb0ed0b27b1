"""Lays out what the site is built of: the pages, the API's pages, the package, the configuration.

The pages keep their places in the repository, so that the links between them hold; links to what is
no page become links to GitHub.
"""

import ast
import configparser
import json
import os
import posixpath
import re
import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
GITHUB = "https://github.com/tonezoo/tonezoo"
OWN = re.compile(
    r"https://(?:github\.com/tonezoo/tonezoo/(?:blob|tree)|raw\.githubusercontent\.com/tonezoo/tonezoo)"
    r"/main/"
)
LINK = re.compile(r"\]\(([^()\s]+)\)")
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
# A row of README's table of pages: its title and where it is.
ROW = re.compile(rf"^\| \[([^\]]+)\]\({GITHUB}/blob/main/([\w/]+\.md)\)", re.MULTILINE)
PICTURES = (".png", ".svg")
# Packages by what one does with them; those that are not named follow.
API_ORDER = ("tonezoo", "tonezoo.layers", "tonezoo.models", "tonezoo.tasks", "tonezoo.training")


def pages() -> dict[str, str]:
    """Returns title -> path of the pages, in the order of README's table, README first."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    return {"tonezoo": "README.md", **dict(ROW.findall(readme))}


def pictures() -> list[str]:
    """Returns the paths of the pictures of the pages."""
    found = (path for path in (ROOT / "docs").rglob("*") if path.suffix in PICTURES)
    return sorted(path.relative_to(ROOT).as_posix() for path in found)


def rewritten(text: str, page: str, included: set[str]) -> str:
    """Returns a page with its links as they are on the site.

    Args:
        text: Markdown.
        page: path of the page in the repository.
        included: paths of what is on the site.

    Raises:
        ValueError: a link leads to no file of the repository.
    """

    def replaced(match: re.Match) -> str:
        target, _, anchor = match[1].partition("#")
        own = OWN.match(target)
        if not own and (not target or "://" in target):
            return match[0]
        path = target[own.end() :] if own else posixpath.join(posixpath.dirname(page), target)
        path = posixpath.normpath(path)
        if path in included:
            link = posixpath.relpath(path, posixpath.dirname(page) or ".")
        elif (ROOT / path).exists():
            link = f"{GITHUB}/{'tree' if (ROOT / path).is_dir() else 'blob'}/main/{path}"
        else:
            raise ValueError(f"{page}: {match[1]} leads to no file.")
        return f"]({link}{'#' if anchor else ''}{anchor})"

    parts, last = [], 0
    for fence in FENCE.finditer(text):
        parts += [LINK.sub(replaced, text[last : fence.start()]), fence[0]]
        last = fence.end()
    return "".join([*parts, LINK.sub(replaced, text[last:])])


def packages() -> dict[str, Path]:
    """Returns name -> folder of the packages in setup.cfg that hold code, in the site's order."""
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    lines = setup["options"]["package_dir"].strip().splitlines()
    roots = dict(line.split(" = ") for line in lines)
    found = {}
    for name in setup["options"]["packages"].split():
        root = max((r for r in roots if f"{name}.".startswith(f"{r}.")), key=len)
        folder = ROOT / roots[root] / name[len(root) + 1 :].replace(".", "/")
        if len(list(folder.glob("*.py"))) > 1:
            found[name] = folder
    rank = {name: place for place, name in enumerate(API_ORDER)}
    return dict(sorted(found.items(), key=lambda item: rank.get(item[0], len(rank))))


# What a package itself says and defines is shown under the page's own title.
INTRODUCTION = """# {name}

::: {name}
    options:
      members: {members}
      show_root_heading: false
      show_root_toc_entry: false
"""
# Of these packages nothing else is for users: how they talk to each other may change.
PUBLIC = {
    "tonezoo.serving.client": ["Client"],
    "tonezoo.serving.server": ["Server", "ServingOptions"],
}


def api_page(name: str, folder: Path) -> str:
    """Returns the page of a package: what it says of itself and defines, then its modules."""
    if name in PUBLIC:
        return INTRODUCTION.format(name=name, members=json.dumps(PUBLIC[name]))
    modules = sorted(path.stem for path in folder.glob("*.py") if not path.stem.startswith("_"))
    parts = [f"::: {name}.{module}\n" for module in modules]
    members = json.dumps(defined_names(folder / "__init__.py"))
    return "\n".join([INTRODUCTION.format(name=name, members=members), *parts])


def defined_names(path: Path) -> list[str]:
    """Returns the names of the functions and classes that a file defines, in its order."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return [
        node.name
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_")
    ]


def lay_out(out: Path) -> None:
    """Writes the folder that mkdocs builds the site of, in the place of what was there."""
    shutil.rmtree(out, ignore_errors=True)
    titles = pages()
    included = {*titles.values(), *pictures()}
    for path in included:
        target = out / "pages" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if path.endswith(".md"):
            text = (ROOT / path).read_text(encoding="utf-8")
            target.write_text(rewritten(text, path, included), encoding="utf-8")
        else:
            shutil.copy(ROOT / path, target)
    (out / "pages" / "api").mkdir()
    api = packages()
    for name, folder in api.items():
        (out / "pages" / "api" / f"{name}.md").write_text(api_page(name, folder), encoding="utf-8")
    (out / "pages" / "assets").mkdir()
    for name in ("iframe-worker.js", "site.css"):
        shutil.copy(HERE / name, out / "pages" / "assets")
    shutil.copy(HERE / "docstrings.py", out)
    package = out / "package" / "tonezoo"
    package.mkdir(parents=True)
    for path in (ROOT / "zoo").iterdir():
        os.symlink(path, package / path.name)
    for name in ("layers", "recipes", "analysis", "savedmodels"):
        os.symlink(ROOT / name, package / name)
    guide = [{title: path} for title, path in titles.items() if path.startswith("docs/")]
    rest = [{t: p} for t, p in titles.items() if not p.startswith("docs/") and p != "README.md"]
    nav = [
        {"Overview": "README.md"},
        {"Guide": guide},
        {"Repository": rest},
        {"API": [{name: f"api/{name}.md"} for name in api]},
    ]
    config = (HERE / "mkdocs.yml").read_text(encoding="utf-8")
    (out / "mkdocs.yml").write_text(f"{config}nav: {json.dumps(nav)}\n", encoding="utf-8")


if __name__ == "__main__":
    lay_out(Path(sys.argv[1]))
