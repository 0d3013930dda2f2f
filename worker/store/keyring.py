"""The keyring holds the ledger's keys as they are now: `[ledger].key` is read when used, and anew
whenever the settings were.

So a key that is rolled over reaches a running process like every other file. One that cannot be
read just now does not take away those that were read before; where none ever was, whoever needs it
is told.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from config.errors import ConfigError
from worker.errors import KeyUnusable, SealError
from worker.store.seal import Sealer

if TYPE_CHECKING:
    from config.settings import Settings

log = logging.getLogger(__name__)

FindSealer: TypeAlias = "Callable[[], Sealer | None]"
"""Gives the present sealer, None where there is no key. May raise `SealError`."""


def no_sealer() -> None:
    """For whoever works without the ledger's key."""
    return


def open_sealer(settings: Settings) -> Sealer | None:
    """Return the sealer of `[ledger].key`, None where there is none: links are not kept then,
    tokens not shared.

    Raises `KeyUnusable` when a key is named but cannot be read.
    """
    try:
        return Sealer([reference.resolve() for reference in settings.ledger.key]) if settings.ledger.key else None
    except ConfigError as error:
        raise KeyUnusable(str(error)) from None


class Keyring:
    """One process's ledger keys."""

    def __init__(self, settings: Callable[[], Settings]) -> None:
        self._settings = settings
        self._seen: Settings | None = None
        self._sealer: Sealer | None = None
        self._fault: KeyUnusable | None = None

    def sealer(self) -> Sealer | None:
        """Return the present sealer, None where there is no key. Raises `KeyUnusable` where it
        cannot be read and never was.
        """
        present = self._settings()
        if present is not self._seen:
            self._seen = present
            self._read(present)
        if self._fault is not None and self._sealer is None:
            raise KeyUnusable(
                f"{self._fault} Without it nobody can tell who was invited before, so nothing is sent and all rows"
                " wait: whoever runs usher mends it; sending goes on by itself then."
            )
        return self._sealer

    def _read(self, settings: Settings) -> None:
        before, self._fault = self._fault, None
        try:
            self._sealer = open_sealer(settings)
        except KeyUnusable as fault:
            self._fault = fault
            if self._sealer is not None and (before is None or before.sentence != fault.sentence):
                log.error("%s The ledger keys that were read before stay in use; whoever runs usher mends it.", fault)


def find_or_none(find: FindSealer) -> Sealer | None:
    """Return the sealer for what is a convenience only: none where the key cannot be read."""
    try:
        return find()
    except SealError:
        return None
