"""A server is killed: exactly one job, or none."""

from __future__ import annotations

import http.client
import os
import signal
import threading
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.consoles import Console, run_console
from tests.processes import wait_until
from tests.sites import OwnValkey, Site
from worker.ledger.model import JobState

LIST = "email\n" + "".join(f"g{n}@fabrikam.example\n" for n in range(30_000))
KEY = {"Idempotency-Key": "order-1", "Content-Type": "text/csv"}


def kill(console: Console) -> None:
    """SIGKILL: nothing is said to anybody."""
    os.kill(console.process.pid, signal.SIGKILL)
    console.process.wait()


async def test_killed_during_an_upload_nothing_is_left(site: Site) -> None:
    """Half a list is no list: no job, and a connection that broke tells its sender so."""
    with run_console(site, real=True) as console:
        where = urlsplit(console.url)
        wire = http.client.HTTPConnection(where.hostname or "", where.port, timeout=20)
        wire.putrequest("POST", "/v1/jobs?connection=contoso")
        wire.putheader("Content-Type", "text/csv")
        wire.putheader("Content-Length", str(len(LIST)))
        wire.endheaders()
        wire.send(LIST[:100_000].encode())
        kill(console)
        with pytest.raises((http.client.HTTPException, OSError)):
            wire.getresponse()
    with run_console(site) as console:
        assert console.get("/v1/jobs").json() == {"jobs": []}


async def test_killed_during_a_submit_the_key_makes_one_job(own_site: Site) -> None:
    """Sent again with its key, the list is taken in whole, once; what the killed server had begun
    is gone.
    """

    def send(console: Console) -> None:
        with pytest.raises(OSError):
            console.post("/v1/jobs?connection=contoso", data=LIST, headers=KEY)

    with run_console(own_site, real=True) as console:
        sending = threading.Thread(target=send, args=(console,))
        sending.start()
        wait_until(lambda: loading(own_site), 20, "a list that is being loaded")
        kill(console)
        sending.join()
    view = await own_site.desk.jobs.listed(newest=10)
    assert [one.state for one in view] == [JobState.LOADING]
    with run_console(own_site) as console:
        told: list[int] = []

        def taken() -> bool:
            answer = console.post("/v1/jobs?connection=contoso", data=LIST, headers=KEY)
            told.append(answer.status_code)
            return answer.status_code == 202

        wait_until(taken, 60, "a list that is taken in")
        assert set(told) <= {202, 409}
        jobs = console.get("/v1/jobs").json()["jobs"]
        assert [(job["state"], job["rows"]) for job in jobs] == [("running", 30_000)]


def loading(site: Site) -> int:
    """How many jobs are being loaded."""
    import redis

    client: Any = redis.Redis.from_url(site.url)
    try:
        return int(client.zcard(site.desk.keys.loading()))
    finally:
        client.close()


async def test_redis_that_goes_away_during_a_submit_is_told(own_site: Site, own_valkey: OwnValkey) -> None:
    """A clear answer with a time to come again; then the same key makes one job."""
    body = {"connection": "contoso", "rows": [{"email": "ada@fabrikam.example"}]}
    with run_console(own_site) as console:
        own_valkey.kill()
        answer = console.post("/v1/jobs", json=body, headers={"Idempotency-Key": "order-2"})
        assert answer.status_code == 503, answer.text
        assert int(answer.headers["Retry-After"]) >= 1
        own_valkey.start_again()
        for _ in range(2):
            answer = console.post("/v1/jobs", json=body, headers={"Idempotency-Key": "order-2"})
            assert answer.status_code == 202, answer.text
        assert len(console.get("/v1/jobs").json()["jobs"]) == 1


async def test_redis_that_is_full_is_told(own_site: Site) -> None:
    """No row is taken in that could not be finished; the answer says who does what, and when to
    come again.
    """
    client: Any = own_site.desk.client
    with run_console(own_site) as console:
        used = (await client.info("memory"))["used_memory"]
        await client.config_set("maxmemory", used + (1 << 20))
        answer = console.post("/v1/jobs?connection=contoso", data=LIST, headers={"Content-Type": "text/csv"})
        assert answer.status_code == 507, answer.text
        assert int(answer.headers["Retry-After"]) >= 1
        assert "maxmemory" in answer.json()["detail"]
        await client.config_set("maxmemory", 0)
        assert console.get("/v1/jobs").json() == {"jobs": []}
