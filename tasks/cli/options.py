"""Options that several commands share, and the types of their values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

_F = TypeVar("_F", bound=Callable[..., Any])


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
    """`--json`."""
    return click.option("--json", "wants_json", is_flag=True, help=what)


def follow_options(command: _F) -> _F:
    """`--yes --detach --wait --json`: what commands have in common that run a job."""
    for option in (
        json_option(),
        click.option(
            "--wait", "wait_s", type=Seconds(), metavar="TIME",
            help="How long to wait through a hold that may end by itself, such as 90s or 15m. Without a terminal: 15m.",
        ),
        click.option("--detach", is_flag=True, help="Leave the job running and return at once (status 3)."),
        click.option("--yes", "-y", is_flag=True, help="Do not ask."),
    ):  # fmt: skip
        command = option(command)
    return command
