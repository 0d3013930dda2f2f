"""A message passes only in a known form: the bytes that go on to kombu, the headers that go on to
Celery, the faults it is refused for.

Whoever may write to a queue may write anything there. kombu decodes, unpacks and files a message by
what it says of itself, before anybody can look at it; so on Redis each is read here first (`sift`),
and what goes on is written anew: its text, the headers of Celery's protocol, and where it was
really found. Pure.
https://docs.celeryq.dev/en/stable/internals/protocol.html
"""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Collection, Mapping
from typing import Any, TypeGuard

from kombu.exceptions import ContentDisallowed

from worker.queues import OWN, is_at_home

LARGEST_BYTES = 4 << 20
"""Of one message as it lies in its queue: 3 MB of JSON, where a thousand rows are some 220 kB.
Reading one takes several times its size.
"""
MOST_VALUES = 200_000
"""Values in one body: `[{},{},…]` takes thirty times its size once it is read."""
TOO_LARGE = "application/x-too-large"
"""Content type under which a message goes on without its body, for its sender to be answered."""

MALFORMED = "The message does not follow Celery's task protocol"

_ANSWERED_BYTES = 32 << 20
"""A message beyond this is dropped unread, without an answer: looking for its id would take as much
memory again.
"""
_LONGEST_ID = 200
_NO_JSON = "?"

TOKEN_HEADER = "usher_token"  # noqa: S105 - its name
"""The header of a producer's token (`tasks/messages/senders.py`)."""

_HEADERS: Mapping[str, type] = {
    **dict.fromkeys(("lang", "task", "id", "root_id", "parent_id", "group", "eta", "expires", "origin"), str),
    **dict.fromkeys(("argsrepr", "kwargsrepr", "compression", TOKEN_HEADER), str),
    **dict.fromkeys(("group_index", "retries"), int),
    "ignore_result": bool,
}
"""Headers that are passed on, each with its type; time limits mean nothing to threads."""

_FIRST_PROTOCOL = (*(name for name in _HEADERS if name != TOKEN_HEADER), "args", "kwargs", "utc")
"""What is passed on of a message that has all of it in its body."""


def sift(raw: bytes, queue: str) -> bytes | None:
    """Return a message of a Redis queue as kombu may have it; None for what is no message at all.

    It keeps its text, its headers as `clean_headers` has them, and its type. Its tag is new and its
    place the queue it was found in: by both of them it is filed while it is worked on, and put
    back. One that is too large goes on without its body.
    """
    if len(raw) > _ANSWERED_BYTES:
        return None
    try:
        told = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    if not isinstance(told, dict) or not isinstance(told.get("properties"), dict):
        return None
    headers, body, kind = told.get("headers") or {}, told.get("body") or "", told.get("content-type")
    if not isinstance(headers, dict) or not isinstance(body, str):
        return None
    kept = clean_headers(headers)
    if "task" in headers:
        kept.setdefault("task", "")  # no text, so no task; without it the body would be taken for the first protocol's
    if len(raw) > LARGEST_BYTES:
        body, kind = _NO_JSON, TOO_LARGE
    elif told["properties"].get("body_encoding") == "base64":
        try:
            body = base64.b64decode(body).decode()
        except ValueError:
            body = _NO_JSON
    properties = {
        "body_encoding": "utf-8",
        "delivery_tag": str(uuid.uuid4()),
        "delivery_info": {"exchange": "", "routing_key": queue},
    }
    sifted = {
        "body": body,
        "content-type": kind if isinstance(kind, str) else "application/json",
        "content-encoding": "utf-8",
        "headers": kept,
        "properties": properties,
    }
    return json.dumps(sifted).encode()


def clean_headers(headers: Mapping[str, Any]) -> dict[str, Any]:
    """Return the headers that Celery's protocol knows, those of a wrong type left out."""
    return {name: headers[name] for name, kind in _HEADERS.items() if isinstance(headers.get(name), kind)}


def clean_first_protocol(payload: dict[str, Any]) -> None:
    """Leave in the body of a message of the first protocol only what usher passes on."""
    for name in payload.keys() - set(_FIRST_PROTOCOL):
        del payload[name]


