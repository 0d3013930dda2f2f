"""A tenant's guests are asked for by list, and read one by one: state, dates, sponsors. Building
and reading is pure.

A state that Graph does not tell is unknown and never pending: it tells none of guests who came by
other ways than an invitation.
https://learn.microsoft.com/graph/api/user-list
https://learn.microsoft.com/graph/api/resources/signinactivity
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any
from urllib.parse import quote

from worker.graph.batch import GraphRequest
from worker.graph.users import read_instant

MOST_A_PAGE = 999
MOST_SIGN_INS_A_PAGE = 500
"""https://learn.microsoft.com/entra/identity/monitoring-health/howto-manage-inactive-user-accounts"""
READ_SIGN_INS = "AuditLog.Read.All"
"""The application permission without which nobody's dates of signing in are read; the tenant needs
Entra ID P1 or P2 too.
"""
GUEST = "Guest"
_SELECT = (
    *("id", "mail", "otherMails", "userPrincipalName", "displayName", "userType", "accountEnabled", "createdDateTime"),
    *("externalUserState", "externalUserStateChangeDateTime", "creationType"),
)
_ATTRIBUTES = "onPremisesExtensionAttributes"
_INVITATION = "Invitation"
_SIGN_INS = "signInActivity"
_DATES = ("lastSignInDateTime", "lastNonInteractiveSignInDateTime", "lastSuccessfulSignInDateTime")
_EVENTUAL: Mapping[str, str] = {"ConsistencyLevel": "eventual"}


class GuestState(StrEnum):
    """Whether a guest has accepted the invitation."""

    PENDING = "pending"
    ACCEPTED = "accepted"
    UNKNOWN = "unknown"


class Also(StrEnum):
    """What is read of guests only where it is asked for; sponsors and sign-ins by the names of
    their columns.
    """

    SPONSORS = "sponsors"
    SIGN_INS = "last_sign_in"
    ATTRIBUTES = "attributes"


@dataclass(frozen=True, slots=True)
class Guest:
    """A guest as a tenant shows them. `sponsors`: names, or ids of those that may not be read; None
    where they were not asked for. `signed_in_at`: the latest of three dates, attempts that failed
    included. `invited`: they came by an invitation. `others`: addresses beside `email`.
    `attributes`: the extension attributes that have a value. `sponsor_ids`: in lower case. `more`:
    further properties that were asked for.
    """

    id: str
    email: str = field(repr=False)
    display_name: str = field(repr=False)
    state: GuestState
    state_since: datetime | None
    created_at: datetime | None
    enabled: bool
    sponsors: tuple[str, ...] | None = field(repr=False, default=None)
    signed_in_at: datetime | None = None
    user_type: str = GUEST
    upn: str = field(repr=False, default="")
    invited: bool = True
    others: tuple[str, ...] = field(repr=False, default=())
    attributes: Mapping[str, str] = field(repr=False, default_factory=dict)
    sponsor_ids: tuple[str, ...] = ()
    more: Mapping[str, Any] = field(repr=False, default_factory=dict)

    @property
    def active_at(self) -> datetime | None:
        """When the guest was last seen to do anything, in doubt the latest; None where nobody can
        tell, as of whoever has not accepted, or has to accept again.
        """
        if self.state is GuestState.PENDING:
            return None
        accepted_at = self.state_since if self.state is GuestState.ACCEPTED else None
        return max((at for at in (self.signed_in_at, accepted_at, self.created_at) if at), default=None)


def build_listing(also: Collection[Also], *, pending: bool, more: Sequence[str] = ()) -> GraphRequest:
    """Return the request for the first page of all guests, or of those who have not accepted.
    `more`: further properties.

    With dates of signing in the filter is by type alone and nothing is counted: whether Graph takes
    more beside them is not documented.
    """
    plain = Also.SIGN_INS in also
    text = f"userType eq '{GUEST}'"
    if pending and not plain:
        text += " and externalUserState eq 'PendingAcceptance'"
    path = f"/users?$filter={quote(text, safe='')}&$select={','.join((*_selected(also), *more))}"
    if Also.SPONSORS in also:
        path += "&$expand=sponsors($select=id,displayName)"
    if plain:
        return GraphRequest("1", "GET", f"{path}&$top={MOST_SIGN_INS_A_PAGE}")
    return GraphRequest("1", "GET", f"{path}&$top={MOST_A_PAGE}&$count=true", headers=_EVENTUAL)


def build_everybody() -> GraphRequest:
    """Return the request for the first page of all users, members too."""
    path = f"/users?$select={','.join(_SELECT)}&$top={MOST_A_PAGE}&$count=true"
    return GraphRequest("1", "GET", path, headers=_EVENTUAL)


