"""The logger `usher.audit` copies the audit trail to a file, a line of JSON an entry, for whatever
collects logs.

The copy is best effort beside the trail in Redis: a file that cannot be written is told of once,
and holds nothing up.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from logging.handlers import WatchedFileHandler
from typing import Any

NAME = "usher.audit"
_log = logging.getLogger(__name__)


class AuditLog:
    """The log writes entries to the file at `path`, which may be moved away at any time
    (logrotate), or be `/dev/stderr`.
    """

    def __init__(self, path: str) -> None:
        self._logger = logging.getLogger(NAME)
        self._logger.setLevel(logging.INFO)
        self._logger.propagate = False  # the program's own log has its own form
        self._handler = _AuditFile(path, encoding="utf-8", delay=True)
        self._logger.addHandler(self._handler)

    def write(self, entry: Mapping[str, Any]) -> None:
        """Write one entry."""
        self._logger.info("%s", json.dumps(dict(entry), ensure_ascii=False))

    def close(self) -> None:
        """Close the file."""
        self._logger.removeHandler(self._handler)
        self._handler.close()


class _AuditFile(WatchedFileHandler):
    """The standard library's handler; what goes wrong with the file is said once, not printed for
    each entry.
    """

    _told = False

    def emit(self, record: logging.LogRecord) -> None:
        try:
            super().emit(record)
        except OSError:  # opening is outside of what the standard library guards
            self.handleError(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the standard library's name
        if not self._told:
            self._told = True
            _log.warning(
                "the copy of the audit trail cannot be written to %s; the trail in Redis is whole: whoever runs usher "
                "mends [ledger].audit_log",
                self.baseFilename,
            )
