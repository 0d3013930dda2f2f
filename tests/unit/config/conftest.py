"""Shared by the tests of the configuration."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No configuration of the machine or of the checkout plays a part."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("config.sources.PLACES", (Path("usher.toml"), tmp_path / "etc.toml"))
