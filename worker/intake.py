"""Taking messages in: each is looked at before Celery trusts it. What cannot be run is answered, logged in one line and gone.

Celery's own consumer prints such a message as a whole, addresses and all, and a header or a body of an unexpected shape ends the
worker (and, delivered again, the next one). Here a message that is not in order never reaches that code; of its headers only those
are passed on that Celery's protocol knows, and only in their proper type.
https://docs.celeryq.dev/en/stable/internals/protocol.html
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Collection, Mapping
from typing import Any, TypeGuard

from celery.worker import state
from celery.worker.consumer import Consumer
from kombu.exceptions import ContentDisallowed

from worker.echo import plain_word

log = logging.getLogger(__name__)

_MALFORMED = "The message does not follow Celery's task protocol"
_LONGEST_ID = 200

_HEADERS: Mapping[str, Callable[[Any], bool]] = {
    "lang": lambda value: isinstance(value, str),
    "task": lambda value: isinstance(value, str),
    "id": lambda value: isinstance(value, str),
    "root_id": lambda value: isinstance(value, str),
    "parent_id": lambda value: isinstance(value, str),
    "group": lambda value: isinstance(value, str),
    "group_index": lambda value: isinstance(value, int),
    "eta": lambda value: isinstance(value, str),
    "expires": lambda value: isinstance(value, str),
    "retries": lambda value: isinstance(value, int),
    "origin": lambda value: isinstance(value, str),
    "ignore_result": lambda value: isinstance(value, bool),
    "argsrepr": lambda value: isinstance(value, str),
    "kwargsrepr": lambda value: isinstance(value, str),
    "compression": lambda value: isinstance(value, str),
}
"""Headers that are passed on, each with its check. `timelimit` and stamps mean nothing in a pool of threads."""


class Intake(Consumer):
    """Celery's consumer behind a check of every message."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        consume: Callable[..., Any] = self.__dict__["loop"]  # chosen by Celery: with an event loop or without

        def loop(*given: Any) -> Any:
            """Consume. What is no message at all (somebody wrote to the queue by hand) costs the connection, not the worker."""
            try:
                return consume(*given)
            except (ValueError, LookupError, TypeError, AttributeError) as error:
                where = "".join(traceback.format_tb(error.__traceback__)[-3:])
                log.error(
                    "the queue held something that is no message, and it is gone (%s)\n%s", type(error).__name__, where
                )
                raise ConnectionResetError("the connection to the broker is made anew") from None

        self.loop = loop

    def on_connection_error_after_connected(self, exc: Exception) -> None:
        """Celery's clean-up after a lost connection, without its end.

        kombu 5.7 lets go of the transport first and then wants it to put unacknowledged messages back (an AttributeError, which would end
        the worker). They are in Redis, and come back after the visibility timeout.
        """
        try:
            super().on_connection_error_after_connected(exc)
        except AttributeError:
            log.info("messages that were being worked on are delivered again after a while; their work is done once")

    def create_task_handler(self, *args: Any, **kwargs: Any) -> Callable[[Any], None]:
        """Return what is called with each message."""
        handle = super().create_task_handler(*args, **kwargs)
        unacknowledged = {queue.name for queue in self.app.conf.task_queues if queue.no_ack}

        def on_task_received(message: Any) -> None:
            if message.delivery_info.get("routing_key") in unacknowledged:
                message.ack_log_error = _nothing_to_acknowledge  # kombu would ask Redis to forget what was never noted
            fault = find_fault(message, self.strategies)
            if fault:
                self._refuse(message, fault)
                return
            if "task" in message.headers:
                message.headers = clean_headers(message.headers)
            try:
                handle(message)
            except (TypeError, ValueError, LookupError, AttributeError, ArithmeticError) as error:
                # Celery stumbled over something the check does not know; the message must not come back and do it again.
                if message.acknowledged:
                    raise
                self._refuse(message, f"{_MALFORMED} ({type(error).__name__})")

        return on_task_received

    # What Celery calls when it finds the fault itself; its own versions print the message.

    def on_decode_error(self, message: Any, exc: Exception) -> None:
        """Celery cannot read the body."""
        self._refuse(message, _unreadable(exc))

    def on_unknown_message(self, body: Any, message: Any) -> None:
        """Celery does not see a task in it."""
        self._refuse(message, _MALFORMED)

    def on_unknown_task(self, body: Any, message: Any, exc: Exception) -> None:
        """Celery does not know the task."""
        self._refuse(message, _unknown_task(self.strategies))

    def on_invalid_task(self, body: Any, message: Any, exc: Exception) -> None:
        """Celery finds an argument or a header wrong."""
        self._refuse(message, _MALFORMED)

    def _refuse(self, message: Any, fault: str) -> None:
        """Answer first, then let go of it: killed in between, it comes back and is refused again."""
        task_id, name, wants_result = _identify(message)
        log.error("message %s for task %s is refused: %s", plain_word(task_id), plain_word(name), fault)
        state.requests.pop(task_id, None)
        if task_id and wants_result:
            answer = {"status": "refused", "errors": [f"{fault}; nothing was accepted."]}
            self.app.backend.store_result(task_id, answer, "SUCCESS")
        message.ack_log_error(log, self.connection_errors)


