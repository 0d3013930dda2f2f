"""What nobody may find anywhere, after all that the tests of this folder have sent; it comes last
in its alphabet.
"""

from __future__ import annotations

import json
import re
from typing import Any

import redis

from tests.integration.producers.wire import address, dump
from tests.processes import wait_until
from tests.ushers import Usher


def test_inspecting_shows_no_arguments(usher: Usher) -> None:
    """`celery inspect active` and Flower's worker page ask the worker itself. (On a busy machine
    the task may be over before: then once more.)
    """
    for wait_s in (5, 20, 60):
        email = address("inspected")
        result = usher.client.send_task("usher.invite_guest", ["locked", email], {"wait_s": wait_s})
        wait_until(lambda: f"[{result.id}] received" in usher.log(), 10, "the message taken in")  # noqa: B023
        worker = usher.client.control.inspect(timeout=20, limit=1)
        told = json.dumps([worker.active(), worker.query_task(result.id)])
        assert email not in told
        result.get(timeout=90)
        if result.id in told:
            return
    raise AssertionError("the task was at no time at work")


def test_events_carry_no_arguments(usher: Usher) -> None:
    """What Flower is fed: received, started and succeeded, without anybody in them."""
    email, seen, sent = address("event"), list[dict[str, Any]](), list[str]()
    with usher.client.connection_for_read() as connection:
        receiver = usher.client.events.Receiver(connection, handlers={"*": seen.append})

        def stop(event: dict[str, Any]) -> None:
            seen.append(event)
            receiver.should_stop = event.get("uuid") in sent and event["type"] == "task-succeeded"

        def begin(event: dict[str, Any]) -> None:
            seen.append(event)
            if not sent:  # the worker's first heartbeat: this queue is bound, nothing is missed from here on
                sent.append(usher.client.send_task("usher.invite_guest", ["contoso", email]).id)

        receiver.handlers.update({"task-succeeded": stop, "worker-heartbeat": begin})
        receiver.capture(limit=None, timeout=20, wakeup=True)
    assert {"task-received", "task-started", "task-succeeded"} <= {event["type"] for event in seen}
    assert "private.example" not in json.dumps(seen, default=str)


def test_no_address_secret_token_or_link_is_anywhere_but_in_the_ledger(usher: Usher) -> None:
    """The worker's whole log at DEBUG, every answer, and every key in Redis besides jobs and
    chunks. The last test of this folder.
    """
    guest = address("last")
    assert usher.ask("usher.invite_guest", "contoso", guest)["status"] == "invited"
    mail = usher.sandbox.ask(f"mails?address={guest}")[0]
    ticket = re.search(r"ticket=([^&]+)", mail["redeem_url"])
    assert ticket
    database = redis.Redis.from_url(usher.redis_url)
    try:
        everything = dump(database)
        outside = dump(database, without=("usher:chunk:", "usher:job:"))
    finally:
        database.close()
    places = {
        "the log": usher.log().encode(),
        "the answers": json.dumps(usher.answers).encode(),
        "Redis outside jobs and chunks": outside,
    }
    for place, text in places.items():
        for secret in (
            "private.example",
            usher.sandbox.secret,
            "no-such-secret-7f3a",
            "eyJ0eXAi",
            ticket[1],
            "redeem?",
        ):
            found = text.find(secret.encode())
            assert found < 0, f"{secret} in {place}: {text[max(0, found - 300) : found + 100]!r}"
    for secret in (usher.sandbox.secret, "no-such-secret-7f3a", "eyJ0eXAi", ticket[1]):
        assert secret.encode() not in everything, f"{secret} in clear in Redis"
