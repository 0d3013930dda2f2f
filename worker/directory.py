"""Looking people up in the tenant's directory: which addresses have a user there, and since when. Building and reading is pure.

https://learn.microsoft.com/graph/api/user-list  https://learn.microsoft.com/graph/filter-query-parameter
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote

from worker.addresses import fold_address
from worker.batching import BATCH_LIMIT, Fate, GraphAnswer, GraphRequest

CLAUSES = 15
"""Graph refuses a `$filter` with more."""
MOST_ADDRESSES = CLAUSES * BATCH_LIMIT // 2
"""Addresses in one `$batch`: each group of 15 takes two requests, by `mail` and by `otherMails`."""
_SELECT = "id,mail,otherMails,createdDateTime,userType,accountEnabled"

READ_ROLES = frozenset({"User.Read.All", "User.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All"})
"""Application permissions, any of which lets an app read users."""


@dataclass(frozen=True, slots=True)
class DirectoryUser:
    """A user as far as usher looks."""

    id: str
    created_at: datetime | None
    member: bool
    enabled: bool


def build_look_up(addresses: Sequence[str]) -> list[GraphRequest]:
    """Return the requests that find users by address: at most `MOST_ADDRESSES` addresses, 20 requests."""
    requests = []
    for number, start in enumerate(range(0, len(addresses), CLAUSES)):
        group = [address.replace("'", "''") for address in addresses[start : start + CLAUSES]]
        by_mail = "mail in (" + ",".join(f"'{address}'" for address in group) + ")"
        by_other = " or ".join(f"otherMails/any(m:m eq '{address}')" for address in group)
        requests.append(GraphRequest(f"m{number}", "GET", _path(by_mail)))
        requests.append(
            GraphRequest(f"o{number}", "GET", _path(by_other, count=True), headers={"ConsistencyLevel": "eventual"})
        )
    return requests


def read_look_up(answers: Iterable[GraphAnswer]) -> dict[str, DirectoryUser] | None:
    """Return the users found by folded address; None when any answer is missing or refused: absence proves nothing then."""
    found: dict[str, DirectoryUser] = {}
    for answer in answers:
        values = answer.body.get("value") if isinstance(answer.body, dict) else None
        if answer.fate is not Fate.ANSWERED or answer.status != 200 or not isinstance(values, list):
            return None
        if answer.body.get("@odata.nextLink"):
            return None
        for value in values:
            if isinstance(value, dict) and value.get("id"):
                user = _read_user(value)
                for address in (value.get("mail"), *(value.get("otherMails") or ())):
                    if isinstance(address, str):
                        found.setdefault(fold_address(address), user)
    return found


def _path(condition: str, *, count: bool = False) -> str:
    return f"/users?$filter={quote(condition, safe='')}&$select={_SELECT}&$top=100" + ("&$count=true" if count else "")


def _read_user(value: dict[str, Any]) -> DirectoryUser:
    return DirectoryUser(
        str(value["id"]),
        _read_instant(value.get("createdDateTime")),
        value.get("userType") == "Member",
        value.get("accountEnabled") is not False,
    )


def _read_instant(text: object) -> datetime | None:
    if not isinstance(text, str):
        return None
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None
