"""Nobody is mailed twice, nor has their link replaced, where settings change under a job or its
rows are tried again.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from config.reader import load_settings
from tasks.rows.copied import copy_refused, open_copy, options_again, read_copied
from tasks.rows.row import ValidRow
from tasks.submit import Loaded, load, start
from tests.integration.mail.test_own_mail import (
    ROLES,
    SMTP,
    all_mails,
    mailing_site,
    mails,
    people,
    start_worker,
    submit,
    with_key,
)
from tests.sandboxes import Sandbox
from tests.sites import Site, open_site
from worker.ledger.gates import HoldReason
from worker.ledger.model import Options

GROUPS = (*ROLES, "GroupMember.ReadWrite.All", "GroupMember.Read.All", "Group.Read.All")
NOWHERE = "33333333-3333-4333-8333-333333333333"  # no group has this id
REFUSED: dict[str, Any] = {"email": "a@refused.example"}  # by the mail server
WITHOUT_GROUP: dict[str, Any] = {"email": "b@partner.example", "groups": [NOWHERE]}


@pytest.mark.parametrize(("before", "after"), [("smtp", "graph"), ("graph", "smtp")])
async def test_who_mails_is_settled_when_a_job_is_submitted(
    valkey_url: str, sandbox: Sandbox, before: str, after: str
) -> None:
    """The settings change before the job is worked on: each guest is mailed once all the same."""
    async with mailing_site(valkey_url, sandbox, {"deliver": f'"{before}"'}) as site:
        job = await submit(site, people(3))
        path = site.folder / "usher.toml"
        path.write_text(path.read_text().replace(f'deliver = "{before}"', f'deliver = "{after}"'))
        start_worker(site)
        await site.ended(job)
        by_us, by_graph = len(all_mails(site)), len(mails(site, "invitation"))
        assert (by_us, by_graph) == ((3, 0) if before == "smtp" else (0, 3))


async def retry(site: Site, job: str, new: str) -> str:
    """Try the rows of a job again, as a schedule does."""
    view = await site.view(job)
    connection = load_settings(site.env | with_key(site)).connection("contoso")
    with open_copy() as file:
        await copy_refused(site.desk.jobs.rows, view, file)
        loaded = await load(site.desk.jobs, connection, list(read_copied(file)), job=new, options=options_again(view))
    assert isinstance(loaded, Loaded)
    await start(site.desk.jobs, loaded)
    await site.ended(new, 60)
    return new


async def test_a_retry_invites_nobody_anew_whose_mail_is_done(valkey_url: str, sandbox: Sandbox) -> None:
    """One mail was refused, and needs a new link. The other guest has theirs, which stays good:
    only their group failed.
    """
    async with mailing_site(valkey_url, sandbox, SMTP) as site:
        site.sandbox.ask("policy", {"roles": [*GROUPS]})
        job = await submit(site, [REFUSED, WITHOUT_GROUP])
        start_worker(site)
        await site.ended(job, 60)
        await retry(site, job, "again")
        again = {row["email"]: row for row in await site.results("again")}
        assert {email: row["status"] for email, row in again.items()} == {
            "a@refused.example": "invited",
            "b@partner.example": "skipped",
        }
        assert again["a@refused.example"]["mail_status"] == "failed"
        assert again["b@partner.example"]["groups_status"] == "failed"
        assert Counter(one["to"] for one in all_mails(site)) == {"b@partner.example": 1}


async def test_a_mail_in_doubt_is_not_mailed_by_a_retry(valkey_url: str, sandbox: Sandbox) -> None:
    """Its answer was lost, and the guest's group failed: the group alone is tried again."""
    async with mailing_site(valkey_url, sandbox, SMTP) as site:
        site.sandbox.ask("policy", {"roles": [*GROUPS]})
        site.sandbox.ask("faults", {"spec": "lost@smtp=1*1"})
        job = await submit(site, [WITHOUT_GROUP])
        start_worker(site)
        view = await site.ended(job, 60)
        assert (view.stages["mail"].in_doubt, view.stages["groups"].failed) == (1, 1)
        await retry(site, job, "again")
        (again,) = await site.results("again")
        assert (again["status"], again["groups_status"], again.get("mail_status", "")) == ("skipped", "failed", "")
        assert Counter(one["to"] for one in all_mails(site)) == {"b@partner.example": 1}


