"""The tenant's directory is asked which addresses or ids have a user there, and since when.
Building and reading is pure.

https://learn.microsoft.com/graph/api/user-list
https://learn.microsoft.com/graph/filter-query-parameter
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache
from typing import Any
from urllib.parse import quote

from worker.addresses import fold_address, spellings
from worker.graph.batch import BATCH_LIMIT, Fate, GraphAnswer, GraphRequest

CLAUSES = 15
"""Graph refuses a `$filter` with more."""
MOST_ADDRESSES = CLAUSES // 2 * BATCH_LIMIT
"""Addresses in one look-up: 40 questions, two full `$batch`es (more where domains are
international).
"""
_SELECT = (
    "id,mail,userPrincipalName,otherMails,proxyAddresses,createdDateTime,userType,accountEnabled,externalUserState"
)
_DELETED = "deletedDateTime"
_MOST_A_PAGE = 999

READ_ROLES = frozenset(
    {
        *("User.Read.All", "User.ReadUpdate.All", "User.ReadWrite.All"),
        *("Directory.Read.All", "Directory.ReadWrite.All"),
    }
)
"""Application permissions, any of which lets an app read users."""


@dataclass(frozen=True, slots=True)
class DirectoryUser:
    """A user as far as usher looks."""

    id: str
    created_at: datetime | None
    member: bool
    enabled: bool
    pending: bool = False  # invited, not yet accepted
    accepted: bool = False  # neither: nobody can tell, as of guests who came by other ways
    deleted: bool = False  # in the bin, from which they can be restored
    deleted_at: datetime | None = None
    more: Mapping[str, Any] = field(default_factory=dict, repr=False)  # further properties that were asked for


class Place(StrEnum):
    """Where users are asked for, by path.
    https://learn.microsoft.com/graph/api/directory-deleteditems-list
    """

    DIRECTORY = "/users"
    BIN = "/directory/deletedItems/microsoft.graph.user"


class By(StrEnum):
    """What a question asks by, as its request's id begins."""

    MAIL = "m"  # `mail` and `userPrincipalName`
    COLLECTION = "o"  # `otherMails` and `proxyAddresses`
    ID = "i"


@dataclass(frozen=True, slots=True)
class Question:
    """Guests asked for in one request, at most `CLAUSES` clauses: addresses by two properties of a
    user, or ids.
    """

    by: By
    guests: tuple[str, ...] = field(repr=False)

    def halves(self) -> tuple[Question, ...]:
        """Return the same asked in two; nothing for a single guest."""
        middle = (len(self.guests) + 1) // 2
        parts = (self.guests[:middle], self.guests[middle:])
        return tuple(Question(self.by, part) for part in parts) if parts[1] else ()


def build_questions(guests: Sequence[str]) -> list[Question]:
    """Return what is asked to find users: two questions for each 7 folded addresses, whatever the
    domains' spelling, and one for each 15 ids.
    """
    groups: list[list[str]] = []
    left = 0
    addresses = [guest for guest in guests if "@" in guest]  # the others are named by an object id
    ids = tuple([guest for guest in guests if "@" not in guest]) if len(addresses) < len(guests) else ()
    for address in addresses:
        clauses = 2 * len(spellings(address)) if "xn--" in address else 2
        if clauses > left:
            groups.append([])
            left = CLAUSES
        groups[-1].append(address)
        left -= clauses
    asked = [Question(by, tuple(group)) for group in groups for by in (By.MAIL, By.COLLECTION)]
    return asked + [Question(By.ID, ids[start : start + CLAUSES]) for start in range(0, len(ids), CLAUSES)]


def build_requests(
    questions: Sequence[Question], more: Sequence[str] = (), place: Place = Place.DIRECTORY
) -> list[GraphRequest]:
    """Return the requests that ask these questions, in their order. `more`: further properties."""
    requests: list[GraphRequest] = []
    guests, texts = tuple[str, ...](), list[str]()
    for number, question in enumerate(questions):
        if question.guests is not guests:  # its other half, mostly, was just asked about them
            guests, texts = question.guests, _quote_all(question.guests)
        path = _path(place, _CONDITIONS[question.by], texts, more)
        if question.by is By.COLLECTION:
            path, headers = path + "&$count=true", {"ConsistencyLevel": "eventual"}
            requests.append(GraphRequest(f"{question.by}{number}", "GET", path, headers=headers))
        else:
            requests.append(GraphRequest(f"{question.by}{number}", "GET", path))
    return requests


def read_users(
    answer: GraphAnswer, by: By = By.MAIL, more: Sequence[str] = (), place: Place = Place.DIRECTORY
) -> dict[str, DirectoryUser] | None:
    """Return the users found by folded address, or by id; None when the answer is missing, refused
    or cut: absence proves nothing then. Of those who were deleted with one address, the last.
    """
    values = answer.body.get("value") if isinstance(answer.body, dict) else None
    if answer.fate is not Fate.ANSWERED or answer.status != 200 or not isinstance(values, list):
        return None
    if answer.body.get("@odata.nextLink"):
        return None
    return _read_values(values, (by,), more, place)


