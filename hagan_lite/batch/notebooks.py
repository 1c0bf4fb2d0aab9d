"""Execute notebooks by papermill in this process, without torch: their kernels import it.

Outputs go below build/, errors inside widgets are raised.
"""

import html
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hagan_lite.config import DATASETS, Experiment
from hagan_lite.system.paths import BUILD, RECORDS, ROOT, RUNS
from hagan_lite.system.storage import name_a_full_disk, read_json, write_atomically

if TYPE_CHECKING:
    import nbformat

NOTEBOOKS = ROOT / "notebooks"


class NotebookError(RuntimeError):
    """Report a notebook that raised, with its traceback and the executed notebook's path."""


_LEAVE_AT_ONCE = "__import__('atexit').register(__import__('gc').freeze)"
"""Spares a kernel its last search for unreachable objects: a second, once torch is imported."""


def execute(name: str, output: Path | None = None, **parameters: Any) -> Path:
    """Run notebooks/`name`.ipynb with `parameters` and write the executed notebook to `output`.

    It is never written in place.

    The kernel's working directory is the checkout; a user's own folder is named nowhere in the
    output. Raises NotebookError, also where an exception hides inside a widget.
    """
    import papermill  # three seconds: only where a notebook runs
    from nbclient.exceptions import DeadKernelError

    source = NOTEBOOKS / f"{name}.ipynb"
    output = Path(output or BUILD / "notebooks" / f"{name}.ipynb")
    with name_a_full_disk(output):
        output.parent.mkdir(parents=True, exist_ok=True)
    try:
        executed = papermill.execute_notebook(
            _literal(source),
            _literal(output),
            parameters,
            cwd=ROOT,
            kernel_name="python3",
            progress_bar=False,
            # A user's own folder is taken out only at the end, so nothing is written before.
            request_save_on_cell_execute=parameters.get("dataset", "mni152") in DATASETS,
            autosave_cell_every=20,
            extra_arguments=[
                # Papermill ends an idle kernel by an interrupt, which it would log as an error.
                "--IPKernelApp.log_level=50",
                f"--IPKernelApp.exec_lines={_LEAVE_AT_ONCE}",
            ],
        )
    except DeadKernelError as error:
        raise NotebookError(
            f"{source.name}: its kernel died: it was killed or ran out of memory; "
            "give the same command again and it goes on from its checkpoint"
        ) from error
    except papermill.exceptions.PapermillExecutionError as error:
        raise NotebookError(
            f"{source.name} failed; the executed notebook is {output}\n{error}"
        ) from error
    finally:
        if (dataset := parameters.get("dataset", "mni152")) not in DATASETS and output.is_file():
            _forget_path(output, dataset)
    hidden = widget_errors(executed)
    if hidden:
        raise NotebookError(
            f"{source.name}: an exception inside a widget; "
            f"the executed notebook is {output}\n{hidden[0]}"
        )
    return output


def _literal(path: Path) -> str:
    """Return a path whose braces papermill does not fill in as if they named parameters."""
    return str(path).replace("{", "{{").replace("}", "}}")


def run_experiment(e: Experiment, run: Path, **parameters: Any) -> Path:
    """Execute 11_run_experiment into the run folder of `e`, and return the record's path."""
    return _run_into(run, parameters | notebook_parameters(e))


def run_cell(
    run: Path, experiment: dict[str, Any], driver_runs: Path, **parameters: Any
) -> dict[str, Any]:
    """Execute 11_run_experiment on a worker, and return the record.

    `experiment` is :func:`notebook_parameters` of it, so that the worker need not import torch to
    unpickle it. Where another driver had it done meanwhile, nothing is executed. Raises
    RuntimeError where the worker's runs lie in another folder than `driver_runs`.
    """
    from distributed import get_worker

    if driver_runs != RUNS:
        raise RuntimeError(
            f"this worker's runs are in {RUNS}, not in {driver_runs}: "
            "start it with the same HAGAN_BUILD"
        )
    record = RECORDS / f"{run.name}.json"
    if not record.exists():
        get_worker().log_event("hagan", run.name)
        _run_into(run, parameters | experiment)
    return read_json(record)


