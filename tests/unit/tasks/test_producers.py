from __future__ import annotations

import logging
from pathlib import Path

import pytest

from config.settings import Settings
from tasks.producers import find_producer, notify_hosts
from tests.configs import CONTOSO, load

HR, NEXT, CRM = "h" * 32, "n" * 40, "c" * 32
TABLES = """
[producers.hr]
token = ["file:hr", "file:hr-next"]
connections = ["contoso"]
[producers.crm]
token = "file:crm"
connections = ["contoso"]
"""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Two producers, one of them with two tokens."""
    for name, token in {"hr": HR, "hr-next": NEXT, "crm": CRM}.items():
        (tmp_path / name).write_text(token + "\n")
    return load(tmp_path, CONTOSO + TABLES)


def _name(settings: Settings, token: str) -> str | None:
    found = find_producer(settings, token)
    return found.name if found else None


def test_each_of_a_producers_tokens_opens(settings: Settings) -> None:
    """So that one can be rolled over while the other is still in use."""
    assert [_name(settings, token) for token in (HR, NEXT, CRM)] == ["hr", "hr", "crm"]


@pytest.mark.parametrize("token", ["", "x", HR[:-1], HR + "x", HR.upper(), " " + HR, "\ud800" * 32, "h" * 9999])
def test_anything_else_opens_nothing(settings: Settings, token: str) -> None:
    """A token is right as a whole, or wrong."""
    assert _name(settings, token) is None


def test_a_rolled_file_counts_at_once(settings: Settings, tmp_path: Path) -> None:
    """Nothing of a token is kept in memory."""
    (tmp_path / "crm").write_text("d" * 32)
    assert _name(settings, CRM) is None
    assert _name(settings, "d" * 32) == "crm"


@pytest.mark.parametrize("text", ["short", "", None])
def test_a_token_that_could_be_guessed_opens_nothing(
    settings: Settings, tmp_path: Path, text: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever runs usher reads of it in the log, without the token; the other tokens still open."""
    if text is None:
        (tmp_path / "crm").unlink()
    else:
        (tmp_path / "crm").write_text(text)
    with caplog.at_level(logging.WARNING):
        assert _name(settings, text or "") is None
    assert "a token of the producer crm" in caplog.text
    assert "short" not in caplog.text.replace("shorter", "")
    assert _name(settings, HR) == "hr"


def test_a_producer_names_hosts_that_all_may_name(tmp_path: Path) -> None:
    """Its own list narrows the one of `[notify]`, and never widens it."""
    text = CONTOSO + '[notify]\nhosts = ["a.example", "b.example"]' + TABLES
    told = load(tmp_path, text + 'notify_hosts = ["b.example", "c.example"]')
    assert notify_hosts(told, told.producers["crm"]) == ("b.example",)
    assert notify_hosts(told, told.producers["hr"]) == ("a.example", "b.example")
    assert notify_hosts(told, None) == ("a.example", "b.example")
