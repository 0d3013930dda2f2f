"""`invite_file` makes a job of a list, from a file or from an https address. The index skips
whoever was invited before.
"""

from __future__ import annotations

from contextlib import ExitStack

from tasks.rows.row import validate_defaults
from tasks.scheduled.context import Context, Told
from tasks.scheduled.load_list import find_started, submit
from tasks.scheduled.named_list import open_named
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
        guests, name = await open_named(context, closing)
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
