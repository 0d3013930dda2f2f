"""A year of a tenant on a clock: the list every night, reminders every week, a clean-up every
month, people who come, go, fall silent and come back.

Nobody is reminded too often, nobody is deleted who should not be, and whoever has to go is gone.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest

from config.reader import load_settings
from tasks.scheduled.context import Context, Told
from tasks.scheduled.firing import KINDS
from tests.clocked import DAY_MS, Clocked
from tests.integration.guests import year
from tests.integration.guests.year import Person, cast
from tests.sandboxes import Sandbox
from tests.sites import Site, open_site

ROLES = [
    *("User.Invite.All", "User.ReadWrite.All", "AuditLog.Read.All", "GroupMember.ReadWrite.All"),
    *("RoleManagement.Read.Directory", "RoleEligibilitySchedule.Read.Directory"),
]
QUOTA = '[quota]\ninvitations_per_tenant = "100000/1s"\nsign_in_reads_per_app = "100000/1s"\n'
RULES = f"""
[connections.contoso.clean]
remind_after = "{year.REMIND_EVERY}d"
remind_every = "{year.REMIND_EVERY}d"
remind_times = {year.MOST_MAILS - 1}
disable_pending_after = "{year.PENDING}d"
disable_inactive_after = "{year.INACTIVE}d"
disable_expired = true
delete_disabled_after = "{year.DELETE}d"
spare_domains = ["spared.example"]

[connections.contoso.sync]
most_left = "50%"

[schedules.list]
task = "sync_file"
every = "1d"
connection = "contoso"
args = {{ path = "crm.csv", source = "crm", confirm = true }}

[schedules.remind]
task = "remind_pending"
every = "7d"
connection = "contoso"
args = {{ confirm = true }}

