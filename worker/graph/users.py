"""The tenant's directory is asked which addresses have a user there, and since when. Building and
reading is pure.

https://learn.microsoft.com/graph/api/user-list
https://learn.microsoft.com/graph/filter-query-parameter
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
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


@dataclass(frozen=True, slots=True)
class Question:
    """Addresses asked for in one request, at most `CLAUSES` clauses, by two properties of a
    user.
    """

    by_mail: bool  # by `mail` and `userPrincipalName`; else by `otherMails` and `proxyAddresses`, which are collections
    addresses: tuple[str, ...] = field(repr=False)

    def halves(self) -> tuple[Question, ...]:
        """Return the same asked in two; nothing for a single address."""
        middle = (len(self.addresses) + 1) // 2
        parts = (self.addresses[:middle], self.addresses[middle:])
        return tuple(Question(self.by_mail, part) for part in parts) if parts[1] else ()


def build_questions(addresses: Sequence[str]) -> list[Question]:
    """Return what is asked to find users by folded address: two questions for each 7 addresses,
    whatever the domains' spelling.
    """
    groups: list[list[str]] = []
    left = 0
    for address in addresses:
        clauses = 2 * len(spellings(address))
        if clauses > left:
            groups.append([])
            left = CLAUSES
        groups[-1].append(address)
        left -= clauses
    return [Question(by_mail, tuple(group)) for group in groups for by_mail in (True, False)]


def build_requests(questions: Sequence[Question]) -> list[GraphRequest]:
    """Return the requests that ask these questions, in their order."""
    requests: list[GraphRequest] = []
    addresses, texts = tuple[str, ...](), list[str]()
    for number, question in enumerate(questions):
        if question.addresses is not addresses:  # its other half, mostly, was just asked about them
            addresses, texts = question.addresses, _quote_all(question.addresses)
        if question.by_mail:
            requests.append(GraphRequest(f"m{number}", "GET", _path(_BY_MAIL, texts)))
        else:
            path = _path(_BY_COLLECTION, texts) + "&$count=true"
            requests.append(GraphRequest(f"o{number}", "GET", path, headers={"ConsistencyLevel": "eventual"}))
    return requests


def read_users(answer: GraphAnswer) -> dict[str, DirectoryUser] | None:
    """Return the users found by folded address; None when the answer is missing, refused or cut:
    absence proves nothing then.
    """
    values = answer.body.get("value") if isinstance(answer.body, dict) else None
    if answer.fate is not Fate.ANSWERED or answer.status != 200 or not isinstance(values, list):
        return None
    if answer.body.get("@odata.nextLink"):
        return None
    found: dict[str, DirectoryUser] = {}
    for value in values:
        if isinstance(value, dict) and value.get("id"):
            user = _read_user(value)
            for address in _addresses(value):
                if isinstance(address, str):
                    found.setdefault(fold_address(address), user)
    return found


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
"""Two conditions: the beginning of each, what stands between two addresses, and its end.

https://learn.microsoft.com/entra/external-id/customize-invitation-api names the four properties.
Text is compared without case.
"""
_PLAIN = re.compile(r"[A-Za-z0-9_.~@-]*")


def _quote_all(addresses: Sequence[str]) -> list[str]:
    """Return each spelling of some addresses as it stands between the quotes of a filter in a
    URL.
    """
    together = "".join(addresses)
    if "xn--" not in together and _PLAIN.fullmatch(
        together
    ):  # nearly always: one character to be quoted, and that quickly
        return [address.replace("@", "%40") for address in addresses]
    return [_quote(text.replace("'", "''")) for address in addresses for text in spellings(address)]


def _path(conditions: Sequence[tuple[str, str, str]], texts: Sequence[str]) -> str:
    asked = "".join(f"{begin}{between.join(texts)}{end}" for begin, between, end in conditions)
    return f"/users?$filter={asked}&$select={_SELECT}&$top=100"


def _read_user(value: dict[str, Any]) -> DirectoryUser:
    return DirectoryUser(
        str(value["id"]),
        _read_instant(value.get("createdDateTime")),
        value.get("userType") == "Member",
        value.get("accountEnabled") is not False,
        value.get("externalUserState") == "PendingAcceptance",
        value.get("externalUserState") == "Accepted",
    )


def _read_instant(text: object) -> datetime | None:
    if not isinstance(text, str):
        return None
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None
