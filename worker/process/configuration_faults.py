"""A running process says that its configuration cannot be read as it is now: once a fault, and once
when it is mended; and which connections went out of it.

The last good settings stay in force meanwhile (`config/watch.py`), so without that nobody would
notice before the next restart.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from config.settings import Settings

log = logging.getLogger(__name__)


_MOST_NAMES = 20


class ConfigurationFaults:
    """The faults of one process's configuration. `problem`: looks at the files now and then, and
    says what is wrong with them.
    """

    def __init__(self, problem: Callable[[], str], settings: Callable[[], Settings]) -> None:
        self._problem = problem
        self._settings = settings
        self._told = ""
        self._connections = settings().connections
        self._complaints: tuple[str, ...] = ()

    def look(self) -> str:
        """Log what is news. Returns the fault, '' while all is well."""
        fault = self._problem()
        if fault != self._told:
            if fault:
                log.error("the configuration is faulty, so this process goes on with the last good one: %s", fault)
            else:
                log.info("the configuration is mended, and counts again")
            self._told = fault
        self._tell_gone()
        self._tell_complaints()
        return fault

    def _tell_complaints(self) -> None:
        before, self._complaints = self._complaints, tuple(self._settings().complaints)
        if before == self._complaints:
            return
        news = [sentence for sentence in self._complaints if sentence not in before]
        for sentence in news[:_MOST_NAMES]:
            log.error("all else of the configuration counts, and this waits: %s", sentence)
        if len(news) > _MOST_NAMES:
            log.error("and %d more faults of the list: usher doctor", len(news) - _MOST_NAMES)
        if not self._complaints:
            log.info("each line of the list of connections is good again")

    def _tell_gone(self) -> None:
        before, self._connections = self._connections, self._settings().connections
        if before is self._connections or not (gone := sorted(before.keys() - self._connections.keys())):
            return
        log.warning(
            "%d of %d connections are gone from the configuration, and what is left for them waits: %s",
            len(gone),
            len(before),
            ", ".join(gone[:_MOST_NAMES]) + (" …" if len(gone) > _MOST_NAMES else ""),
        )
