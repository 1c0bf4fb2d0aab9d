"""List data sets, check what would be used of one, and fetch."""

import warnings
from pathlib import Path
from typing import Annotated

import typer

from hagan_lite.cli.options import Masks, Patient, Strict, located
from hagan_lite.config import DATASETS
from hagan_lite.paper import paper_name
from hagan_lite.system.paths import short

app = typer.Typer(help=__doc__)


@app.callback(invoke_without_command=True)
def overview(context: typer.Context) -> None:
    """List the data sets, and say of each whether it is here."""
    from hagan_lite import datasets

    if context.invoked_subcommand:
        return
    for name, what in DATASETS.items():
        if name.startswith("mni152"):
            here = "embedded"
        else:
            try:
                source = datasets.find(name)
                here = f"{len(source.sources)} files in {short(source.folder)}"
            except datasets.DataError:
                here = f"not here; 'hagan data fetch {name}' says or does what is needed"
        typer.echo(f"{name:16} {what}\n{'':16} {here}")
    typer.echo(
        "A folder of your own is a data set, too: "
        "'hagan data check PATH' says what would be used of it."
    )


@app.command()
def check(
    name: Annotated[
        str, typer.Argument(metavar="NAME|PATH", help="a data set, or a folder of images")
    ],
    size: Annotated[int, typer.Option(help="pixels a side")] = 64,
    sheet: Annotated[
        Path | None, typer.Option(help="draw a contact sheet into this PNG file")
    ] = None,
    strict: Strict = False,
    masks: Masks = False,
    patient: Patient = "",
) -> None:
    """Show which images of a data set would be used and which are skipped, with reasons.

    --sheet draws them.
    """
    from hagan_lite import datasets, drawing
    from hagan_lite.datasets.sources import titled

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what was left out is listed below, all of it
        images = datasets.load(located(name), size, 1, strict, masks, patient)
    n, groups = len(images), len(set(images.groups.tolist()))
    typer.echo(f"{images.name}: {n} images of {size} x {size}, {groups} groups")
    typer.echo(f"fingerprint {images.fingerprint}")
    for note in images.notes:
        typer.echo(f"  {note}")
    for line in images.left_out:
        typer.echo(f"  left out: {line}")
    if sheet:
        title = titled(f"{images.name}: {min(n, 96)} of {n} images, evenly spread", images.name)
        figure = drawing.gallery(images.images, 96, title, columns=12)
        typer.echo(short(drawing.save_figure(figure, sheet)))
    else:
        typer.echo("--sheet FILE.png draws a contact sheet")


@app.command()
def fetch(
    name: Annotated[str, typer.Argument(help="covid-ct; of the others it says where to register")],
    url: Annotated[str, typer.Option(help="another address of the archive")] = "",
) -> None:
    """Download a data set, with progress; a broken download is tried four times.

    Only covid-ct may be downloaded by a program.
    """
    from hagan_lite import datasets
    from hagan_lite.datasets import fetch

    if name not in DATASETS or name.startswith("mni152"):
        others = ", ".join(other for other in DATASETS if not other.startswith("mni152"))
        raise ValueError(
            f"{name}: nothing to fetch; there are {others}, and mni152, which is embedded"
        )
    if paper_name(name) != "covid-ct":
        raise ValueError(
            f"{name} may not be fetched by a program: {datasets.where_to_get(name)}; "
            f"that folder is {datasets.data_root()}"
        )
    place, checksum = fetch.fetch_covid_ct(datasets.data_root(), url or fetch.URL)
    typer.echo(f"{place}\n{checksum}")
    check(name, sheet=None)