def notebook_parameters(e: Experiment) -> dict[str, Any]:
    """Return the parameters by which 11_run_experiment makes `e`."""
    return dict(model=e.model, dataset=e.dataset, preset=e.preset, seed=e.seed, changes=e.changes)


def _run_into(run: Path, parameters: dict[str, Any]) -> Path:
    execute("11_run_experiment", run / "run_experiment.ipynb", **parameters)
    return RECORDS / f"{run.name}.json"


def _forget_path(notebook: Path, folder: str) -> None:
    """Take a user's folder out of an executed notebook, and the warnings about files in it.

    They may name people.
    """
    import nbformat  # a second, for its schemas: only where a notebook was run

    executed = nbformat.read(notebook, as_version=4)
    executed.metadata.pop("papermill", None)
    spellings = _spellings(folder)
    for cell in executed.cells:
        if "injected-parameters" in cell.metadata.get("tags", ()):
            cell.source = re.sub("(?m)^dataset = .*$", 'dataset = "folder"', cell.source)
        cell.source = _replaced(cell.source, spellings)
        if cell.cell_type == "code":
            cell.outputs = [o for o in cell.outputs if o.get("name") != "stderr"]
            for output in cell.outputs:
                for key in {"text", "data", "ename", "evalue", "traceback"} & set(output):
                    output[key] = _replaced(output[key], spellings)
    if "widgets" in executed.metadata:
        executed.metadata.widgets = _replaced(executed.metadata.widgets, spellings)
    text = nbformat.writes(nbformat.from_dict(executed))
    write_atomically(notebook, lambda f: f.write(text.encode()))


def _spellings(folder: str) -> re.Pattern:
    """Return a pattern of all ways in which a path may be written in code and outputs.

    A path of a single name must stand alone: "/data" in "/hagan/datasets" is another one.
    """
    escaped = folder.encode("unicode_escape").decode()  # as papermill writes parameters
    plain = [folder, repr(folder)[1:-1], json.dumps(folder)[1:-1], escaped]
    plain += [json.dumps(folder, ensure_ascii=False)[1:-1], escaped.replace('"', '\\"')]
    in_html = [html.escape(spelling) for spelling in plain]
    longest_first = sorted({*plain, *in_html}, key=len, reverse=True)
    pattern = "|".join(map(re.escape, longest_first))
    is_one_name = len(re.split(r"[/\\]", folder.strip("/\\"))) == 1
    return re.compile(rf"(?<!\w)(?:{pattern})(?!\w)" if is_one_name else pattern)


def _replaced(value: Any, spellings: re.Pattern) -> Any:
    """Return lists and dictionaries with `spellings` replaced by "folder" in all strings.

    Keys stay, and bitmaps, whose letters are no text.
    """
    if isinstance(value, str):
        return spellings.sub("folder", value)
    if isinstance(value, list):
        return [_replaced(part, spellings) for part in value]
    if isinstance(value, dict):
        bitmaps = ("image/png", "image/jpeg")
        return {k: v if k in bitmaps else _replaced(v, spellings) for k, v in value.items()}
    return value


def widget_errors(notebook: "nbformat.NotebookNode") -> list[str]:
    """Return the tracebacks of exceptions inside `interact` or `with Output()`.

    Papermill does not see them: they are in the widgets' state.
    """
    kind = "application/vnd.jupyter.widget-state+json"
    widgets = notebook.metadata.get("widgets", {}).get(kind, {}).get("state", {})
    errors = []
    for widget in widgets.values():
        for output in widget.get("state", {}).get("outputs", []):
            if output.get("output_type") == "error":
                errors.append("\n".join(output.get("traceback", [])))
    return errors
