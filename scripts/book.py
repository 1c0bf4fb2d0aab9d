"""Build notebooks, executed and with their widgets, and docs/ as a website that asks no other machine for anything.

    python scripts/book.py [--output FOLDER] [PAGE ...]

Pages are notebooks and Markdown files, the start first; by default all of notebooks/ and docs/.
What they link to in the checkout comes along. Notebooks are executed at smoke below build/notebooks;
a copy that is newer than the notebook, the package and the committed records is taken.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from html.parser import HTMLParser
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import unquote

import nbformat
import yaml

from hagan_lite.batch.notebooks import NotebookError, execute
from hagan_lite.system.paths import BUILD, ROOT

LINK = re.compile(r"\]\(<?([^)>#\s]+)|(?:src|href)=\"([^\"#]+)")
LOADED = {"script": "src", "img": "src", "iframe": "src", "link": "href", "source": "src", "video": "src"}


def pages(root: Path = ROOT) -> list[Path]:
    """Return what there is to publish, relative to `root`: plan, lessons in order, what one looks up, solutions."""
    lessons = [f"notebooks/{name}" for name in ("README.md", "[0-9]*.ipynb", "explore_*.ipynb")]
    to_look_up = ["notebooks/glossary.md", "notebooks/handout.md", "docs/*.md"]
    patterns = [*lessons, *to_look_up, "notebooks/solutions/*.ipynb"]
    return [p.relative_to(root) for pattern in patterns for p in sorted(root.glob(pattern))]


def build(listed: list[Path], output: Path, root: Path = ROOT) -> Path:
    """Writes the website of `listed` pages (relative to `root`) to `output` and returns its first page.

    Raises SystemExit that names the page where a link leads nowhere or something would be fetched from elsewhere.
    """
    if not listed:
        sys.exit(f"no pages: there is no notebook in {root / 'notebooks'}")
    if missing := [str(page) for page in listed if not (root / page).is_file()]:
        sys.exit(f"no such page below {root}: {', '.join(missing)}")
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output.parent) as folder:
        stage = Path(folder)
        for page in listed:
            _copy(executed(page, root) if page.suffix == ".ipynb" else root / page, stage / page)
        also = _linked(listed, stage, root)
        (stage / "_toc.yml").write_text(yaml.safe_dump(contents(listed, also), sort_keys=False))
        _copy(ROOT / "book" / "_config.yml", stage / "_config.yml")
        for asset in assets():
            _copy(asset, stage / "assets" / asset.name)
        html = _jupyter_book(stage)
        if wrong := problems(html):
            sys.exit("\n".join(["the book is not published:", *wrong]))
        shutil.rmtree(output, ignore_errors=True)
        shutil.move(html, output)
    return output / "index.html"


def executed(page: Path, root: Path = ROOT) -> Path:
    """Return the executed copy of a notebook, made anew unless it is newer than all that it is made from."""
    copy = BUILD / page
    if not copy.is_file() or copy.stat().st_mtime < newest([root / page, *made_from()]):
        print(f"executing {page}", flush=True)
        unfinished = copy.with_name(f"{copy.stem}.unfinished.ipynb")  # one that raises must not pass for fresh
        execute(str((root / page).with_suffix("")), unfinished)
        os.replace(unfinished, copy)
    return copy


def made_from(root: Path = ROOT) -> list[Path]:
    """Return the files that a notebook's outputs depend on: the whole package, records, claims, shipped networks."""
    patterns = ["hagan_lite/**/*.py", "hagan_lite/**/*.js*", "data/results/**/*.json", "data/claims.yaml"]
    return [path for pattern in [*patterns, "data/checkpoints/**/*.*"] for path in root.glob(pattern)]


def newest(paths: list[Path]) -> float:
    """Return when the last of `paths` was changed, in seconds since the epoch."""
    return max(path.stat().st_mtime for path in paths)


def contents(listed: list[Path], also: list[Path]) -> dict:
    """The table of contents in sphinx-external-toc's form; the first page is the start."""
    first, *rest = listed
    parts = {
        "Lessons": [p for p in rest if p.suffix == ".ipynb" and p.parent.name != "solutions"],
        "To look up": [p for p in rest if p.suffix == ".md"] + also,
        "Solutions": [p for p in rest if p.parent.name == "solutions"],
    }
    chapters = {name: [{"file": p.with_suffix("").as_posix()} for p in found] for name, found in parts.items()}
    root = first.with_suffix("").as_posix()
    return {
        "format": "jb-book",
        "root": root,
        "parts": [{"caption": name, "chapters": found} for name, found in chapters.items() if found],
    }