def _nothing_to_acknowledge(*_: Any, **__: Any) -> None:
    pass


def find_fault(message: Any, known: Collection[str]) -> str:
    """Return why a message cannot be run, "" when it can. Reads it, changes nothing."""
    headers = message.headers
    if not isinstance(headers, dict):
        return _MALFORMED
    try:
        payload = message.payload
    except Exception as error:  # noqa: BLE001 - whatever a decoder raises: the body is somebody else's
        return _unreadable(error)
    if "task" in headers:
        told: Mapping[str, Any] = headers
        if not isinstance(payload, list | tuple) or len(payload) != 3:
            return f"{_MALFORMED}: its body is not [arguments, named arguments, options]"
        args, kwargs, options = payload
    elif isinstance(payload, dict) and "task" in payload:  # protocol 1: all of it in the body
        told = payload
        args, kwargs, options = payload.get("args", []), payload.get("kwargs", {}), {}
        if any(not _HEADERS[name](value) for name, value in payload.items() if name in _HEADERS and value is not None):
            return _MALFORMED
        if payload.get("timelimit") not in (None, [None, None]) or payload.get("taskset") or payload.get("chord"):
            return f"{_MALFORMED}: time limits, task sets and chords are not run here"
    else:
        return _MALFORMED
    if not isinstance(told["task"], str) or told["task"] not in known:
        return _unknown_task(known)
    if not _is_id(told.get("id")):
        return f"{_MALFORMED}: it has no task id"
    if not isinstance(args, list | tuple) or not isinstance(kwargs, dict) or not isinstance(options, dict | None):
        return f"{_MALFORMED}: its body is not [arguments, named arguments, options]"
    return ""


def clean_headers(headers: Mapping[str, Any]) -> dict[str, Any]:
    """Return the headers that Celery's protocol knows, those of a wrong type left out. Pure."""
    return {
        name: headers[name]
        for name, check in _HEADERS.items()
        if headers.get(name) is not None and check(headers[name])
    }


def _unreadable(error: Exception) -> str:
    if isinstance(error, ContentDisallowed):
        return "Only JSON is accepted (set task_serializer to json)"
    return "The message's body is not valid JSON"


def _unknown_task(known: Collection[str]) -> str:
    names = sorted(
        name
        for name in known
        if name.startswith("usher.") and name not in ("usher.run_chunk", "usher.settle", "usher.scheduled")
    )
    return f"There is no task of that name; there are {', '.join(names)}"


def _identify(message: Any) -> tuple[str, object, bool]:
    """Return the task id ("" when there is none to answer to), the task's name, and whether a result is wanted."""
    told = message.headers if isinstance(message.headers, dict) else {}
    if "task" not in told:
        try:
            told = message.payload if isinstance(message.payload, dict) else {}
        except Exception:  # noqa: BLE001 - whatever a decoder raises: there is nobody to answer to
            told = {}
    task_id = told.get("id")
    return task_id if _is_id(task_id) else "", told.get("task"), told.get("ignore_result") is not True


def _is_id(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and 0 < len(value) <= _LONGEST_ID and value.isprintable()
