"""List data sets, check what would be used of one, and fetch."""

import warnings
from pathlib import Path
from typing import Annotated

import typer

from hagan_lite.cli.options import Strict, located, short
from hagan_lite.config import DATASETS
from hagan_lite.paper import paper_name

app = typer.Typer(help=__doc__)


@app.callback(invoke_without_command=True)
def overview(context: typer.Context) -> None:
    """List the data sets, and say of each whether it is here."""
    from hagan_lite import datasets

    if context.invoked_subcommand:
        return
    for name, what in DATASETS.items():
        try:
            found = datasets.find(name) if not name.startswith("mni152") else None
            here = (
                "embedded"
                if found is None
                else f"{len(found.sources)} files in {short(found.folder)}"
            )
        except datasets.DataError:
            here = f"not here; 'hagan data fetch {name}' says or does what is needed"
        typer.echo(f"{name:16} {what}\n{'':16} {here}")
    typer.echo(
        "A folder of your own is a data set, too: 'hagan data check PATH' says what would be used of it."
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
) -> None:
    """Show which images of a data set would be used and which are skipped, with reasons.

    --sheet draws them.
    """
    from hagan_lite import datasets, drawing
    from hagan_lite.datasets.sources import titled

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what was left out is listed below, all of it
        found = datasets.load(located(name), size, strict=strict)
    typer.echo(
        f"{found.name}: {len(found)} images of {size} x {size}, {len(set(found.groups.tolist()))} groups"
    )
    typer.echo(f"fingerprint {found.fingerprint}")
    for line in [*found.notes, *(f"left out: {line}" for line in found.left_out)]:
        typer.echo(f"  {line}")
    if sheet:
        title = f"{found.name}: {min(len(found), 96)} of {len(found)} images, evenly spread"
        title = titled(title, found.name)
        typer.echo(
            short(drawing.save_figure(drawing.gallery(found.images, 96, title, columns=12), sheet))
        )
    else:
        typer.echo("--sheet FILE.png draws a contact sheet")


@app.command()
def fetch(
    name: Annotated[str, typer.Argument(help="covid-ct; of the others it says where to register")],
    url: Annotated[str, typer.Option(help="another address of the archive")] = "",
) -> None:
    """Download a data set, with progress; a broken download goes on when asked again.

    Only covid-ct may be downloaded by a program.
    """
    from hagan_lite import datasets
    from hagan_lite.datasets import acdc, brats2018, fetch, lgg

    known = {"covid-ct": "", "acdc": acdc.HELP, "brats2018": brats2018.HELP, "lgg": lgg.HELP}
    if (base := paper_name(name)) not in known:
        raise ValueError(
            f"{name}: nothing to fetch; there are {', '.join(known)}, and mni152, which is embedded"
        )
    if known[base]:
        raise ValueError(
            f"{base} may not be fetched by a program: {known[base]}; that folder is {datasets.data_root()}"
        )
    place, checksum = fetch.fetch_covid_ct(datasets.data_root(), url or fetch.URL)
    typer.echo(f"{place}\n{checksum}")
    check(name, sheet=None)
