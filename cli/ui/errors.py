"""An error ends a command with one sentence and the exit status. Before rows are accepted that is
2, nothing was sent; afterwards 3.
"""

from __future__ import annotations

import errno
import os
import sys
import traceback
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from config.errors import ConfigError
from tasks.errors import ListError, Refusal

if TYPE_CHECKING:
    from cli.ui.session import Session


_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})
"""Of a disk, or of stdout's file. What names its file was told by whoever opened it."""


def end(error: BaseException, session: Session) -> int:
    """Tell about an error that ended the run and return the exit status."""
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else 2
    if isinstance(error, click.exceptions.NoArgsIsHelpError):  # `usher` or `usher jobs` alone: the text is the help
        click.echo(error.format_message(), err=True)
        return 2
    if isinstance(error, BrokenPipeError):
        return 0 if not session.accepted else 3  # whoever read our output has gone
    sentence = describe(error, session)
    status = 3 if session.accepted else 2
    from cli.ui.terminal import Terminal

    terminal = Terminal(session)
    if session.accepted:
        job = session.accepted
        paused = (session.last or {}).get("state") == "paused"
        on = f"It is paused, and goes on with usher jobs resume {job}" if paused else f"usher jobs show {job}"
        terminal.problem(f"{sentence} The rows of job {job} are safe in the ledger{'. ' if paused else ': '}{on}")
        last_words = partial(terminal.finish, session.last or {})
    else:
        terminal.problem(sentence)
        last_words = partial(terminal.print_json, {"error": sentence})
    if session.wants_json and (session.last is not None or not session.accepted):
        with suppress(OSError):  # stdout itself may be the trouble
            last_words()
    return status


def describe(error: BaseException, session: Session) -> str:
    """Return a sentence or more for any error."""
    if isinstance(error, click.UsageError):
        hint = f" See {error.ctx.command_path} --help." if error.ctx else ""
        text = error.format_message()
        return f"{text if text.endswith('?') else text.rstrip('.') + '.'}{hint}"
    if isinstance(error, click.ClickException):
        return error.format_message()
    if isinstance(error, (KeyboardInterrupt, click.Abort)):
        return "Left at once." if session.accepted else f"Stopped; nothing was {session.undone}."
    return _known(error) or _unexpected(error)


def _known(error: BaseException) -> str:
    from worker.stack.folders import StackError

    if isinstance(error, (ConfigError, ListError, StackError, Refusal)):
        return str(error)
    from worker.errors import UsherError

    if isinstance(error, UsherError):
        return str(error)
    if isinstance(error, OSError) and error.errno in _NO_ROOM:
        return (
            f"Not everything could be written ({(error.strerror or str(error)).lower()}): whoever runs this machine"
            " makes room."
        )
    from redis.exceptions import OutOfMemoryError, RedisError

    from worker.store.client import OUTAGE
    from worker.store.client import describe as in_few_words

    if isinstance(error, OutOfMemoryError):
        return "Redis is full: whoever runs it raises its maxmemory, or deletes old jobs (usher jobs delete)."
    if isinstance(error, RedisError):
        away = isinstance(error, OUTAGE)
        return f"Redis {'cannot be reached' if away else 'refused a command'} ({in_few_words(error)})."
    return ""


def _unexpected(error: BaseException) -> str:
    kind = type(error).__name__
    place = _write_details(error)
    told = f" The details are in {place}." if place else ""
    return f"usher met an error that it does not know ({kind}): that is a fault of usher.{told}"


def _write_details(error: BaseException) -> Path | None:
    """Write the traceback where only the user can read it; a message in it may name a guest."""
    from worker.stack.folders import StackError, find_folders

    try:
        folders = find_folders(os.environ)
        folders.prepare()
        path = folders.log("cli")
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(descriptor, "a", encoding="utf-8", errors="replace") as file:
            file.write(f"usher {' '.join(_without_addresses(sys.argv[1:]))}\n")
            traceback.print_exception(error, file=file)
    except (OSError, StackError):
        return None
    return path


def _without_addresses(arguments: list[str]) -> list[Any]:
    return ["…@…" if "@" in argument else argument for argument in arguments]
