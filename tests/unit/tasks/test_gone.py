"""Who asks in another folder is told which configuration counts, before anything is advised."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tasks.gone import find_gone, gone_words
from tests.configs import load


class _Ledger:
    """One that knows a connection c2 with nothing left to do."""

    keys = SimpleNamespace(connections=lambda: "connections")
    client = jobs = gates = property(lambda self: self)

    async def smembers(self, _: str) -> set[bytes]:
        return {b"c2"}

    async def listed(self, **_: int) -> list[Any]:
        return []

    async def of_many(self, _: list[str]) -> dict[str, Any]:
        return {}


async def _told(settings: Any) -> str:
    services: Any = _Ledger()
    services.settings = lambda: settings
    [gone] = await find_gone(services)
    return gone.describe()


async def test_the_file_in_force_is_named_and_to_forget_is_the_last_advice(tmp_path: Path) -> None:
    """The file is a folder's, the state is the account's: the tenant may be in use all the same."""
    settings = load(tmp_path, "")
    told = await _told(settings)
    assert told.startswith("c2 is in the configuration no longer. The configuration in force is ")
    assert str(settings.source) in told
    assert told.index(str(settings.source)) < told.index("Put it back") < told.index("usher connections forget")
    assert told.endswith("usher connections forget c2")
    assert str(settings.source) in gone_words(settings, "c2")


async def test_that_there_is_no_file_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which is what happens in another folder."""
    from config.reader import load_settings

    monkeypatch.setattr("config.sources.PLACES", ())
    monkeypatch.chdir(tmp_path)
    settings = load_settings({})
    told = await _told(settings)
    assert "No configuration file is in force here" in told
    assert told.index("No configuration file") < told.index("usher connections forget")
    assert "No configuration file is in force here" in gone_words(settings, "c2")
