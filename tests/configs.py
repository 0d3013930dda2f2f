"""Configuration files for tests of the reader: written, loaded, and their faults told."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from pathlib import Path

import pytest

from config.connections import Connection
from config.errors import ConfigError
from config.reader import load_settings, parse_connection
from config.settings import Settings

TENANT = "11111111-2222-4333-8444-555555555555"
CONTOSO = f"""
[connections.contoso]
tenant_id = "{TENANT}"
client_id = "App"
client_secret = "env:CONTOSO_SECRET"
"""
AFTER_A_TABLE = "stands after a table and so belongs to it: write it at the top of the file, before the first [table]."


def load(folder: Path, text: str, env: Mapping[str, str] | None = None) -> Settings:
    """Write a configuration file and load it."""
    path = folder / "usher.toml"
    path.write_text(textwrap.dedent(text), encoding="utf-8")
    return load_settings(env or {}, path)


def faults_of(folder: Path, text: str, env: Mapping[str, str] | None = None) -> list[str]:
    """Return a file's faults, its name shortened, and check that nothing of them leaks through the
    exception's history.
    """
    with pytest.raises(ConfigError) as caught:
        load(folder, text, env)
    assert str(caught.value) == "\n".join(caught.value.faults)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    return [fault.replace(f"{folder}/", "") for fault in caught.value.faults]


def build_connection(**settings: object) -> Connection:
    """Return a connection with these settings."""
    return parse_connection("c", {"tenant_id": TENANT, "client_id": "App", "client_secret": "env:A", **settings})