[schedules.clean]
task = "clean_guests"
every = "{year.RUNS_EVERY}d"
connection = "contoso"
args = {{ confirm = true }}
"""


@pytest.fixture
async def site(valkey_url: str, sandbox: Sandbox) -> AsyncIterator[Site]:
    """A tenant with rules and schedules."""
    async with open_site(valkey_url, sandbox, latency="0", replication="0", roles=ROLES, quota=QUOTA) as site:
        file = site.folder / "usher.toml"
        file.write_text(file.read_text() + RULES)
        yield site


class Year:
    """Days that pass, and what they bring."""

    def __init__(self, clocked: Clocked) -> None:
        self.clocked = clocked
        self.site = clocked.site
        self.people = [person for offset in (0, 9, 23) for person in cast(offset)]
        self.by_email = {person.email: person for person in self.people}
        self.schedules = load_settings({"USHER_CONFIG": str(self.site.folder / "usher.toml")}).schedules
        self.day = 0
        self.done: Counter[str] = Counter()
        self.first_s = datetime.fromisoformat(self.ask("clock", {})["now"]).timestamp()

    def ask(self, name: str, body: dict[str, Any] | None = None) -> Any:
        """Ask the sandbox."""
        return self.site.sandbox.ask(name, body)

    async def pass_a_day(self) -> None:
        """Let a day go by on all clocks."""
        await self.clocked.let_pass(DAY_MS)
        self.ask("clock", {"forward_s": 86_400})
        self.day += 1

    def bring_those_of_no_list(self) -> None:
        """Put people into the tenant whom no list names."""
        for person in self.people:
            if person.joins is None:
                more: dict[str, Any] = {"state": "PendingAcceptance"}
                if person.email.startswith("member"):
                    more = {"user_type": "Member", "creation_type": "Invitation"}
                if person.email.startswith("internal"):
                    more = {"state": None, "creation_type": None}
                self.ask("users", {"action": "add", "email": person.email, **more})

    def live(self) -> None:
        """Let everybody do what they do today."""
        if deeds := [deed for person in self.people if person.object_id for deed in person.deeds(self.day)]:
            self.ask("users", {"users": deeds})

    def write_list(self) -> None:
        """Write today's list."""
        with (self.site.folder / "crm.csv").open("w", newline="") as file:
            out = csv.writer(file)
            out.writerow(["email", "company", "expires"])
            for person in self.people:
                if person.is_listed(self.day):
                    ends = (self.first_s + (person.ends or 9_999) * 86_400) if person.ends else None
                    day = f"{datetime.fromtimestamp(ends, UTC):%Y-%m-%d}" if ends else "2099-12-31"
                    out.writerow([person.email, "Partner Ltd", day])

    async def run(self, name: str) -> Told:
        """Do one run of a schedule, its jobs to their end, and look at what it did."""
        services = self.clocked.services
        schedule = self.schedules[name]
        told = await KINDS[schedule.task](Context(services, schedule, self.day * DAY_MS + len(self.done)))
        assert told.status != "failed", told.what
        for job in told.jobs:
            for _ in range(60):
                view = await services.jobs.view(job)
                assert view is not None
                if view.ended:
                    break
                await self.clocked.tick()
            else:
                raise AssertionError(f"{name} on day {self.day}: {view} does not end")
            assert view.adds_up("in_doubt") == 0
            await services.jobs.delete(job)
        self.check(name)
        return told

    def check(self, name: str) -> None:
        """Compare the tenant with what it was; whatever changed must have a reason."""
        found = {user["email"]: user for user in self.ask("guests")}
        for person in self.people:
            if not person.touched:  # whom a list of guests does not have
                found |= {user["email"]: user for user in self.ask(f"guests?address={person.email}")}
        for person in self.people:
            user, where = found.get(person.email), f"{person.email} by {name} on day {self.day}"
            if user is None or user["id"] != person.object_id:
                if person.object_id:
                    assert person.may_be_deleted(self.day), f"{where}: deleted"
                    self.done["deleted"] += 1
                    person.object_id, person.disabled_on = "", None
                if user is not None:
                    assert person.is_listed(self.day) or person.joins is None, f"{where}: invited"
                    person.object_id, person.invited_on, person.is_enabled = user["id"], self.day, True
                    person.accepted_on = person.tried_on = None
                    person.had.append(user["id"])
                    self.done["invited"] += 1
                continue
            if user["enabled"] != person.is_enabled:
                if user["enabled"]:
                    assert person.may_be_enabled(self.day), f"{where}: enabled"
                    person.disabled_on = None
                else:
                    assert person.may_be_disabled(self.day), f"{where}: disabled"
                    person.disabled_on = self.day
                person.is_enabled = user["enabled"]
                self.done["enabled" if user["enabled"] else "disabled"] += 1

    def check_mails(self) -> None:
        """No object is mailed too often or too soon, nor anybody who has accepted."""
        mails: dict[str, list[float]] = {}
        for mail in self.ask("mails"):
            mails.setdefault(mail["user_id"], []).append(datetime.fromisoformat(mail["at"]).timestamp())
        assert mails
        for user_id, times in mails.items():
            assert len(times) <= year.MOST_MAILS, times
            gaps = [later - earlier for earlier, later in pairwise(times)]
            assert all(gap >= year.REMIND_EVERY * 86_400 - 60 for gap in gaps), gaps
            owner = next((person for person in self.people if user_id in person.had), None)
            if owner is not None and owner.accepted_on is not None and user_id == owner.object_id:
                assert (times[-1] - self.first_s) / 86_400 <= owner.accepted_on + 0.5, owner.email
        self.done["reminded"] = sum(len(times) - 1 for times in mails.values())


@pytest.mark.parametrize(
    "nights", [7, pytest.param(1, marks=[pytest.mark.long, pytest.mark.timeout(600)])], ids=lambda n: f"list-each-{n}d"
)
async def test_a_year_goes_by(clocked: Clocked, nights: int) -> None:
    """Each change has a reason on its day, and at the end everybody is where they belong."""
    this = Year(clocked)
    this.bring_those_of_no_list()
    this.check("people")
    while this.day < year.DAYS:
        this.live()
        if this.day % nights == 0:
            this.write_list()
            await this.run("list")
        if this.day % 7 == 3:
            await this.run("remind")
        if this.day % year.RUNS_EVERY == 29:
            await this.run("clean")
        await this.pass_a_day()
    this.check_mails()
    fates = {}
    for person in this.people:
        is_there = "there" if person.is_enabled else "disabled"
        fates[person.email] = is_there if person.object_id else "gone"
    assert fates == {person.email: person.fate or fates[person.email] for person in this.people}
    assert all(len(person.had) > 2 for person in this.people if person.email.startswith("insists"))
    assert all(this.done[what] for what in ("invited", "reminded", "disabled", "enabled", "deleted")), this.done


def test_the_people_are_of_every_kind() -> None:
    """Nobody's fate is left open, and each kind is there once an offset."""
    kinds: list[Person] = cast(0)
    assert {person.fate for person in kinds} == {"there", "disabled", "gone", ""}
    assert len({person.email for person in kinds}) == len(kinds)
