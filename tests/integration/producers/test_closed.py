"""Where there was a producer, programs need a token, though the last one is gone: until somebody
says openly that they need none.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import tempfile
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from config.settings import Settings
from console.app import build_app
from tests.integration.producers.rivals import run_rivals
from tests.integration.producers.wire import address, refusal
from tests.ledgers import Desk
from tests.processes import wait_until
from worker.services import Services, open_services


def test_who_revokes_the_last_producer_opens_nothing() -> None:
    """Neither to its old token nor to none, by message or over HTTP; `waive` opens, and the audit
    trail tells who.
    """
    folder = Path(tempfile.mkdtemp(prefix="last", dir="/tmp"))
    try:
        with run_rivals(folder) as two:
            usher, crm = two.usher, two.crm
            for name in ("hr", "crm"):
                said = usher.run("producers", "revoke", name, "--yes")
                assert said.status == 0, said.err
            assert "programs still need a token" in said.out

            def told(token: str | None) -> str:
                task_id = f"any-{uuid.uuid4()}"  # of nobody, so that it is answered in any case
                crm.push(task_id, "northwind", address(), token=token, task="usher.invite_guest")
                return refusal(two.answered(task_id))

            wait_until(lambda: "no producer is configured any more" in told(None), 20, "workers without a producer")
            assert "no producer is configured any more" in told(crm.token)
            wait_until(lambda: crm.http("GET", "/v1/jobs").status_code == 401, 20, "a server without a producer")
            assert crm.console.ask("GET", "/v1/jobs").status_code == 401
            assert json.loads(usher.run("producers", "list", "--json").out) == {"producers": [], "token_needed": True}
            doctor = usher.run("doctor")
            assert doctor.status == 1
            assert "Nothing is taken from any program" in " ".join(doctor.out.split())
            assert usher.run("producers", "waive", "--yes").status == 0
            assert len(two.trail("producer.waived")) == 1
            sent = crm.ask("usher.invite_guest", "northwind", address(), token=None)
            assert sent["status"] == "invited"
            assert crm.console.ask("GET", "/v1/jobs").status_code == 200
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def test_a_server_looks_at_its_configuration_though_nobody_asks(desk: Desk, valkey_url: str) -> None:
    """Else the first request after a quiet night would be judged by what counted the evening
    before.
    """
    looks, opened = asyncio.Event(), False

    def settings() -> Settings:
        if opened:
            looks.set()
        return Settings()

    @asynccontextmanager
    async def opening() -> AsyncIterator[Services]:
        async with open_services(settings, valkey_url) as services:
            yield services

    app = build_app(opening)
    async with app.router.lifespan_context(app):
        for _ in range(2):
            opened = True
            await asyncio.wait_for(looks.wait(), 20)
            looks.clear()
