"""`invite_file` makes a job of a list, from a file or from an https address. The index skips
whoever was invited before.
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import PurePath
from urllib.parse import urlsplit

from config.errors import ConfigError
from config.references import Reference
from tasks.lists.guest_list import GuestList, open_list
from tasks.rows.row import validate_defaults
from tasks.scheduled.context import Context, Told
from tasks.scheduled.fetching import fetch, show_url
from tasks.scheduled.load_list import find_started, submit
from worker.ledger.model import Options

_OPTIONS = ("redirect_url", "message", "language", "send_message")


async def run(context: Context) -> Told:
    """Read the list and start its job. Raises `ListError`, `ConfigError` with a sentence."""
    job = context.job
    if await find_started(context, job) is not None:
        return Told(f"Job {job} was started.", jobs=(job,))
    args = context.schedule.args
    options = Options(**validate_defaults({name: args[name] for name in _OPTIONS if name in args}))
    with ExitStack() as closing:
        guests, name = await _open(context, closing)
        return await submit(
            context,
            job,
            guests.rows(),
            name=name,
            options=options,
            info={},
            strict=bool(args.get("strict")),
            guests=guests,
        )


async def _open(context: Context, closing: ExitStack) -> tuple[GuestList, str]:
    args = context.schedule.args
    where = str(args.get("url") or args["path"])
    if "url" in args and where.startswith(("env:", "file:")):
        where = Reference.parse(where, key=f"schedules.{context.schedule.name}.args.url").resolve().reveal().strip()
        if not where.startswith("https://"):
            raise ConfigError(
                f"schedules.{context.schedule.name}.args.url refers to something that is no https:// address."
            )
    if not where.startswith("https://"):
        return closing.enter_context(open_list(where)), PurePath(where).name
    path = urlsplit(where).path
    file = closing.enter_context(await fetch(where))
    return GuestList(file, show_url(where), path=path), PurePath(path).name or "the list"
