"""Words: how instants are written for people."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest

from tasks.telling.words import moment


def test_an_instant_names_its_zone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever reads it on another machine, or in a ticket, knows what it means; summer time has a
    name of its own.
    """
    try:
        for month, told in ((1, "2026-01-05 13:00 CET"), (7, "2026-07-05 14:00 CEST")):
            monkeypatch.setenv("TZ", "Europe/Berlin")
            time.tzset()
            assert moment(datetime(2026, month, 5, 12, tzinfo=UTC)) == told
    finally:
        monkeypatch.undo()
        time.tzset()
    assert moment(None) == ""
