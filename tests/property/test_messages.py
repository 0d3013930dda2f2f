"""Messages of any shape: what is not in order is refused in a sentence without a word of it, and
nothing else reaches Celery.
"""

from __future__ import annotations

import base64
import json
from types import SimpleNamespace
from typing import Any

import hypothesis.strategies as st
from hypothesis import example, given
from kombu.utils import json as kombu_json

from worker.process.messages import clean_headers, find_fault, sift
from worker.queues import BULK, NOW, PRODUCERS

KNOWN = ("usher.invite_guest", "usher.invite_guests", "usher.run_chunk", "celery.map")
SECRET = "ann@partner.example"

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10) | st.just(SECRET)
anything = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
names = st.sampled_from(
    (
        "task",
        "id",
        "args",
        "kwargs",
        "lang",
        "retries",
        "eta",
        "expires",
        "timelimit",
        "taskset",
        "chord",
        "callbacks",
        "errbacks",
        "chain",
        "group_index",
        "x",
    )
)
nearly = st.dictionaries(names, st.sampled_from((*KNOWN, "id-1", [], {}, 3, True)) | anything, max_size=8)
bodies = anything | nearly | st.tuples(anything, anything, anything).map(list)


@given(headers=anything | nearly, payload=bodies, queue=st.sampled_from((PRODUCERS, NOW, BULK)))
@example(headers={"task": KNOWN[0], "id": "1"}, payload=[[], {}, None], queue=PRODUCERS)
@example(headers={}, payload={"task": KNOWN[0], "id": "1", "args": [SECRET]}, queue=PRODUCERS)
@example(headers={"task": KNOWN[2], "id": "1"}, payload=[[], {}, None], queue=BULK)
@example(headers={"task": [SECRET], "id": {}}, payload=[[], {}, {}], queue=PRODUCERS)
def test_whatever_comes_is_run_or_refused(headers: Any, payload: Any, queue: str) -> None:
    """Never an exception; a refusal says nothing of what was in it; what passes has the shape that
    Celery expects.
    """
    message = SimpleNamespace(headers=headers, payload=payload, content_type="application/json")
    fault = find_fault(message, KNOWN, queue)
    assert SECRET not in fault
    if fault:
        return
    assert isinstance(headers, dict)
    told = headers if "task" in headers else payload
    assert told["task"] in KNOWN[:2] if queue == PRODUCERS else told["task"] == KNOWN[2]
    embedded = payload[2] or {} if told is headers else told
    assert not any(embedded.get(name) for name in ("callbacks", "errbacks", "chain", "chord"))
    assert 0 < len(told["id"]) <= 200
    args, kwargs = payload[:2] if told is headers else (told.get("args", []), told.get("kwargs", {}))
    assert isinstance(args, list | tuple)
    assert isinstance(kwargs, dict)


@given(headers=nearly)
def test_only_headers_of_the_protocol_are_passed_on(headers: dict[str, Any]) -> None:
    """Each in its type; time limits and whatever somebody made up are not."""
    kept = clean_headers(headers)
    assert kept.keys() <= headers.keys() - {"timelimit", "taskset", "chord", "x", "args", "kwargs"}
    assert all(isinstance(kept[name], str) for name in ("task", "id", "lang", "eta", "expires") if name in kept)
    assert all(isinstance(kept[name], int) for name in ("retries", "group_index") if name in kept)


texts = st.text(max_size=30) | st.just(base64.b64encode(b"[[], {}, {}]").decode())
envelopes = st.fixed_dictionaries(
    {
        "properties": anything
        | st.fixed_dictionaries(
            {
                "delivery_tag": anything,
                "delivery_info": anything | st.just({"exchange": "", "routing_key": BULK}),
                "body_encoding": st.sampled_from(("base64", "utf-8", "zlib", None)) | anything,
            }
        )
    },
    optional={"body": texts | anything, "headers": nearly | anything, "content-type": anything},
)


@given(raw=(envelopes | anything).map(lambda told: json.dumps(told).encode()) | st.binary(max_size=60))
@example(raw=b"[" * 200_000)
@example(raw=b'{"properties": {"__type__": "uuid", "__value__": 5}, "body": {"__type__": "decimal", "__value__": "x"}}')
def test_whatever_lies_in_a_queue_kombu_can_read_what_goes_on(raw: bytes) -> None:
    """A text, flat headers, a tag of ours; its place is where it was found, whatever it says
    itself.
    """
    found = sift(raw, PRODUCERS)
    if found is None:
        return
    told = kombu_json.loads(found)  # type: ignore[no-untyped-call]
    assert isinstance(told["body"], str)
    assert told["properties"]["delivery_info"] == {"exchange": "", "routing_key": PRODUCERS}
    assert told["properties"]["delivery_tag"].encode() not in raw
    assert all(isinstance(value, str | int | bool) for value in told["headers"].values())


def test_what_is_too_large_goes_on_without_its_body() -> None:
    """So its sender is answered; what is larger still is not read at all."""
    message = {"headers": {"task": "usher.job", "id": "1"}, "body": "x" * (5 << 20), "properties": {}}
    found = sift(json.dumps(message).encode(), PRODUCERS)
    assert found is not None
    assert len(found) < 1000
    assert json.loads(found)["headers"] == message["headers"]
    assert sift(b" " * (33 << 20), PRODUCERS) is None