async def test_rounds_of_retries_mail_nobody_for_a_group(valkey_url: str, sandbox: Sandbox) -> None:
    """Nor in a job that mailed again on purpose, whose other row failed itself and goes as it
    went.
    """
    async with open_site(valkey_url, sandbox, latency="0.01", replication="0", roles=GROUPS) as site:
        given = [WITHOUT_GROUP, {"email": "x@contoso.example"}]  # the second of the tenant's own domain
        connection = load_settings(site.env).connection("contoso")
        rows = [ValidRow(n, n, dict(row)) for n, row in enumerate(given, 1)]
        loaded = await load(site.desk.jobs, connection, rows, job="round0", options=Options(resend=True))
        assert isinstance(loaded, Loaded)
        await start(site.desk.jobs, loaded)
        site.start_worker()
        await site.ended("round0", 60)
        for n in range(3):
            await retry(site, f"round{n}", f"round{n + 1}")
        assert [row.get("resend", False) for row in await _rows(site, "round3")] == [False, True]
        assert Counter(one["to"] for one in mails(site, "invitation")) == {"b@partner.example": 1}


async def _rows(site: Site, job: str) -> list[dict[str, Any]]:
    return [row async for contents in site.desk.jobs.rows.chunks(job) for row in contents.rows]


async def test_a_paused_jobs_waiting_mails_are_not_retried(valkey_url: str, sandbox: Sandbox) -> None:
    """One mail was refused; another waits, of a guest whose group failed. The command says that the
    second is left out, and each mail leaves once.
    """
    async with mailing_site(valkey_url, sandbox, SMTP) as site:
        site.sandbox.ask("policy", {"roles": [*GROUPS]})
        connection = load_settings(site.env | with_key(site)).connection("contoso")
        rows = [ValidRow(n, n, dict(row)) for n, row in enumerate((REFUSED, WITHOUT_GROUP), 1)]
        loaded = await load(site.desk.jobs, connection, rows, job="root", pilot=1)
        assert isinstance(loaded, Loaded)
        await start(site.desk.jobs, loaded)
        start_worker(site)

        async def first_refused() -> bool:
            return (await site.view("root")).stages["mail"].failed == 1

        async def group_failed() -> bool:
            return (await site.view("root")).stages["groups"].failed == 1

        await site.until("the refusal", first_refused, 40)
        await site.desk.gates.hold("contoso+mail", HoldReason.OPERATOR, "as a slow mail server")
        await site.desk.jobs.resume("root")
        await site.until("the group", group_failed, 60)
        await site.desk.jobs.pause("root", "to retry")
        told = site.run("jobs", "retry", "root", "--yes", "--detach", "--json", **with_key(site))
        assert "1 row is left out: a stage of it still waits in job root." in " ".join(told.err.split())
        (again,) = [view.id for view in await site.desk.jobs.listed() if view.info.get("retry_of") == "root"]
        await site.desk.jobs.resume("root")
        await site.desk.gates.reopen("contoso+mail")
        assert (await site.ended(again, 60)).counts.rows == 1
        await site.ended("root", 60)
        assert Counter(one["to"] for one in all_mails(site)) == {"b@partner.example": 1}


async def test_a_cancel_says_whose_mails_it_leaves_undone(valkey_url: str, sandbox: Sandbox) -> None:
    """All rows have ended, and their mails wait: that is what is cancelled."""
    async with mailing_site(valkey_url, sandbox, SMTP) as site:
        await site.desk.gates.hold("contoso+mail", HoldReason.OPERATOR, "as a slow mail server")
        job = await submit(site, people(2))
        start_worker(site)

        async def invited() -> bool:
            return (await site.view(job)).counts.done == 2

        await site.until("the invitations", invited, 40)
        told = " ".join(site.run("jobs", "cancel", job, **with_key(site)).out.split())
        assert f"Job {job} is cancelled: 0 rows will not be sent, mail of 2 guests will not be done." in told
        assert all_mails(site) == []
