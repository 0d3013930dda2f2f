"""A list whose guests go the whole way: invited, named, sponsored, in two groups each, some of
which take nobody; and what must have become of them, by the sandbox's own counts.
"""

from __future__ import annotations

import csv
import io
import json
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from tests.sites import Site

ROLES = [
    *("User.Invite.All", "User.Read.All", "User.ReadWrite.All"),
    *("GroupMember.Read.All", "GroupMember.ReadWrite.All"),
]
SPONSOR = "ada@contoso.example"
REFUSED = ("No such group", "Staff (synced)", "Board", "Full House")
"""The last two are refused by Graph alone."""
_WRITES = ("invite", "update_user", "add_sponsor", "update_group", "add_member")
_READS = ("users", "user", "groups", "group", "members", "check_member_groups", "sponsors")


@dataclass
class WholeWay:
    """A list of so many rows and groups. One row of `bad_every` names a group that takes nobody."""

    rows: int
    groups: int
    bad_every: int = 20
    more: str = ""  # a group that rows from the second on are in too, so many of them
    more_rows: int = 0
    made: int = 0
    bad: dict[str, str] = field(default_factory=dict)  # address → the group that takes nobody
    members: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))  # group → addresses

    def make(self, site: Site) -> None:
        """Make the groups in the tenant that are not there yet."""
        names = [*(f"G{n}" for n in range(self.groups)), *filter(None, [self.more])][self.made :]
        site.sandbox.ask("groups", {"action": "add", "groups": [{"name": name, "kind": "security"} for name in names]})
        self.made += len(names)

    def grow(self, group: str, rows: int) -> None:
        """Add a guest to the list, and to so many others a group."""
        self.rows, self.more, self.more_rows = self.rows + 1, group, rows

    def write(self, site: Site) -> str:
        """Write the list as a file; returns its path."""
        text = io.StringIO()
        out = csv.writer(text)
        out.writerow(["email", "first_name", "last_name", "sponsors", "groups"])
        for n in range(self.rows):
            email, named = f"g{n}@partner.example", [f"G{n % self.groups}", f"G{(n + 1 + n // 40) % self.groups}"]
            if named[0] == named[1]:
                named[1] = f"G{(n + 1) % self.groups}"
            if self.bad_every and n % self.bad_every == 0:
                named[1] = self.bad[email] = REFUSED[n // self.bad_every % len(REFUSED)]
            if 0 < n <= self.more_rows:
                named.append(self.more)
            for group in named:
                if group not in REFUSED:
                    self.members[group].add(email)
            out.writerow([email, "Given", f"Name {n}", SPONSOR, ";".join(named)])
        path = site.folder / "whole.csv"
        path.write_text(text.getvalue())
        return str(path)

    def submit(self, site: Site) -> str:
        """Submit the list by the command, and leave it running; returns the job's id."""
        done = site.run("invite", self.write(site), "-c", "contoso", "--json", "--yes", "--detach")
        return str(json.loads(done.out)["job"])

    @property
    def least_writes(self) -> int:
        """Invitations, profiles, and a call for each twenty of a group; sponsors go along. Of the
        groups that Graph alone refuses, one call each.
        """
        calls = sum(-(-len(members) // 20) for members in self.members.values())
        return 2 * self.rows + calls + len({*self.bad.values()} & {*REFUSED[2:]})

    def assert_done(self, site: Site, results: list[dict[str, Any]]) -> None:
        """Every guest is in exactly the right groups, has name and sponsor; every failed step is
        named, by the group.
        """
        for name, members in self.members.items():
            (group,) = site.sandbox.ask(f"groups?name={quote(name)}")
            assert set(group["members"]) == members, name
        guests = {user["email"]: user for user in site.sandbox.ask("guests?limit=50000")}
        assert len(results) == self.rows
        for row in results:
            user, bad = guests[row["email"]], self.bad.get(row["email"])
            assert row["status"] in ("invited", "already_guest", "skipped"), row
            assert len(user["sponsors"]) == 1, row
            assert row["profile_status"] in ("done", "already"), row
            assert row["sponsors_status"] in ("done", "already"), row
            assert (row["groups_status"] == "failed") is bool(bad), row
            assert bad or row["groups_status"] in ("done", "already"), row
            assert (bad or "") in row["groups_error"], row
            assert bool(row["groups_error"]) is bool(bad), row
        site.assert_all_mailed_once(self.rows)


def count(site: Site) -> tuple[int, int, Counter[str]]:
    """Return how many writes and reads reached the sandbox, and of what."""
    items = site.sandbox.ask("stats")["items"]
    seen = Counter({name: sum(counts.values()) for name, counts in items.items()})
    return sum(seen[name] for name in _WRITES), sum(seen[name] for name in _READS), seen
