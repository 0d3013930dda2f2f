"""Flower reads its options by its own rules; what it cannot read is a sentence and status 2 here,
not a traceback.

Celery gives a plug-in's options as they were typed. The one place where an application sees them
before the plug-in does is a *preload option* of its own
(https://docs.celeryq.dev/en/stable/userguide/extending.html#preload-options).
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from typing import Any

import click

from config.errors import did_you_mean, quoted

LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
    "none": logging.CRITICAL + 1,
}
"""What `--logging` may be; `none` stands above everything that is ever logged."""
_WHO = "whoever starts it corrects it"


class NotStarted(Exception):
    """Flower is not started; the text is a sentence for whoever starts it."""


def end(error: NotStarted) -> SystemExit:
    """Say why Flower is not started; the caller raises what is returned."""
    sys.stderr.write(f"usher: {error}\n")
    return SystemExit(2)


def preload_option() -> click.Option:
    """Return the option that only looks at the others; nobody sees or gives it."""
    return click.Option(
        ["--usher-looks-at-the-options"], is_flag=True, hidden=True, expose_value=False, callback=_on_options
    )


def _on_options(context: click.Context, _: click.Parameter, __: Any) -> None:
    """Celery gives the option to each of its commands, plug-ins' too; Click parses it after those
    that were given.
    """
    if context.command.name != "flower" or context.resilient_parsing:
        return
    try:
        read(context.params.get("tornado_argv") or ())
    except NotStarted as error:
        raise end(error) from None


def read(argv: Sequence[str]) -> None:
    """Read what is given to Flower, as `FLOWER_…` and on the command line, as it will itself.
    Raises `NotStarted`.

    An option that Flower does not know is refused; Flower itself would drop a misspelt
    `--basic-auth` unseen.
    """
    from flower.command import apply_env_options, apply_options
    from tornado.options import options

    known = {name.replace("-", "_") for name in options._options}  # tornado has no public question for it
    for argument in argv:
        shown = argument.partition("=")[0]
        if not shown.startswith("-") or (name := shown.lstrip("-").replace("-", "_")) not in known:
            close = did_you_mean(name, known) if shown.startswith("-") else ""
            raise NotStarted(f"Flower has no option {quoted(shown)}{close}, so it is not started: {_WHO}.")
    try:
        apply_env_options()
        apply_options("flower", argv)
    except Exception as error:  # noqa: BLE001 - a file of --conf is a program, and may fail in any way
        raise NotStarted(f"Flower does not take its options ({error}), so it is not started: {_WHO}.") from None
