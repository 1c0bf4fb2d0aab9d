"""Execute notebooks by papermill in this process.

Outputs go below build/, errors inside widgets are raised, progress is shown.
"""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from hagan_lite.config import DATASETS, Experiment
from hagan_lite.runs.folder import finished, in_short, read_log
from hagan_lite.system.paths import BUILD, RECORDS, ROOT, short
from hagan_lite.system.storage import name_a_full_disk, write_atomically

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
            # Papermill would fill braces of a path in as if they named parameters.
            *(str(path).replace("{", "{{").replace("}", "}}") for path in (source, output)),
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


def run_experiment(e: Experiment, run: Path, **parameters: Any) -> Path:
    """Execute 11_run_experiment into the run folder of `e`, and return the record's path."""
    parameters |= dict(
        model=e.model, dataset=e.dataset, preset=e.preset, seed=e.seed, changes=e.changes
    )
    execute("11_run_experiment", run / "run_experiment.ipynb", **parameters)
    return RECORDS / f"{run.name}.json"


def _forget_path(notebook: Path, folder: str) -> None:
    """Take a user's folder out of an executed notebook, and the warnings about files in it.

    They may name people.
    """
    import nbformat  # a second, for its schemas: only where a notebook was run

    executed = nbformat.read(notebook, as_version=4)
    executed.metadata.pop("papermill", None)
    for cell in executed.cells:
        if cell.cell_type == "code":
            cell.outputs = [o for o in cell.outputs if o.get("name") != "stderr"]
    text = nbformat.writes(executed).replace(json.dumps(folder)[1:-1], "folder")
    write_atomically(notebook, lambda f: f.write(text.encode()))


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


@contextmanager
def progress(run: Path, steps: int, label: str) -> Iterator[None]:
    """Show a progress bar in the terminal while a notebook's kernel trains.

    It follows the run's log, and says where the first grid of samples lies as soon as it is there.
    """
    done = threading.Event()

    def follow() -> None:
        with tqdm(total=steps, desc=label, unit="step", mininterval=1, dynamic_ncols=True) as bar:
            waiting_for_samples = True
            while not done.wait(1):
                _advance(bar, run)
                if waiting_for_samples and (grids := sorted(run.glob("samples/step_*.png"))):
                    bar.write(f"first samples: {short(grids[0])}, and in run_experiment.ipynb")
                    waiting_for_samples = False
            _advance(bar, run)

    thread = threading.Thread(target=follow, daemon=True)
    if finished(run):
        yield
        return
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _advance(bar: tqdm, run: Path) -> None:
    log = read_log(run)
    if log:
        bar.set_postfix(in_short(log[-1]), refresh=False)
        bar.update(log[-1]["step"] - bar.n)
        if bar.n == bar.total:
            bar.set_description_str("trained; drawing samples and measuring them", refresh=False)
    bar.refresh()
