"""Five hundred mails of one's own under faults: nobody gets two, every doubtful one is told, the
rest arrives.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.integration.mail.test_own_mail import MAILBOX, SMTP, mailing_site, mails, people, start_worker, submit
from tests.sandboxes import Sandbox
from tests.sites import OwnValkey, Site, kill
from worker.ledger.model import Counts

pytestmark = pytest.mark.long
ROWS = 500


@pytest.mark.timeout(300)
async def test_a_mail_server_that_hangs_up_and_refuses(valkey_url: str, sandbox: Sandbox) -> None:
    """2 % of connections drop after DATA, 2 % of recipients are refused."""
    async with mailing_site(valkey_url, sandbox, SMTP) as site:
        site.sandbox.ask("faults", {"spec": "lost@smtp=0.02,550@smtp_recipient=0.02"})
        job = await submit(site, people(ROWS))
        start_worker(site)
        counts = (await site.ended(job, 240)).stages["mail"]
        await _told_once(site, job, counts, "smtp")
        assert counts.failed
        assert counts.done > ROWS * 0.9


@pytest.mark.timeout(300)
async def test_a_mailbox_that_slows_down_and_is_lost(valkey_url: str, sandbox: Sandbox) -> None:
    """2 % of answers are lost after the mail was taken, 5 % are 429."""
    async with mailing_site(valkey_url, sandbox, MAILBOX) as site:
        site.sandbox.ask("faults", {"spec": "504-after@send_mail=0.02,429@send_mail=0.05"})
        job = await submit(site, people(ROWS))
        start_worker(site)
        counts = (await site.ended(job, 240)).stages["mail"]
        await _told_once(site, job, counts, "sendMail")
        assert counts.done > ROWS * 0.9
        assert not counts.failed


async def _told_once(site: Site, job: str, counts: Counts, via: str) -> None:
    """Nobody has two mails; who is done has one; who may have one is told as in doubt."""
    assert site.sandbox.ask("stats")["mails"]["max_per_address"] == 1
    results = {row["email"]: row["mail_status"] for row in await site.results(job)}
    got = {mail["to"] for mail in mails(site, via)}
    assert {email for email, status in results.items() if status == "done"} <= got
    assert got <= {email for email, status in results.items() if status in ("done", "in_doubt")}
    assert counts.pending == 0
    assert counts.in_doubt == sum(status == "in_doubt" for status in results.values()) > 0


@pytest.fixture
async def server() -> AsyncIterator[OwnValkey]:
    """A server of its own, with an append-only file."""
    server = OwnValkey.begin()
    yield server
    server.end()


@pytest.mark.timeout(300)
async def test_a_backup_that_is_restored_mails_nobody_again(server: OwnValkey, sandbox: Sandbox) -> None:
    """What was pending when the backup was made may have left since, and nobody can look: `usher
    jobs verify` tells it as in doubt.
    """
    async with mailing_site(server.url, sandbox, SMTP) as site:
        site.sandbox.ask(
            "faults", {"faults": [{"fault": "slow", "on": ["smtp"], "probability": 1, "seconds": [0.1, 0.1]}]}
        )
        job = await submit(site, people(200))
        worker = start_worker(site)
        await site.until("some mails", lambda: _mailed(site, job, 20), 60)
        copy = server.copy()
        await site.until("more mails", lambda: _mailed(site, job, 60), 60)
        kill(worker)
        server.put_back(copy)
        await _grow_old(site)
        start_worker(site)
        await site.until("everything held", lambda: _held(site))
        done = site.run("jobs", "verify", USHER_LEDGER__KEY=f"file:{site.folder / 'ledger.key'}")
        assert done[0] == 0, done
        await site.ended(job, 120)
        assert site.sandbox.ask("stats")["mails"]["max_per_address"] == 1
        statuses = [row["mail_status"] for row in await site.results(job)]
        assert set(statuses) <= {"done", "in_doubt"}
        assert "in_doubt" in statuses


@pytest.mark.timeout(300)
async def test_guests_who_were_invited_and_mailed_since_a_backup_are_told_as_in_doubt(
    server: OwnValkey, sandbox: Sandbox
) -> None:
    """Their links are lost with it, and their mails may have gone out: none is told as failed, for
    a retry would mail them again.
    """
    async with mailing_site(server.url, sandbox, SMTP) as site:
        site.sandbox.ask("latency", {"latency": "0.3", "replication": "0"})
        job = await submit(site, people(400))
        worker = start_worker(site)
        await site.until("some mails", lambda: _mailed(site, job, 5), 60)
        copy = server.copy()
        await site.until("more mails", lambda: _mailed(site, job, 150), 60)
        kill(worker)
        server.put_back(copy)
        await _grow_old(site)
        start_worker(site)
        await site.until("everything held", lambda: _held(site))
        done = site.run("jobs", "verify", USHER_LEDGER__KEY=f"file:{site.folder / 'ledger.key'}")
        assert done[0] == 0, done
        await site.ended(job, 120)
        assert site.sandbox.ask("stats")["mails"]["max_per_address"] == 1
        statuses = Counter(row["mail_status"] for row in await site.results(job))
        assert set(statuses) <= {"done", "in_doubt"}
        assert statuses["in_doubt"]
        assert [row async for row in site.desk.jobs.rows.refused(job)] == []


@pytest.mark.timeout(300)
async def test_a_failover_in_the_middle_of_mails_mails_nobody_again(server: OwnValkey, sandbox: Sandbox) -> None:
    """The server forgets a moment of invitations and mails, two workers write theirs again."""
    async with mailing_site(server.url, sandbox, SMTP) as site:
        site.sandbox.ask("latency", {"latency": "1.5", "replication": "0"})
        start_worker(site)
        start_worker(site)
        job = await submit(site, people(600))
        await site.until("some mails", lambda: _mailed(site, job, 60), 60)
        copy = server.copy()
        least = (await site.view(job)).stages["mail"].done + 120
        await site.until("more mails", lambda: _mailed(site, job, least), 60)
        server.put_back(copy)
        await site.ended(job, 200)
        assert site.sandbox.ask("stats")["mails"]["max_per_address"] == 1
        results = {row["email"]: row["mail_status"] for row in await site.results(job)}
        got = {mail["to"] for mail in mails(site, "smtp")}
        assert {email for email, status in results.items() if status == "done"} <= got
        assert {email for email, status in results.items() if status in ("failed", "skipped")}.isdisjoint(got)


async def _mailed(site: Site, job: str, least: int) -> bool:
    return (await site.view(job)).stages["mail"].done >= least


async def _held(site: Site) -> bool:
    gate = await site.desk.gates.of("contoso")
    return bool(gate.held and "usher jobs verify" in gate.why)


async def _grow_old(site: Site) -> None:
    """Let the ledger be one that was last used an hour ago."""
    client: Any = site.desk.client
    keys = site.desk.keys
    await client.hincrby(keys.epoch(), "beat", -3_600_000)
    for process in await client.zrange(keys.here(), 0, -1):
        await client.zincrby(keys.here(), -3_600_000, process)
