"""The command line: parse, call one function, print."""

from __future__ import annotations

import os
import sys
import traceback

import click

from vidsearch import __version__
from vidsearch.cli import admin, cases, estimate, footage, people, rekognition_local, results, searching, serving
from vidsearch.cli.context import Context
from vidsearch.cli.show import plain
from vidsearch.errors import VidsearchError

__all__ = ["cli", "main"]


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.option(
    "--data", metavar="DIR", envvar="VIDSEARCH_DATA", help="Data folder. Default: the platform's user data folder."
)
@click.option("--case", default=None, metavar="CASE", help="The case to work in. Default: the one a fresh install has.")
@click.option("--debug", is_flag=True, envvar="VIDSEARCH_DEBUG", help="Show where an error comes from.")
@click.version_option(__version__, prog_name="vidsearch")
@click.pass_context
def cli(ctx: click.Context, data: str | None, case: str | None, debug: bool) -> None:
    """Find a person in days of CCTV.

    Enrol photos of people, add recordings, search, and look at the timeline of appearances. A match is a lead for a
    person to check, never proof.
    """
    ctx.obj = Context(data, case, debug)


for module in (cases, people, footage, searching, estimate, results, serving, rekognition_local, admin):
    module.register(cli)


def main() -> None:
    """Run the command line; the one place where errors become a line on stderr and an exit code."""
    debug = "--debug" in sys.argv or bool(os.environ.get("VIDSEARCH_DEBUG"))
    try:
        sys.exit(cli.main(standalone_mode=False))
    except click.exceptions.Exit as exc:
        sys.exit(exc.exit_code)
    except click.exceptions.NoArgsIsHelpError as exc:
        print(exc.format_message(), file=sys.stderr)
        sys.exit(exc.exit_code)
    except click.ClickException as exc:
        where = f" (see `{exc.ctx.command_path} --help`)" if isinstance(exc, click.UsageError) and exc.ctx else ""
        _fail(exc.format_message() + where, exc.exit_code, debug)
    except VidsearchError as exc:
        _fail(str(exc), exc.exit_code, debug)
    except (KeyboardInterrupt, click.Abort):
        _fail("stopped", 130, False)
    except BrokenPipeError:
        # The reader of our output left; nothing is wrong. stdout is replaced so that closing it does not complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)

    except Exception as exc:  # the last resort: a bug, told in one line like everything else
        _fail(f"internal error: {type(exc).__name__}: {exc}; --debug shows where", 1, debug)


def _fail(message: str, exit_code: int, debug: bool) -> None:
    if debug:
        traceback.print_exc()
    print(f"vidsearch: {plain(' '.join(message.split()))}", file=sys.stderr)
    sys.exit(exit_code)
