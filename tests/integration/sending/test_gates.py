"""Gates under real workers: an abuse block, a secret that expires, a run of refusals, a right that
is granted.
"""

from __future__ import annotations

import asyncio
import json
import time
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import pytest

from config.connections import Connection
from config.reader import load_settings
from tests.processes import USHER
from tests.sites import Site
from worker.graph.causes import HoldKind, Kind, Verdict
from worker.ledger.gates import HoldReason
from worker.ledger.job_view import JobView
from worker.ledger.model import Counts, JobState
from worker.operations.operation import Channel
from worker.operations.registry import OPERATIONS
from worker.sending.reactions import Reactions
from worker.signin.credentials import AccessToken, make_token

pytestmark = pytest.mark.sandbox(replication="0")


async def invite(site: Site, rows: int) -> tuple[int, str, str]:
    """Run `usher invite` on a list; returns its status, stdout, stderr."""
    guests = site.folder / "guests.csv"
    guests.write_text("email\n" + "".join(f"guest{n}@fabrikam.example\n" for n in range(rows)))
    env = site.env | {"COLUMNS": "400"}
    process = await asyncio.create_subprocess_exec(
        *(*USHER, "invite", str(guests), "-c", "contoso", "--yes", "--json"),
        env=env,
        cwd=site.folder,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def test_an_abuse_block_costs_one_batch(site: Site) -> None:
    """Eleven invitations, then a block: at most the rest of that batch is refused, all is held, the
    command says what to do.
    """
    site.sandbox.ask("faults", {"spec": "abuse-after=11"})
    site.start_worker(16)
    status, out, err = await invite(site, 500)
    told = json.loads(out)
    assert (status, told["state"], told["invited"], told["failed"]) == (3, "held", 11, 0), err
    assert "support case with Microsoft; then run `usher connections reopen`" in err
    gate = await site.desk.gates.of("contoso")
    assert (gate.kind, gate.ends_by_itself) == (HoldReason.ABUSE, False)
    assert [name async for name in site.desk.client.scan_iter(match=f"{site.desk.keys.prefix}:tenant:*")]
    answers = site.sandbox.ask("stats")["items"]["invite"]
    assert answers["201"] == 11
    assert sum(answers.values()) - 11 == 9


async def test_an_abuse_block_holds_the_tenants_other_connections(site: Site) -> None:
    """Microsoft blocked the tenant, not the connection that met it: another one's job is held too,
    in words, and sends nothing.
    """
    config = site.folder / "usher.toml"
    text = config.read_text()
    beginning = text.index("[connections.contoso]")
    config.write_text(f"{text}\n{text[beginning:].replace('[connections.contoso]', '[connections.other]')}")
    site.start_worker()
    ready = site.sandbox.ready
    await site.desk.gates.block_tenant(f"{urlsplit(ready['graph_url']).netloc}/{ready['tenant_id']}", "Blocked.")
    job = await site.load(["ann@fabrikam.example"], connection="other")

    async def held() -> JobView | None:
        view = await site.view(job)
        return view if view.state is JobState.HELD else None

    view = await site.until("the hold", held)
    assert (view.gate.kind, view.counts.pending) == (HoldReason.ABUSE, 1)
    assert "usher connections reopen other" in view.gate.why
    assert not site.sandbox.ask("stats")["items"].get("invite")


async def test_a_secret_that_expires_half_way_and_is_replaced(site: Site) -> None:
    """No row fails: the job is held, and ends by itself once the file has the new secret."""
    site.start_worker()
    site.sandbox.ask("latency", {"latency": "0.4"})
    job = await site.desk.load(300)
    await site.some(job, 60)
    site.sandbox.ask("secret", {"action": "expire", "revoke_tokens": True})

    async def held() -> JobView | None:
        view = await site.view(job)
        return view if view.state is JobState.HELD else None

    view = await site.until("the hold", held)
    assert view.gate.kind is HoldReason.CREDENTIAL
    site.sandbox.ask("secret", {"action": "rotate"})
    site.secret.write_text(site.sandbox.secret)
    site.sandbox.ask("latency", {"latency": "0.05"})
    await site.all_invited_once(job, 300)


async def test_a_worker_with_an_old_secret_holds_nobody(site: Site) -> None:
    """It says once that its own credential is the trouble; the worker with the current one sends
    everything.
    """
    site.sandbox.ask("latency", {"latency": "0.3"})
    current, old = site.secret, site.folder / "old"
    old.write_text("an older one")
    site.start_worker(16)
    job = await site.desk.load(1500)
    await site.some(job, 40)
    await site.desk.jobs.pause(job, "until both are there")
    config = site.folder / "usher.toml"
    text = config.read_text()
    other = site.folder / "other.toml"
    other.write_text(text.replace(str(current), str(old)))
    site.start_worker(16, config=other.name)
    await site.desk.jobs.resume(job)
    view = await site.ended(job, 40)
    assert view.counts == Counts(rows=1500, done=1500)
    assert "is held" not in site.log_of(1).read_text() + site.log_of(2).read_text()
    assert site.log_of(2).read_text().count("another worker's was good") == 1
    site.assert_all_mailed_once(1500)


async def test_a_run_of_refusals_holds_the_job(site: Site) -> None:
    """A list that Graph refuses row by row is not sent to its end; resumed, it goes on."""
    site.start_worker()
    site.sandbox.ask("latency", {"latency": "0"})
    job = await site.load([f"{'x' * 65}{n}@fabrikam.example" for n in range(200)])  # only Graph refuses them here

    async def held() -> JobView | None:
        view = await site.view(job)
        return view if view.state is JobState.HELD and not view.open else None

    view = await site.until("the hold", held)
    assert "Microsoft refused 20 rows in a row" in view.why
    assert not view.gate.held
    assert view.counts.failed == 20
    status = await asyncio.create_subprocess_exec(
        *(*USHER, "jobs", "watch", job),
        env=site.env,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out, _ = await asyncio.wait_for(status.communicate(), 60)
    assert status.returncode == 3
    assert out.decode().rstrip().endswith(f"To go on:\n    usher jobs resume {job}"), out
    await site.desk.jobs.resume(job)

    async def again() -> bool:
        view = await site.view(job)
        return view.state is JobState.HELD and view.counts.failed >= 40

    await site.until("the next hold", again)


async def test_a_good_check_ends_the_hold_of_a_right_that_was_granted(site: Site) -> None:
    """Its lines agree with each other, and the job goes on at once, though the worker's token is
    from before the grant.
    """
    site.sandbox.ask("policy", {"roles": ["User.Read.All"]})
    site.start_worker()
    job = await site.desk.load(40)

    async def held() -> JobView | None:
        view = await site.view(job)
        return view if view.state is JobState.HELD and not view.open else None

    view = await site.until("the hold", held)
    assert view.gate.kind is HoldReason.PERMISSION
    status, out, _ = await asyncio.to_thread(site.run, "connections", "check", "contoso")
    assert (status, "The app may not invite" in out, "is held" in out) == (1, True, True)

    await site.desk.gates.hold("contoso", HoldReason.PERMISSION, view.gate.why, try_s=600)  # after many a try
    site.sandbox.ask("policy", {"roles": ["User.Invite.All", "User.Read.All"]})
    status, out, _ = await asyncio.to_thread(site.run, "connections", "check", "contoso")
    assert (status, "The app may invite" in out, "is held" in out) == (0, True, False), out
    assert "it is open again" in out
    await site.all_invited_once(job, 40)


@pytest.mark.parametrize(
    ("kind", "ends"), [(HoldReason.CREDENTIAL, True), (HoldReason.OPERATOR, False), (HoldReason.ABUSE, False)]
)
async def test_a_good_check_ends_what_it_disproves(site: Site, kind: HoldReason, ends: bool) -> None:
    """Whoever signs in has a good credential; what a person has to lift stays."""
    await site.desk.gates.hold("contoso", kind, "Because.", try_s=600)
    status, out, _ = await asyncio.to_thread(site.run, "connections", "check", "contoso")
    assert (status == 0, "it is open again" in out, "is held: Because." in out) == (ends, ends, not ends)
    assert (await site.desk.gates.of("contoso")).held is not ends


async def test_a_token_from_before_a_grant_holds_nobody(site: Site) -> None:
    """It lacks what was granted since, so it is thrown away, and the connection is held only when a
    new one is refused too.
    """
    thrown: list[AccessToken] = []

    class Tokens:
        async def invalidate(self, _: Connection, token: AccessToken) -> None:
            thrown.append(token)

    connection = load_settings({}, site.folder / "usher.toml").connection("contoso")
    refused = Verdict(Kind.HOLD, "no_permission", "Grant it.", hold=HoldKind.PERMISSION)
    services: Any = SimpleNamespace(tokens=Tokens(), gates=site.desk.gates)
    reactions, now_s = Reactions(services), time.time()
    old, new = (make_token("t", issued_s=now_s - age_s, life_s=3600, fingerprint="f") for age_s in (600, 1))
    await reactions.hold(Channel(connection, OPERATIONS["invite"]), refused, old)
    assert not (await site.desk.gates.of("contoso")).held
    await reactions.hold(Channel(connection, OPERATIONS["invite"]), refused, new)
    assert (await site.desk.gates.of("contoso")).kind is HoldReason.PERMISSION
    assert thrown == [old, new]
