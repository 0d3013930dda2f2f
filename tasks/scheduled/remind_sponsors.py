"""`remind_sponsors` tells sponsors whose guests' access ends soon, each end once; without `confirm`
it only says how many.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from tasks.errors import JobExists
from tasks.guests.ends import Ends, find_ends
from tasks.scheduled.clean_guests import NOT_CONFIRMED
from tasks.scheduled.context import Context, Told
from tasks.scheduled.load_list import find_started
from tasks.submit import dropping, load, start
from tasks.telling.words import many
from worker.operations.forewarn import Forewarn
from worker.store.client import read_time_ms

if TYPE_CHECKING:
    from config.connections import Connection


def lacks(connection: Connection) -> str:
    """Return what a connection lacks so that its runs could do anything; '' for nothing."""
    if connection.clean.remind_sponsor_before_s is None:
        return f"Set remind_sponsor_before under [connections.{connection.name}.clean]"
    return "" if connection.mails_itself else f'Set deliver = "smtp" or "mailbox" of {connection.name}'


async def run(context: Context) -> Told:
    """Find whose access ends soon, and start the job that tells it. Raises `UsherError`."""
    services, job, name = context.services, context.job, context.connection.name
    if await find_started(context, job) is not None:
        return Told(f"Job {job} was started.", jobs=(job,))
    connection = await services.resolved(name)
    before_s = connection.clean.remind_sponsor_before_s
    if before_s is None:
        return Told(f"Nobody was told: connections.{name}.clean.remind_sponsor_before is not set.", "attention")
    if not connection.mails_itself:
        return Told(f'Nobody was told: {name} has no mail of its own (deliver = "smtp" or "mailbox").', "attention")
    now = datetime.fromtimestamp(await read_time_ms(services.client) / 1000, UTC)
    ends = await find_ends(services, connection, now, timedelta(seconds=before_s))
    if ends.beyond:
        return Told(
            f"The access of {many(ends.beyond, 'guest')} ends soon, and connections.{name}.clean.most_reminded allows"
            f" {connection.clean.most_reminded:,} in one run, so nobody was told: look whether these days are right; if"
            " they are, raise it for this run.",
            "attention",
        )
    told = _tell(ends)
    if not ends.rows:
        return Told(told, "attention" if ends.without_sponsor else "ok")
    if context.schedule.args.get("confirm") is not True:
        return Told(f"{told} {NOT_CONFIRMED}", "attention")
    info = {"by": f"schedule {context.schedule.name}", "schedule": context.schedule.name}
    try:
        loaded = await load(services.jobs, connection, ends.valid_rows(), job=job, operation=Forewarn.name, info=info)
    except JobExists:
        return Told(f"Job {job} is there already.", jobs=(job,))
    async with dropping(services.jobs, loaded):
        await start(services.jobs, loaded)
    view = await services.jobs.view(job)
    waits = view is not None and view.awaits_approval
    more = f" It waits for somebody's approval: usher jobs approve {job}." if waits else ""
    return Told(f"Job {job}: {told}{more}", "attention" if waits or ends.without_sponsor else "ok", (job,))


def _tell(ends: Ends) -> str:
    """Say it in numbers."""
    told = "No sponsor is to be told of an end."
    if ends.rows:
        tell = "tells" if ends.mails == 1 else "tell"
        mails = many(ends.mails, "mail")
        told = f"The access of {many(len(ends.rows), 'guest')} ends soon: {mails} {tell} their sponsors."
    if ends.told_before:
        told += f" Of {many(ends.told_before, 'guest')} somebody was told before."
    if ends.without_sponsor:
        told += f" {many(ends.without_sponsor, 'guest')} whose access ends soon have no sponsor with an address."
    return told
