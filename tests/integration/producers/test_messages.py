"""Messages of every kind, some careless, some hostile: each gets an answer in words, or a line in
the log.
"""

from __future__ import annotations

import base64
import contextlib
import json
import re
import socket
import uuid
from typing import Any

import pytest
import redis
from celery import Celery
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.integration.producers.wire import address, refusal
from tests.processes import ROOT, wait_until
from tests.ushers import Usher

# Anything at all

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30) | st.just("contoso"),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
_NAMES = st.sampled_from(
    [
        "connection",
        "email",
        "rows",
        "key",
        "wait_s",
        "id",
        "after",
        "limit",
        "version",
        "resend",
        "ref",
        "cc",
        "groups",
        "self",
    ]
) | st.text(max_size=12)
_TASKS = ("usher.invite_guest", "usher.invite_guests", "usher.job", "usher.results", "usher.cancel", "usher.check")


@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    task=st.sampled_from(_TASKS), args=st.lists(_JSON, max_size=4), kwargs=st.dictionaries(_NAMES, _JSON, max_size=4)
)
def test_whatever_is_sent_the_result_is_a_dict(
    usher: Usher, task: str, args: list[Any], kwargs: dict[str, Any]
) -> None:
    """No exception, no silence."""
    answer = usher.ask_with(task, args, kwargs)
    assert "@" not in json.dumps(answer)


_FIELD = _JSON | st.text(min_size=1, max_size=400).map(lambda text: text * 200)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    rows=st.lists(
        st.fixed_dictionaries(
            {"email": _FIELD},
            optional=dict.fromkeys(
                ("display_name", "cc", "groups", "sponsors", "send_message", "redirect_url", "ref"), _FIELD
            ),
        ),
        min_size=1,
        max_size=5,
    )
)
def test_whatever_a_row_holds_the_list_is_taken_in(usher: Usher, rows: list[dict[str, Any]]) -> None:
    """Rows are judged one by one; none of these is an address, so every one ends `failed`."""
    answer = usher.ask("usher.invite_guests", "contoso", rows)
    assert (answer["state"], answer["rows"], answer["failed"]) == ("done", len(rows), len(rows)), answer


# Messages that are not in order


def _publish(
    usher: Usher, body: bytes | str, headers: Any, content_type: str = "application/json", **more: Any
) -> None:
    encoding = more.pop("content_encoding", "utf-8")
    with usher.client.connection_for_write() as connection:
        producer = usher.client.amqp.Producer(connection, auto_declare=False)
        producer.publish(
            body, routing_key="celery", content_type=content_type, content_encoding=encoding, headers=headers, **more
        )


def _headers(task_id: str, **changes: Any) -> dict[str, Any]:
    return {"lang": "py", "task": "usher.job", "id": task_id, "argsrepr": "('hidden@mail.private.example',)", **changes}


_GOOD = json.dumps([["aaaaaaaaaa"], {}, {"callbacks": None, "errbacks": None, "chain": None, "chord": None}])

BODIES: dict[str, str | bytes] = {
    "garbage": '{"email": "g@mail.private.example"',
    "null": "null",
    "number": "5",
    "text": '"args g@mail.private.example"',
    "object": '{"email": "g@mail.private.example"}',
    "short": '[["g@mail.private.example"]]',
    "long": "[[], {}, {}, {}]",
    "args as text": '["g@mail.private.example", {}, {}]',
    "named arguments as list": "[[], [], {}]",
    "options as text": '[[], {}, "chain"]',
    "deep": "[" * 100_000,
    "not text": b"\xff\xfe\x00g@mail.private.example",
}


@pytest.mark.parametrize("case", BODIES)
def test_a_body_that_is_no_task_is_refused_and_logged_once(usher: Usher, case: str) -> None:
    """The worker lives on, its log has one line without the body, and the sender an answer."""
    task_id = str(uuid.uuid4())
    _publish(usher, BODIES[case], _headers(task_id))
    refusal(usher.client.AsyncResult(task_id).get(timeout=90))
    assert usher.log().count(f"{task_id} for task usher.job is refused") == 1
    assert "status" in usher.ask("usher.job", "aaaaaaaaaa")


HEADERS: dict[str, dict[str, Any]] = {
    "a task nobody has": {"task": "usher.invite_gest"},
    "a task that is no text": {"task": ["usher.job"]},
}