def build_bin_path(more: Sequence[str]) -> str:
    """Return the path of the first page of all who were deleted lately."""
    return f"{Place.BIN.value}?$select={_selected(Place.BIN, *more)}&$top={_MOST_A_PAGE}"


def read_bin(values: Sequence[Any], more: Sequence[str]) -> dict[str, DirectoryUser]:
    """Return those who were deleted, by each folded address and by id."""
    return _read_values(values, (By.ID, By.MAIL), more, Place.BIN)


def _read_values(
    values: Sequence[Any], by: Collection[By], more: Sequence[str], place: Place
) -> dict[str, DirectoryUser]:
    found: dict[str, DirectoryUser] = {}
    for value in values:
        if not (isinstance(value, dict) and value.get("id")):
            continue
        user = _read_user(value, more, place)
        if By.ID in by:
            found[user.id.lower()] = user
        if by == (By.ID,):
            continue
        for address in _addresses(value):
            if isinstance(address, str):
                add_user(found, fold_address(address), user)
    return found


def add_user(found: dict[str, DirectoryUser], asked: str, user: DirectoryUser) -> None:
    """Add who was found to the others; of two who were deleted the last stays, else the first."""
    before = found.get(asked)
    if before is None or (before.deleted_at and user.deleted_at and user.deleted_at >= before.deleted_at):
        found[asked] = user


def _addresses(value: dict[str, Any]) -> Iterator[Any]:
    """Yield all by which a user can be asked for."""
    yield value.get("mail")
    yield value.get("userPrincipalName")
    others, proxies = value.get("otherMails"), value.get("proxyAddresses")
    if isinstance(others, list):
        yield from others
    if isinstance(proxies, list):
        yield from (proxy[5:] for proxy in proxies if isinstance(proxy, str) and proxy[:5].lower() == _SMTP)


def _quote(text: str) -> str:
    return quote(text, safe="")


_SMTP = "smtp:"
_BY_MAIL = tuple(
    (_quote(begin), _quote("','"), _quote("')")) for begin in ("mail in ('", " or userPrincipalName in ('")
)
_BY_COLLECTION = tuple(
    (_quote(f"{before}{clause}"), _quote(f"') or {clause}"), _quote("')"))
    for before, clause in (("", "otherMails/any(m:m eq '"), (" or ", f"proxyAddresses/any(p:p eq '{_SMTP}"))
)
_CONDITIONS = {
    By.MAIL: _BY_MAIL,
    By.COLLECTION: _BY_COLLECTION,
    By.ID: ((_quote("id in ('"), _quote("','"), _quote("')")),),
}
"""Conditions: the beginning of each, what stands between two guests, and its end.

https://learn.microsoft.com/entra/external-id/customize-invitation-api names the four properties.
Text is compared without case.
"""
_PLAIN = re.compile(r"[A-Za-z0-9_.~@-]*")


def _quote_all(addresses: Sequence[str]) -> list[str]:
    """Return each spelling of some addresses as it stands in the quotes of a URL's filter."""
    together = "".join(addresses)
    # Nearly always: one character to be quoted, and that quickly
    if "xn--" not in together and _PLAIN.fullmatch(together):
        return [address.replace("@", "%40") for address in addresses]
    return [_quote(text.replace("'", "''")) for address in addresses for text in spellings(address)]


def _path(place: Place, conditions: Sequence[tuple[str, str, str]], texts: Sequence[str], more: Sequence[str]) -> str:
    asked = "".join(f"{begin}{between.join(texts)}{end}" for begin, between, end in conditions)
    return f"{place.value}?$filter={asked}&$select={_selected(place, *more)}&$top=100"


@lru_cache(maxsize=64)  # each question of each look-up asks
def _selected(place: Place, *more: str) -> str:
    deleted = (_DELETED,) if place is Place.BIN else ()
    return ",".join(dict.fromkeys((*_SELECT.split(","), *deleted, *more)))


def _read_user(value: dict[str, Any], more: Sequence[str], place: Place) -> DirectoryUser:
    return DirectoryUser(
        str(value["id"]),
        read_instant(value.get("createdDateTime")),
        value.get("userType") == "Member",
        value.get("accountEnabled") is not False,
        value.get("externalUserState") == "PendingAcceptance",
        value.get("externalUserState") == "Accepted",
        deleted=place is Place.BIN,
        deleted_at=read_instant(value.get(_DELETED)),
        more={name: value.get(name) for name in more},
    )


def read_instant(text: object) -> datetime | None:
    """Return an instant as Graph writes them, in UTC where it names no zone; None for all else."""
    try:
        at = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None
    return at if at is None or at.tzinfo else at.replace(tzinfo=UTC)
