"""A producer's jobs are its own, by HTTP."""

from __future__ import annotations

import socket
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import requests

from tasks.jobs.moving import pause_job
from tests.consoles import Console, run_console
from tests.processes import wait_until
from tests.sites import Site
from worker.ledger.model import JobState

ADA = "ada@fabrikam.example"
TABLE = """
[producers.NAME]
token = "file:FOLDER/NAME"
connections = "contoso"
"""


def _configure(folder: Path, *names: str, more: str = "") -> None:
    for name in names:
        (folder / name).write_text(name * 20)
        with (folder / "usher.toml").open("a") as file:
            file.write(TABLE.replace("NAME", name).replace("FOLDER", str(folder)) + more)


def _be(console: Console, name: str) -> None:
    console.browser.headers["Authorization"] = f"Bearer {name * 20}"


def test_producer_finds_its_jobs_among_many(site: Site) -> None:
    """Page by page, though the others' jobs lie between."""
    _configure(site.folder, "portal", "intake")
    with run_console(site) as console:
        mine = []
        for number in range(3):
            _be(console, "portal")
            mine.append(console.submit([f"p{number}@fabrikam.example"]))
            _be(console, "intake")
            for other in range(3):
                console.submit([f"i{number}-{other}@fabrikam.example"])
        _be(console, "portal")
        found, cursor = [], None
        while True:
            page = console.get("/v1/jobs", params={"limit": 1, "cursor": cursor}).json()
            found += [one["job"] for one in page["jobs"]]
            if not (cursor := page.get("next")):
                break
        assert found == mine[::-1]


def test_job_of_another_producer_is_none(site: Site) -> None:
    """Neither seen nor moved, nor found by its key; what is its own is."""
    _configure(site.folder, "portal", "intake")
    with run_console(site) as console:
        assert console.get("/v1/jobs").status_code == 401
        _be(console, "portal")
        body, key = {"connection": "contoso", "rows": [{"email": ADA}]}, {"Idempotency-Key": "order-1"}
        job = console.post("/v1/jobs", json=body, headers=key).json()["job"]
        _be(console, "intake")
        assert console.get("/v1/jobs").json() == {"jobs": []}
        paths = ("", "/rows", "/results.csv", "/events")
        assert {console.get(f"/v1/jobs/{job}{path}").status_code for path in paths} == {404}
        verbs = ("pause", "resume", "cancel", "retry")
        assert {console.post(f"/v1/jobs/{job}/{verb}").status_code for verb in verbs} == {404}
        assert console.post("/v1/jobs", json=body, headers=key).json()["job"] != job
        _be(console, "portal")
        shown = console.get(f"/v1/jobs/{job}").json()
        assert (shown["state"], shown["by"]) == ("running", "producer portal")
        assert [one["job"] for one in console.get("/v1/jobs").json()["jobs"]] == [job]


def test_job_rests_on_a_connection_that_was_taken_away(site: Site) -> None:
    """It may still be looked at and cancelled by its producer; let go again it may not."""
    _configure(site.folder, "portal")
    with run_console(site) as console:
        _be(console, "portal")
        job = console.submit([ADA])
        assert console.post(f"/v1/jobs/{job}/pause").status_code == 200
        file = site.folder / "usher.toml"
        file.write_text(file.read_text().replace('connections = "contoso"', 'connections = "sandbox"'))
        wait_until(lambda: console.get("/v1/connections").json()["connections"][0]["connection"] == "sandbox", 20, "it")
        for verb in ("resume", "retry"):
            refused = console.post(f"/v1/jobs/{job}/{verb}")
            assert refused.status_code == 403
            assert refused.json()["detail"].startswith("connection: the producer portal may not use a connection")
        assert console.get(f"/v1/jobs/{job}").json()["state"] == "paused"
        assert console.post(f"/v1/jobs/{job}/cancel").status_code == 200


