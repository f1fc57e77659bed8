"""``vidsearch case``: why we look."""

from __future__ import annotations

from typing import Any

import click

from vidsearch.cases import CaseBook
from vidsearch.cli.context import Context, print_json
from vidsearch.cli.show import plain, table
from vidsearch.errors import UsageError
from vidsearch.guidance import threshold_for
from vidsearch.model import Case, Purpose

PURPOSES = click.Choice([purpose.value for purpose in Purpose])


def register(cli: click.Group) -> None:
    """Add the commands."""
    cli.add_command(case)


@click.group()
def case() -> None:
    """Add cases, list them, and say why each looks for people."""


@case.command()
@click.argument("case_id", metavar="ID")
@click.option("--title", required=True, help="What it is called on screens.")
@click.option(
    "--purpose",
    type=PURPOSES,
    required=True,
    help="Why people are looked for; the similarity that counts on Rekognition follows from it.",
)
@click.option("--reference", help="Your own file number.")
@click.option(
    "--retention-days",
    type=click.IntRange(min=1),
    help="Days after which findings may be purged. Default: never.",
)
@click.pass_obj
def add(
    ctx: Context, case_id: str, title: str, purpose: str, reference: str | None, retention_days: int | None
) -> None:
    """Add a case. Its ID is 1 to 64 letters, digits and _ . - and never changes."""
    with ctx.open() as app:
        made = CaseBook(app.store).add(
            app.actor, case_id, title, Purpose(purpose), reference=reference, retention_days=retention_days
        )
        _tell_threshold(ctx, made)
    click.echo(f"added case {made.id}; work in it with --case {made.id}")


@case.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def list_(ctx: Context, as_json: bool) -> None:
    """List the cases."""
    with ctx.open() as app:
        cases = CaseBook(app.store).list()
    if as_json:
        print_json([_case_json(ctx, one) for one in cases])
        return
    table(
        ("id", "title", "purpose", "reference", "kept for"),
        [(one.id, one.title, one.purpose.value, one.reference or "", _kept(one)) for one in cases],
    )


@case.command("set")
@click.argument("case_id", metavar="ID")
@click.option("--title", help="What it is called on screens.")
@click.option("--purpose", type=PURPOSES, help="Why people are looked for.")
@click.option("--reference", help="Your own file number; empty takes it away.")
@click.option("--retention-days", type=click.IntRange(min=0), help="Days after which findings may be purged; 0: never.")
@click.pass_obj
def set_(
    ctx: Context,
    case_id: str,
    title: str | None,
    purpose: str | None,
    reference: str | None,
    retention_days: int | None,
) -> None:
    """Change what is said of a case. What is not named stays as it is."""
    if title is None and purpose is None and reference is None and retention_days is None:
        raise UsageError("say what to change: --title, --purpose, --reference or --retention-days")
    with ctx.open() as app:
        before = app.store.cases.get(case_id)
        changed = CaseBook(app.store).change(
            app.actor,
            case_id,
            title=title,
            purpose=Purpose(purpose) if purpose else None,
            reference=reference,
            retention_days=retention_days,
        )
        if changed.purpose is not before.purpose:
            _tell_threshold(ctx, changed)
    same = " (nothing to change)" if changed == before else ""
    click.echo(f"case {changed.id}: {plain(changed.title)}, {changed.purpose.value}{same}")


def _kept(one: Case) -> str:
    return f"{one.retention_days} days" if one.retention_days else ""


def _tell_threshold(ctx: Context, changed: Case) -> None:
    """Say what the purpose means on Rekognition."""
    value, notice = threshold_for(ctx.settings(), changed.purpose)
    click.echo(
        f"on Rekognition, matches count from similarity {value:g}; for what was searched there before, "
        "`vidsearch search --engine rekognition` applies it, which costs nothing"
    )
    if notice:
        click.echo(notice, err=True)


def _case_json(ctx: Context, one: Case) -> dict[str, Any]:
    return {
        "id": one.id,
        "title": one.title,
        "purpose": one.purpose.value,
        "reference": one.reference,
        "retention_days": one.retention_days,
        "threshold_rekognition": threshold_for(ctx.settings(), one.purpose)[0],
    }
