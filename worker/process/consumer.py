"""A worker looks at each message before Celery trusts it. What cannot be run is answered, logged in
one line and gone.

Celery's own consumer prints such a message as a whole, addresses and all, and a header or a body of
an unexpected shape ends the worker (and, delivered again, the next one). Here a message that is not
in order (`worker.process.messages`) never reaches that code. Neither does one whose id is a
producer's and whose token is not (`worker.producers`): it gets no answer, for what is answered to
that id is the producer's, and Celery would take its word for it that the producer's own message has
expired.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable
from typing import Any

from celery.worker import state
from celery.worker.consumer import Consumer

from worker.plain_word import plain_word
from worker.process.messages import (
    MALFORMED,
    TOKEN_HEADER,
    clean_first_protocol,
    clean_headers,
    find_fault,
    identify,
    malformed,
    unknown_task,
    unreadable,
)
from worker.process.runtime import runtime
from worker.producers import find_producer, is_anothers, note_refused
from worker.store.client import OUTAGE

log = logging.getLogger(__name__)


class Intake(Consumer):
    """Celery's consumer behind a check of every message."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        consume: Callable[..., Any] = self.__dict__["loop"]  # chosen by Celery: with an event loop or without

        def loop(*given: Any) -> Any:
            """Consume. What is no message at all (somebody wrote to the queue by hand) costs the
            connection, not the worker.
            """
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

        kombu 5.7 lets go of the transport first and then wants it to put unacknowledged messages
        back (an AttributeError, which would end the worker). They are in Redis, and come back after
        the visibility timeout.
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
            queue = message.delivery_info.get("routing_key", "")
            if queue in unacknowledged:
                message.ack_log_error = _nothing_to_acknowledge  # kombu would ask Redis to forget what was never noted
            if self._is_anothers(message):
                self._let_go(message)
                return
            fault = find_fault(message, self.strategies, queue)
            if fault:
                self._refuse(message, fault)
                return
            if "task" in message.headers:
                message.headers = clean_headers(message.headers)
            else:
                message.headers = {}
                clean_first_protocol(message.payload)
            try:
                handle(message)
            except (TypeError, ValueError, LookupError, AttributeError, ArithmeticError) as error:
                # Celery stumbled over something the check does not know; the message must not come
                # back and do it again.
                if message.acknowledged:
                    raise
                state.requests.pop(identify(message)[0], None)
                self._refuse(message, malformed(error))

        return on_task_received

    # What Celery calls when it finds the fault itself; its own versions print the message.

    def on_decode_error(self, message: Any, exc: Exception) -> None:
        """Celery cannot read the body."""
        self._refuse(message, unreadable(exc))

    def on_unknown_message(self, body: Any, message: Any) -> None:
        """Celery does not see a task in it."""
        self._refuse(message, MALFORMED)

    def on_unknown_task(self, body: Any, message: Any, exc: Exception) -> None:
        """Celery does not know the task."""
        self._refuse(message, unknown_task(self.strategies))

    def on_invalid_task(self, body: Any, message: Any, exc: Exception) -> None:
        """Celery finds an argument or a header wrong."""
        self._refuse(message, MALFORMED)

    def _refuse(self, message: Any, fault: str) -> None:
        """Answer first, then let go of it: killed in between, it comes back, and is refused."""
        if self._is_anothers(message):
            self._let_go(message)
            return
        task_id, name, wants_result = identify(message)
        log.error("message %s for task %s is refused: %s", plain_word(task_id), plain_word(name), fault)
        _note(message, f"{fault}.")
        if task_id and wants_result:
            answer = {"status": "refused", "errors": [f"{fault}; nothing was accepted."]}
            self.app.backend.store_result(task_id, answer, "SUCCESS")
        message.ack_log_error(log, self.connection_errors)

    def _is_anothers(self, message: Any) -> bool:
        return is_anothers(runtime.parts.services.settings(), identify(message)[0], _token_of(message))

    def _let_go(self, message: Any) -> None:
        """Acknowledge a message whose id is another's, unanswered; the audit trail has it."""
        log.error(
            "message %s is dropped: its id is a producer's, and its token is not", plain_word(identify(message)[0])
        )
        _note(message, "id: it is a task id of another producer.")
        message.ack_log_error(log, self.connection_errors)


def _token_of(message: Any) -> object:
    return message.headers.get(TOKEN_HEADER) if isinstance(message.headers, dict) else None


def _note(message: Any, why: str) -> None:
    """Write into the audit trail what was refused, and to which producer; without any configured
    the log is enough.
    """
    services, token, task = runtime.parts.services, _token_of(message), plain_word(identify(message)[0])
    settings = services.settings()
    if not settings.producers:
        return
    found = find_producer(settings, token) if isinstance(token, str) else None
    try:
        runtime.run(note_refused(services.trail, found, why, task=task))
    except OUTAGE as error:
        log.error("the audit trail has no entry for message %s: Redis is away (%s)", task, type(error).__name__)


def _nothing_to_acknowledge(*_: Any, **__: Any) -> None:
    pass
