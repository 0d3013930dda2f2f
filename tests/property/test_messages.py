"""Messages of any shape: what is not in order is refused in a sentence without a word of it, and nothing else reaches Celery."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import hypothesis.strategies as st
from hypothesis import example, given

from worker.intake import clean_headers, find_fault

KNOWN = ("usher.invite_guest", "usher.invite_guests", "usher.run_chunk")
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
        "group_index",
        "x",
    )
)
nearly = st.dictionaries(names, st.sampled_from((*KNOWN, "id-1", [], {}, 3, True)) | anything, max_size=8)
bodies = anything | nearly | st.tuples(anything, anything, anything).map(list)


@given(headers=anything | nearly, payload=bodies)
@example(headers={"task": KNOWN[0], "id": "1"}, payload=[[], {}, None])
@example(headers={}, payload={"task": KNOWN[0], "id": "1", "args": [SECRET]})
@example(headers={"task": [SECRET], "id": {}}, payload=[[], {}, {}])
def test_whatever_comes_is_run_or_refused(headers: Any, payload: Any) -> None:
    """Never an exception; a refusal says nothing of what was in it; what passes has the shape that Celery expects."""
    message = SimpleNamespace(headers=headers, payload=payload)
    fault = find_fault(message, KNOWN)
    assert SECRET not in fault
    if fault:
        return
    assert isinstance(headers, dict)
    told = headers if "task" in headers else payload
    assert told["task"] in KNOWN
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
