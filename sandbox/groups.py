"""Groups of a tenant: what kinds there are, which ones every tenant has, and whom each takes.

Only assigned security groups and Microsoft 365 groups take members through Graph; the other kinds
are there to be refused. https://learn.microsoft.com/graph/api/resources/groups-overview
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from sandbox.ids import guid


@dataclass(frozen=True, slots=True)
class Kind:
    """How Graph shows a kind of group."""

    types: tuple[str, ...] = ()
    mail_enabled: bool = False
    security_enabled: bool = True
    synced: bool | None = None
    role_assignable: bool | None = None


KINDS = {
    "security": Kind(),
    "m365": Kind(("Unified",), mail_enabled=True, security_enabled=False),
    "dynamic": Kind(("DynamicMembership",)),
    "synced": Kind(synced=True),
    "mail-enabled": Kind(mail_enabled=True),
    "distribution": Kind(mail_enabled=True, security_enabled=False),
    "role-assignable": Kind(role_assignable=True),
}


@dataclass(slots=True)
class Group:
    """One group object. `members` has the ids of users in the order they joined; `most` is how many
    may; a new guest's id is known to it after the lag of its tenant.
    """

    id: str
    display_name: str
    kind: str
    mail: str | None = None
    mail_nickname: str = ""
    guests: bool = True  # False: a policy of the tenant keeps guests out
    most: int | None = None
    team: bool = False
    created_at: str = "2024-01-15T08:00:00Z"
    role: str = ""  # a directory role that its members have, `assigned` or `eligible`
    owners: tuple[str, ...] = ()
    members: dict[str, None] = field(default_factory=dict)

    @property
    def shape(self) -> Kind:
        """How Graph shows it."""
        return KINDS[self.kind]


def make_group(
    salt: str,
    domain: str,
    name: str,
    kind: str = "security",
    *,
    guests: bool = True,
    most: int | None = None,
    team: bool = False,
) -> Group:
    """Make a group whose id follows from `salt` and its name; where its kind has mail, with an
    address at `domain`.
    """
    nickname = "".join(letter if letter.isalnum() else "-" for letter in name.lower()).strip("-")
    return Group(
        id=guid(f"group|{salt}|{name}"),
        display_name=name,
        kind=kind,
        mail=f"{nickname}@{domain}" if KINDS[kind].mail_enabled else None,
        mail_nickname=nickname,
        guests=guests,
        most=most,
        team=team,
    )


def seed_groups(salt: str, domain: str) -> Iterator[Group]:
    """Yield the groups that every tenant has: one or more of each kind."""
    yield make_group(salt, domain, "Partners")
    yield make_group(salt, domain, "Suppliers")
    yield make_group(salt, domain, "Project Alpha", "m365", team=True)
    yield make_group(salt, domain, "Project Beta", "m365", team=True)
    yield make_group(salt, domain, "Newsletter", "m365")
    yield make_group(salt, domain, "Board", "m365", guests=False)
    yield make_group(salt, domain, "Full House", most=0)
    yield make_group(salt, domain, "All Guests (dynamic)", "dynamic")
    yield make_group(salt, domain, "Staff (synced)", "synced")
    yield make_group(salt, domain, "Sales (mail-enabled)", "mail-enabled")
    yield make_group(salt, domain, "Press (distribution)", "distribution")
    yield make_group(salt, domain, "Helpdesk (roles)", "role-assignable")
    yield make_group(f"{salt}|first", domain, "Namesake")
    yield make_group(f"{salt}|second", domain, "Namesake")
