"""The notifier tells of jobs that name somebody: at least once when a job is held, and when the job
has ended; and of what is no job's (`Notices.tell`).

What is to be told is kept in the ledger before it is told and leaves it when the other side has
taken it (`notices`), so a worker that is killed, or a receiver that is away, delays it. Every
worker looks; one at a time has a job. An event's id is always the same, by which a receiver knows
one that came twice. Nothing told holds an address.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
import time
from collections.abc import Collection, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import aiohttp
import orjson
from yarl import URL

from config.errors import ConfigError
from config.notify import message_fault, target_fault
from worker.errors import WayOutUnusable
from worker.ledger.model import JobState
from worker.ledger.notices import ALONE, AT_ONCE, FROM_MESSAGE, LEASE_S, Notices
from worker.masking import mask_text
from worker.net import tls
from worker.net.resolver import AddressInside, CheckedResolver
from worker.store.client import OUTAGE

if TYPE_CHECKING:
    from worker.ledger.job_view import JobView
    from worker.services import Services

log = logging.getLogger(__name__)

LOOK_S = 3.0
"""How often a job that runs is looked at: a hold that ends sooner may not be told."""
GIVE_UP_S = 3 * 86_400.0
"""How long an event is offered; afterwards it is dropped with a line in the log."""
SIGNATURE = "Usher-Signature"
EVENT_ID = "Usher-Event-Id"
_WITHIN_S = 15.0
_FIRST_AGAIN_S, _LONGEST_AGAIN_S = 2.0, 900.0
_AWAY_S = 5.0


class Notifier:
    """A worker's notifier takes its part in telling."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._notices = Notices(services.client, services.keys)

    async def run(self) -> None:
        """Look and tell until cancelled."""
        while True:
            wait_s = _AWAY_S
            try:
                jobs, now_ms = await self._notices.claim()
                for result in await asyncio.gather(*(self._look(job, now_ms) for job in jobs), return_exceptions=True):
                    if isinstance(result, BaseException) and not isinstance(result, OUTAGE):
                        log.error("telling of a job failed (%s); it is tried again", type(result).__name__)
                wait_s = 0.0 if len(jobs) == AT_ONCE else 1.0
            except OUTAGE:
                pass  # the dispatcher says so
            await asyncio.sleep(wait_s)

    async def _look(self, job: str, now_ms: int) -> None:
        kept = await self._notices.read(job)
        view = None if ALONE in kept else await self._services.jobs.view(job)
        if (view is None and ALONE not in kept) or "to" not in kept:
            await self._notices.forget(job)  # deleted, or never started: its row in the list outlived it
            return
        out = orjson.loads(kept.get("out", "[]"))
        event, held = next_event(view, kept.get("held", ""), now_ms) if view else (None, "")
        if event is not None:
            out.append(event)
            await self._notices.keep(job, now_ms + round(LEASE_S * 1000), out=orjson.dumps(out), held=held)
        tries, place = int(kept.get("tries", 0)), show_target(kept["to"])
        while out:
            fault = await self._tell(kept["to"], kept.get("from", ""), out[0])
            too_old = now_ms - out[0]["at_ms"] > GIVE_UP_S * 1000
            if fault and not too_old and fault != _GONE:
                wait_s = min(_LONGEST_AGAIN_S, _FIRST_AGAIN_S * 2 ** min(tries, 12))
                again = "job %s: %s was not told of it (%s); next try in %.0f s"
                log.warning(again, job, place, fault, wait_s)
                await self._notices.keep(job, now_ms + round(wait_s * 1000), tries=tries + 1)
                return
            if fault:
                log.error("job %s: %s was never told of it (%s); it is not tried any more", job, place, fault)
            done = out.pop(0)
            if done["type"] == "job.ended" or (view is None and not out):
                await self._notices.forget(job)
                return
            tries = 0
            await self._notices.keep(job, now_ms + round(LOOK_S * 1000), out=orjson.dumps(out), tries=0)
        await self._notices.keep(job, now_ms + round(LOOK_S * 1000))

    async def _tell(self, target: str, whose: str, event: dict[str, Any]) -> str:
        """Tell one event. Returns '' when it was taken, else why not."""
        notify = self._services.settings().notify
        find_fault = message_fault if whose == FROM_MESSAGE else target_fault
        if fault := find_fault(target, notify.hosts, signed=bool(notify.secret)):
            return f"it {fault}"
        try:
            secrets = [reference.resolve().reveal() for reference in notify.secret]
        except ConfigError as error:
            return str(error)
        content = orjson.dumps({name: value for name, value in event.items() if name != "at_ms"})
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "usher",
            EVENT_ID: str(event["id"]),
            SIGNATURE: sign(content, secrets, int(time.time())),
        }
        return await _post(target, content, headers, notify.hosts if whose == FROM_MESSAGE else None)


_GONE = "it answers 410"


async def _post(url: str, content: bytes, headers: dict[str, str], hosts: Collection[str] | None) -> str:
    """Post. `hosts`: where only public addresses, and those that it lists, may be called; None
    where any may.
    """
    try:
        context = await asyncio.to_thread(tls.build_context)
        timeout = aiohttp.ClientTimeout(total=_WITHIN_S)
        proxy = tls.find_proxy(url)
        resolver = CheckedResolver(hosts) if hosts is not None and proxy is None else None  # a proxy asks for itself
        async with (
            aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(resolver=resolver), timeout=timeout, trust_env=False
            ) as session,
            session.post(
                URL(url, encoded=True), data=content, headers=headers, ssl=context, proxy=proxy, allow_redirects=False
            ) as answer,
        ):
            return "" if 200 <= answer.status < 300 else f"it answers {answer.status}"
    except TimeoutError:
        return "it does not answer"
    except (WayOutUnusable, AddressInside) as error:
        return str(error)
    except (aiohttp.ClientError, OSError, ValueError) as error:
        return f"it cannot be reached: {type(error).__name__}"


def next_event(view: JobView, told: str, now_ms: int) -> tuple[dict[str, Any] | None, str]:
    """Return what is to be told of a job as it stands, and the mark of it; None where that was
    told, or nothing is. Pure.
    """
    if view.ended:
        mark, kind = "ended", "job.ended"
    elif view.state is JobState.HELD:
        since = view.gate.since.timestamp() if view.gate.held and view.gate.since else 0
        mark, kind = f"{since:.3f} {view.why}", "job.held"
    else:
        return None, told
    if mark == told:
        return None, told
    event = {
        "id": hashlib.sha256(f"{view.id} {mark}".encode()).hexdigest()[:32],
        "type": kind,
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now_ms / 1000)),
        "at_ms": now_ms,
        "job": view.id,
        "connection": view.connection,
        "state": view.state.value,
        "why": mask_text(view.why),
        **view.told(),
    }
    return event, mark


def sign(content: bytes, secrets: Sequence[str], at_s: int) -> str:
    """Return `t=UNIX,v1=HEX`: HMAC-SHA256 over `UNIX.BODY`, one `v1` for each secret while one is
    rolled over. Pure.
    """
    signed = b"%d." % at_s + content
    parts = [f"v1={hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()}" for secret in secrets]
    return ",".join([f"t={at_s}", *parts])


def show_target(target: str) -> str:
    """Return a target as it may be logged: an address may hold a token."""
    with suppress(ValueError):
        return f"{urlsplit(target).scheme}://{urlsplit(target).netloc}"
    return "the webhook"
