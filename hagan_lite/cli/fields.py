"""The command `hagan fields`: what an Experiment's fields mean and which values they may have."""

import dataclasses
import textwrap
from typing import Annotated

import typer

from hagan_lite.config import MODELS, Experiment
from hagan_lite.system.choices import about_of

app = typer.Typer()

Model = Annotated[str, typer.Argument(help=", ".join(MODELS))]


@app.command()
def fields(model: Model = "hagan") -> None:
    """List every field that --set takes: default at the preset cpu, limits, meaning, source.

    The source is a section or an equation of the paper, "open" where the paper is silent, and for
    a model's own field the work that it is from.
    """
    if model != "hagan" and model in MODELS:
        import hagan_lite.baselines  # noqa: F401  (its files hold networks too, so this loads torch)

    typer.echo(described(Experiment.make(model)))


def described(e: Experiment) -> str:
    """Return a paragraph per field that the model of `e` uses.

    It has name, value and limits, then meaning and source.
    """
    paragraphs = []
    for field in dataclasses.fields(e):
        if field.name in e.REFUSED:
            continue
        about = about_of(field)
        limits = f"    {about.limits}" if about.limits else ""
        meaning = textwrap.fill(f"{about.meaning} [{about.source}]", 96)
        value = getattr(e, field.name)
        paragraphs.append(f"{field.name} = {value}{limits}\n{textwrap.indent(meaning, '    ')}")
    return "\n".join(paragraphs)
