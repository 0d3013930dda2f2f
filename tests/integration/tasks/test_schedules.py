"""Schedules under a real beat and a real worker: each task, two beats, a Redis that restarts, a
file that changes.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.beats import ROLES, Beats, schedule_table
from tests.processes import wait_until
from tests.servers import answer, make_certificate, run_raw_server
from tests.sites import OwnValkey, Site
from worker.queues import SCHEDULES
from worker.store.client import read_time_ms

pytestmark = pytest.mark.sandbox(latency="0", replication="0", roles=ROLES)


async def test_each_task_runs_and_the_same_list_again_invites_only_who_is_new(site: Site, beats: Beats) -> None:
    """invite_file, check_connections and retry_failed, fired by a beat, done by a worker, told in a
    sentence without an address.
    """
    people = site.folder / "people.csv"
    people.write_text("email\none@example.com\ntwo@example.com\nnobody\n")
    connection = '"contoso"'
    site.start_worker()
    beats.write(
        schedule_table("list", "invite_file", connection=connection, args='{ path = "people.csv" }'),
        schedule_table("check", "check_connections"),
        schedule_table("again", "retry_failed", connection=connection),
    )
    beats.start()
    first = await beats.until_run("list")
    assert (first.status, first.by) == ("attention", "beat")
    assert re.fullmatch(
        r"Job (\w{16}) took in 3 rows of people.csv. 1 row cannot be sent: usher jobs results \1 --only failed.",
        first.what,
    )
    view = await site.ended(first.jobs[0])
    assert (view.counts.rows, view.counts.failed, view.info["by"]) == (3, 1, "schedule list")
    people.write_text("email\none@example.com\ntwo@example.com\nthree@example.com\n")
    last = await beats.until_run("list", len(await beats.runs("list")) + 1)
    view = await site.ended(last.jobs[0])
    assert view.counts.rows == 3
    assert {record["status"] for record in await site.results(view.id)} <= {"skipped", "invited"}
    site.assert_all_mailed_once(3)
    check = await beats.until_run("check")
    assert (check.status, check.what) == ("ok", "The connection works.")
    assert any("client secret is good until" in line for line in check.details)
    again = await beats.until_run("again")
    assert (again.status, again.what) == ("ok", "Nothing failed that may be tried again.")
    logs = "".join(path.read_text() for path in [*beats.logs, site.log_of(1)])
    assert "@example.com" not in logs.replace("***@example.com", "")
    assert "schedule list" in logs


async def test_a_credential_that_ends_or_is_refused_is_reported(site: Site, beats: Beats) -> None:
    """In the time that `within` names, and when Entra refuses it."""
    site.start_worker()
    site.sandbox.ask("secret", {"action": "end", "in_s": 20 * 86_400})
    beats.write(
        schedule_table("near", "check_connections", connection='"contoso"', args='{ within = "14d" }'),
        schedule_table("far", "check_connections", connection='"contoso"'),
    )
    beats.start()
    assert (await beats.until_run("near")).status == "ok"
    far = await beats.until_run("far")
    assert far.status == "attention"
    assert "The client secret ends on" in far.what
    site.sandbox.ask("secret", {"action": "expire", "revoke_tokens": True})

    async def refused() -> bool:
        runs = await beats.runs("near")
        return bool(runs) and runs[0].status == "attention" and "contoso" in runs[0].what

    await site.until("the refusal reported", refused)
    site.sandbox.ask("secret", {"action": "restore"})


async def test_what_failed_goes_again_and_not_for_ever(site: Site, beats: Beats) -> None:
    """A refused row is sent again by a job of its own, an invalid one is not; after `times` it is
    left alone; nothing is retried twice.
    """
    site.sandbox.ask("policy", {"denied_domains": ["later.example"]})
    people = site.folder / "people.csv"
    people.write_text("email\na@later.example\nnobody\nb@example.com\n")
    site.start_worker()
    beats.write(schedule_table("again", "retry_failed", connection='"contoso"', args="{ times = 2 }"))
    status, out, err = site.run("invite", "people.csv", "-c", "contoso", "--yes", "--json")
    assert status == 1, err
    first = json.loads(out)["job"]
    beats.start()

    async def retries() -> list[Any]:
        views = [view for view in await site.desk.jobs.listed() if view.info.get("retry_of")]
        return views if len(views) == 2 and all(view.ended for view in views) else []

    newest, older = await site.until("two rounds", retries)
    assert (older.info["retry_of"], newest.info["retry_of"]) == (first, older.id)
    assert [view.counts.rows for view in (older, newest)] == [1, 1]
    assert older.counts.failed == newest.counts.failed == 1
    count = len(await beats.runs("again"))
    assert (await beats.until_run("again", count + 1)).what == "Nothing failed that may be tried again."
    assert len(await site.desk.jobs.listed()) == 3


async def test_two_beats_one_fires_and_the_other_takes_over(site: Site, beats: Beats) -> None:
    """While one fires the other waits; killed without a word it is followed within a minute; no due
    time has two runs.
    """
    site.start_worker()
    beats.write(schedule_table("check", "check_connections"))
    first = beats.start()
    await beats.until_run("check")
    beats.start()
    wait_until(lambda: "beat: Starting" in beats.logs[1].read_text(), 20, "the second beat")
    count = len(await beats.runs("check"))
    await beats.until_run("check", count + 1)
    assert beats.fired(1) == 0
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    count = len(await beats.runs("check"))
    await beats.until_run("check", count + 1, within_s=60)
    assert beats.fired(1) > 0


async def test_a_tick_that_fires_twice_does_its_work_once(site: Site, beats: Beats) -> None:
    """The same firing sent again, at once and after its end: one run, one job, everybody mailed
    once.
    """
    (site.folder / "people.csv").write_text("email\n" + "".join(f"p{n}@example.com\n" for n in range(40)))
    beats.write(
        schedule_table("list", "invite_file", every="9d", connection='"contoso"', args='{ path = "people.csv" }')
    )
    site.start_worker()
    from celery import Celery

    client = Celery("elsewhere", broker=_broker(site), set_as_current=False)
    client.conf.broker_transport_options = {"global_keyprefix": f"{site.desk.keys.prefix}:mq:"}
    due_ms = await read_time_ms(site.desk.client)
    firing = {"name": "list", "due_ms": due_ms}
    for _ in range(4):
        client.send_task("usher.scheduled", kwargs=firing, queue=SCHEDULES)
    run = await beats.until_run("list")
    view = await site.ended(run.jobs[0])
    client.send_task("usher.scheduled", kwargs=firing, queue=SCHEDULES)
    mq: Any = site.desk.client

    async def all_done() -> bool:
        keys = [f"{site.desk.keys.prefix}:mq:{name}" for name in (SCHEDULES, "unacked")]
        return not await mq.exists(*keys)

    await site.until("five messages done", all_done)
    assert len(await site.desk.jobs.listed()) == 1
    assert await beats.runs("list") == [run]
    assert view.counts.done == 40
    site.assert_all_mailed_once(40)
    client.close()


async def test_a_message_that_is_no_firing_leaves_the_schedule_alone(site: Site, beats: Beats) -> None:
    """Wrong types, a time to come, a producer's queue: nothing is written, the list is shown, and
    the next run runs.
    """
    beats.write(schedule_table("check", "check_connections", every="9d"))
    site.start_worker()
    from celery import Celery

    client = Celery("elsewhere", broker=_broker(site), set_as_current=False)
    client.conf.broker_transport_options = {"global_keyprefix": f"{site.desk.keys.prefix}:mq:"}
    now_ms = await read_time_ms(site.desk.client)
    wrong: list[dict[str, Any]] = [
        {"name": "check", "due_ms": "x"},
        {"name": "check", "due_ms": True},
        {"name": "check", "due_ms": now_ms + 3_600_000},
        {"name": "check:runs", "due_ms": now_ms},
        {"name": ["check"], "due_ms": now_ms},
        {"name": "check", "due_ms": now_ms, "by": {}},
        {"name": "check", "due_ms": now_ms, "more": 1},
        {},
    ]
    for kwargs in wrong:
        client.send_task("usher.scheduled", kwargs=kwargs, queue=SCHEDULES)
    client.send_task("usher.scheduled", kwargs={"name": "check", "due_ms": now_ms - 5})  # where producers may write

    async def refused() -> bool:
        return site.log_of(1).read_text().count("is refused") >= len(wrong) + 1

    await site.until("a line for each", refused)
    client.close()
    assert not await site.desk.client.exists(site.desk.keys.schedule_runs("check"))
    status, out, err = await asyncio.to_thread(site.run, "schedules", "run", "check", "--json")
    assert (status, json.loads(out)["status"]) == (0, "ok"), err
    assert len(await beats.runs("check")) == 1
    status, out, _ = await asyncio.to_thread(site.run, "schedules", "list")
    assert (status, "Traceback" in site.log_of(1).read_text()) == (0, False)


def _broker(site: Site) -> str:
    url = re.search(r'url = "(unix://[^"]+)"', (site.folder / "usher.toml").read_text())
    assert url
    return f"redis+socket://{url[1].removeprefix('unix://')}?virtual_host=0"


async def test_a_change_of_the_file_reaches_a_running_beat(site: Site, beats: Beats) -> None:
    """A new schedule fires, a removed one does not, one that was added by hand stays; a fault
    leaves all as it was.
    """
    site.start_worker()
    beats.write(schedule_table("old", "check_connections"))
    assert site.run("schedules", "add", "byhand", "--task", "check_connections", "--every", "1s")[0] == 0
    beats.start()
    await beats.until_run("old")
    await beats.until_run("byhand")
    beats.write(schedule_table("new", "check_connections"))
    await beats.until_run("new")
    assert sorted(await beats.timetable.all()) == ["byhand", "new"]
    beats.write(schedule_table("newer", "no_such_task"))
    for name in ("new", "byhand"):
        await beats.until_run(name, len(await beats.runs(name)) + 2)
    assert sorted(await beats.timetable.all()) == ["byhand", "new"]


async def test_redis_may_restart_under_beats_and_worker(own_site: Site, own_valkey: OwnValkey) -> None:
    """Killed and started again on its file: neither beat ends, and schedules fire on."""
    beats = Beats(own_site)
    beats.write(schedule_table("check", "check_connections"))
    own_site.start_worker()
    processes = [beats.start(), beats.start()]
    await beats.until_run("check")
    own_valkey.kill()
    await asyncio.sleep(3)  # an outage has a length
    own_valkey.start_again()
    count = len(await beats.timetable.runs("check"))
    await beats.until_run("check", count + 1, within_s=60)
    assert [process.poll() for process in processes] == [None, None]


async def test_a_list_is_fetched_over_https(site: Site, beats: Beats, tmp_path: Path) -> None:
    """The address, which may hold a signature, comes by reference; every refusal is the run's
    sentence, without the signature.
    """
    certificate = make_certificate(tmp_path, "localhost", "127.0.0.1")
    pages: dict[str, tuple[int, bytes, dict[str, str]]] = {
        "/people.csv": (200, b"email\na@example.com\nb@example.com\n", {}),
        "/gone.csv": (404, b"no", {}),
        "/elsewhere.csv": (302, b"", {"Location": "https://example.com/"}),
        "/page.csv": (200, b"<html>sign in</html>", {}),
    }

    async def behave(request: Any, writer: asyncio.StreamWriter) -> None:
        status, body, headers = pages[request.path.partition("?")[0]]
        answer(writer, status, body, headers)

    async with run_raw_server(certificate, behave) as server:
        connection = '"contoso"'
        names = [path.strip("/").partition(".")[0] for path in pages]
        for path, name in zip(pages, names, strict=True):
            (site.folder / f"url-{name}").write_text(f"{server.url}{path}?sig=s3cret\n")
        beats.write(
            *(
                schedule_table(
                    name, "invite_file", every="9d", connection=connection, args=f'{{ url = "file:url-{name}" }}'
                )
                for name in names
            )
        )
        site.start_worker(more_env={"SSL_CERT_FILE": str(certificate.certificate), "HTTPS_PROXY": "http://127.0.0.1:9"})
        told = {}
        for name in names:
            status, out, err = await asyncio.to_thread(site.run, "schedules", "run", name, "--json")
            assert "s3cret" not in out + err
            told[name] = (status, json.loads(out)["what"])
        at = f"{server.url}/"
        more = "Nothing was done; once somebody has put that right, the next run does it."
        assert told["gone"] == (1, f"{at}gone.csv cannot be fetched: the server answers 404. {more}")
        assert (
            told["elsewhere"][1]
            == f"{at}elsewhere.csv sends on to another address, which usher does not follow: name that one. {more}"
        )
        assert told["page"][0] == 1
        assert told["people"][0] == 0
        [run] = await beats.runs("people")
        assert (await site.ended(run.jobs[0])).counts.done == 2
        assert server.received[0].path == "/people.csv?sig=s3cret"
    assert "s3cret" not in site.log_of(1).read_text()
