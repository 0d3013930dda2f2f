"""A schedule names its list: a file as workers see it, or an https address, or where it stands."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import PurePath
from urllib.parse import urlsplit

from config.errors import ConfigError
from config.references import Reference
from tasks.lists.guest_list import GuestList, open_list
from tasks.lists.options import ListOptions
from tasks.scheduled.context import Context
from tasks.scheduled.fetching import fetch, show_url


async def open_named(context: Context, closing: ExitStack) -> tuple[GuestList, str]:
    """Return the list, open until `closing` ends, and what to call it. Raises `InputError`,
    `ConfigError` with a sentence.
    """
    args, options = context.schedule.args, ListOptions().through(context.among or ())
    where = str(args.get("url") or args["path"])
    if "url" in args and where.startswith(("env:", "file:")):
        where = Reference.parse(where, key=f"schedules.{context.schedule.name}.args.url").resolve().reveal().strip()
        if not where.startswith("https://"):
            raise ConfigError(
                f"schedules.{context.schedule.name}.args.url refers to something that is no https:// address."
            )
    if not where.startswith("https://"):
        return closing.enter_context(open_list(where, options=options)), PurePath(where).name
    path = urlsplit(where).path
    file = closing.enter_context(await fetch(where))
    return GuestList(file, show_url(where), path=path, options=options), PurePath(path).name or "the list"
