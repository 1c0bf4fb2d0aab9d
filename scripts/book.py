"""Build notebooks, executed and with their explorers alive, and docs/ as a website.

    python scripts/book.py [--output FOLDER] [PAGE ...]

The site asks no other machine for anything. Pages are notebooks and Markdown files, the start
first; by default all that book/_toc.yml lists. What they link to in the checkout comes along.
Notebooks are executed at smoke below build/notebooks; a copy that is newer than the notebook, the
package and the committed records is taken.
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
from hagan_lite.lessons.widgets import frame
from hagan_lite.system.paths import BUILD, ROOT

LINK = re.compile(r"\]\(<?([^)>#\s]+)|(?:src|href)=\"([^\"#]+)")
LOADED = {"link": "href"} | dict.fromkeys(("script", "img", "iframe", "source", "video"), "src")
"""Elements of a page by which a browser fetches something, and the attribute that says what."""
TOC = Path("book") / "_toc.yml"


def table_of_contents(root: Path = ROOT) -> dict:
    """Return the committed book/_toc.yml, in sphinx-external-toc's form."""
    return yaml.safe_load((root / TOC).read_text())


def pages(root: Path = ROOT) -> list[Path]:
    """Return the files of all pages, relative to `root`, in the order of the table of contents.

    Raises SystemExit if the table names a file that is not there, or lacks a notebook or a page
    of docs/.
    """
    toc = table_of_contents(root)
    names = [toc["root"]]
    for part in toc["parts"]:
        names += [chapter["file"] for chapter in part["chapters"]]
    listed = []
    for name in names:
        files = [Path(f"{name}{suffix}") for suffix in (".ipynb", ".md")]
        there = [file for file in files if (root / file).is_file()]
        if not there:
            sys.exit(f"{TOC} lists {name}, and there is no such notebook or Markdown file")
        listed += there[:1]
    for pattern in ("notebooks/*.ipynb", "notebooks/solutions/*.ipynb", "docs/*.md"):
        for path in sorted(root.glob(pattern)):
            if path.relative_to(root) not in listed:
                sys.exit(f"{TOC} does not list {path.relative_to(root)}; add it where it belongs")
    return listed


def linked(listed: list[Path], root: Path = ROOT) -> list[Path]:
    """Return the checkout's files that pages link to, and those that Markdown among them links to.

    Raises SystemExit that names each Markdown file among them that the table of contents lacks.
    """
    every, also, waiting = pages(root), [], list(listed)
    while waiting:
        page = waiting.pop(0)
        for target in _targets(root / page):
            path = Path(os.path.normpath(page.parent / target))
            if path in also or path in listed or path.parts[0] == "..":
                continue
            if (root / path).is_file():
                also.append(path)
                if path.suffix == ".md":
                    waiting.append(path)
    unlisted = [str(path) for path in also if path.suffix == ".md" and path not in every]
    if unlisted:
        sys.exit(f"pages link to {', '.join(unlisted)}: list it in {TOC}")
    return also


def contents(toc: dict, listed: list[Path]) -> dict:
    """Return the part of a table of contents that `listed` pages make; the first is the start."""
    names = [page.with_suffix("").as_posix() for page in listed]
    parts = []
    for part in toc["parts"]:
        chapters = [chapter for chapter in part["chapters"] if chapter["file"] in names[1:]]
        if chapters:
            parts.append({"caption": part["caption"], "chapters": chapters})
    return {"format": toc["format"], "root": names[0], "parts": parts}


def build(listed: list[Path], output: Path, root: Path = ROOT) -> Path:
    """Write the website of `listed` pages (relative to `root`) to `output`; return its first page.

    Raises SystemExit that names the page where it is not there or not in the table of contents, a
    link leads nowhere, or something would be fetched from elsewhere.
    """
    every = pages(root)
    missing = [str(page) for page in listed if page not in every]
    if missing:
        sys.exit(f"no such page in {TOC}: {', '.join(missing)}")
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output.parent) as folder:
        stage = Path(folder)
        for page in listed:
            if page.suffix == ".ipynb":
                _freeze(executed(page, root), stage / page)
            else:
                _copy(root / page, stage / page)
        also = linked(listed, root)
        for path in also:
            _copy(root / path, stage / path)
        shown = listed + [path for path in also if path.suffix == ".md"]
        _point_at_pages(shown, listed, stage)
        toc = contents(table_of_contents(root), shown)
        (stage / "_toc.yml").write_text(yaml.safe_dump(toc, sort_keys=False))
        _add_headings(stage, toc)
        _copy(ROOT / "book" / "_config.yml", stage / "_config.yml")
        mathjax = mathjax_file()
        _copy(mathjax, stage / "assets" / mathjax.name)
        _copy(ROOT / "book" / "book.css", stage / "assets" / "book.css")
        html = _jupyter_book(stage)
        # What the download button gives: the notebook as it is in the checkout, to run in Jupyter.
        for page in listed:
            if page.suffix == ".ipynb":
                _copy(root / page, html / "_sources" / page)
        for source_map in (html / "_static").rglob("*.map"):
            source_map.unlink()  # for who debugs the theme: a tenth of the site
        wrong = problems(html)
        if wrong:
            sys.exit("\n".join(["the book is not published:", *wrong]))
        shutil.rmtree(output, ignore_errors=True)
        shutil.move(html, output)
    return output / "index.html"


