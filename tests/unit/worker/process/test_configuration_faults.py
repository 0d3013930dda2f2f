"""A process tells what is wrong with its configuration, and which connections went out of it."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from config.reader import load_settings
from config.settings import Settings
from worker.process.configuration_faults import ConfigurationFaults


def _settings(folder: Path, *names: str) -> Settings:
    path = folder / "usher.toml"
    table = 'tenant_id = "a.com"\nclient_id = "x"\nclient_secret = "env:S"\n'
    path.write_text("".join(f"[connections.{name}]\n{table}" for name in names))
    return load_settings({}, path)


def test_connections_that_went_are_named_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Those that came are no news, and nor is a change that lets all stay."""
    now = [_settings(tmp_path, "alfa", "beta", "gamma")]
    faults = ConfigurationFaults(lambda: "", lambda: now[0])
    with caplog.at_level(logging.WARNING):
        for names in (("alfa", "beta", "gamma"), ("beta",), ("beta", "delta")):
            now[0] = _settings(tmp_path, *names)
            faults.look()
            faults.look()
    assert [record.getMessage() for record in caplog.records] == [
        "2 of 3 connections are gone from the configuration, and what is left for them waits: alfa, gamma"
    ]
