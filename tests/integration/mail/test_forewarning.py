"""Sponsors are told that their guests' access ends soon: one mail for all guests of theirs, each
end once, and nobody of an end that was put off meanwhile.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from config.reader import load_settings
from tasks.scheduled.firing import fire
from tests.beats import Beats, schedule_table
from tests.integration.mail.test_own_mail import MAILBOX, SMTP, all_mails, mailing_site, start_worker, with_key
from tests.sandboxes import Sandbox
from tests.sites import Site
from worker.ledger.model import Counts
from worker.ledger.timetable import ScheduledRun
from worker.services import open_services
from worker.store.client import read_time_ms

pytestmark = pytest.mark.usefixtures("one_day")

ADA, BO = "ada@contoso.example", "bo@contoso.example"
CLEAN = '[connections.contoso.clean]\nremind_sponsor_before = "14d"\n'


@pytest.fixture(params=[SMTP, MAILBOX], ids=["smtp", "mailbox"])
async def site(valkey_url: str, sandbox: Sandbox, request: pytest.FixtureRequest) -> AsyncIterator[Site]:
    """Either way of mailing, with two who answer for guests."""
    async with mailing_site(valkey_url, sandbox, request.param) as site:
        with (site.folder / "usher.toml").open("a") as file:
            file.write(CLEAN)
        site.sandbox.ask("users", {"action": "add", "email": BO, "user_type": "Member"})
        yield site


def day(days: int) -> str:
    """Return a day from today on, as a tenant keeps it."""
    return f"{datetime.now(UTC) + timedelta(days=days):%Y-%m-%d}"


def add(site: Site, email: str, ends: str, *sponsors: str, **more: object) -> None:
    """Put a guest into the tenant."""
    told = {"extension_attributes": {"extensionAttribute10": ends}, "sponsors": list(sponsors)}
    site.sandbox.ask("users", {"action": "add", "email": email, **told, **more})


def mailed(site: Site) -> dict[str, set[str]]:
    """Return whom each mail went to, by its text."""
    found: dict[str, set[str]] = {}
    for mail in all_mails(site):
        found.setdefault(mail["text"].replace("\r", ""), set()).add(mail["to"])
    return found


async def run_once(site: Site, args: str = "{ confirm = true }") -> ScheduledRun:
    """Do one run of the schedule."""
    Beats(site).write(schedule_table("ends", "remind_sponsors", every="9d", connection='"contoso"', args=args))
    settings = load_settings(site.env | with_key(site))
    async with open_services(lambda: settings, site.url) as services:
        run = await fire(services, "ends", await read_time_ms(services.client), "beat")
    assert run is not None
    return run


async def test_sponsors_are_told_once(site: Site) -> None:
    """Of all their guests together, with the days; who ends later, has ended, or cannot sign in is
    not named. The next night nobody is told again, until a day is another.
    """
    add(site, "soon1@a.example", day(3), ADA, display_name="Soon One")
    add(site, "soon2@a.example", day(13), ADA)
    add(site, "both@a.example", day(5), ADA, BO)
    add(site, "later@a.example", day(20), ADA)
    add(site, "ended@a.example", day(-2), ADA)
    add(site, "off@a.example", day(3), ADA, enabled=False)
    add(site, "alone@a.example", day(3))
    dry = await run_once(site, "{}")
    assert (dry.status, dry.jobs) == ("attention", ())
    assert "The access of 3 guests ends soon: 2 mails tell their sponsors." in dry.what
    assert "1 guest whose access ends soon have no sponsor" in dry.what
    assert "confirm = true" in dry.what
    assert all_mails(site) == []
    start_worker(site)
    run = await run_once(site)
    view = await site.ended(run.jobs[0])
    assert view.counts == Counts(rows=3, done=3)
    told = mailed(site)
    assert sorted(told.values(), key=len) == [{ADA}, {ADA, BO}]
    (both,) = (text for text, whom in told.items() if BO in whom)
    (own,) = told.keys() - {both}
    assert f"{day(3)}  Soon One (soon1@a.example)\n{day(13)}  soon2 (soon2@a.example)" in own
    assert "both@a.example" in both
    again = await run_once(site)
    assert again.jobs == ()
    assert "Of 3 guests somebody was told before." in again.what
    put_off = {"action": "change", "email": "soon1@a.example"}
    site.sandbox.ask("users", {**put_off, "extension_attributes": {"extensionAttribute10": day(10)}})
    run = await run_once(site)
    assert (await site.ended(run.jobs[0])).counts == Counts(rows=1, done=1)
    assert len(mailed(site)) == 3


async def test_an_end_that_was_put_off_meanwhile_is_not_told(site: Site) -> None:
    """Everybody is looked up once more just before."""
    for number in range(4):
        add(site, f"g{number}@a.example", day(3), ADA)
    run = await run_once(site)
    site.sandbox.ask("users", {"action": "change", "email": "g0@a.example", "extension_attributes": {}})
    site.sandbox.ask("users", {"action": "disable", "email": "g1@a.example"})
    start_worker(site)
    view = await site.ended(run.jobs[0])
    assert view.counts == Counts(rows=4, done=2, skipped=2)
    (mail,) = all_mails(site)
    assert all((f"g{number}@a.example" in mail["text"]) is (number > 1) for number in range(4))


async def test_without_mail_of_ones_own_nobody_is_told(site: Site) -> None:
    """One sentence says so."""
    path = site.folder / "usher.toml"
    path.write_text(path.read_text().replace('deliver = "smtp"', "").replace('deliver = "mailbox"', ""))
    run = await run_once(site)
    assert (run.status, "no mail of its own" in run.what) == ("attention", True)
    path.write_text(path.read_text().replace(CLEAN, ""))
    assert "remind_sponsor_before is not set" in (await run_once(site)).what


async def test_beyond_the_ceiling_nobody_is_told(site: Site) -> None:
    """One wrong column of days must not mail every sponsor of a tenant."""
    for number in range(3):
        add(site, f"g{number}@a.example", day(3), ADA)
    path = site.folder / "usher.toml"
    path.write_text(path.read_text().replace(CLEAN, f"{CLEAN}most_reminded = 2\n"))
    run = await run_once(site)
    assert (run.status, run.jobs, "most_reminded allows 2" in run.what) == ("attention", (), True)
    path.write_text(path.read_text().replace("most_reminded = 2", "most_reminded = 3"))
    assert len((await run_once(site)).jobs) == 1
