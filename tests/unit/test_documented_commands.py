"""Every command and option that the project's pages show is one that usher has."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from cli import COMMANDS, usher
from sandbox.__main__ import build_parser

ROOT = Path(__file__).parents[2]
PAGES = [
    *sorted(ROOT.glob("*.md")),
    *(page for folder in ("docs", "deploy", "examples") for page in sorted((ROOT / folder).glob("**/*.md"))),
]
_CODE = re.compile(r"```.*?```|`[^`\n]+`|^ {4,}[^\n]+", re.DOTALL | re.MULTILINE)
_SHOWN = re.compile(r"(?<![\w/.-])(?:\.venv/bin/)?usher (?=[a-z])([^\n`]*)")
_OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]*")
_NO_COMMANDS = {"guest invitations"}  # what entra-setup.md calls the application
_SANDBOX_OPTIONS = {option for action in build_parser()._actions for option in action.option_strings}


def find_shown(page: Path) -> list[str]:
    """Return what stands behind `usher` in a page's code."""
    return [
        shown.split("#")[0].split("&&")[0].strip()
        for code in _CODE.findall(page.read_text())
        for shown in _SHOWN.findall(code)
    ]


def find_faults(shown: str) -> list[str]:
    """Return the words of one line that usher does not know. `jobs list | show ID` names two
    commands of a group.
    """
    context = click.Context(usher)
    first, _, rest = shown.partition(" -- ")[0].partition(" ")  # Celery's own options stand behind --
    names = first.split("|")
    if unknown := [name for name in names if name not in COMMANDS]:
        return unknown
    command = usher.get_command(context, names[0])
    if names[0] == "sandbox":
        return sorted(set(_OPTION.findall(rest)) - _SANDBOX_OPTIONS)
    if len(names) > 1 or command is None:
        return []
    if not isinstance(command, click.Group):
        known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)} | {
            "--help"
        }
        return [option for option in _OPTION.findall(rest) if option not in known]
    faults = []
    for part in re.split(r"\s*\|\s*(?![^\[]*\])", rest):
        words = part.replace("|", " ").split()
        if not words or not re.fullmatch(r"[a-z-]+", words[0]) or words[0].startswith("-"):
            continue  # a placeholder, or the alternative of an option
        member = command.get_command(context, words[0])
        if member is None:
            faults.append(f"{first} {words[0]}")
            continue
        known = {option for parameter in member.params for option in (*parameter.opts, *parameter.secondary_opts)} | {
            "--help"
        }
        faults += [f"{first} {words[0]} {option}" for option in _OPTION.findall(part) if option not in known]
    return faults


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_each_command_that_is_shown_exists(page: Path) -> None:
    """By its name, and with the options it is shown with; in fences, in backticks and indented."""
    assert {
        shown: faults for shown in find_shown(page) if shown not in _NO_COMMANDS and (faults := find_faults(shown))
    } == {}


def test_enough_is_looked_at() -> None:
    """The pages show well over a hundred commands."""
    assert sum(len(find_shown(page)) for page in PAGES) > 120


@pytest.mark.parametrize(
    "shown",
    ["jobs lits", "invite x.csv --dry", "jobs list | shwo ID", "sandbox --prot 1", "nothing", "worker --autoscale 9"],
)
def test_what_does_not_exist_is_found(shown: str) -> None:
    """A command, an option, the second of two."""
    assert find_faults(shown)


def test_the_page_of_the_sandbox_names_each_option() -> None:
    """And no other: its program takes them itself."""
    page = (ROOT / "docs/sandbox.md").read_text()
    others = {"--sandbox"}  # of `usher connections add`
    assert set(_OPTION.findall(page)) - others == {option for option in _SANDBOX_OPTIONS if option.startswith("--")} - {
        "--help"
    }
