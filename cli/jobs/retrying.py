"""`usher jobs retry`: the rows that are tried again are sent like any other list."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from cli.follow.run import Run, get_ready
from cli.guests.changing import is_told_by_row
from cli.guests.flow import run_rows
from cli.guests.rows_together import RowsTogether
from cli.guests.together import Wanted
from cli.invite.request import Request
from cli.invite.sending import send
from cli.invite.several import send_split
from tasks.forecast.several import say_once
from tasks.jobs.finding import find_job
from tasks.jobs.retrying import build_retry, build_retry_of_all, choose_retried, refuse_retry
from tasks.jobs.submissions import Submission, match_submission
from tasks.rows.copied import open_copy
from tasks.submission.request import Request as Asked
from tasks.submission.splitting import Split
from worker.ledger.audit.account import find_person
from worker.services import Services


async def retry_job(run: Run, services: Services, wanted: str, options: dict[str, Any]) -> int:
    """Send the rows of a job that failed or stayed in doubt, or a stage of which did, as a new job,
    and follow it.
    """
    if submission := await match_submission(services, wanted):
        return await _retry_submission(run, services, submission, options)
    view = await find_job(services, wanted)
    refuse_retry(view)
    await get_ready(run, services, view.connection)
    with open_copy() as file:
        asked, left_out = await build_retry(services, view, find_person().to_info(), file)
        if left_out:
            run.terminal.warn(left_out)
        if is_told_by_row(asked.operation):
            return await _retry_by_row(run, services, asked, options)
        return await send(run, services, _as_command(asked, options))


async def _retry_submission(run: Run, services: Services, submission: Submission, options: dict[str, Any]) -> int:
    """Send what failed in any of its jobs as a new submission; name what cannot be tried now."""
    views, left = choose_retried(submission)
    names = [view.connection for view in views]
    with Split(names) as split:
        asked, left_out = await build_retry_of_all(services, submission, views, find_person().to_info(), split)
        for sentence in say_once([*left, *left_out]):
            run.terminal.warn(sentence)
        if is_told_by_row(asked.operation):
            following = {key: options[key] for key in ("yes", "detach", "wait_s")}
            wanted = Wanted(asked.operation, not options["yes"], **following)
            info_of = {view.connection: {"retry_of": view.id} for view in views}
            status = await RowsTogether(services, split, asked.name, wanted, info_of=info_of).do(run)
        else:
            await get_ready(run, services, next(filter(run.place.is_built_in, names), names[0]))
            status = await send_split(run, services, _as_command(asked, options), split)
    return max(status, 1) if left else status


def _as_command(asked: Asked, options: dict[str, Any]) -> Request:
    shared = {one.name: getattr(asked, one.name) for one in fields(asked)}
    return Request(**shared, **{key: options[key] for key in ("yes", "detach", "wait_s")})


async def _retry_by_row(run: Run, services: Services, asked: Asked, options: dict[str, Any]) -> int:
    """Do to guests once more what was not done; without --yes show it, and do nothing."""
    return await run_rows(
        run,
        services,
        await services.resolved(asked.connection),
        asked.rows,
        operation=asked.operation,
        name=asked.name,
        info=asked.info,
        options=asked.options,
        dry=not options["yes"],
        **{key: options[key] for key in ("yes", "detach", "wait_s")},
    )
