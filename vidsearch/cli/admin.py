"""``vidsearch models`` and ``vidsearch doctor``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from vidsearch.cli.context import Context, print_json
from vidsearch.cli.show import plain, table
from vidsearch.doctor import examine
from vidsearch.errors import VidsearchError


def register(cli: click.Group) -> None:
    """Add the commands."""
    cli.add_command(models)
    cli.add_command(doctor)


@click.group()
def models() -> None:
    """Install and list the local engine's models."""


@models.command()
@click.option(
    "--from",
    "archives",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Take the archives from here; no network.",
)
@click.pass_obj
def install(ctx: Context, archives: Path | None) -> None:
    """Fetch the models' pinned archives, verify them, convert them once and keep them in the user's cache."""
    from vidsearch.engines.local import models as catalogue

    folder = ctx.settings().models
    catalogue.install(folder, archives, click.echo)
    click.echo(f"models are in {folder}")


@models.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def list_(ctx: Context, as_json: bool) -> None:
    """List the models, where they come from and whether they are installed."""
    from vidsearch.engines.local import models as catalogue

    folder = ctx.settings().models
    there = catalogue.installed(folder)
    if as_json:
        print_json([{**asdict(model), "installed": model in there} for model in catalogue.CATALOGUE])
        return
    table(
        ("model", "for", "from", "licence", "installed"),
        [
            (model.name, model.purpose, model.archive.requirement, model.licence, "yes" if model in there else "no")
            for model in catalogue.CATALOGUE
        ],
    )


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def doctor(ctx: Context, as_json: bool) -> None:
    """Say what is missing, and the command that mends it; exit 1 where something is."""
    findings = examine(ctx.settings())
    if as_json:
        print_json([{"what": f.what, "good": f.good, "detail": f.detail, "mend": f.mend} for f in findings])
    else:
        for finding in findings:
            mark = "ok     " if finding.good else "MISSING"
            mend = f"\n         {finding.mend}" if finding.mend and not finding.good else ""
            click.echo(f"{mark}  {finding.what}: {plain(finding.detail)}{mend}")
    bad = sum(not finding.good for finding in findings)
    if bad:
        raise VidsearchError(f"{bad} thing{'s' * (bad != 1)} to mend; see above")
