"""A producer's guests and the worker's own life: its threads, its shutdown, which comes last."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.sandboxes import connection_table
from tests.ushers import Usher, run_usher


def _tables(ready: dict[str, Any]) -> str:
    wrong = Path(ready["ca_file"]).parent / "wrong-secret"
    wrong.write_text("no-such-secret", encoding="utf-8")
    return "\n".join(
        (
            connection_table("contoso", ready),
            connection_table("eager", ready, precheck="false"),  # one call, not a look-up before it
            connection_table("locked", ready, client_secret=f'"file:{wrong}"', tenant_id='"other.example"'),
        )
    )


@pytest.fixture(scope="module")
def usher(folder: Path) -> Iterator[Usher]:
    """One worker with four threads."""
    with run_usher(folder, "-l", "INFO", "-c", "4", sandbox_options=("--replication", "0"), tables=_tables) as usher:
        yield usher


def test_guests_of_a_held_connection_take_half_of_the_threads_at_most(usher: Usher) -> None:
    """More producers wait than the worker has threads: another tenant's guest is invited all the
    same, and nobody is dropped.
    """
    send = usher.client.send_task
    waiting = [send("usher.invite_guest", ["locked", f"g{n}@fabrikam.example"], {"wait_s": 20}) for n in range(8)]
    answer = usher.ask("usher.invite_guest", "contoso", "half@fabrikam.example")
    assert answer["status"] == "invited"
    early = [result for result in waiting if result.ready()]
    assert len(early) == 6
    assert {result.get(timeout=90)["status"] for result in waiting} == {"pending"}


def test_the_same_guest_asked_for_twice_at_once_is_invited_once(usher: Usher) -> None:
    """A double click in a portal: the second is answered soon after the first has its outcome, not
    a settle time later.
    """
    for n in range(5):  # no probation any more, where one batch waits for the other anyway
        usher.ask("usher.invite_guest", "eager", f"bob{n}@fabrikam.example")
    usher.sandbox.ask("latency", {"latency": "1"})
    send = usher.client.send_task
    both = [
        send("usher.invite_guest", ["eager", "twice@fabrikam.example"], {"wait_s": 25}, task_id=f"click-{n}")
        for n in range(2)
    ]
    assert sorted(result.get(timeout=90)["status"] for result in both) == ["invited", "skipped"]
    assert len(usher.sandbox.ask("mails?address=twice@fabrikam.example")) == 1


def test_a_warm_shutdown_waits_for_the_guest_nobody_waits_for(usher: Usher) -> None:
    """Its producer has `pending` already; the answer still comes in, so the row is not left in
    doubt.
    """
    usher.ask("usher.check", "eager")  # signed in
    usher.sandbox.ask("latency", {"latency": "2"})
    answer = usher.ask("usher.invite_guest", "eager", "stop@fabrikam.example", wait_s=0.3)
    assert answer["status"] == "pending"
    usher.stop_worker()
    with contextlib.closing(redis.Redis.from_url(usher.redis_url)) as database:
        job = database.hgetall(f"usher:job:{answer['job']}")
    assert (job[b"state"], job.get(b"n:i")) == (b"done", b"1"), usher.log()[-3000:]
    assert len(usher.sandbox.ask("mails?address=stop@fabrikam.example")) == 1
