"""Graph's JSON batch is data here: build the envelope, pair the answers. Pure.

Answers come in any order, each with a status of its own. What cannot be paired without doubt is
`LOST`: the request may have been carried out, nobody knows.
https://learn.microsoft.com/graph/json-batching
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any, NamedTuple

from worker.graph.references import refuse_bare_delete

BATCH_LIMIT = 20
"""Requests in one `$batch`; Graph answers 400 to the whole envelope above it."""

NOTE_WHOLE_BATCH = "whole batch"
"""`GraphAnswer.note` of an answer that was given to the envelope, not to its request."""

NOTE_STALE = "stale mark"
"""`GraphAnswer.note` of a request that was held back at the last moment because its mark in the
ledger was too old.
"""


class Fate(StrEnum):
    """What became of one request on the wire."""

    ANSWERED = "answered"
    NOT_SENT = "not_sent"  # DNS, connect or TLS failed: nothing left this machine
    LOST = "lost"  # it may have left, and no answer can be relied on


_NO_HEADERS: Mapping[str, str] = MappingProxyType({})


class GraphRequest(NamedTuple):
    """One call. `path` is relative to the Graph version ("/invitations"), already percent-encoded,
    query included.
    """

    id: str
    method: str
    path: str
    body: dict[str, Any] | None = None
    headers: Mapping[str, str] = _NO_HEADERS

    def __repr__(self) -> str:
        """Leave path and body out: both name addresses."""
        return f"GraphRequest({self.id}, {self.method})"


# There is one for every row. With slots, and not frozen, it is made in half the time that a tuple
# with names takes, and its fields, each of which is asked for, are read in a third.
@dataclass(slots=True, repr=False)
class GraphAnswer:
    """What came back for one request: `status` is 0 and `body` None unless `fate` is ANSWERED.

    `headers` has lower-case names. `body` is parsed JSON, or None for an empty or foreign body (a
    proxy's HTML page). `note` says why a request was lost or not sent, for logs: it never holds an
    address.
    """

    fate: Fate
    status: int = 0
    headers: Mapping[str, str] = field(default_factory=lambda: _NO_HEADERS)
    body: Any = None
    note: str = ""

    def __repr__(self) -> str:
        """Leave the body out: it holds the redeem link."""
        return f"GraphAnswer({self.fate}, {self.status}, note={self.note!r})"


def build_batch(requests: Sequence[GraphRequest]) -> dict[str, Any]:
    """Return the body of `POST /$batch` for 1 to 20 requests.

    An item with a body carries a Content-Type: without it Graph refuses the envelope as a whole.
    Raises `ValueError` for none, too many, ids that Graph would not tell apart, or a DELETE that
    leads through a relation (`references.refuse_bare_delete`): all are our own faults.
    """
    if not 1 <= len(requests) <= BATCH_LIMIT:
        raise ValueError(f"a batch takes 1 to {BATCH_LIMIT} requests, not {len(requests)}")
    if len({request.id.casefold() for request in requests}) != len(requests):
        raise ValueError("the ids of a batch are compared without case and must differ")
    for request in requests:
        if request.method != "POST":  # nearly all invite
            refuse_bare_delete(request.method, request.path)
    return {"requests": [_build_item(request) for request in requests]}


def _build_item(request: GraphRequest) -> dict[str, Any]:
    item: dict[str, Any] = {"id": request.id, "method": request.method, "url": request.path}
    headers: Mapping[str, str] = request.headers
    if request.body is not None:
        item["body"] = request.body
        if not headers:
            headers = _JSON_BODY
        elif not any(name.lower() == "content-type" for name in headers):
            headers = {**headers, **_JSON_BODY}
    if headers:
        item["headers"] = headers if type(headers) is dict else dict(headers)
    return item


_JSON_BODY = {"Content-Type": "application/json"}


def pair_answers(
    requests: Sequence[GraphRequest], envelope_body: Any, lent: Mapping[str, str] = _NO_HEADERS
) -> dict[str, GraphAnswer]:
    """Return exactly one answer per request id, whatever the envelope holds.

    `lent`: headers (lower-case names) that an answer has unless its own say otherwise. Missing,
    doubled and malformed items are `LOST`; ids that nobody asked for are left out. Never raises.
    """
    items = envelope_body.get("responses") if isinstance(envelope_body, dict) else None
    if not isinstance(items, list):
        return answer_all(requests, GraphAnswer(Fate.LOST, note="the answer is not a batch"))
    found: dict[str, GraphAnswer] = {}
    for item in items:
        if not isinstance(item, dict) or not isinstance(item.get("id"), str):
            continue
        key = item["id"].casefold()
        found[key] = GraphAnswer(Fate.LOST, note="answered twice") if key in found else _read_item(item, lent)
    missing = GraphAnswer(Fate.LOST, note="missing from the answer")
    return {request.id: found.get(request.id.casefold(), missing) for request in requests}


def answer_all(requests: Sequence[GraphRequest], answer: GraphAnswer) -> dict[str, GraphAnswer]:
    """Give every request the same answer: what happened to the envelope happened to each."""
    return {request.id: answer for request in requests}


def _read_item(item: dict[str, Any], lent: Mapping[str, str]) -> GraphAnswer:
    status = item.get("status")
    if type(status) is not int or not 100 <= status <= 599:
        return GraphAnswer(Fate.LOST, note="answered without a status")
    raw = item.get("headers")
    if not isinstance(raw, dict) or not raw:
        return GraphAnswer(Fate.ANSWERED, status, lent, item.get("body"))
    headers = dict(lent)
    for name, value in raw.items():
        headers[name.lower()] = str(value)
    return GraphAnswer(Fate.ANSWERED, status, headers, item.get("body"))