@pytest.mark.parametrize("case", HEADERS)
def test_an_unknown_task_is_refused(usher: Usher, case: str) -> None:
    """With the names there are."""
    task_id = str(uuid.uuid4())
    _publish(usher, _GOOD, _headers(task_id, **HEADERS[case]))
    assert "usher.invite_guests" in refusal(usher.client.AsyncResult(task_id).get(timeout=90))


ODD_HEADERS: dict[str, Any] = {
    "time limits": {"timelimit": 5},
    "retries": {"retries": "many"},
    "expiry": {"expires": [1]},
    "group": {"group": {"a": 1}},
    "shadow": {"shadow": "shadow@mail.private.example"},
    "stamps": {"stamped_headers": 5, "stamps": 7},
    "parent": {"parent_id": 5, "root_id": []},
    "nesting": {"replaced_task_nesting": "x"},
    "another": {"x": "other@mail.private.example"},
}


@pytest.mark.parametrize("case", ODD_HEADERS)
def test_odd_headers_do_not_matter(usher: Usher, case: str) -> None:
    """What Celery would stumble over is left out, and the task runs."""
    task_id = str(uuid.uuid4())
    _publish(usher, _GOOD, _headers(task_id, **ODD_HEADERS[case]))
    assert "There is no job" in refusal(usher.client.AsyncResult(task_id).get(timeout=90))


@pytest.mark.parametrize(
    "eta", ["yesterday", "9999-99-99T00:00:00", "0001-01-01T00:00:00+00:00", "2999-01-01T00:00:00+00:00"]
)
def test_a_time_is_refused(usher: Usher, eta: str) -> None:
    """A worker would keep the message in its memory until then."""
    task_id = str(uuid.uuid4())
    _publish(usher, _GOOD, _headers(task_id, eta=eta))
    assert "A time (eta, countdown) is not kept here" in refusal(usher.client.AsyncResult(task_id).get(timeout=90))


_NEXT = {"task": "portal.pay", "args": ["x"], "kwargs": {}, "options": {"queue": "stolen"}, "immutable": True}


@pytest.mark.parametrize(
    "embedded",
    [{"callbacks": [_NEXT]}, {"errbacks": [_NEXT]}, {"chain": [_NEXT]}, {"chord": {**_NEXT, "chord_size": 1}}],
)
@pytest.mark.parametrize("form", ["second protocol", "first protocol"])
def test_what_a_message_embeds_is_not_sent_on(usher: Usher, embedded: dict[str, Any], form: str) -> None:
    """The worker would send any task to any queue under its own login."""
    task_id = str(uuid.uuid4())
    if form == "second protocol":
        _publish(usher, json.dumps([["aaaaaaaaaa"], {}, embedded]), _headers(task_id))
    else:
        body = {"task": "usher.job", "id": task_id, "args": ["aaaaaaaaaa"], "kwargs": {}, **embedded}
        _publish(usher, json.dumps(body), {"chain": [_NEXT]})
    refusal(usher.client.AsyncResult(task_id).get(timeout=90))
    assert "status" in usher.ask("usher.job", "aaaaaaaaaa")
    with contextlib.closing(redis.Redis.from_url(usher.redis_url)) as database:
        assert not database.exists("usher:mq:stolen")


def test_a_link_of_celerys_own_is_refused(usher: Usher) -> None:
    """As a producer would write it."""
    answer = usher.ask_with("usher.job", ["aaaaaaaaaa"], {}, link=usher.client.signature("portal.pay", queue="stolen"))
    assert "Callbacks, chains, groups and chords are not run here" in refusal(answer)


@pytest.mark.parametrize("name", ["usher.scheduled", "usher.run_chunk", "usher.settle", "celery.map", "celery.chain"])
def test_a_task_that_is_not_for_producers_is_refused(usher: Usher, name: str) -> None:
    """usher's own, and Celery's built-in ones, which call others; whatever the message says of its
    queue.
    """
    task_id = str(uuid.uuid4())
    _publish(usher, json.dumps([[], {"name": "nightly", "due_ms": "x"}, {}]), _headers(task_id, task=name))
    assert "There is no task of that name" in refusal(usher.client.AsyncResult(task_id).get(timeout=90))


