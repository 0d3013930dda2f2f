"""A copy of the audit trail for a syslog, entry by entry as it is written: one JSON object a message.

Best effort beside the trail in Redis: a thread sends, so that nobody waits for the other side, and what finds no room is counted and lost.
"""

from __future__ import annotations

import json
import logging
import logging.handlers
import queue
import socket
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

_log = logging.getLogger(__name__)
_WAITING = 10_000  # entries, about 3 MB
_FACILITY = "auth"  # where other records of who did what go


class _Patient(logging.handlers.SysLogHandler):
    """The standard library's handler; whatever goes wrong with the other side is said once, not printed for each entry."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._told = False

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the standard library's name
        if not self._told:
            self._told = True
            _log.warning("the syslog for the audit trail does not take entries; the trail in Redis is whole")


class Syslog:
    """Sends entries to `address`: `/dev/log` or another socket's path, `udp://host:514`, `tcp://host:601`."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._queue: queue.Queue[logging.LogRecord] = queue.Queue(_WAITING)
        self._listener: logging.handlers.QueueListener | None = None
        self._lost = 0

    def send(self, told: Mapping[str, Any]) -> None:
        """Send one entry, some time soon."""
        if self._listener is None:
            self._listener = logging.handlers.QueueListener(self._queue, _open(self._address))
            self._listener.start()
        text = "usher: " + json.dumps(dict(told), ensure_ascii=False)
        record = logging.LogRecord("usher.audit", logging.INFO, "", 0, text, None, None)
        try:
            self._queue.put_nowait(record)
        except queue.Full:
            self._lost += 1
            if self._lost in (1, 1000, 1_000_000):
                _log.warning("%d audit entries did not reach the syslog; the trail in Redis is whole", self._lost)

    def close(self) -> None:
        """Send what waits, and stop."""
        if self._listener is not None:
            handlers = self._listener.handlers
            self._listener.stop()
            for handler in handlers:
                handler.close()
            self._listener = None


def _open(address: str) -> logging.Handler:
    facility = logging.handlers.SysLogHandler.facility_names[_FACILITY]
    try:
        if "://" not in address:
            return _Patient(address, facility)
        parts = urlsplit(address)
        kind = socket.SOCK_STREAM if parts.scheme == "tcp" else socket.SOCK_DGRAM
        return _Patient((parts.hostname or "", parts.port or 514), facility, kind)
    except OSError as error:
        _log.warning(
            "the syslog for the audit trail cannot be reached (%s); the trail in Redis is whole", error.strerror
        )
        return logging.NullHandler()
