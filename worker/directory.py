"""Looking people up in the tenant's directory: which addresses have a user there, and since when. Building and reading is pure.

https://learn.microsoft.com/graph/api/user-list  https://learn.microsoft.com/graph/filter-query-parameter
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import quote

from worker.addresses import fold_address
from worker.batching import BATCH_LIMIT, Fate, GraphAnswer, GraphRequest

CLAUSES = 15
"""Graph refuses a `$filter` with more."""
MOST_ADDRESSES = CLAUSES * BATCH_LIMIT // 2
"""Addresses in one `$batch`: each group of 15 takes two requests, by `mail` and by `otherMails`."""
_SELECT = "id,mail,otherMails,createdDateTime,userType,accountEnabled,externalUserState"

READ_ROLES = frozenset({"User.Read.All", "User.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All"})
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
    """At most `CLAUSES` addresses asked for in one request, by one property of a user."""

    by_mail: bool  # else by `otherMails`
    addresses: tuple[str, ...] = field(repr=False)

    def halves(self) -> tuple[Question, ...]:
        """Return the same asked in two; nothing for a single address."""
        middle = (len(self.addresses) + 1) // 2
        parts = (self.addresses[:middle], self.addresses[middle:])
        return tuple(Question(self.by_mail, part) for part in parts) if parts[1] else ()


def build_questions(addresses: Sequence[str]) -> list[Question]:
    """Return what is asked to find users by address: at most `MOST_ADDRESSES` addresses, 20 questions."""
    groups = [tuple(addresses[start : start + CLAUSES]) for start in range(0, len(addresses), CLAUSES)]
    return [Question(by_mail, group) for group in groups for by_mail in (True, False)]


def build_requests(questions: Sequence[Question]) -> list[GraphRequest]:
    """Return the requests that ask these questions, in their order."""
    requests = []
    for number, question in enumerate(questions):
        if question.by_mail:
            requests.append(GraphRequest(f"m{number}", "GET", _path(_BY_MAIL, question.addresses)))
        else:
            path = _path(_BY_OTHER_MAILS, question.addresses) + "&$count=true"
            requests.append(GraphRequest(f"o{number}", "GET", path, headers={"ConsistencyLevel": "eventual"}))
    return requests


def read_users(answer: GraphAnswer) -> dict[str, DirectoryUser] | None:
    """Return the users found by folded address; None when the answer is missing, refused or cut: absence proves nothing then."""
    values = answer.body.get("value") if isinstance(answer.body, dict) else None
    if answer.fate is not Fate.ANSWERED or answer.status != 200 or not isinstance(values, list):
        return None
    if answer.body.get("@odata.nextLink"):
        return None
    found: dict[str, DirectoryUser] = {}
    for value in values:
        if isinstance(value, dict) and value.get("id"):
            user = _read_user(value)
            for address in (value.get("mail"), *(value.get("otherMails") or ())):
                if isinstance(address, str):
                    found.setdefault(fold_address(address), user)
    return found


def _quote(text: str) -> str:
    return quote(text, safe="")


_BY_MAIL = (_quote("mail in ('"), _quote("','"), _quote("')"))
_BY_OTHER_MAILS = (_quote("otherMails/any(m:m eq '"), _quote("') or otherMails/any(m:m eq '"), _quote("')"))
"""A condition's beginning, what stands between two addresses, and its end."""
_PLAIN = re.compile(r"[A-Za-z0-9_.~@-]*")


def _path(condition: tuple[str, str, str], addresses: Sequence[str]) -> str:
    begin, between, end = condition
    if _PLAIN.fullmatch("".join(addresses)):  # nearly always: one character to be quoted, and that quickly
        listed = between.join(addresses).replace("@", "%40")
    else:
        listed = between.join(_quote(address.replace("'", "''")) for address in addresses)
    return f"/users?$filter={begin}{listed}{end}&$select={_SELECT}&$top=100"


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