@pytest.mark.parametrize("compression", ["zlib", "bzip2", "xz"])
def test_a_compressed_message_is_refused_unread(usher: Usher, compression: str) -> None:
    """452 bytes may be 400 MB."""
    answer = usher.ask_with("usher.job", ["a" * 1000], {}, compression=compression)
    assert "A compressed body is not taken" in refusal(answer)


@pytest.mark.parametrize(
    "body", [b'[["' + b"x" * 5_000_000 + b'"], {}, {}]', b"[[" + b"{}," * 110_000 + b"1], {}, {}]"]
)
def test_a_message_that_is_too_large_is_refused_unread(usher: Usher, body: bytes) -> None:
    """In bytes, or in values, each of which takes many bytes once it is read."""
    task_id = str(uuid.uuid4())
    _publish(usher, body, _headers(task_id))
    assert "send its rows in several messages" in refusal(usher.client.AsyncResult(task_id).get(timeout=90))


@pytest.mark.parametrize("headers", [{}, {"task": "usher.job"}, {"task": "usher.job", "id": 5}, {"id": "x"}])
def test_a_message_with_nobody_to_answer_to_is_dropped(usher: Usher, headers: dict[str, Any]) -> None:
    """It has no id, so the log is all there is."""
    before = usher.log().count("is refused")
    _publish(usher, _GOOD, headers)
    wait_until(lambda: usher.log().count("is refused") == before + 1, 10, "a line in the log")


@pytest.mark.parametrize("kind", ["application/x-python-serialize", "application/x-yaml", "application/unheard-of"])
def test_pickle_and_yaml_are_refused_unread(usher: Usher, kind: str) -> None:
    """Only JSON is decoded; what a pickle would do never happens."""
    task_id = str(uuid.uuid4())
    trap = usher.folder / "trap"
    pickled = f"cos\nsystem\n(S'touch {trap}'\ntR.".encode()
    body = pickled if "python" in kind else f"!!python/object/apply:os.system ['touch {trap}']".encode()
    _publish(usher, body, _headers(task_id), kind)
    assert "Only JSON" in refusal(usher.client.AsyncResult(task_id).get(timeout=90))
    assert not trap.exists()


def test_a_client_that_pickles_gets_an_answer(usher: Usher) -> None:
    """Celery's own pickle serializer, as an old client has it."""
    client = Celery("old", broker=usher.broker_url, backend=usher.broker_url, set_as_current=False)
    client.conf.update(
        task_serializer="pickle",
        broker_transport_options={"global_keyprefix": "usher:mq:"},
        result_backend_transport_options={"global_keyprefix": "usher:res:"},
    )
    result = client.send_task("usher.invite_guest", ["contoso", address()])
    assert "Only JSON" in refusal(result.get(timeout=90))
    client.close()


def test_the_first_protocol_is_understood(usher: Usher) -> None:
    """Clients in other languages still speak it: everything in the body."""
    task_id = str(uuid.uuid4())
    body = {"task": "usher.invite_guest", "id": task_id, "args": ["contoso", address()], "kwargs": {"wait_s": 20}}
    _publish(usher, json.dumps(body), {})
    answer = usher.client.AsyncResult(task_id).get(timeout=90)
    assert answer["status"] == "invited"
    changes: list[dict[str, Any]] = [
        {"args": "x"},
        {"kwargs": []},
        {"id": 5},
        {"timelimit": 5},
        {"retries": "x"},
        {"task": "x"},
    ]
    before = usher.log().count("is refused")
    for change in changes:
        _publish(usher, json.dumps({**body, "id": str(uuid.uuid4()), **change}), {})
    wait_until(lambda: usher.log().count("is refused") == before + len(changes), 10, "a line in the log for each")


PAGE = (ROOT / "docs" / "producers.md").read_text(encoding="utf-8")


def test_a_message_without_celery_is_understood(usher: Usher) -> None:
    """The one that docs/producers.md shows, pushed by hand; the answer lies where the page says."""
    (block,) = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
    message, task_id = json.loads(block), str(uuid.uuid4())
    args, kwargs, options = json.loads(base64.b64decode(message["body"]))
    body = json.dumps([args, {**kwargs, "email": address()}, options])
    message["body"] = base64.b64encode(body.encode()).decode()
    message["headers"]["id"] = message["properties"]["delivery_tag"] = task_id
    with contextlib.closing(redis.Redis.from_url(usher.redis_url)) as database:
        database.lpush("usher:mq:celery", json.dumps(message))
        told = wait_until(lambda: database.get(f"usher:res:celery-task-meta-{task_id}"), 15, "an answer")
    assert json.loads(told)["result"]["status"] == "invited"