def executed(page: Path, root: Path = ROOT) -> Path:
    """Return the executed copy of a notebook, made anew unless newer than what it is made from."""
    copy = BUILD / page
    if not copy.is_file() or copy.stat().st_mtime < newest([root / page, *made_from()]):
        print(f"executing {page}", flush=True)
        # A notebook that raises must not leave a copy that passes for fresh.
        unfinished = copy.with_name(f"{copy.stem}.unfinished.ipynb")
        execute(str((root / page).with_suffix("")), unfinished)
        os.replace(unfinished, copy)
    return copy


def made_from(root: Path = ROOT) -> list[Path]:
    """Return the files that outputs of notebooks depend on.

    These are the whole package, records, claims and shipped networks.
    """
    paths = []
    for pattern in (
        "hagan_lite/**/*.py",
        "hagan_lite/**/*.js*",
        "hagan_lite/**/*.css",
        "data/results/**/*.json",
        "data/claims.yaml",
        "data/checkpoints/**/*.*",
    ):
        paths += root.glob(pattern)
    return paths


def newest(paths: list[Path]) -> float:
    """Return when the last of `paths` was changed, in seconds since the epoch."""
    return max(path.stat().st_mtime for path in paths)


def mathjax_file() -> Path:
    """Return the file that typesets formulas, from an installed Python package: no CDN, no npm.

    Raises SystemExit that names the package to install.
    """
    package, name = "sphinx-mathjax-offline", "static/mathjax/tex-svg-full.js"
    spec = find_spec(package)
    path = Path(spec.origin).parent / name if spec else None
    if not path or not path.is_file():
        command = 'pip install -c constraints.txt -e ".[dev]"'
        sys.exit(f"{package} with its {name} is not installed; run: {command}")
    return path


def problems(site: Path) -> list[str]:
    """Return a sentence for each thing fetched from elsewhere and each link that leads nowhere."""
    sentences = []
    for page in sorted(site.rglob("*.html")):
        reader = _References()
        reader.feed(page.read_text())
        name = page.relative_to(site)
        for tag, to in reader.loaded:
            if re.match(r"(https?:)?//", to):
                sentences.append(f"{name}: <{tag}> fetches {to}")
        for to in reader.links:
            path = unquote(re.split(r"[#?]", to)[0])
            elsewhere = re.match(r"[a-z]+:|//", to)
            if path and not elsewhere and not (page.parent / path).exists():
                sentences.append(f"{name}: a link leads nowhere: {to}")
    return sentences


class _References(HTMLParser):
    """Collect what a page loads and what it links to."""

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


def _point_at_pages(shown: list[Path], listed: list[Path], stage: Path) -> None:
    """Let Markdown files that link to a folder link to its first page: a website has no folders."""
    for page in shown:
        if page.suffix != ".md":
            continue
        for target in _targets(stage / page):
            folder = Path(os.path.normpath(page.parent / target))
            inside = [p for p in listed if p.parent == folder]
            if inside:
                first = f"{target.rstrip('/')}/{inside[0].name}"
                text = (stage / page).read_text()
                (stage / page).write_text(text.replace(f"]({target})", f"]({first})"))


def _add_headings(stage: Path, toc: dict) -> None:
    """Put a chapter's title above its page: jupyter-book lists no page that has no heading."""
    for part in toc["parts"]:
        for chapter in part["chapters"]:
            if "title" in chapter:
                page = stage / f"{chapter['file']}.md"
                page.write_text(f"# {chapter['title']}\n\n{page.read_text()}")


def _targets(page: Path) -> list[str]:
    """Return the relative paths that a page's prose links to."""
    text = page.read_text()
    if page.suffix == ".ipynb":
        cells = nbformat.reads(text, as_version=4).cells
        text = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    targets = [unquote(a or b) for a, b in LINK.findall(text)]
    return [target for target in targets if not re.match(r"[a-z]+:|/", target)]


def _freeze(executed_copy: Path, target: Path) -> None:
    """Write a notebook whose explorers are alive without a kernel.

    Links within the page are written as Jupyter names headings; the book writes them in small
    letters.
    """
    notebook = frame.freeze(nbformat.read(executed_copy, as_version=4))
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = re.sub(r"\]\(#[^)]+\)", lambda link: link[0].lower(), cell.source)
    target.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, target)


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)


def _jupyter_book(stage: Path) -> Path:
    """Run jupyter-book on a folder of pages and return the folder of HTML.

    Its output is shown only where it fails, and its warnings always.
    """
    command = [sys.executable, "-c", "from jupyter_book.cli.main import main; main()"]
    done = subprocess.run(
        [*command, "build", "--quiet", str(stage)], capture_output=True, text=True
    )
    errors = re.sub(r"\x1b\[[0-9;]*m", "", done.stderr).replace(f"{stage}{os.sep}", "")
    if done.returncode:
        sys.exit(f"jupyter-book failed:\n{done.stdout[-3000:]}\n{errors[-3000:]}")
    sys.stderr.writelines(f"{line}\n" for line in errors.splitlines() if "WARNING" in line)
    return stage / "_build" / "html"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", type=Path, default=BUILD / "book")
    parser.add_argument("pages", nargs="*", type=Path, help="relative to the checkout")
    arguments = parser.parse_args()
    try:
        print(f"open {build(arguments.pages or pages(), arguments.output.resolve())}")
    except NotebookError as error:
        sys.exit(f"the book is not published: {error}")


if __name__ == "__main__":
    main()
