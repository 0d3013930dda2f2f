"""Task ids and results of two producers never meet, whatever one of them sends, and a login reaches
nothing but its own.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest
import redis
from kombu.exceptions import OperationalError

from tests.integration.producers.rivals import CRM, HR, OLD, Rivals
from tests.integration.producers.wire import address, refusal

META = "usher:res:celery-task-meta-"


def _settled(rival: Any) -> None:
    """Wait until all is read that was sent before: messages are taken in their order."""
    refusal(rival.ask("usher.job", "aaaaaaaaaa"))


def _refused(two: Rivals, task_id: str) -> list[tuple[str, str]]:
    return [(event["by"], event["why"]) for event in two.refusals() if event.get("task") == task_id]


FORGED: dict[str, tuple[Any, dict[str, Any]]] = {
    "own token": (CRM, {}),
    "no token": (None, {}),
    "a token that was rolled off": (OLD, {}),
    "a token of another shape": (7, {}),
    "expired, which would have the worker forget the true one": (CRM, {"expires": "2001-01-01T00:00:00+00:00"}),
    "for later": (CRM, {"eta": "2999-01-01T00:00:00+00:00"}),
    "no such task": (CRM, {"task": "usher.scheduled"}),
    "compressed": (CRM, {"compression": "zlib"}),
}


@pytest.mark.parametrize("case", FORGED)
def test_a_message_with_anothers_id_is_dropped_without_a_result(two: Rivals, case: str) -> None:
    """Before hr's own, it leaves nothing for hr to read, and hr's own is done all the same; after
    it, hr's result stays what it was.
    """
    token, headers = FORGED[case]
    task_id = f"hr-{uuid.uuid4()}"
    two.crm.push(task_id, "aaaaaaaaaa", token=token, **headers)
    _settled(two.crm)
    assert not two.root.exists(META + task_id)
    two.hr.send("usher.invite_guests", "contoso", [{"email": address()}], id=task_id)
    answer = two.hr.read(task_id)
    assert answer["rows"] == 1
    before = two.root.get(META + task_id)
    two.crm.push(task_id, "aaaaaaaaaa", token=token, **headers)
    _settled(two.crm)
    assert two.root.get(META + task_id) == before
    by = "producer crm" if token == CRM else "an unknown program"
    assert _refused(two, task_id) == [(by, "id: it is a task id of another producer.")] * 2


@pytest.mark.parametrize("body", ["{", '["x"]', "[[], {}, {'chain': 1}]"])
def test_a_message_out_of_order_answers_nobody_else(two: Rivals, body: str) -> None:
    """The refusal of a body that cannot be read would lie where hr looks."""
    task_id = f"hr-{uuid.uuid4()}"
    two.crm.push(task_id, token=CRM, body=body)
    _settled(two.crm)
    assert not two.root.exists(META + task_id)
    own = f"crm-{uuid.uuid4()}"
    two.crm.push(own, token=CRM, body=body)
    assert two.crm.read(own)["status"] == "refused"
    assert [by for by, _ in _refused(two, own)] == ["producer crm"]


@pytest.mark.parametrize("task_id", ["{}", "portal-{}", "hr{}", "HR-{}", " hr-{}"])
def test_an_id_that_is_nobodys_is_refused_with_a_sentence(two: Rivals, task_id: str) -> None:
    """Whoever came next could use it as well."""
    task_id, before = task_id.format(uuid.uuid4()), len(two.refusals())
    two.hr.push(task_id, "aaaaaaaaaa", token=HR)
    why = "id: a task id of the producer hr begins with hr-"
    assert refusal(two.answered(task_id)).startswith(f"{why}, so that its results are its own")
    assert [(event["by"], event["why"]) for event in two.refusals()[before:]] == [("producer hr", f"{why}.")]


def test_a_login_reads_and_writes_no_result_of_anothers(two: Rivals) -> None:
    """Nor is it told of one, and it writes none of its own."""
    theirs = f"hr-{uuid.uuid4()}"
    two.hr.ask("usher.job", "aaaaaaaaaa", id=theirs)
    assert two.hr.redis.get(META + theirs)
    for command in (
        ("GET", META + theirs),
        ("MGET", META + theirs),
        ("EXISTS", META + theirs),
        ("SET", META + theirs, "{}"),
        ("SETEX", META + theirs, 60, "{}"),
        ("DEL", META + theirs),
        ("SUBSCRIBE", META + theirs),
        ("PUBLISH", META + theirs, "{}"),
        ("SET", f"{META}crm-x", "{}"),
    ):
        with pytest.raises(redis.exceptions.NoPermissionError):
            two.crm.redis.execute_command(*command)


def test_a_login_reaches_one_queue_to_write(two: Rivals) -> None:
    """No queue is read, none of usher's own is written, no worker is told what to do, no ledger is
    touched: Redis itself refuses.
    """
    job = two.hr.ask("usher.invite_guests", "contoso", [{"email": address()}])["job"]
    message = json.dumps({"body": "x"})
    for command in (
        ("LRANGE", "usher:mq:celery", 0, -1),
        ("BRPOP", "usher:mq:celery", 1),
        *(("LPUSH", f"usher:mq:{queue}", message) for queue in ("usher.schedules", "usher.bulk", "usher.now")),
        ("PUBLISH", "usher:mq:/0.celery.pidbox", message),
        ("LPUSH", "usher:mq:celery.pidbox", message),
        ("HGETALL", f"usher:job:{job}"),
        ("HSET", f"usher:job:{job}", "state", "cancelled"),
        ("DEL", f"usher:job:{job}"),
        ("ZADD", "usher:jobs", 1, "x"),
        ("SET", "usher:hold", "x"),
        ("HSET", "usher:producer:crm:1", "n", 0),
        ("HSET", "usher:redbeat:nightly", "definition", "x"),
        ("XADD", "usher:audit:1:events", "*", "e", "x"),
        ("EVAL", "return 1", 0),
        ("SCAN", 0),
        ("FLUSHDB",),
        ("ACL", "LIST"),
        ("CLIENT", "LIST"),
        ("MONITOR",),
    ):
        with pytest.raises(redis.exceptions.ResponseError, match="(?i)permission"):
            two.crm.redis.execute_command(*command)


def test_no_worker_takes_orders_from_a_producer(two: Rivals) -> None:
    """Celery's control commands: revoke, shutdown, inspect."""
    control: Any = two.crm.client.control
    orders: tuple[Callable[[], Any], ...] = (
        lambda: control.revoke("hr-1"),
        control.shutdown,
        lambda: control.inspect(timeout=1).active(),
    )
    for order in orders:
        with pytest.raises((OperationalError, redis.exceptions.NoPermissionError), match="(?i)no permissions"):
            order()
    assert two.usher.worker is not None
    assert two.usher.worker.poll() is None
