from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cli import main
from config.reader import load_settings
from tests.configs import CONTOSO
from worker.producers import find_producer


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A configuration with a connection."""
    path = tmp_path / "usher.toml"
    path.write_text(f"# ours\n{CONTOSO}")
    monkeypatch.setenv("USHER_CONFIG", str(path))
    return path


def _run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[Any, Any]:
    with pytest.raises(SystemExit) as ended:
        main(["producers", *arguments, "--json"])
    return ended.value.code, json.loads(capsys.readouterr().out)


def test_a_producer_is_added_with_a_token_of_its_own(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The token is in a file for its owner alone, and never shown."""
    status, told = _run(capsys, "add", "hr", "-c", "contoso", "--operation", "groups", "--daily-limit", "5")
    assert status == 0
    token = Path(told["token_file"])
    assert token.stat().st_mode & 0o777 == 0o600
    assert token.read_text().strip() not in json.dumps(told)
    settings = load_settings()
    assert find_producer(settings, token.read_text().strip()) == settings.producers["hr"]
    assert (settings.producers["hr"].operations, settings.producers["hr"].daily_limit) == (("invite", "groups"), 5)
    assert file.read_text().startswith(f"# ours\n{CONTOSO}")
    assert _run(capsys, "list") == (
        0,
        {
            "producers": [
                {
                    "producer": "hr",
                    "connections": ["contoso"],
                    "operations": ["invite", "groups"],
                    "daily_limit": 5,
                    "tokens": 1,
                    "named": 1,
                }
            ]
        },
    )


@pytest.mark.parametrize(
    "arguments",
    [("hr", "-c", "no-such"), ("../hr", "-c", "contoso"), ("hr", "-c", "contoso", "--operation", "../x")],
)
def test_what_cannot_be_leaves_nothing_behind(
    file: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    """Neither a table nor a token."""
    before = file.read_text()
    status, told = _run(capsys, "add", *arguments)
    assert status == 2
    assert "error" in told
    assert file.read_text() == before
    assert not list(file.parent.rglob("*.token"))


def test_a_name_or_a_file_that_is_taken_is_not_overwritten(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It may be the only copy of a token in use."""
    _, told = _run(capsys, "add", "hr", "-c", "contoso")
    token = Path(told["token_file"]).read_text()
    assert _run(capsys, "add", "hr", "-c", "contoso")[0] == 2
    assert _run(capsys, "add", "hr", "-c", "contoso", "-o", str(file.parent / "other"))[0] == 2
    assert Path(told["token_file"]).read_text() == token
    assert not (file.parent / "other").exists()


def test_a_revoked_token_opens_nothing(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """All else in the file stays; whoever takes the last one away is told what that means."""
    _, told = _run(capsys, "add", "hr", "-c", "contoso")
    before = file.read_text()
    _run(capsys, "add", "crm", "-c", "contoso")
    assert _run(capsys, "revoke", "crm")[1]["last"] is False
    assert file.read_text() == before
    assert _run(capsys, "revoke", "hrr")[0] == 2
    assert _run(capsys, "revoke", "hr")[1]["last"] is True
    assert find_producer(load_settings(), Path(told["token_file"]).read_text().strip()) is None