def build_by_name(name: str) -> GraphRequest:
    """Return the request for the users who are called so; several may be."""
    doubled = name.replace("'", "''")
    text = quote(f"displayName eq '{doubled}'", safe="")
    return GraphRequest("1", "GET", f"/users?$filter={text}&$select={','.join(_SELECT)}&$top={MOST_A_PAGE}")


def build_count() -> GraphRequest:
    """Return the request that tells how many guests there are."""
    text = quote(f"userType eq '{GUEST}'", safe="")
    return GraphRequest("1", "GET", f"/users?$filter={text}&$select=id&$top=1&$count=true", headers=_EVENTUAL)


def build_dates(ids: Sequence[str]) -> GraphRequest:
    """Return the request for the dates of signing in of some guests, `users.CLAUSES` at most."""
    listed = "','".join(ids)
    text = quote(f"id in ('{listed}')", safe="")
    return GraphRequest("1", "GET", f"/users?$filter={text}&$select=id,{_SIGN_INS}&$top={len(ids)}")


LOOKED_AT = tuple(name for name in (*_SELECT, _ATTRIBUTES) if name != "id")
"""What a look at a guest by id is to select, beside the id, for `read_guest`."""


MORE_PROPERTIES = ("displayName", "externalUserStateChangeDateTime", "creationType")
"""What a look-up by address or id is to select besides its own."""


def read_total(body: Any) -> int | None:
    """Return the count that stands on a first page."""
    total = body.get("@odata.count") if isinstance(body, dict) else None
    return total if isinstance(total, int) and total >= 0 else None


def read_guests(body: Any, more: Sequence[str] = ()) -> list[Guest]:
    """Return the users of a page. `more`: further properties that were asked for."""
    values = body.get("value") if isinstance(body, dict) else None
    return [read_guest(value, more) for value in (values if isinstance(values, list) else ()) if _is_user(value)]


def read_guest(value: Mapping[str, Any], more: Sequence[str] = ()) -> Guest:
    """Read one user."""
    others = value.get("otherMails") or ()
    email = value.get("mail") or next((mail for mail in others if mail), "")
    return Guest(
        id=str(value["id"]),
        email=str(email),
        others=tuple(str(mail) for mail in others if mail and mail != email),
        display_name=str(value.get("displayName") or ""),
        state=_STATES.get(str(value.get("externalUserState")), GuestState.UNKNOWN),
        state_since=read_instant(value.get("externalUserStateChangeDateTime")),
        created_at=read_instant(value.get("createdDateTime")),
        enabled=value.get("accountEnabled") is not False,
        sponsors=read_sponsors(value["sponsors"]) if "sponsors" in value else None,
        signed_in_at=read_signed_in(value),
        user_type=str(value.get("userType") or ""),
        upn=str(value.get("userPrincipalName") or ""),
        invited=value.get("creationType") == _INVITATION,
        attributes=read_attributes(value.get(_ATTRIBUTES)),
        sponsor_ids=tuple(str(one["id"]).lower() for one in value.get("sponsors") or () if _is_user(one)),
        more={name: value.get(name) for name in more},
    )


def original_address(upn: str) -> str:
    """Return the address that a guest was invited with, as their principal name keeps it; '' where
    it keeps none. https://learn.microsoft.com/entra/external-id/user-properties
    """
    local, found, _ = upn.partition("#EXT#@")
    name, _, domain = local.rpartition("_")  # no domain has one
    return f"{name}@{domain}" if found and name and "." in domain else ""


def read_attributes(values: Any) -> dict[str, str]:
    """Return the extension attributes that have a value."""
    kept = values if isinstance(values, dict) else {}
    return {str(name): text for name, text in kept.items() if isinstance(text, str)}


def read_sponsors(values: Any) -> tuple[str, ...]:
    """Return the names of sponsors, or their ids where names may not be read."""
    found = values if isinstance(values, list) else ()
    return tuple(str(one.get("displayName") or one["id"]) for one in found if _is_user(one))


def read_signed_in(value: Mapping[str, Any]) -> datetime | None:
    """Return the latest of a user's dates of signing in."""
    dates = value.get(_SIGN_INS)
    found = [read_instant(dates.get(name)) for name in _DATES] if isinstance(dates, dict) else []
    return max((at for at in found if at is not None), default=None)


def _is_user(value: Any) -> bool:
    return isinstance(value, dict) and bool(value.get("id"))


def _selected(also: Collection[Also]) -> tuple[str, ...]:
    more = ((Also.SIGN_INS, _SIGN_INS), (Also.ATTRIBUTES, _ATTRIBUTES))
    return (*_SELECT, *(name for one, name in more if one in also))


_STATES = {"PendingAcceptance": GuestState.PENDING, "Accepted": GuestState.ACCEPTED}
