"""What the documents promise exists: commands, options, files, headings; every command says what it does."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from vidsearch.cli import cli

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
SOURCES = sorted([*(ROOT / "vidsearch").rglob("*.py"), *(ROOT / "web").rglob("*.py"), *(ROOT / "web").rglob("*.html")])


def named_commands(text: str) -> Iterator[list[str]]:
    """Yield the words of every `vidsearch …` in code, without the program's own name."""
    text = re.sub(r"(?m)^ {0,3}```\w*\n", "\n", text)
    inline = re.findall(r"`(?:\.venv/bin/)?vidsearch ([^`]+)`", text)
    lines = re.findall(r"(?m)^(?: {4})?(?:\.venv[/\\]\w+[/\\])?vidsearch ([^#\n]+)", text)
    for words in (*inline, *lines):
        yield shlex.split(words.split("#")[0].replace("\n", " "))


def resolve(words: list[str]) -> tuple[click.Command, list[str]]:
    """Return the command that the words name and the words after it. Raises LookupError where there is none."""
    command: click.Command = cli
    rest = list(words)
    while isinstance(command, click.Group):
        while rest and rest[0].startswith("-"):
            option = find_option(command, rest.pop(0))
            if not option.is_flag:
                rest.pop(0)
        if not rest or rest[0] in ("…", "..."):
            return command, []
        name = rest.pop(0)
        if name not in command.commands:
            raise LookupError(f"there is no command '{name}' under '{command.name}'")
        command = command.commands[name]
    return command, rest


def find_option(command: click.Command, word: str) -> click.Option:
    name = word.split("=")[0]
    for parameter in command.params:
        if isinstance(parameter, click.Option) and name in (*parameter.opts, *parameter.secondary_opts):
            return parameter
    raise LookupError(f"'{command.name}' has no option {name}")


def every_command(group: click.Group, path: str = "") -> Iterator[tuple[str, click.Command]]:
    for name, command in group.commands.items():
        yield f"{path}{name}", command
        if isinstance(command, click.Group):
            yield from every_command(command, f"{path}{name} ")


@pytest.mark.parametrize("document", [*DOCUMENTS, *SOURCES], ids=lambda path: str(path.relative_to(ROOT)))
def test_commands_named_exist(document: Path):
    for words in named_commands(document.read_text(encoding="utf-8")):
        command, rest = resolve(words)
        for word in rest:
            if word.startswith("--") and len(word) > 2:
                find_option(command, word)


def test_the_readme_names_commands():
    named = list(named_commands((ROOT / "README.md").read_text(encoding="utf-8")))
    assert {"person", "footage", "search", "matches"} <= {words[0] for words in named}


@pytest.mark.parametrize(("path", "command"), list(every_command(cli)), ids=lambda value: str(value))
def test_every_command_says_what_it_does(path: str, command: click.Command):
    assert (command.help or "").strip(), f"`vidsearch {path}` has no help"
    for parameter in command.params:
        if isinstance(parameter, click.Option) and not parameter.hidden:
            assert parameter.help, f"`vidsearch {path} {parameter.opts[0]}` has no help"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document: Path):
    for target in re.findall(r"\]\(([^)\s]+)\)", document.read_text(encoding="utf-8")):
        if re.match(r"\w+:", target):
            continue
        name, _, heading = target.partition("#")
        file = document.parent / name if name else document
        assert file.is_file(), f"{document.name} points to {target}"
        if heading:
            assert heading in {slug(line) for line in file.read_text(encoding="utf-8").splitlines() if line[:1] == "#"}


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_documents_named_in_the_code_exist(source: Path):
    for name in re.findall(r"docs/[\w-]+\.md", source.read_text(encoding="utf-8")):
        assert (ROOT / name).is_file(), f"{name} is not there"


def slug(line: str) -> str:
    """Return a heading's anchor as code hosts make it."""
    return re.sub(r"[^\w\- ]", "", line.lstrip("#").strip().lower()).replace(" ", "-")


def test_the_licence_is_the_whole_one():
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "Apache License" in text
    assert "Version 2.0, January 2004" in text
    assert "END OF TERMS AND CONDITIONS" in text
