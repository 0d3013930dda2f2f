"""Somebody is told of a job: a webhook over HTTPS, signed, again and again until it is taken."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import os
import secrets
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from celery import Celery

from tests.servers import RawServer, Received, answer, make_certificate, run_raw_server
from tests.sites import Site
from worker.ledger.gates import HoldReason
from worker.ledger.notices import Notices

SECRET = "a secret of the receiver"


pytestmark = pytest.mark.sandbox(latency="0", replication="0")


@pytest.fixture
def site(site: Site) -> Site:
    """A place to work in, whose webhooks are signed."""
    (site.folder / "notify").write_text(f"{SECRET}\n")
    with (site.folder / "usher.toml").open("a") as file:
        file.write('[notify]\nsecret = "file:notify"\n')
    return site


@dataclass
class Hook:
    """A receiver: what came, and how it answers."""

    server: RawServer
    certificate: Path
    statuses: list[int] = field(default_factory=list)  # of the next answers; 200 when there are none left

    @property
    def url(self) -> str:
        return f"{self.server.url}/hook?token=s3cret"

    @property
    def events(self) -> list[dict[str, Any]]:
        """What came, in order."""
        return [request.json for request in self.server.received]

    @property
    def env(self) -> dict[str, str]:
        """What a worker needs to trust it; the proxy is for nobody: loopback goes directly."""
        return {"SSL_CERT_FILE": str(self.certificate), "HTTPS_PROXY": "http://127.0.0.1:9"}


@asynccontextmanager
async def _hook(folder: Path, *statuses: int) -> AsyncIterator[Hook]:
    certificate = make_certificate(folder, "localhost", "127.0.0.1")
    left = list(statuses)

    async def behave(_: Received, writer: asyncio.StreamWriter) -> None:
        answer(writer, left.pop(0) if left else 200)

    async with run_raw_server(certificate, behave) as server:
        yield Hook(server, certificate.certificate, left)


async def _told_job(site: Site, target: str, job: str, emails: list[str]) -> str:
    await Notices(site.desk.client, site.desk.keys).watch(job, target)
    return await site.load(emails, job=job)


async def test_a_hold_and_the_end_are_told_signed_and_without_addresses(site: Site, tmp_path: Path) -> None:
    """The receiver can check who sent it, knows what came twice by its id, and learns nobody's
    address.
    """
    async with _hook(tmp_path) as hook:
        site.start_worker(more_env=hook.env)
        await site.desk.gates.hold("contoso", HoldReason.OPERATOR, "Held for ada@example.com: ask her.")
        job = await _told_job(site, hook.url, "hooked", ["one@example.com", "two@example.com"])

        async def count(events: int) -> bool:
            return len(hook.events) >= events

        await site.until("the hold told", lambda: count(1))
        await site.desk.gates.reopen("contoso")
        await site.ended(job)
        await site.until("the end told", lambda: count(2))
        held, ended = hook.events
        assert (held["type"], held["state"], held["pending"]) == ("job.held", "held", 2)
        assert "ask her" in held["why"]
        assert (ended["type"], ended["state"], ended["invited"], ended["job"]) == ("job.ended", "done", 2, job)
        assert held["id"] != ended["id"]
        for request in hook.server.received:
            assert (request.method, request.path) == ("POST", "/hook?token=s3cret")
            assert request.headers["usher-event-id"] == request.json["id"]
            at, mark = (part.partition("=")[2] for part in request.headers["usher-signature"].split(","))
            assert mark == hmac.new(SECRET.encode(), f"{at}.".encode() + request.body, hashlib.sha256).hexdigest()
            assert b"@example.com" not in request.body.replace(b"***@example.com", b"")

        async def forgotten() -> bool:
            return not {name for name in await site.desk.names() if name.startswith("notice")}

        await site.until("nothing kept", forgotten)
    assert "s3cret" not in site.log_of(1).read_text()


async def test_what_is_not_taken_is_told_again_though_workers_are_killed(site: Site, tmp_path: Path) -> None:
    """Refused, the worker killed, refused by redirect: another worker tells the same event, with
    the same id, until it is taken.
    """
    async with _hook(tmp_path, 500, 503, 302) as hook:
        victim = site.start_worker(more_env=hook.env)
        job = await _told_job(site, hook.url, "again", ["one@example.com"])

        async def came(events: int) -> bool:
            return len(hook.events) >= events

        await site.until("a try", lambda: came(1))
        os.kill(victim.pid, signal.SIGKILL)
        victim.wait()
        assert (await site.view(job)).ended
        await site.desk.make_past(site.desk.keys.notices())  # (the victim's minute with it is not waited for)
        site.start_worker(more_env=hook.env)
        await site.until("four tries", lambda: came(4), 40)
        assert len({event["id"] for event in hook.events}) == 1
        assert {event["type"] for event in hook.events} == {"job.ended"}


async def test_a_target_that_may_not_be_told_is_refused(site: Site) -> None:
    """Plain http, a host that is not named, no secret to sign with: status 2 and a sentence,
    nothing sent.
    """
    (site.folder / "people.csv").write_text("email\none@example.com\n")
    with (site.folder / "usher.toml").open("a") as file:
        file.write('hosts = ["hooks.example.com"]\n')
    for target, why in (
        ("http://hooks.example.com/", "plain http is for this machine alone"),
        ("https://elsewhere.example.com/", "is at a host that notify.hosts does not name"),
        ("mailto:x", "must be an https:// address"),
    ):
        status, _, err = await asyncio.to_thread(_invite, site, "--notify", target, wants=2)
        assert (status, why in err) == (2, True), err
    assert not await site.desk.jobs.listed()


async def _ask(site: Site, target: str, task_id: str) -> dict[str, Any]:
    """Send a list whose message names who is told."""
    url = str(site.desk.client.connection_pool.connection_kwargs["path"])
    at = f"redis+socket://{url}?virtual_host=0"
    with Celery("elsewhere", broker=at, backend=at, set_as_current=False) as client:
        prefix = site.desk.keys.prefix
        client.conf.broker_transport_options = {"global_keyprefix": f"{prefix}:mq:"}
        client.conf.result_backend_transport_options = {"global_keyprefix": f"{prefix}:res:"}
        rows = [{"email": f"{task_id}@example.com"}]
        sent = client.send_task(
            "usher.invite_guests", ["contoso", rows], {"notify": target}, task_id=task_id, argsrepr="(…)"
        )
        answer: dict[str, Any] = await asyncio.to_thread(sent.get, timeout=90)
        return answer


async def test_a_message_names_only_who_is_listed_and_no_address_inside(site: Site, tmp_path: Path) -> None:
    """Nothing listed: refused. The name listed: its address is loopback, so it is not called. The
    address too: it is told.
    """
    async with _hook(tmp_path) as hook:
        site.start_worker(more_env=hook.env)
        config = site.folder / "usher.toml"
        bare = config.read_text()
        refused = await _ask(site, hook.url, "unlisted")
        assert refused["status"] == "refused"
        assert "notify.hosts" in refused["errors"][0]
        config.write_text(f'{bare}hosts = ["localhost"]\n')

        async def taken() -> dict[str, Any] | None:
            told = await _ask(site, hook.url, f"name{len(hook.events)}-{secrets.token_hex(4)}")
            return told if "job" in told else None  # once the worker has read the file anew

        told = await site.until("the list taken in", taken, 40)
        view = await site.ended(told["job"])
        assert view.info["notify"] == hook.url

        async def kept_from() -> bool:
            return "Its address is inside the network" in site.log_of(1).read_text()

        await site.until("the address refused", kept_from)
        assert not hook.events
        config.write_text(f'{bare}hosts = ["localhost", "127.0.0.0/8", "::1"]\n')

        async def came() -> bool:
            await site.desk.make_past(site.desk.keys.notices())
            return bool(hook.events)

        await site.until("the end told", came, 40)
        assert hook.events[0]["job"] == told["job"]


def _invite(site: Site, *options: str, wants: int = 0) -> tuple[int, str, str]:
    status, out, err = site.run("invite", "people.csv", "-c", "contoso", "--yes", *options)
    assert status == wants, err
    return status, out, err
