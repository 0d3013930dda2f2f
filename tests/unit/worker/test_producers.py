from __future__ import annotations

import logging
from pathlib import Path

import pytest

from config.settings import Settings
from tests.configs import CONTOSO, load
from worker.producers import find_owner, find_producer, is_anothers

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


def test_a_token_of_two_opens_nothing(settings: Settings, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Whose job would it be? Whoever runs usher reads of it in the log."""
    (tmp_path / "crm").write_text(HR)
    with caplog.at_level(logging.WARNING):
        assert _name(settings, HR) is None
    assert "a token of the producers hr and crm opens nothing" in caplog.text
    assert HR not in caplog.text
    assert _name(settings, NEXT) == "hr"


def test_an_id_is_a_producers_by_what_it_begins_with(settings: Settings) -> None:
    """Its name and a dash; and it counts with a token of that producer alone."""
    ids = ("hr-1", "hr-", "hr", "HR-1", "crm-hr-1", "portal-1", "")
    owners = [find_owner(settings.producers, task_id) for task_id in ids]
    assert [owner and owner.name for owner in owners] == ["hr", "hr", None, None, "crm", None, None]
    assert [is_anothers(settings, "hr-1", token) for token in (HR, NEXT, CRM, "", None, 7)] == [False] * 2 + [True] * 4
    assert not is_anothers(settings, "portal-1", None)
