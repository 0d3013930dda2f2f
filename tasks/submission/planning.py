"""What a prepared job would do is told as a plan: at once, without those who are there already, or
after a dry run of each row.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from tasks.forecast.dry_run import Forecast, foresee_list, plan_as_foreseen
from tasks.forecast.looking_ahead import look_ahead
from tasks.forecast.plan import Plan, build_plan, name_mailer
from worker.operations.registry import find_operation

if TYPE_CHECKING:
    from tasks.forecast.rows import ForeseenRow
    from tasks.submission.preparing import Prepared
    from tasks.submission.request import Request
    from worker.services import Services


async def plan(services: Services, request: Request, prepared: Prepared) -> Plan:
    """Tell the plan of a loaded job."""
    operation, connection = find_operation(request.operation), prepared.connection
    return build_plan(
        prepared.loaded,
        connection.name,
        buckets=operation.buckets(services.settings(), connection),
        tenant_id=connection.tenant_id,
        tenant=prepared.signed_in.tenant,
        gate=await services.gates.of(connection.name),
        jobs_before=await services.jobs.finished_jobs(connection.name),
        daily_limit=operation.daily_limit(connection),
        rehearsal=services.settings().rehearses(connection.name),
        needs_approval=connection.require_approval,
        in_doubt_before=request.in_doubt_before,
        mailed_by=name_mailer(connection),
        stages=prepared.stages,
        operation=operation,
        twins=services.settings().tell_twins([connection.name]),
    )


async def plan_ahead(services: Services, request: Request, prepared: Prepared) -> Plan:
    """Tell the plan without those who are there already, as far as that is soon found out."""
    loaded, stages = prepared.loaded, prepared.stages
    ahead = await look_ahead(services, prepared.connection, loaded, request.options, stages, request.operation)
    left = replace(prepared, loaded=ahead.loaded, stages=ahead.stages)
    told = await plan(services, request, left)
    return replace(told, known=ahead.known, refused=ahead.refused, at_most=ahead.at_most)


async def foresee(
    services: Services, request: Request, prepared: Prepared, heard: Callable[[ForeseenRow], None]
) -> tuple[Plan, Forecast]:
    """Make a dry run of a loaded job: return what would be done, and what was found; `heard` is
    told of each row in turn. Raises `TokenRefused`.
    """
    forecast = await foresee_list(services, prepared, request, heard)
    left = replace(prepared, loaded=forecast.loaded, stages=forecast.stages)
    return plan_as_foreseen(await plan(services, request, left), forecast), forecast
