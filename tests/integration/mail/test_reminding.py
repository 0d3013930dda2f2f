"""Reminders of a connection that mails its guests itself: the words of `remind`, one mail a guest,
also where the answer that brought the link was lost.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest

from config.reader import load_settings
from tasks.rows.row import ValidRow
from tasks.submit import Loaded, load, start
from tests.integration.mail.test_own_mail import MAILBOX, ROLES, SMTP, all_mails, mailing_site, start_worker, with_key
from tests.sandboxes import Sandbox
from tests.sites import Site
from worker.ledger.model import Counts


@pytest.fixture(params=[SMTP, MAILBOX], ids=["smtp", "mailbox"])
async def site(valkey_url: str, sandbox: Sandbox, request: pytest.FixtureRequest) -> AsyncIterator[Site]:
    """Either way of mailing."""
    async with mailing_site(valkey_url, sandbox, request.param) as site:
        yield site


async def test_a_reminder_is_one_mail_of_ours(site: Site) -> None:
    """Two answers are lost: Graph is asked again, which mails nobody."""
    emails = [f"p{n}@partner.example" for n in range(12)]
    for email in emails:
        site.sandbox.ask("users", {"action": "add", "email": email, "state": "PendingAcceptance"})
    site.sandbox.ask("faults", {"spec": "504-after@item@invite=1*2"})
    connection = load_settings(site.env | with_key(site)).connection("contoso")
    rows = [ValidRow(n, n, {"email": email, "language": "de"}) for n, email in enumerate(emails, 1)]
    loaded = await load(site.desk.jobs, connection, rows, job="one", operation="remind")
    assert isinstance(loaded, Loaded)
    await start(site.desk.jobs, loaded)
    start_worker(site)
    view = await site.ended("one", 40)
    assert view.counts == Counts(rows=12, done=12)
    assert view.stages == {"mail": Counts(rows=12, done=12)}
    found = all_mails(site)
    assert len(found) == 12
    assert {mail["subject"].endswith("ist noch offen") for mail in found} == {True}
    assert sum(site.sandbox.ask(f"guests?address={email}")[0]["mails"] for email in emails) == 0


def test_a_clean_up_reminds_by_a_mail_of_ours(site: Site) -> None:
    """In a job of its own beside the one that cleans up; the command follows both."""
    guard = ["RoleManagement.Read.Directory", "RoleEligibilitySchedule.Read.Directory", "GroupMember.Read.All"]
    site.sandbox.ask("policy", {"roles": [*ROLES, "User.EnableDisableAccount.All", *guard]})
    with (site.folder / "usher.toml").open("a") as file:
        file.write('[connections.contoso.clean]\nremind_after = "7d"\ndisable_pending_after = "30d"\n')
    kinds = site.sandbox.ask("populate", {"count": 20, "kinds": ["pending_due", "pending_old"]})["kinds"]
    start_worker(site)
    status, out, err = site.run("guests", "clean", "-c", "contoso", "--yes", "--json", **with_key(site))
    assert status == 0, err
    (told,) = (json.loads(line) for line in out.splitlines())
    assert (told["operation"], told["stages"]["disable"]["done"]) == ("clean", len(kinds["pending_old"]))
    assert "remind" not in told["stages"]
    assert told["plan"]["would"] == {"remind": 10, "disable": 10, "delete": 0}
    assert sorted(mail["to"] for mail in all_mails(site)) == sorted(kinds["pending_due"])
    by_graph = (site.sandbox.ask(f"guests?address={email}")[0]["mails"] for email in kinds["pending_due"])
    assert sum(by_graph) == 0


async def test_a_moved_guest_is_mailed_by_us_at_the_new_address(site: Site) -> None:
    """Once, also where the answer that brought the link was lost: the guest is reset once more,
    which mails nobody.
    """
    guard = ["RoleManagement.Read.Directory", "RoleEligibilitySchedule.Read.Directory", "GroupMember.Read.All"]
    site.sandbox.ask("policy", {"roles": [*ROLES, "User.ReadWrite.All", *guard]})
    emails = {f"m{n}@old.example": f"m{n}@new.example" for n in range(8)}
    for email in emails:
        site.sandbox.ask("users", {"action": "add", "email": email, "state": "Accepted"})
    site.sandbox.ask("faults", {"spec": "504-after@item@invite=1*2"})
    connection = load_settings(site.env | with_key(site)).connection("contoso")
    rows = [ValidRow(n, n, {"email": old, "new_email": new}) for n, (old, new) in enumerate(emails.items(), 1)]
    loaded = await load(site.desk.jobs, connection, rows, job="one", operation="move")
    assert isinstance(loaded, Loaded)
    await start(site.desk.jobs, loaded)
    start_worker(site)
    view = await site.ended("one", 40)
    assert view.counts == Counts(rows=8, done=8)
    assert view.stages == {"mail": Counts(rows=8, done=8)}
    assert sorted(mail["to"] for mail in all_mails(site)) == sorted(emails.values())
    assert sum(site.sandbox.ask(f"guests?address={email}")[0]["mails"] for email in emails.values()) == 0