def assets() -> list[Path]:
    """The site's JavaScript, from Python packages that are installed: no CDN, no npm."""
    found = [ROOT / "book" / "widgets.js"]
    for package, name in (
        ("widgetsnbextension", "static/extension.js"),
        ("sphinx-mathjax-offline", "static/mathjax/tex-svg-full.js"),
    ):
        spec = find_spec(package)
        path = Path(spec.origin).parent / name if spec else None
        if not path or not path.is_file():
            sys.exit(f'{package} with its {name} is not installed; run: pip install -c constraints.txt -e ".[dev]"')
        found.append(path)
    return found


def problems(site: Path) -> list[str]:
    """A sentence for each thing in the pages that would be fetched from elsewhere and each link that leads nowhere."""
    found = []
    for page in sorted(site.rglob("*.html")):
        reader = _References()
        reader.feed(page.read_text())
        name = page.relative_to(site)
        found += [f"{name}: <{tag}> fetches {to}" for tag, to in reader.loaded if re.match(r"(https?:)?//", to)]
        for to in reader.links:
            path = unquote(re.split(r"[#?]", to)[0])
            if not re.match(r"[a-z]+:|//", to) and path and not (page.parent / path).exists():
                found.append(f"{name}: a link leads nowhere: {to}")
    return found


class _References(HTMLParser):
    """Collects what a page loads and what it links to."""

    def __init__(self) -> None:
        super().__init__()
        self.loaded: list[tuple[str, str]] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        if attributes.get(LOADED.get(tag, "")):
            self.loaded.append((tag, attributes[LOADED[tag]]))
        if tag == "a" and attributes.get("href"):
            self.links.append(attributes["href"])


def _linked(listed: list[Path], stage: Path, root: Path) -> list[Path]:
    """Stages the checkout's files that pages link to, and theirs; returns those that become pages too, in Markdown."""
    also, waiting, known = [], list(listed), set(listed)
    while waiting:
        page = waiting.pop(0)
        for target in _targets(stage / page):
            path = Path(os.path.normpath(page.parent / target))
            inside = [p for p in listed if p.parent == path]
            if inside and page.suffix == ".md":  # a folder is no page of a website; its first one is
                text = (stage / page).read_text()
                (stage / page).write_text(text.replace(f"]({target})", f"]({target.rstrip('/')}/{inside[0].name})"))
            if path in known or path.parts[0] == ".." or not (root / path).is_file():
                continue
            known.add(path)
            _copy(root / path, stage / path)
            if path.suffix == ".md":
                _titled(stage / path, path)
                also.append(path)
                waiting.append(path)
    return also


def _titled(staged: Path, path: Path) -> None:
    """Put the file's own path above a page without a title, as tables of figures/ are: it could not be listed."""
    text = staged.read_text()
    if not re.search(r"^# ", text, re.MULTILINE):
        staged.write_text(f"# {path}\n\n{text}")


def _targets(page: Path) -> list[str]:
    """The relative paths that a page's prose links to."""
    text = page.read_text()
    if page.suffix == ".ipynb":
        text = "\n".join(c.source for c in nbformat.reads(text, as_version=4).cells if c.cell_type == "markdown")
    found = [unquote(a or b) for a, b in LINK.findall(text)]
    return [target for target in found if not re.match(r"[a-z]+:|/", target)]


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)


def _jupyter_book(stage: Path) -> Path:
    """Runs jupyter-book on a folder of pages; its words are shown only where it fails, and its warnings always."""
    command = [sys.executable, "-c", "from jupyter_book.cli.main import main; main()"]
    done = subprocess.run([*command, "build", "--quiet", str(stage)], capture_output=True, text=True)
    told = re.sub(r"\x1b\[[0-9;]*m", "", done.stderr).replace(f"{stage}{os.sep}", "")
    if done.returncode:
        sys.exit(f"jupyter-book failed:\n{done.stdout[-3000:]}\n{told[-3000:]}")
    sys.stderr.writelines(f"{line}\n" for line in told.splitlines() if "WARNING" in line)
    return stage / "_build" / "html"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=BUILD / "book")
    parser.add_argument("pages", nargs="*", type=Path, help="relative to the checkout")
    arguments = parser.parse_args()
    try:
        print(f"open {build(arguments.pages or pages(), arguments.output.resolve())}")
    except NotebookError as error:
        sys.exit(f"the book is not published: {error}")


if __name__ == "__main__":
    main()
