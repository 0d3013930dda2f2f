"""Rows become a job that does not run yet; whoever asked lets it go, or drops it without a trace.
What it would do is told by `planning.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tasks.errors import Refusal
from tasks.forecast.targets import StageAhead, look_at_stages, read_stages
from tasks.rows.row import BadRow, ValidRow
from tasks.submission.ceiling import refuse_too_many, refuse_unseen
from tasks.submission.refusing import refuse_bad, refuse_stages
from tasks.submission.request import Request
from tasks.submit import Loaded, dropping, load
from worker.directory.questions import Tenant, ask_name
from worker.errors import DirectoryUnread, TokenError, TokenRefused, TokenUnavailable

if TYPE_CHECKING:
    from config.connections import Connection
    from worker.services import Services


@dataclass(frozen=True, slots=True)
class SignedIn:
    """What a token tells. `tenant`: where it can be read; `roles`: where they can; `waits`: why
    there is no token now, '' where there is.
    """

    tenant: Tenant | None = None
    roles: frozenset[str] | None = None
    waits: str = ""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A loaded job that may be started (`tasks.submit.start`) or dropped (`tasks.submit.drop`)."""

    connection: Connection
    loaded: Loaded
    stages: Sequence[StageAhead]
    signed_in: SignedIn


async def sign_in(services: Services, connection: Connection, *, fresh: bool, waits: bool = False) -> SignedIn:
    """Take a token before anything is accepted. Raises `Refusal` where the credential is refused,
    unless the rows may wait for another one.

    `fresh`: one that tells of the roles as they are now, for a run that judges by them.
    """
    try:
        token = await services.tokens.get(connection, fresh=fresh)
    except TokenUnavailable as error:
        return SignedIn(waits=f"{error} {_ALL_THE_SAME}")
    except TokenRefused as error:
        if waits:
            return SignedIn(waits=f"{error} {_ALL_THE_SAME}")
        raise Refusal(f"Nothing was accepted or sent. {error}") from None
    return SignedIn(await ask_name(services, connection, token), token.roles)


_ALL_THE_SAME = "The rows are accepted all the same and wait for it."


async def prepare(
    services: Services, request: Request, job: str, *, dry: bool = False, admit: Callable[[Loaded], None] | None = None
) -> Prepared:
    """Do all that is done before a job is let go.

    `dry`: it will not be let go. `admit` raises where its rows ask for what they may not, before
    what they name is looked up. Raises `Refusal` and what `load` raises, with nothing left behind.
    """
    connection = services.connection(request.connection)
    signed_in = await sign_in(services, connection, fresh=dry)
    if dry:
        connection = await services.resolved(request.connection)
    loaded = await load_rows(services, request, connection, job, dry=dry)
    async with dropping(services.jobs, loaded):
        if admit is not None:
            admit(loaded)
        refuse_bad(request, loaded)
        stages = await look_at_stages(services, connection, job, loaded.asked, signed_in.roles)
        refuse_stages(request, stages)
        await refuse_too_many(services, request, connection, loaded)
        if request.guests is not None:
            await services.jobs.add_info(loaded.loading, sha256=request.guests.sha256())
    return Prepared(connection, loaded, stages, signed_in)


async def prepare_part(
    services: Services, request: Request, job: str, *, dry: bool = False, admit: Callable[[Loaded], None] | None = None
) -> Prepared:
    """Do the same for one of the connections that a list goes through: a credential that is
    refused, or a tenant that does not answer, makes its rows wait, and how many of them may be bad
    is a question of the whole list. Raises `CeilingMet` where too much would be done through this
    one.
    """
    connection = services.connection(request.connection)
    signed_in = await sign_in(services, connection, fresh=dry, waits=True)
    if dry and not signed_in.waits:
        try:
            connection = await services.resolved(request.connection)
        except TokenUnavailable as error:
            signed_in = SignedIn(waits=f"{error} {_ALL_THE_SAME}")
    loaded = await load_rows(services, request, connection, job, dry=dry)
    async with dropping(services.jobs, loaded):
        if admit is not None:
            admit(loaded)
        stages = read_stages(loaded.asked)
        if not signed_in.waits:
            try:
                stages = await look_at_stages(services, connection, job, loaded.asked, signed_in.roles)
                await refuse_too_many(services, request, connection, loaded)
            except (DirectoryUnread, TokenError) as error:
                signed_in = SignedIn(waits=f"{error} {_ALL_THE_SAME}")
        refuse_stages(request, stages)
        if signed_in.waits:
            refuse_unseen(request, loaded)
    return Prepared(connection, loaded, stages, signed_in)


async def load_rows(services: Services, request: Request, connection: Connection, job: str, *, dry: bool) -> Loaded:
    """Load the rows of a request into a job that does not run yet."""
    return await load(
        services.jobs,
        connection,
        _noted(request) if dry else iter(request.rows),
        job=job,
        options=request.options,
        info=request.info,
        pilot=request.pilot,
        operation=request.operation,
    )


def _noted(request: Request) -> Iterator[ValidRow | BadRow]:
    for row in request.rows:
        if isinstance(row, ValidRow):
            request.fields_seen.update(row.row)
        yield row
