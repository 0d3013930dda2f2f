"""A producer's guests and the worker's own life: its shutdown, its threads."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import redis

from tests.sandboxes import connection_table
from tests.ushers import run_usher


def test_a_warm_shutdown_waits_for_the_guest_nobody_waits_for() -> None:
    """Its producer has `pending` already; the answer still comes in, so the row is not left in doubt."""
    folder = Path(tempfile.mkdtemp(prefix="stop", dir="/tmp"))
    try:
        tables = partial(connection_table, "contoso", precheck="false")  # one call, not a look-up before it
        with run_usher(folder, sandbox_options=("--replication", "0"), tables=tables) as usher:
            usher.ask("usher.check", "contoso")  # signed in
            usher.sandbox.ask("latency", {"latency": "2"})
            answer = usher.ask("usher.invite_guest", "contoso", "ann@fabrikam.example", wait_s=0.3)
            assert answer["status"] == "pending"
            usher.stop_worker()
            with contextlib.closing(redis.Redis.from_url(usher.redis_url)) as database:
                job = database.hgetall(f"usher:job:{answer['job']}")
            assert (job[b"state"], job.get(b"n:i")) == (b"done", b"1"), usher.log()[-3000:]
            assert [mail["to"] for mail in usher.sandbox.ask("mails")] == ["ann@fabrikam.example"]
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _tables(ready: dict[str, Any]) -> str:
    wrong = Path(ready["ca_file"]).parent / "wrong-secret"
    wrong.write_text("no-such-secret", encoding="utf-8")
    locked = connection_table("locked", ready, client_secret=f'"file:{wrong}"', tenant_id='"other.example"')
    return f"{connection_table('contoso', ready)}\n{locked}"


def test_guests_of_a_held_connection_take_half_of_the_threads_at_most() -> None:
    """More producers wait than the worker has threads: another tenant's guest is invited all the same, and nobody is dropped."""
    folder = Path(tempfile.mkdtemp(prefix="half", dir="/tmp"))
    try:
        with run_usher(
            folder, "-l", "INFO", "-c", "4", sandbox_options=("--replication", "0"), tables=_tables
        ) as usher:
            send = usher.client.send_task
            waiting = [
                send("usher.invite_guest", ["locked", f"g{n}@fabrikam.example"], {"wait_s": 20}) for n in range(8)
            ]
            answer = usher.ask("usher.invite_guest", "contoso", "ann@fabrikam.example")
            assert answer["status"] == "invited"
            early = [result for result in waiting if result.ready()]
            assert len(early) == 6
            assert {result.get(timeout=30)["status"] for result in waiting} == {"pending"}
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def test_the_same_guest_asked_for_twice_at_once_is_invited_once() -> None:
    """A double click in a portal: the second is answered soon after the first has its outcome, not a settle time later."""
    folder = Path(tempfile.mkdtemp(prefix="twice", dir="/tmp"))
    try:
        tables = partial(connection_table, "contoso", precheck="false")
        with run_usher(folder, sandbox_options=("--replication", "0"), tables=tables) as usher:
            for n in range(5):  # no probation any more, where one batch waits for the other anyway
                usher.ask("usher.invite_guest", "contoso", f"bob{n}@fabrikam.example")
            usher.sandbox.ask("latency", {"latency": "1"})
            send = usher.client.send_task
            both = [
                send("usher.invite_guest", ["contoso", "ann@fabrikam.example"], {"wait_s": 25}, task_id=f"click-{n}")
                for n in range(2)
            ]
            assert sorted(result.get(timeout=40)["status"] for result in both) == ["invited", "skipped"]
            mails = [mail["to"] for mail in usher.sandbox.ask("mails")]
            assert mails.count("ann@fabrikam.example") == 1
    finally:
        shutil.rmtree(folder, ignore_errors=True)
