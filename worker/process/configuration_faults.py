"""A running process says that its configuration cannot be read as it is now: once a fault, and once
when it is mended.

The last good settings stay in force meanwhile (`config/watch.py`), so without that nobody would
notice before the next restart.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

log = logging.getLogger(__name__)


class ConfigurationFaults:
    """The faults of one process's configuration. `problem`: looks at the files now and then, and
    says what is wrong with them.
    """

    def __init__(self, problem: Callable[[], str]) -> None:
        self._problem = problem
        self._told = ""

    def look(self) -> str:
        """Log what is news. Returns the fault, '' while all is well."""
        fault = self._problem()
        if fault != self._told:
            if fault:
                log.error("the configuration is faulty, so this process goes on with the last good one: %s", fault)
            else:
                log.info("the configuration is mended, and counts again")
            self._told = fault
        return fault
