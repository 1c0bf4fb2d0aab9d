"""Execute the notebooks at smoke and write them back curated; --check only says what is wrong.

    python scripts/notebooks.py [--check] [NOTEBOOK ...]

Committed outputs are made on the embedded data, and carry no widget state, no timing, no stderr
and no local path.
"""

import argparse
import ast
import base64
import functools
import io
import os
import re
import sys
from pathlib import Path

import nbformat
from PIL import Image

from hagan_lite.batch.notebooks import NOTEBOOKS, execute
from hagan_lite.system.paths import ROOT

MOST_BYTES, MOST_LINES = 300_000, 40
HEADER = ("**Question.**", "**You need.**", "**It takes.**", "**Paper.**")
FOOTER = ("## Summary", "## Exercises", "[Solutions](solutions/")
TIMING = re.compile(r"\b\d+(\.\d+)?\s?(ms|s|sec|seconds|minutes|s/step|step/s|it/s)\b")
FOLDED = "hide-output"
"""The tag of a cell whose output answers a question: the book folds it, and so does JupyterLab,
which reads `outputs_hidden` instead, until the cell is run.
"""
LOCAL = re.compile(r"(?<![\w.])/(home|root|work|Users|tmp|usr|opt)/")


def curate(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Drop what only this execution knew: widgets, stderr, times, papermill's notes."""
    notebook.metadata = {
        k: v for k, v in notebook.metadata.items() if k in ("kernelspec", "language_info")
    }
    notebook.metadata["language_info"] = {"name": "python"}
    count = 0
    for cell in notebook.cells:
        tags = cell.metadata.get("tags")
        cell.metadata = {"tags": tags} if tags else {}
        if FOLDED in cell.metadata.get("tags", []):
            cell.metadata["jupyter"] = {"outputs_hidden": True}
        if cell.cell_type == "code":
            count += 1
            cell.execution_count = count
            cell.outputs = _joined([o for o in cell.outputs if not _of_one_run_only(o)])
            for output in cell.outputs:
                output.get("metadata", {}).clear()
                if "image/png" in output.get("data", {}):
                    output.data["image/png"] = _palette(output.data["image/png"])
                if "execution_count" in output:
                    output.execution_count = count
    return notebook


def _joined(outputs: list[nbformat.NotebookNode]) -> list[nbformat.NotebookNode]:
    """Return one printed text where a busy machine delivered it in pieces."""
    whole: list[nbformat.NotebookNode] = []
    for output in outputs:
        if whole and output.output_type == whole[-1].output_type == "stream":
            whole[-1].text += output.text
        else:
            whole.append(output)
    return whole


def _palette(png: str) -> str:
    """Return the same picture in 96 colours: a quarter of the bytes."""
    picture, small = Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB"), io.BytesIO()
    # MAXCOVERAGE keeps rare colours: a title's blue, or the one bright pixel of an attention sink.
    # With 128 colours lesson 17 has more than MOST_BYTES.
    few = picture.quantize(96, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    few.save(small, "png", optimize=True)
    return base64.b64encode(small.getvalue()).decode()


def problems(path: Path) -> list[str]:
    """Return what is wrong with a committed notebook, one sentence each."""
    notebook, wrong = nbformat.read(path, as_version=4), []
    cells = notebook.cells
    code = [c for c in cells if c.cell_type == "code"]
    lesson = path.parent.name != "solutions" and not path.name.startswith("explore")
    if lesson:
        wrong += [f"its first cell lacks {part}" for part in HEADER if part not in cells[0].source]
        wrong += [f"its last cell lacks {part}" for part in FOOTER if part not in cells[-1].source]
        if sum("parameters" in c.metadata.get("tags", []) for c in code) != 1:
            wrong.append("it has not one cell tagged 'parameters'")
    for cell in code:
        if "parameters" in cell.metadata.get("tags", []) and not _literals_only(cell.source):
            wrong.append("its parameters cell holds more than literals")
    if path.stat().st_size > MOST_BYTES:
        wrong.append(f"it has {path.stat().st_size:,} bytes, more than {MOST_BYTES:,}")
    if "widgets" in notebook.metadata:
        wrong.append("it stores widget state")
    if any(c.execution_count is None for c in code):
        wrong.append("it has cells that were not executed")
    if not any(c.outputs for c in code):
        wrong.append("it has no outputs")
    for cell in code:
        first = cell.source.split("\n")[0][:50]
        if len(cell.source.split("\n")) > MOST_LINES:
            wrong.append(f"a cell has more than {MOST_LINES} lines: {first}")
        if "outcome(" in cell.source and not cell.metadata.get("jupyter", {}).get("outputs_hidden"):
            wrong.append(f"the outcome of a prediction is not folded, tag {FOLDED!r}: {first}")
        wrong += [
            f"it defines {name}, which hagan_lite has"
            for name in _defined(cell.source) & _public_names()
        ]
        for output in cell.outputs:
            text = output.get("text", "") + output.get("data", {}).get("text/plain", "")
            if output.output_type == "error" or _of_one_run_only(output):
                wrong.append(f"an error, stderr or widget output under: {first}")
            shows_source = "inspect" in cell.source  # which may speak of seconds
            timing = None if shows_source else TIMING.search(text)
            if timing:
                wrong.append(f"a timing ({timing[0]}) under: {first}")
            if LOCAL.search(text):
                wrong.append(f"a local path under: {first}")
    return wrong


def _of_one_run_only(output: nbformat.NotebookNode) -> bool:
    if output.output_type == "stream":
        return output.name == "stderr"
    return any("widget" in mime for mime in output.get("data", {}))


def _literals_only(source: str) -> bool:
    def literal(node: ast.expr) -> bool:
        try:
            ast.literal_eval(node)
        except ValueError:
            return False
        return True

    return all(
        isinstance(line, ast.Assign) and literal(line.value) for line in ast.parse(source).body
    )


def _defined(source: str) -> set[str]:
    kinds = (ast.FunctionDef, ast.ClassDef)
    return {node.name for node in ast.walk(ast.parse(source)) if isinstance(node, kinds)}


@functools.cache  # asked for every cell: parsing the package each time took 10 seconds a notebook
def _public_names() -> set[str]:
    modules = (ROOT / "hagan_lite").rglob("*.py")
    return {
        name for path in modules for name in _defined(path.read_text()) if not name.startswith("_")
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true")
    parser.add_argument("notebooks", nargs="*", type=Path)
    arguments = parser.parse_args()
    os.environ.pop("HAGAN_DPI", None)  # committed pictures have 80 dots per inch
    paths = arguments.notebooks or [
        *sorted(NOTEBOOKS.glob("*.ipynb")),
        *sorted(NOTEBOOKS.glob("solutions/*.ipynb")),
    ]
    wrong = 0
    for path in map(Path.resolve, paths):
        name = str(path.relative_to(NOTEBOOKS).with_suffix(""))
        if not arguments.check:
            executed = nbformat.read(execute(name), as_version=4)
            nbformat.write(curate(executed), path)
        for sentence in problems(path):
            wrong += 1
            print(f"{name}: {sentence}", file=sys.stderr)
        print(f"{name}: {path.stat().st_size // 1000} kB")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
