"""A backup is restored: everything is held until `usher jobs verify` has looked every open row up,
and nobody is mailed twice.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from typing import Any

import pytest

from tests.chaos.test_message_trouble import client_of, ring
from tests.processes import plain_environment
from tests.sites import OwnValkey, Site, kill
from worker.ledger.gates import HoldReason
from worker.ledger.model import Counts, Lane, Ticket

ROWS = 800
SINCE = 100
"""So many of them at least are sent and answered after the backup, beside what is on the wire when
it is made and when all is lost.
"""


async def usher(site: Site, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command line on this site."""
    env = plain_environment(USHER_CONFIG=str(site.folder / "usher.toml"), HOME=str(site.folder))
    argv = [sys.executable, "-P", "-m", "cli", *arguments]
    return await asyncio.to_thread(
        lambda: subprocess.run(argv, env=env, cwd=site.folder, capture_output=True, text=True, timeout=60)
    )


async def restore(site: Site, server: OwnValkey, *, hours: int) -> str:
    """Back up in mid-job, send on, lose everything, restore as if that was so long ago. Returns the
    job, with a worker at it again.
    """
    worker = site.start_worker(16)
    job = await site.desk.load(ROWS)
    await site.some(job, 40)
    await site.rows_on_the_wire(job)
    copy = server.copy()
    await site.send_more(job, SINCE)
    kill(worker)
    server.put_back(copy)
    client: Any = site.desk.client
    keys = site.desk.keys
    await client.hincrby(keys.epoch(), "beat", -hours * 3_600_000)
    for process in await client.zrange(keys.here(), 0, -1):
        await client.zincrby(keys.here(), -hours * 3_600_000, process)
    site.start_worker(16)
    return job


async def held(site: Site) -> bool:
    """Whether everything is held."""
    gate = await site.desk.gates.of("contoso")
    return gate.held and "usher jobs verify" in gate.why


async def test_a_restored_backup_is_held_until_verified(own_site: Site, own_valkey: OwnValkey) -> None:
    """Who was invited since ends invited, the rest is sent then; nobody is mailed twice, and the
    command says what it found.
    """
    site = own_site
    site.sandbox.ask("latency", {"latency": "0.3", "replication": "0"})  # a look-up finds what is there
    job = await restore(site, own_valkey, hours=5)
    await site.until("the hold", lambda: held(site))
    mails = site.sandbox.ask("stats")["mails"]["total"]
    assert (await site.view(job)).state.value == "held"
    done = await usher(site, "jobs", "verify", "--json")
    assert done.returncode == 0, done.stderr
    (told,) = json.loads(done.stdout)["connections"]
    assert told["invited"] >= SINCE
    assert told["invited"] + told["pending"] == told["rows"]
    assert mails >= told["invited"]
    assert not told["held"]
    view = await site.ended(job, 60)
    assert view.counts == Counts(rows=ROWS, done=ROWS)
    site.assert_all_mailed_once(ROWS)
    again = await usher(site, "jobs", "verify")
    assert (again.returncode, again.stdout.strip()) == (0, "No row is open: there is nothing to look up.")


async def test_an_offer_that_the_backup_held_is_not_taken_up(own_site: Site, own_valkey: OwnValkey) -> None:
    """With its message it is in the backup too. A chunk claimed now would look up whom the lost
    rows invited, as guests of before.
    """
    site = own_site
    site.sandbox.ask("latency", {"latency": "0.3", "replication": "0"})  # a look-up finds what is there
    job = await restore(site, own_valkey, hours=5)
    await site.until("the hold", lambda: held(site))
    client: Any = site.desk.client
    keys = site.desk.keys
    for number in range(ROWS // 100):  # as it stood a moment before their chunks were claimed
        if "." in await site.desk.letters(job, number):
            ticket = Ticket(job, number, 1000 + number, "contoso", Lane.BULK)
            await client.zadd(keys.offers(), {str(ticket): 2e15})
            await client.hincrby(keys.offered_of(), "contoso", 1)
            await client.hincrby(keys.seats_of(), "contoso", 1)
            with client_of(site, own_valkey.url) as elsewhere:
                ring(elsewhere, ticket)

    async def over() -> bool:
        return not await client.zcard(keys.offers()) and not await client.zcard(keys.leases())

    await site.until("the end of every offer", over)
    assert (await usher(site, "jobs", "verify")).returncode == 0
    view = await site.ended(job, 60)
    assert view.counts == Counts(rows=ROWS, done=ROWS)
    site.assert_all_mailed_once(ROWS)


async def test_where_nobody_may_look_a_person_decides(own_site: Site, own_valkey: OwnValkey) -> None:
    """An app that may only invite: status 3, the connection stays held by a sentence of its own,
    until it is reopened.
    """
    site = own_site
    site.sandbox.ask("policy", {"roles": ["User.Invite.All"]})
    site.sandbox.ask("latency", {"latency": "0.3", "replication": "0"})  # a look-up finds what is there
    job = await restore(site, own_valkey, hours=5)
    await site.until("the hold", lambda: held(site))
    for _ in range(2):
        done = await usher(site, "jobs", "verify")
        assert done.returncode == 3
        assert "not looked up: the app may not read users" in done.stderr
    assert "usher connections reopen contoso" in done.stderr
    gate = await site.desk.gates.of("contoso")
    assert gate.kind is HoldReason.RESTORED
    mails = site.sandbox.ask("stats")["mails"]["total"]
    assert (await usher(site, "jobs", "pause", job)).returncode == 0
    reopened = await usher(site, "connections", "reopen", "contoso")
    assert reopened.stdout.strip() == "contoso is open again."
    assert site.sandbox.ask("stats")["mails"]["total"] == mails


@pytest.mark.parametrize("resend", [False, True])
async def test_it_may_be_run_at_any_time(site: Site, resend: bool) -> None:
    """Without a restore: who is there already ends as a guest of before, who is asked to be mailed
    again cannot be told, nothing is sent.
    """
    from worker.ledger.model import Options

    site.sandbox.ask("latency", {"replication": "0"})  # a look-up finds what is there
    first = await site.load(["ann@partner.example", "bob@partner.example"])
    site.start_worker()
    await site.ended(first)
    await site.desk.gates.hold("contoso", HoldReason.OPERATOR, "A test.")
    await site.desk.client.delete(
        *[f"{site.desk.keys.prefix}:{name}" for name in await site.desk.names() if name.startswith("index:")]
    )
    job = await site.load(["ann@partner.example", "zoe@partner.example"], options=Options(resend=resend))
    done = await usher(site, "jobs", "verify", "--json")
    (told,) = json.loads(done.stdout)["connections"]
    counts = (await site.view(job)).counts
    if resend:
        assert (done.returncode, counts) == (3, Counts(rows=2, pending=2))
        assert "--resend" in done.stderr
    else:
        assert (done.returncode, counts) == (0, Counts(rows=2, already=1, pending=1)), done.stderr
        assert (told["already_guest"], told["pending"]) == (1, 1)
    assert (await site.desk.gates.of("contoso")).kind is HoldReason.OPERATOR
    assert site.sandbox.ask("stats")["mails"]["total"] == 2
