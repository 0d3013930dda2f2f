"""Whose access ends soon is found in the tenant, with their sponsors' addresses: what a job of the
operation `forewarn` is made of.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from tasks.rows.row import ValidRow
from worker.directory.asking import PatientAsk
from worker.directory.guests import GuestReader
from worker.errors import DirectoryUnread
from worker.graph.batch import BATCH_LIMIT, GraphRequest
from worker.graph.guests import Also
from worker.operations.clean.policy import read_day
from worker.operations.forewarn import EXPIRES, SPONSORS, TARGET
from worker.operations.operation import CannotAsk

if TYPE_CHECKING:
    from config.connections import Connection
    from worker.graph.batch import GraphAnswer
    from worker.graph.guests import Guest
    from worker.services import Services

_MOST_SPONSORS = 2
"""A mail goes to one, with a copy to another."""


@dataclass(slots=True)
class Ends:
    """Guests whose access ends soon. `rows`: of whom somebody is to be told, those of the same
    sponsors together; the others are counted. `beyond`: how many there are to be told of where that
    is more than one run may, and then there are no rows.
    """

    rows: list[dict[str, Any]] = field(default_factory=list, repr=False)
    told_before: int = 0
    without_sponsor: int = 0
    beyond: int = 0

    @property
    def mails(self) -> int:
        """How many different sponsors are told."""
        return len({row[TARGET] for row in self.rows})

    def valid_rows(self) -> Iterator[ValidRow]:
        """Yield the rows of the job."""
        for number, row in enumerate(self.rows, 1):
            yield ValidRow(number, None, row)


async def find_ends(services: Services, connection: Connection, now: datetime, within: timedelta) -> Ends:
    """Return whose access ends within so long, of those who may sign in: as many as
    `most_reminded` allows, so that memory is flat. Raises `DirectoryUnread`, `TokenRefused`.
    """
    clean, last = connection.clean, (now + within).date()
    found, left, count = Ends(), list[tuple["Guest", str]](), 0
    async with aclosing(GuestReader(services, connection).pages({Also.ATTRIBUTES, Also.SPONSORS})) as pages:
        async for page in pages:
            if page.begins:
                found, left, count = Ends(), [], 0
            ends = [(guest, guest.attributes.get(clean.expiry_attribute, "")) for guest in page.guests if guest.enabled]
            ends = [(guest, text) for guest, text in ends if _ends_soon(read_day(text), now.date(), last)]
            named = {place: (guest.id, text) for place, (guest, text) in enumerate(ends)}
            told = await services.reminders.find_told_ends(connection.tenant_key, named)
            found.told_before += len(told)
            count += len(ends) - len(told)
            left += [pair for place, pair in enumerate(ends) if place not in told][: clean.most_reminded - len(left)]
    if count > clean.most_reminded:
        found.beyond = count
        return found
    wanted = sorted({one for guest, _ in left for one in guest.sponsor_ids})
    sponsors = await _find_sponsors(services, connection, wanted)
    for guest, text in left:
        those = [one for one in sorted(guest.sponsor_ids) if one in sponsors][:_MOST_SPONSORS]
        if those:
            found.rows.append(_build_row(guest, text, those, sponsors))
        else:
            found.without_sponsor += 1
    found.rows.sort(key=lambda row: (row[TARGET], row[EXPIRES], row["email"]))
    return found


def _ends_soon(day: date | None, first: date, last: date) -> bool:
    return day is not None and first <= day <= last


def _build_row(
    guest: Guest, text: str, those: Sequence[str], sponsors: Mapping[str, Mapping[str, str]]
) -> dict[str, Any]:
    language = sponsors[those[0]]["language"]
    return {
        "email": guest.email or guest.upn,
        "user_id": guest.id,
        **({"display_name": guest.display_name} if guest.display_name else {}),
        EXPIRES: text,
        SPONSORS: [sponsors[one]["mail"] for one in those],
        TARGET: ",".join(those),
        **({"language": language} if language else {}),
    }


async def _find_sponsors(services: Services, connection: Connection, ids: Sequence[str]) -> dict[str, dict[str, str]]:
    """Return address and language of those sponsors who are people with a mailbox."""
    ask = PatientAsk(services, connection, "")
    found: dict[str, dict[str, str]] = {}
    for start in range(0, len(ids), BATCH_LIMIT):
        part = ids[start : start + BATCH_LIMIT]
        requests = [GraphRequest(one, "GET", f"/users/{one}?$select=id,mail,preferredLanguage") for one in part]
        try:
            answers = await ask.get(requests)
        except CannotAsk:
            raise DirectoryUnread(
                f"Microsoft did not say who the sponsors of guests are on {connection.name}, so nobody was told: the"
                " next run tries again."
            ) from None
        found |= {one: told for one in part if (told := _read(answers[one])) is not None}
    return found


def _read(answer: GraphAnswer) -> dict[str, str] | None:
    body = answer.body if answer.status == 200 and isinstance(answer.body, dict) else {}
    mail, language = body.get("mail"), body.get("preferredLanguage")
    if not isinstance(mail, str) or "@" not in mail:
        return None
    return {"mail": mail, "language": language if isinstance(language, str) else ""}
