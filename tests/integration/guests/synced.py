"""A list as a system of record exports it, and its tenant of last week: who joined, who left, who
changed, and guests of another list with the same domains.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from tests.sites import Site

ROLES = (
    *("User.Invite.All", "User.ReadWrite.All", "GroupMember.ReadWrite.All"),
    *("RoleManagement.Read.Directory", "RoleEligibilitySchedule.Read.Directory", "GroupMember.Read.All"),
)
SPONSORS = ("ada@contoso.example", "linus@contoso.example")
GROUPS = ("North", "South")
COLUMNS = ("email", "company", "expires", "sponsors", "groups")
_WRITES = ("invite", "update_user", "add_sponsor", "update_group", "add_member", "delete_user", "remove_member")


@dataclass
class Synced:
    """A list of so many rows today, and what differs from last week. Movers change, in turn, their
    company, their group, their end, their sponsor.
    """

    rows: int
    joiners: int
    leavers: int
    movers: int
    others: int
    source: str = "crm"
    untouched: dict[str, Any] = field(default_factory=dict)

    def row(self, number: int) -> dict[str, str]:
        """Return a guest's row of today."""
        row = {
            "email": f"g{number}@partner.example",
            "company": "Partner Ltd",
            "expires": "2099-01-31",
            "sponsors": SPONSORS[0],
            "groups": GROUPS[0],
        }
        if number < self.movers:
            name = ("company", "groups", "expires", "sponsors")[number % 4]
            row[name] = {
                "company": "Merged Ltd",
                "groups": GROUPS[1],
                "expires": "2099-12-31",
                "sponsors": ";".join(SPONSORS),
            }[name]
        return row

    def write(self, site: Site, rows: range | None = None, name: str = "crm.csv", bad: str = "") -> str:
        """Write the list, or some rows of it, as a file; returns its path."""
        text = io.StringIO()
        out = csv.DictWriter(text, COLUMNS)
        out.writeheader()
        out.writerows(self.row(number) for number in rows or range(self.rows))
        path = site.folder / name
        path.write_text(text.getvalue() + bad)
        return str(path)

    def make(self, site: Site) -> None:
        """Give the tenant the guests of last week."""
        site.sandbox.ask("policy", {"roles": list(ROLES)})
        site.sandbox.ask("users", {"action": "add", "email": SPONSORS[1], "user_type": "Member"})
        stayed = [self.row(number)["email"] for number in range(self.rows - self.joiners)]
        left = [f"left{number}@partner.example" for number in range(self.leavers)]
        others = [f"hr{number}@partner.example" for number in range(self.others)]
        seen = {"state": "Accepted", "company": "Partner Ltd", "sponsors": SPONSORS[:1], "action": "add"}
        ours = {"extensionAttribute10": "2099-01-31", "extensionAttribute11": self.source}
        theirs = {"extensionAttribute11": "hr"}
        for emails, attributes in (([*stayed, *left], ours), (others, theirs)):
            users = [{"email": email, "extension_attributes": attributes} for email in emails]
            site.sandbox.ask("users", {**seen, "users": users})
        members = [*stayed, *left, *others]
        groups = [
            {"name": GROUPS[0], "members": members},
            {"name": GROUPS[1]},
            {"name": "Unmanaged", "members": stayed},
        ]
        site.sandbox.ask("groups", {"action": "add", "groups": groups})
        self.untouched = {email: user for email, user in guests(site).items() if email.startswith("hr")}

    @property
    def least_writes(self) -> Counter[str]:
        """Return the writes without which it cannot be done, but those that put several into a
        group.
        """
        each = Counter(("company", "groups", "expires", "sponsors")[number % 4] for number in range(self.movers))
        return Counter(
            invite=self.joiners,
            update_user=self.joiners + self.leavers + each["company"] + each["expires"],
            add_sponsor=each["sponsors"],
            remove_member=each["groups"],
        )

    def assert_done(self, site: Site) -> None:
        """The tenant is as the list says, and nobody else has been touched."""
        now = guests(site)
        for number in range(self.rows):
            row = self.row(number)
            user = now[row["email"]]
            kept = {name: value for name, value in user["extension_attributes"].items() if value}
            assert user["enabled"], row
            assert user["company"] == row["company"], row
            assert kept == {"extensionAttribute10": row["expires"], "extensionAttribute11": self.source}, row
            assert len(user["sponsors"]) == len(row["sponsors"].split(";")), row
        for number in range(self.leavers):
            user = now[f"left{number}@partner.example"]
            assert not user["enabled"]
            assert user["extension_attributes"]["extensionAttribute11"] == f"{self.source} left"
        assert {email: user for email, user in now.items() if email.startswith("hr")} == self.untouched
        members = {name: set(site.sandbox.ask(f"groups?name={name}")[0]["members"]) for name in GROUPS}
        listed = {self.row(number)["email"]: self.row(number)["groups"] for number in range(self.rows)}
        for name in GROUPS:
            assert members[name] & listed.keys() == {email for email, group in listed.items() if group == name}
        assert len(members[GROUPS[0]] - listed.keys()) == self.leavers + self.others  # in what they were
        (kept_group,) = site.sandbox.ask("groups?name=Unmanaged")
        assert len(kept_group["members"]) == self.rows - self.joiners


def guests(site: Site) -> dict[str, dict[str, Any]]:
    """Return the tenant's guests by address."""
    return {user["email"]: user for user in site.sandbox.ask("guests?limit=50000")}


def count_writes(site: Site) -> Counter[str]:
    """Return how many writes the sandbox has answered, by what they do."""
    items = site.sandbox.ask("stats")["items"]
    return Counter({name: sum(items[name].values()) for name in _WRITES if name in items})