_FROM_NODE = (
    '{"body":"%s","content-type":"application/json","content-encoding":"utf-8","headers":{"lang":"js","task":"usher.invite_guest",'
    '"id":"%s"},"properties":{"body_encoding":"base64","delivery_info":{"exchange":"","routing_key":"celery"},"delivery_mode":2,'
    '"delivery_tag":"a86b3558-f701-4be5-8138-57c1add9622f","correlationId":"%s","replyTo":""}}'
)
"""As celery-node 0.5.9 pushed it, recorded from a run with a real worker; the body and the id
vary.
"""


def test_a_message_of_celery_node_is_understood(usher: Usher) -> None:
    """Under the prefixes that the page sets; the answer lies where that client looks, as plain
    JSON.
    """
    node = re.findall(r'keyPrefix: "([^"]+)"', PAGE)
    assert node == ["usher:mq:", "usher:res:"]
    task_id = f"portal-{uuid.uuid4()}"
    body = json.dumps([[], {"connection": "contoso", "email": address(), "wait_s": 20}, {}])
    message = _FROM_NODE % (base64.b64encode(body.encode()).decode(), task_id, task_id)
    with contextlib.closing(redis.Redis.from_url(usher.redis_url)) as database:
        database.lpush(f"{node[0]}celery", message)
        told = wait_until(lambda: database.get(f"{node[1]}celery-task-meta-{task_id}"), 15, "an answer")
    meta = json.loads(told)
    assert (meta["status"], meta["result"]["status"]) == ("SUCCESS", "invited")


@pytest.mark.parametrize(
    "junk", ["junk", "{}", "[1]", '{"headers": [1], "body": "x", "properties": {"delivery_info": {}}}']
)
def test_what_is_no_message_at_all_is_dropped(usher: Usher, junk: str) -> None:
    """Somebody pushed it to the queue by hand: a line in the log, and the worker goes on."""
    with contextlib.closing(redis.Redis.from_url(usher.redis_url)) as database:
        database.lpush("usher:mq:celery", junk)
    assert usher.ask("usher.invite_guest", "contoso", address())["status"] == "invited"
    assert "the queue celery held something that is no message" in usher.log()
    assert "Connection to broker lost" not in usher.log()


def test_a_producer_needs_no_access_to_the_ledger(usher: Usher) -> None:
    """A Redis user with the rights that docs/producers.md names gets its outcome, and can read no
    job, nor another's result.
    """
    (rule,) = re.findall(r"`ACL SETUSER (\S+) on >… (.+?)`", PAGE)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with contextlib.closing(redis.Redis.from_url(usher.redis_url)) as database:
        database.config_set("port", port)
        execute: Any = database.execute_command
        execute("ACL", "SETUSER", rule[0], "reset", "on", ">word", *rule[1].split())
    url = f"redis://{rule[0]}:word@127.0.0.1:{port}/0"
    client = Celery("restricted", broker=url, backend=url, set_as_current=False)
    client.conf.update(
        broker_transport_options={"global_keyprefix": "usher:mq:"},
        result_backend_transport_options={"global_keyprefix": "usher:res:"},
    )
    sent = client.send_task("usher.invite_guest", ["contoso", address()], task_id=f"{rule[0]}-{uuid.uuid4()}")
    answer = sent.get(timeout=90)
    assert answer["status"] == "invited"
    refused: list[tuple[str, ...]] = [
        ("HGETALL", f"usher:job:{answer['job']}"),
        ("GET", f"usher:res:celery-task-meta-{uuid.uuid4()}"),
        ("DEL", "usher:mq:celery"),
        ("SCAN", "0"),
        ("EVAL", "return 1", "0"),
    ]
    with contextlib.closing(redis.Redis.from_url(url)) as restricted:
        execute = restricted.execute_command
        for command in refused:
            with pytest.raises(redis.exceptions.NoPermissionError):
                execute(*command)
    client.close()
