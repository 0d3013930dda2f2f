"""Workers and beats give probes a sign of life: a file whose time is renewed while the process can
still do its work.

`USHER_ALIVE_FILE` names it. Its age says whether the event loop turns, or beat ticks, not whether
Redis or Graph are there: a restart would mend neither. So a probe looks for a file that is younger
than half a minute, and costs no Python.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

log = logging.getLogger(__name__)

VARIABLE: Final = "USHER_ALIVE_FILE"
EVERY_S: Final = 5.0
"""A sixth of what docker-compose.yml and deploy/kubernetes allow."""


class ProbeFile:
    """Renews the file from a thread of its own while `answers` says yes; removes it at the end."""

    def __init__(self, path: Path, answers: Callable[[float], bool], *, every_s: float = EVERY_S) -> None:
        """`answers` is asked whether the process works, and says so within the seconds given."""
        self._path = path
        self._answers = answers
        self._every_s = every_s
        self._end = threading.Event()
        self._failed = False
        self._thread = threading.Thread(target=self._beat, name="usher-alive", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End; a file that stays would outlive what it stands for."""
        self._end.set()
        self._thread.join(self._every_s)
        try:
            self._path.unlink(missing_ok=True)
        except OSError as error:
            self._complain(error)

    def _beat(self) -> None:
        while not self._end.is_set():
            if self._answers(self._every_s):
                try:
                    self._path.touch(mode=0o644)
                except OSError as error:
                    self._complain(error)
            self._end.wait(self._every_s)

    def _complain(self, error: OSError) -> None:
        if not self._failed:
            self._failed = True
            log.error("%s cannot be written (%s): probes will take this process for dead", self._path, error.strerror)