def find_fault(message: Any, known: Collection[str], queue: str) -> str:
    """Return why a message of a queue cannot be run, "" when it can. Changes nothing."""
    headers = message.headers
    if not isinstance(headers, dict):
        return MALFORMED
    if fault := _size_fault(message):
        return fault
    try:
        payload = message.payload
    except Exception as error:  # noqa: BLE001 - whatever a decoder raises: the body is somebody else's
        return unreadable(error)
    if "task" in headers:
        return _call_fault(headers, payload, known, queue)
    if isinstance(payload, dict) and "task" in payload:
        return _first_protocol_fault(payload) or _call_fault(payload, _as_second(payload), known, queue)
    return MALFORMED


def _first_protocol_fault(payload: Mapping[str, Any]) -> str:
    if any(
        not isinstance(value, _HEADERS[name])
        for name, value in payload.items()
        if name in _HEADERS and value is not None
    ):
        return MALFORMED
    if payload.get("timelimit") not in (None, [None, None]):
        return f"{MALFORMED}: time limits are not kept here"
    return ""


def _as_second(payload: Mapping[str, Any]) -> list[Any]:
    """Return the call of a message that has it in its body, as the second protocol would."""
    options = {name: payload.get(name) for name in ("callbacks", "errbacks", "chord", "taskset")}
    return [payload.get("args", []), payload.get("kwargs", {}), options]


def _call_fault(told: Mapping[str, Any], call: Any, known: Collection[str], queue: str) -> str:
    """Return what is wrong with a call; `told` says which task it is for."""
    name = told["task"]
    if not isinstance(name, str) or name not in known or not name.startswith("usher.") or not is_at_home(name, queue):
        return unknown_task(known)
    if not is_id(told.get("id")):
        return f"{MALFORMED}: it has no task id"
    if not (
        isinstance(call, list | tuple)
        and len(call) == 3
        and isinstance(call[0], list | tuple)
        and isinstance(call[1], dict)
        and isinstance(call[2], dict | None)
    ):
        return f"{MALFORMED}: its body is not [arguments, named arguments, options]"
    if call[2] and any(call[2].values()):
        # The worker itself would send on what they name: any task, to any queue, under its own
        # login.
        return "Callbacks, chains, groups and chords are not run here; send the next task when the answer is there"
    if told.get("eta"):
        return "A time (eta, countdown) is not kept here; usher itself knows when a tenant's turn is. Send it without"
    return ""


def unreadable(error: Exception) -> str:
    """Return the fault of a body that could not be decoded."""
    if isinstance(error, Compressed):
        return "A compressed body is not taken; leave task_compression off"
    if isinstance(error, ContentDisallowed):
        return "Only JSON is accepted (set task_serializer to json)"
    return "The message's body is not valid JSON"


def unknown_task(known: Collection[str]) -> str:
    """Return the fault of a task that is none, or none for whoever may write to that queue."""
    names = sorted(name for name in known if name.startswith("usher.") and name not in OWN)
    return f"There is no task of that name; there are {', '.join(names)}"


def malformed(error: Exception) -> str:
    """Return the fault of a message over which Celery stumbled."""
    return f"{MALFORMED} ({type(error).__name__})"


def identify(message: Any) -> tuple[str, object, bool]:
    """Return the task id ("" for none to answer to), its name, and if a result is wanted."""
    told = message.headers if isinstance(message.headers, dict) else {}
    if "task" not in told and not _size_fault(message):
        try:
            told = message.payload if isinstance(message.payload, dict) else {}
        except Exception:  # noqa: BLE001 - whatever a decoder raises: there is nobody to answer to
            told = {}
    task_id = told.get("id")
    return task_id if is_id(task_id) else "", told.get("task"), told.get("ignore_result") is not True


def is_id(value: object) -> TypeGuard[str]:
    """Whether a value can be a task's id."""
    return isinstance(value, str) and 0 < len(value) <= _LONGEST_ID and value.isprintable()


class Compressed(Exception):
    """The body is compressed: 452 bytes may be 400 MB."""


def _size_fault(message: Any) -> str:
    body = getattr(message, "body", b"") or b""
    if message.content_type == TOO_LARGE or len(body) > LARGEST_BYTES:
        return f"The message is larger than {LARGEST_BYTES >> 20} MB; send its rows in several messages"
    raw = body.encode(errors="replace") if isinstance(body, str) else body
    if sum(raw.count(mark) for mark in (b",", b"[", b"{")) > MOST_VALUES:
        return f"The message holds more than {MOST_VALUES:,} values; send its rows in several messages"
    return ""
