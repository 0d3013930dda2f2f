"""`clean_guests` does what the connection's policy has due to its guests, or without `confirm` says
what it would do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from tasks.errors import Refusal
from tasks.guests.clean.evaluating import ask_now, evaluate
from tasks.guests.clean.loading import Part, load_parts, refuse_unfinished, split
from tasks.guests.clean.plan import CleanPlan
from tasks.guests.clean.telling import tell_due, tell_left, tell_withheld
from tasks.scheduled.context import Context, Told
from tasks.scheduled.load_list import find_started
from tasks.submit import Follows, dropping, job_id_of, start
from worker.operations.clean.judging import policy_of
from worker.operations.clean.policy import Deed

if TYPE_CHECKING:
    from config.connections import Connection

NOT_CONFIRMED = "Nothing was done: the schedule's arguments do not have confirm = true."


def lacks(connection: Connection) -> str:
    """Return what a connection lacks so that its runs could do anything; '' for nothing."""
    if policy_of(connection).deeds:
        return ""
    return f"Write what is to be done to guests under [connections.{connection.name}.clean]"


async def run(context: Context) -> Told:
    """Evaluate the policy, and start its jobs where the schedule confirms it."""
    connection = await context.services.resolved(context.connection.name)
    return await clean_up(context, connection, tuple(Deed), split)


async def clean_up(
    context: Context,
    connection: Connection,
    only: Sequence[Deed],
    split_plan: Callable[[Connection, CleanPlan], list[Part]],
) -> Told:
    """Do what a connection's policy has due of some kinds, by the jobs that the plan becomes."""
    if context.among is not None and not policy_of(connection).deeds & set(only):
        return Told(f"The settings of {connection.name} do not say what is to be done to guests; nothing was done.")
    confirmed = context.schedule.args.get("confirm") is True
    if confirmed and Deed.DISABLE in only:
        try:
            await refuse_unfinished(context.services, connection, await ask_now(context.services), context.job)
        except Refusal as refusal:
            return Told(str(refusal), "attention")
    with CleanPlan() as plan:
        try:
            await evaluate(context.services, connection, plan, job=context.job, only=only, dry=not confirmed)
        except Refusal as refusal:
            return Told(str(refusal), "failed")
        told = [f"{tell_due(plan)}."]
        withheld = tell_withheld(plan, connection.name)
        jobs: list[str] = []
        if not confirmed:
            told.append(NOT_CONFIRMED)
        elif plan.will:
            jobs = await _start(context, connection, plan, split_plan(connection, plan))
            told.append(f"Job {jobs[0]} does it." if len(jobs) == 1 else f"Jobs {', '.join(jobs)} do it.")
        waits = [view.id for job in jobs if (view := await context.services.jobs.view(job)) and view.awaits_approval]
        told += [f"It waits for somebody's approval: usher jobs approve {job}." for job in waits]
        told += [*plan.notes, *withheld]
        needs_somebody = bool(waits or plan.notes or withheld)
        details = tuple(filter(None, (tell_left(plan),)))
        return Told(" ".join(told), "attention" if needs_somebody else "ok", tuple(jobs), details)


async def _start(context: Context, connection: Connection, plan: CleanPlan, parts: Sequence[Part]) -> list[str]:
    """Start a job a part, each once however often the run is done; returns all of them."""
    name, services = context.schedule.name, context.services
    jobs = [*(job_id_of(Follows.RUN, *context.name, part.operation) for part in parts[:-1]), context.job]
    for job in jobs:
        await find_started(context, job)
    info = {"by": f"schedule {name}", "schedule": name}
    loaded = await load_parts(services, connection, plan, parts, jobs, info)
    async with dropping(services.jobs, *loaded):
        for one in loaded:
            await start(services.jobs, one)
    return jobs
