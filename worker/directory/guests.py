"""A tenant lists its guests, a page at a time: however many there are, one page is held.

A page's link may end within minutes (`Directory_ExpiredPageToken`): the listing then begins again,
a few times at most, and says so, for whoever kept what came before lets go of it. Dates of signing
in have a quota of their own, shared by all tenants of an application, and pages half as large.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Collection, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from worker.directory.reader import Asker, Unread
from worker.errors import DirectoryUnread
from worker.graph.batch import GraphRequest
from worker.graph.guests import (
    MORE_PROPERTIES,
    READ_SIGN_INS,
    Also,
    Guest,
    build_by_name,
    build_count,
    build_dates,
    build_everybody,
    build_listing,
    read_guests,
    read_signed_in,
    read_sponsors,
    read_total,
)
from worker.graph.users import READ_ROLES, build_questions, build_requests
from worker.graph.verdicts import READ_USERS
from worker.ledger.guests.last_seen import GuestCounts
from worker.ledger.quota import sign_in_buckets
from worker.ledger.why_waiting import Stop

if TYPE_CHECKING:
    from config.connections import Connection
    from worker.services import Services

MOST_RESTARTS = 3
"""A listing whose links end time and again is given up."""
_EXPIRED = "Directory_ExpiredPageToken"
MAY_NOT_READ_USERS = (
    "The application of {} may not read users: grant the application permission User.Read.All and give admin consent."
)
MAY_NOT_READ_SIGN_INS = (
    "When guests signed in may not be read on {}: grant the application permission " + READ_SIGN_INS + " and give admin"
    " consent; the tenant needs Entra ID P1 or P2 too."
)


@dataclass(frozen=True, slots=True)
class Page:
    """Guests of one page. `begins`: the first of a listing, or of one that had to begin again.
    `total`: how many there are, None where Graph has not said.
    """

    guests: Sequence[Guest] = field(repr=False)
    begins: bool
    total: int | None


class GuestReader:
    """Reads one tenant's guests, waiting for the quota and for a Graph that is busy. Holds no gate,
    and changes nothing in the tenant.
    """

    def __init__(self, services: Services, connection: Connection) -> None:
        self._services = services
        self._connection = connection
        self._asker = Asker(services, connection)
        self._sign_ins = sign_in_buckets(services.settings(), connection)
        self._dates_asker = Asker(services, connection, self._sign_ins)

    async def pages(
        self, also: Collection[Also] = (), *, pending: bool = False, more: Sequence[str] = ()
    ) -> AsyncGenerator[Page, None]:
        """Yield all guests, or where nothing speaks against it only those who have not accepted.
        `more`: properties to be read besides. Who reads all of them to the end leaves a note of how
        they stand.

        Raises `DirectoryUnread`, of dates of signing in with `missing`, and `TokenRefused`.
        """
        await self._check(also)
        total = None
        if Also.SIGN_INS in also:
            total = read_total(self._found(await self._asker.ask(build_count(), READ_USERS)))
        counts = GuestCounts()
        async with aclosing(self._pages(build_listing(also, pending=pending, more=more), also, total, more)) as pages:
            async for page in pages:
                counts = GuestCounts() if page.begins else counts
                for guest in page.guests:
                    counts.add(guest)
                yield page
        if Also.SIGN_INS in also or not pending:  # else only some of them were asked for
            await self._services.last_seen.note_guests(self._connection.name, counts)

    async def everybody(self) -> AsyncGenerator[Page, None]:
        """Yield all users, members too. Raises `DirectoryUnread` and `TokenRefused`."""
        await self._check(())
        async with aclosing(self._pages(build_everybody(), (), None)) as pages:
            async for page in pages:
                yield page

    async def _pages(
        self, first: GraphRequest, also: Collection[Also], total: int | None, more: Sequence[str] = ()
    ) -> AsyncGenerator[Page, None]:
        for _ in range(MOST_RESTARTS + 1):
            request, begins = first, True
            while True:
                body = await self._ask(request, also)
                if isinstance(body, Unread) and body.code == _EXPIRED:
                    break
                body = self._found(body, also)
                if begins and total is None:
                    total = read_total(body)
                yield Page(read_guests(body, more), begins, total)
                path = self._asker.following(body)
                if not path:
                    return
                request, begins = request._replace(path=self._found(path)), False
        raise DirectoryUnread(
            f"The users of {self._connection.name} were not listed to the end: Graph ended its pages"
            f" {MOST_RESTARTS + 1} times before the last one was reached. Try again at a quieter hour."
        )

    async def find(self, who: str) -> list[Guest]:
        """Return the users, members too, who have an address or an object id. Raises
        `DirectoryUnread` and `TokenRefused`.
        """
        await self._check(())
        found: dict[str, Guest] = {}
        for request in build_requests(build_questions([who]), MORE_PROPERTIES):
            body = self._found(await self._asker.ask(request, READ_USERS))
            found |= {guest.id: guest for guest in read_guests(body)}
        return list(found.values())

    async def find_named(self, name: str) -> list[Guest]:
        """Return the users who are called so. Raises `DirectoryUnread` and `TokenRefused`."""
        await self._check(())
        return read_guests(self._found(await self._asker.ask(build_by_name(name), READ_USERS)))

    async def sponsors(self, guest: Guest) -> tuple[str, ...]:
        """Return the sponsors of a guest. Raises `DirectoryUnread` and `TokenRefused`."""
        path = f"/users/{guest.id}/sponsors?$select=id,displayName"
        return read_sponsors(self._found(await self._asker.read(path, READ_USERS)).get("value"))

    async def dates(self, guest: Guest) -> Guest:
        """Return the guest with the latest date of signing in. Raises `DirectoryUnread` with
        `missing`, and `TokenRefused`.
        """
        await self._check((Also.SIGN_INS,))
        body = self._found(await self._ask(build_dates([guest.id]), (Also.SIGN_INS,)), (Also.SIGN_INS,))
        values = body.get("value") or [{}]
        return replace(guest, signed_in_at=read_signed_in(values[0]))

    async def _check(self, also: Collection[Also]) -> None:
        """Raise `DirectoryUnread` for what the token, where it says so, does not allow."""
        token = await self._asker.take_token(self._connection)
        if isinstance(token, Stop) or token.roles is None:
            return
        if not token.roles & READ_ROLES:
            raise DirectoryUnread(MAY_NOT_READ_USERS.format(self._connection.name))
        if Also.SIGN_INS in also and READ_SIGN_INS not in token.roles:
            raise self._no_sign_ins()

    async def _ask(self, request: GraphRequest, also: Collection[Also]) -> Any | Unread:
        if Also.SIGN_INS not in also:
            return await self._asker.ask(request, READ_USERS)
        wait_s = await self._services.ledger.spending.take(self._sign_ins, 1)
        while wait_s:
            await asyncio.sleep(wait_s)
            wait_s = await self._services.ledger.spending.take(self._sign_ins, 1)
        return await self._dates_asker.ask(request, READ_USERS)

    def _found(self, body: Any | Unread, also: Collection[Also] = ()) -> Any:
        """Return what was read. Raises `DirectoryUnread`."""
        if not isinstance(body, Unread):
            return body
        if body.may_not:
            if Also.SIGN_INS in also:
                raise self._no_sign_ins()
            raise DirectoryUnread(MAY_NOT_READ_USERS.format(self._connection.name))
        raise DirectoryUnread(
            f"The users of {self._connection.name} could not be read ({body.said}): Graph gave no answer that can be"
            " used. Nothing was changed; try again later."
        )

    def _no_sign_ins(self) -> DirectoryUnread:
        return DirectoryUnread(MAY_NOT_READ_SIGN_INS.format(self._connection.name), missing=READ_SIGN_INS)
