"""`sync_file` keeps the guests that a list has brought as the list says; without `confirm` it only
says what it would do.
"""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from typing import TYPE_CHECKING

from tasks.errors import InputError, JobExists
from tasks.guests.sync.loading import load_plan, refuse_unfinished
from tasks.guests.sync.plan import SyncPlan, make_plan, read_list
from tasks.guests.sync.source import name_source
from tasks.guests.sync.store import SyncStore
from tasks.guests.sync.told import sum_up, tell_kept, tell_needs
from tasks.guests.sync.whose import OwnRows, keep_own
from tasks.scheduled.context import Context, Told
from tasks.scheduled.load_list import find_started
from tasks.scheduled.named_list import open_named
from tasks.submit import dropping, start

if TYPE_CHECKING:
    from tasks.lists.guest_list import GuestList


async def run(context: Context) -> Told:
    """Read the list, compare it, and start what differs. Raises `ListError`, `ConfigError`,
    `UsherError` with a sentence; nothing was done then.
    """
    job = context.job
    if await find_started(context, job) is not None:
        return Told(f"Job {job} was started.", jobs=(job,))
    args = context.schedule.args
    with ExitStack() as closing:
        try:
            guests, name = await open_named(context, closing)
            store = closing.enter_context(SyncStore())
            await _read(context, store, guests, name)
            source = str(args.get("source") or _name_source(name))
            connection = await context.services.resolved(context.connection.name)
            await refuse_unfinished(context.services, connection, source, context.now, job)
            plan = await make_plan(
                context.services, connection, store, guests, source, adopt=bool(args.get("adopt", False))
            )
        except InputError as error:
            raise InputError(f"{error} Nothing was done.") from None
        return await _do(context, plan, guests, name)


async def _read(context: Context, store: SyncStore, guests: GuestList, name: str) -> None:
    """Read the list: the rows that are this connection's."""
    mine, configured = context.connection.name, context.services.settings().connections
    if context.among is None:
        await asyncio.to_thread(read_list, store, guests, rows=keep_own(guests.rows(), mine, configured))
        return
    own = OwnRows(mine, configured, guests.rows())
    try:
        await asyncio.to_thread(read_list, store, guests, rows=own)
    except InputError:
        if why := own.fault(name):
            raise InputError(why) from None
        raise
    store.miss(own.nobodys)


async def _do(context: Context, plan: SyncPlan, guests: GuestList, name: str) -> Told:
    read = guests.warnings
    summary, needs, kept = f"{sum_up(plan)}.", tell_needs(plan), tell_kept(plan)
    if next(plan.changes(), None) is None:
        return Told(" ".join([f"{name}: {summary}", *needs, *kept]), "attention" if needs else "ok", (), read)
    if not context.schedule.args.get("confirm", False):
        dry = "Nothing was done: the schedule does not say confirm = true."
        return Told(" ".join([f"{name}: {summary}", *needs, *kept, dry]), "attention", (), read)
    jobs, job = context.services.jobs, context.job
    info = {"by": f"schedule {context.schedule.name}", "schedule": context.schedule.name, "list": name}
    try:
        loaded = await load_plan(context.services, plan, job, {**info, "sha256": guests.sha256()})
    except JobExists:
        return Told(f"Job {job} is there already.", jobs=(job,))
    async with dropping(jobs, loaded):
        await start(jobs, loaded)
    view = await jobs.view(job)
    if view is not None and view.awaits_approval:
        needs.append(f"It waits for somebody's approval: usher jobs approve {job}.")
    told = " ".join([f"Job {job} of {name}: {summary}", *needs, *kept])
    return Told(told, "attention" if needs else "ok", (job,), read)


def _name_source(name: str) -> str:
    try:
        return name_source(name)
    except ValueError as error:
        raise InputError(f"The schedule's source {error}.") from None
