"""The guests that are meant are read into a listing, whoever shows it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from config.values import fold_domain
from tasks.errors import Refusal
from tasks.guests.choice import Choice
from tasks.guests.listing import GuestListing, columns_of
from worker.directory.guests import GuestReader
from worker.errors import DirectoryUnread
from worker.graph.guests import Also, GuestState
from worker.store.client import read_time_ms

if TYPE_CHECKING:
    from config.connections import Connection
    from worker.services import Services


@dataclass(frozen=True, slots=True)
class Meant:
    """Which guests somebody asks for, in ages where `Choice` has instants. None and '' leave a
    question open.
    """

    state: str = ""
    invited_before: timedelta | None = None
    inactive: timedelta | None = None
    domain: str = ""
    without_sponsor: bool = False
    enabled: bool | None = None
    expires_within: timedelta | None = None

    async def choose(self, services: Services, expiry_attribute: str = "") -> Choice:
        """Return the choice; ages count on Redis's clock. `expiry_attribute`: where an end lies."""
        now = datetime.fromtimestamp(await read_time_ms(services.client) / 1000, UTC)

        def ago(age: timedelta | None) -> datetime | None:
            return now - age if age else None

        return Choice(
            state=GuestState(self.state) if self.state else None,
            invited_before=ago(self.invited_before),
            inactive_since=ago(self.inactive),
            domain=fold_domain(self.domain.lstrip("@")),
            without_sponsor=self.without_sponsor,
            enabled=self.enabled,
            ends_by=(now + self.expires_within).date() if self.expires_within else None,
            expiry_attribute=expiry_attribute,
        )


@dataclass(frozen=True, slots=True)
class Read:
    """How many guests were read, and sentences about what could not be."""

    guests: int
    warnings: tuple[str, ...] = ()


async def read_listing(
    services: Services,
    connection: Connection,
    choice: Choice,
    also: frozenset[Also],
    limit: int | None,
    listing: GuestListing,
    heard: Callable[[int, int | None], None] = lambda read, total: None,
) -> Read:
    """Put the guests that are meant into the listing. `heard` is told how many were read, and of
    how many. Raises `Refusal`, `DirectoryUnread`, `TokenRefused`.
    """
    try:
        return await _read(services, connection, choice, also, limit, listing, heard)
    except DirectoryUnread as unread:
        if not unread.missing or Also.SIGN_INS in choice.needs:
            raise
        also -= {Also.SIGN_INS}
        listing.columns = columns_of(also)
        read = await _read(services, connection, choice, also, limit, listing, heard)
        return Read(read.guests, (f"{unread} The column last_sign_in is left out.", *read.warnings))


async def _read(
    services: Services,
    connection: Connection,
    choice: Choice,
    also: frozenset[Also],
    limit: int | None,
    listing: GuestListing,
    heard: Callable[[int, int | None], None],
) -> Read:
    """Raises `Refusal` where dates of signing in are asked for, and the tenant shows nobody's."""
    read, dated = 0, False
    asks_dates = Also.SIGN_INS in also
    pages = GuestReader(services, connection).pages(also, pending=choice.state is GuestState.PENDING)
    async with aclosing(pages):
        async for page in pages:
            if page.begins:
                listing.begin()
                read = 0
            for guest in page.guests:
                read += 1
                dated = dated or guest.signed_in_at is not None
                if (limit is None or listing.count < limit) and choice.takes(guest):
                    listing.put(guest)
            heard(read, page.total)
            if listing.count == limit and (dated or not asks_dates):
                break
    if not asks_dates or not read or dated:
        return Read(read)
    nobody = (
        f"No guest of {connection.name} has a date of signing in: such a tenant shows them to nobody (it needs"
        " Entra ID P1 or P2), which does not mean that nobody signs in."
    )
    if Also.SIGN_INS in choice.needs:
        raise Refusal(f"{nobody} So who is inactive cannot be told, and nobody is listed.")
    return Read(read, (nobody,))
