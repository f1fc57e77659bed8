"""What every command gets: the data folder, the case and who acts."""

from __future__ import annotations

import getpass
import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from vidsearch.errors import VidsearchError
from vidsearch.model import DEFAULT_CASE, Actor
from vidsearch.settings import Settings, load_settings

if TYPE_CHECKING:
    from vidsearch.app import App


@dataclass(frozen=True, slots=True)
class Context:
    """Options of the whole program. ``open`` loads the program itself, so that ``--help`` stays quick."""

    data: str | None
    case: str | None
    debug: bool

    @property
    def case_id(self) -> str:
        """The case to work in."""
        return self.case or DEFAULT_CASE

    @property
    def actor(self) -> Actor:
        """The operating-system user."""
        try:
            return Actor(getpass.getuser(), "cli")
        except (OSError, KeyError):
            # Containers often run as a number that no user has.
            return Actor(f"uid {os.getuid()}", "cli")

    def settings(self, **flags: Any) -> Settings:
        """Return the settings, flags applied."""
        return load_settings(self.data, **flags)

    def open(self, **flags: Any) -> App:
        """Open the program over the data folder. Raises UnknownRecord where the case is not there."""
        from vidsearch.app import open_app

        # Whatever is written from here on may show or describe a face: only its user may read it.
        os.umask(0o077)
        settings = self.settings(**flags)
        new = not settings.database.exists()
        app = open_app(settings, actor=self.actor)
        if new:
            click.echo(f"vidsearch: {settings.data} is a new, empty data folder", err=True)
        try:
            app.store.cases.get(self.case_id)
        except VidsearchError:
            app.close()
            raise
        return app


def case_option(command: Any) -> Any:
    """Let a command take ``--case`` after its own name too."""

    def store(ctx: click.Context, _param: click.Parameter, value: str | None) -> None:
        if value:
            held: Context = ctx.obj
            ctx.obj = Context(held.data, value, held.debug)

    return click.option("--case", metavar="CASE", expose_value=False, callback=store, help="The case to work in.")(
        command
    )


def print_json(value: Any) -> None:
    """Print a value as JSON for other programs."""
    click.echo(json.dumps(value, indent=1, ensure_ascii=False))
