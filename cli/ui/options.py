"""Several commands share these options, and the types of their values."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from tasks.lists.options import ListOptions

_F = TypeVar("_F", bound=Callable[..., Any])


class Delimiter(click.ParamType[str]):
    """What separates the cells of a CSV: the sign itself, or comma, semicolon, tab, bar."""

    name = "sign"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return one character."""
        from tasks.lists.options import DELIMITER_NAMES

        text = DELIMITER_NAMES.get(str(value).strip().lower(), "\t" if value == "\\t" else str(value))
        if len(text) != 1 or text in '"\r\n' or text.isalnum():
            self.fail(f"{value!r} is not comma, semicolon, tab, bar or another single sign.", param, ctx)
        return text


class Seconds(click.ParamType[float]):
    """A length of time: seconds, or text such as 90s, 15m, 2h."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return seconds."""
        from config.values import parse_seconds

        try:
            return parse_seconds(float(value) if str(value).replace(".", "", 1).isdigit() else value)
        except ValueError as error:
            self.fail(f"{value!r} {error}", param, ctx)


def json_option(
    what: str = "One JSON object on the last line of stdout; progress and warnings stay on stderr.",
) -> Callable[[_F], _F]:
    """`--json`. The session knows of it before options are parsed, so that a mistake in one is JSON
    too; commands need not be told.
    """
    return click.option("--json", "wants_json", is_flag=True, expose_value=False, help=what)


def follow_options(command: _F) -> _F:
    """`--yes --detach --wait --json`: what commands have in common that run a job."""
    for option in (
        json_option(),
        click.option(
            "--wait",
            "wait_s",
            type=Seconds(),
            metavar="TIME",
            help="How long to wait through a hold that may end by itself, such as 90s or 15m. Without a terminal: 15m.",
        ),
        click.option("--detach", is_flag=True, help="Leave the job running and return at once (status 3)."),
        click.option("--yes", "-y", is_flag=True, help="Do not ask."),
    ):
        command = option(command)
    return command


def list_options(command: _F) -> _F:
    """`--map --sheet --hidden --delimiter --encoding --header-line`: how a list is to be read."""
    for option in (
        click.option(
            "--header-line",
            type=click.IntRange(min=1),
            metavar="N",
            help="The line that holds the headings. Else: the first of 20 with an e-mail heading.",
        ),
        click.option(
            "--encoding",
            metavar="NAME",
            help="Such as utf-8, cp1252, cp850. Else: UTF-8, UTF-16 by its mark, or Windows-1252.",
        ),
        click.option(
            "--delimiter",
            type=Delimiter(),
            help="What separates the cells: comma, semicolon, tab, bar. Else: recognised.",
        ),
        click.option(
            "--hidden",
            type=click.Choice(("include", "skip")),
            help="What becomes of an Excel sheet's hidden and filtered rows.",
        ),
        click.option("--sheet", metavar="NAME", help="The sheet of an Excel workbook. Else: the first."),
        click.option(
            "--map",
            "mapping",
            multiple=True,
            metavar="FIELD=HEADING",
            help="Which column holds a field, such as --map email='E-Mail geschäftlich'; #3 is the "
            "third. May be given several times.",
        ),
    ):
        command = option(command)
    return command


def take_list_options(given: dict[str, Any]) -> ListOptions:
    """Take what `list_options` gave out of `given`. Raises `InputError`."""
    from tasks.lists.options import ListOptions, parse_mapping

    said: dict[str, Any] = {name: given.pop(name) or "" for name in ("delimiter", "encoding", "sheet", "hidden")}
    return ListOptions(mapping=parse_mapping(given.pop("mapping")), header_line=given.pop("header_line") or 0, **said)
