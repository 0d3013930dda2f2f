"""Flower's options, looked at before Flower takes them: one that it cannot use is a sentence and status 2.

Flower alone would end in a traceback where a value is not of its type, drop what it does not know (a misspelt `--basic-auth` too), and take
`--read_only=no` for yes. Celery gives a plug-in's options as they were typed; the one place where an application gets to see them before
the plug-in does is a *preload option* of its own (https://docs.celeryq.dev/en/stable/userguide/extending.html#preload-options).
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from config.errors import did_you_mean, quoted

_PREFIX = "FLOWER_"
_TYPED = ("true", "t", "yes", "y", "1"), ("false", "f", "0")
"""Words for yes and no as an option; tornado takes every other word for yes, `no` among them."""
_IN_VARIABLES = (*_TYPED[0], "on"), (*_TYPED[1], "no", "n", "off")
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
    """Celery gives the option to each of its commands, plug-ins' too; Click parses it after those that were given."""
    if context.command.name != "flower" or context.resilient_parsing:
        return
    from flower.options import options

    try:
        check(options, context.params.get("tornado_argv") or (), os.environ)
    except NotStarted as error:
        raise end(error) from None


def check(options: Any, argv: Sequence[str], env: Mapping[str, str]) -> None:
    """Look at what is given to Flower, on the command line and as `FLOWER_…`. Raises `NotStarted`."""
    known = {
        name: option for key, option in options._options.items() if hasattr(options, name := key.replace("-", "_"))
    }
    given: dict[str, tuple[str, str]] = {}
    for variable, text in env.items():
        name = variable.removeprefix(_PREFIX).lower()
        if variable.startswith(_PREFIX) and name in known:
            _check_type(variable, known[name], text, _IN_VARIABLES)
            given[name] = (variable, text)
    for argument in argv:
        shown, equals, text = argument.partition("=")
        name = shown.lstrip("-").replace("-", "_")
        if name not in known or not shown.startswith("-"):
            close = did_you_mean(name, known)
            raise NotStarted(f"Flower has no option {quoted(shown)}{close}, so it is not started: {_WHO}.")
        if equals:
            _check_type(shown, known[name], text, _TYPED)
        elif known[name].type is not bool:
            raise NotStarted(f"Flower's {shown} needs a value, written {shown}=VALUE: {_WHO}.")
        given[name] = (shown, text)
    for name, (shown, text) in given.items():
        if fault := _CHECKS.get(name, _nothing)(text):
            raise NotStarted(f"Flower's {shown} {fault}: {_WHO}.")
    if len(alone := given.keys() & {"certfile", "keyfile"}) == 1:
        raise NotStarted(
            f"Flower speaks TLS with --certfile and --keyfile together, and only --{alone.pop()} was given: {_WHO}."
        )


def _check_type(shown: str, option: Any, text: str, words: tuple[Sequence[str], Sequence[str]]) -> None:
    for part in text.split(",") if option.multiple else [text]:
        if option.type is bool and part.lower() not in (*words[0], *words[1]):
            raise NotStarted(f"Flower's {shown} is true or false, not {quoted(part)}: {_WHO}.")
        if option.type in (int, float):
            try:
                below = option.type(part) < 0
            except ValueError:
                below = True
            if below:
                kind = "a whole number" if option.type is int else "a number"
                raise NotStarted(f"Flower's {shown} is {kind} and not negative, not {quoted(part)}: {_WHO}.")


def _nothing(text: str) -> str:
    return ""


def _port(text: str) -> str:
    return "" if int(text) <= 65_535 else f"is 65535 at most, not {quoted(text)}"


def _level(text: str) -> str:
    return "" if text.lower() in LEVELS else f"is one of {', '.join(LEVELS)}, not {quoted(text)}"


def _pattern(text: str) -> str:
    from flower.utils.authentication import validate_auth_option

    return "" if validate_auth_option(text) else "is a pattern of addresses with one * at most, and none in the domain"


def _broker_api(text: str) -> str:
    from flower.utils.broker import validate_broker_api

    try:
        validate_broker_api(text)
    except ValueError:
        return "is an address that begins with http:// or https://"  # not repeated: it holds a password
    return ""


def _function(text: str) -> str:
    return "is a function, which only a file of --conf can give"


def _file(text: str) -> str:
    try:
        with Path(text).open("rb"):
            return ""
    except OSError as error:
        return f"names {quoted(text)}, which cannot be read ({(error.strerror or str(error)).lower()})"


def _place(text: str) -> str:
    folder = Path(text).absolute().parent
    return (
        "" if os.access(folder, os.W_OK | os.X_OK) else f"names {quoted(text)}, and {folder} is no folder to write to"
    )


def _program(text: str) -> str:
    """Flower runs the file as Python; here it is only read."""
    if fault := _file(text):
        return fault
    try:
        compile(Path(text).read_bytes(), text, "exec")
    except (SyntaxError, ValueError) as error:
        return f"names {quoted(text)}, which is no Python ({error})"
    return ""


_CHECKS: Mapping[str, Callable[[str], str]] = {
    "port": _port,
    "logging": _level,
    "auth": _pattern,
    "broker_api": _broker_api,
    "format_task": _function,
    "conf": _program,
    "certfile": _file,
    "keyfile": _file,
    "ca_certs": _file,
    "unix_socket": _place,
    "log_file_prefix": _place,
}
"""What makes a value no good, beyond its type: the end of a sentence, or nothing."""