async def test_what_people_paused_goes_on_by_people_alone(site: Site) -> None:
    """Its own pause a producer lifts; one by whoever runs usher it does not, nor by pausing once
    more. Each try is in the audit.
    """
    _configure(site.folder, "portal")
    with run_console(site) as console:
        _be(console, "portal")
        job, waiting = console.submit([ADA]), console.submit(["bob@fabrikam.example"])

        def move(verb: str) -> tuple[int, str]:
            done = console.post(f"/v1/jobs/{job}/{verb}")
            told = done.json()
            return done.status_code, told["state"] if done.ok else told["detail"]

        assert [move(verb) for verb in ("pause", "resume", "pause")] == [
            (200, "paused"),
            (200, "running"),
            (200, "paused"),
        ]
        view = await site.desk.jobs.view(job)
        assert view is not None
        services: Any = SimpleNamespace(jobs=site.desk.jobs)
        await pause_job(services, view)
        for verb in ("resume", "pause", "resume"):
            status, told = move(verb)
            assert (status, told) == (200, "paused") if verb == "pause" else status == 403
        assert told == (
            f"job: {job} was paused by whoever runs usher, who lets it run on (usher jobs resume {job}); the producer"
            " portal may not. Nothing was sent."
        )
        events = [event async for event in site.desk.jobs.trail.events() if event.what == "producer.refused"]
        assert [event.facts["job"] for event in events] == [job, job]
        assert console.post(f"/v1/jobs/{waiting}/pause").ok
        assert await site.desk.jobs.resume(job) is JobState.RUNNING
        assert console.post(f"/v1/jobs/{job}/cancel").status_code == 200


def test_who_sends_slowly_keeps_nobody_else_waiting(site: Site) -> None:
    """As many bodies as lists are taken in at a time are on their way for good; another's list goes
    in.
    """
    _configure(site.folder, "portal", "intake")
    with run_console(site) as console, ExitStack() as closing:
        host, port = console.url.removeprefix("http://").split(":")
        for _ in range(4):
            slow = closing.enter_context(socket.create_connection((host, int(port)), timeout=20))
            head = f"Host: {host}\r\nAuthorization: Bearer {'portal' * 20}\r\nContent-Type: text/csv"
            told = f"POST /v1/jobs?connection=contoso HTTP/1.1\r\n{head}\r\nContent-Length: 9000"
            slow.sendall(f"{told}\r\nExpect: 100-continue\r\n\r\n".encode())
            assert slow.recv(100).startswith(b"HTTP/1.1 100")  # it is being read now
        _be(console, "intake")
        console.submit([ADA])


async def test_a_stream_ends_with_its_token(site: Site) -> None:
    """What comes after the token was taken back is not told any more."""
    _configure(site.folder, "portal", "intake")
    with run_console(site) as console:
        _be(console, "portal")
        job = console.submit([ADA])
        events = f"{console.url}/v1/jobs/{job}/events"
        with requests.get(events, headers=console.browser.headers, stream=True, timeout=30) as stream:  # noqa: ASYNC210
            lines = stream.iter_lines(chunk_size=1)
            assert b'"running"' in next(line for line in lines if line.startswith(b"data:"))
            (site.folder / "portal").write_text("another" * 20)
            wait_until(lambda: console.get("/v1/jobs").status_code == 401, 20, "a server that has noticed")
            site.start_worker()
            assert not [line for line in lines if b"job" in line]
            await site.ended(job)


@pytest.mark.usefixtures("one_day")
async def test_producer_stays_within_its_bounds(site: Site) -> None:
    """Its connections, its operations, its rows a day; what people do is not for it."""
    _configure(site.folder, "portal", more="daily_limit = 2\n")
    with run_console(site) as console:
        _be(console, "portal")
        rows = [{"email": ADA}]
        bodies = [
            {"connection": "sandbox", "rows": rows},
            {"connection": "contoso", "rows": rows, "operation": "disable", "confirm": True},
            {"connection": "contoso", "rows": rows, "groups": ["Partners"]},
        ]
        assert [console.post("/v1/jobs", json=body).status_code for body in bodies] == [403, 403, 403]
        assert console.get("/v1/guests?connection=contoso").status_code == 403
        verbs = ("check", "hold", "reopen")
        answers = [console.post(f"/v1/connections/contoso/{verb}", json={"reason": "x"}) for verb in verbs]
        assert {answer.status_code for answer in answers} == {403}
        assert console.post("/v1/jobs", json={"connection": "contoso", "rows": rows}).status_code == 202
        more = [{"email": f"g{n}@fabrikam.example"} for n in range(2)]
        refused = console.post("/v1/jobs", json={"connection": "contoso", "rows": more})
        assert refused.status_code == 429
        assert int(refused.headers["Retry-After"]) > 1
        assert len(console.get("/v1/jobs").json()["jobs"]) == 1
    events = [event async for event in site.desk.jobs.trail.events()]
    assert [event.what for event in events].count("producer.refused") == 8
