from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from cli import main
from config.reader import load_settings
from tasks.producer_logins import rabbit_commands, redis_user
from tests.configs import CONTOSO
from worker.producers import find_producer

OURS = f'# ours\n[redis]\nurl = "redis://usher-cli:word@127.0.0.1:9/2"\n{CONTOSO}'
"""A configuration with a connection, and a Redis that nobody is at."""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """That configuration."""
    path = tmp_path / "usher.toml"
    path.write_text(OURS)
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
    assert file.read_text().startswith(OURS)
    assert _run(capsys, "list") == (
        0,
        {
            "producers": [
                {
                    "producer": "hr",
                    "connections": ["contoso"],
                    "operations": ["invite", "groups"],
                    "daily_limit": 5,
                    "used_today": None,
                    "tokens": 1,
                    "named": 1,
                }
            ],
            "token_needed": True,
        },
    )


@pytest.mark.parametrize(
    "arguments",
    [("hr", "-c", "no-such"), ("../hr", "-c", "contoso"), ("hr", "-c", "contoso", "--operation", "group")],
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
    assert not [*file.parent.rglob("*.token"), *file.parent.rglob("*.password")]


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
    assert _run(capsys, "list")[1] == {"producers": [], "token_needed": None}
    assert find_producer(load_settings(), Path(told["token_file"]).read_text().strip()) is None


def _show(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    with pytest.raises(SystemExit):
        main(["producers", *arguments])
    return capsys.readouterr().out


def test_a_producer_is_handed_out_a_login_of_its_own(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The line for Redis opens with the password in the file beside the token, and with its name
    alone; a broker of its own has the same.
    """
    _, told = _run(capsys, "add", "hr", "-c", "contoso")
    password = Path(told["password_file"])
    assert password.stat().st_mode & 0o777 == 0o600
    word = password.read_text().strip()
    assert word not in json.dumps(told)
    assert told["redis_user"] == redis_user("hr", "usher", hashlib.sha256(word.encode()).hexdigest())
    assert (told["redis_url"], "rabbitmq" in told) == ("redis://hr:PASSWORD@127.0.0.1:9/2", False)
    assert told["table"] in file.read_text()
    file.write_text(file.read_text() + '[broker]\nurl = "amqps://usher:word@rabbit:5671/some%20host"\n')
    _, told = _run(capsys, "add", "crm", "-c", "contoso")
    assert told["broker_url"] == "amqps://crm:PASSWORD@rabbit:5671/some%20host"
    assert told["rabbitmq"] == [*rabbit_commands("crm", "'some host'", told["password_file"])]


def test_lines_to_be_copied_are_in_one_piece(
    file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """However narrow the terminal is; and whoever takes a producer away is told what is left."""
    monkeypatch.setenv("COLUMNS", "40")
    shown = _show(capsys, "add", "hr", "-c", "contoso")
    (line,) = [line for line in shown.splitlines() if "user hr on #" in line]
    assert line.endswith("+unsubscribe")
    assert "    [producers.hr]\n" in shown
    gone = " ".join(_show(capsys, "revoke", "hr", "--yes").split())
    assert "hr.token, " in gone
    assert "hr.password" in gone
    assert "take the user hr out of Redis's file of users" in gone


def test_a_private_redis_has_no_logins(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Another program's way is HTTP then."""
    file.write_text(CONTOSO)
    shown = _show(capsys, "add", "hr", "-c", "contoso")
    assert "HTTP is its way" in shown
    assert "user hr" not in shown
    assert not list(file.parent.rglob("*.password"))


def test_what_comes_to_nothing_is_remarked(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Only a worker knows the operations, and a host of one's own is one of all: the list tells."""
    table = 'token = "file:hr"\nconnections = "contoso"\noperations = ["invite", "group"]\nnotify_hosts = "x.example"'
    file.write_text(f"{OURS}[producers.hr]\n{table}\n")
    with pytest.raises(SystemExit):
        main(["producers", "list"])
    said = " ".join(capsys.readouterr().err.split())
    assert "producers.hr.operations names group, which is no operation (did you mean groups?)." in said
    assert "producers.hr.notify_hosts names x.example, which notify.hosts does not" in said


def test_the_last_one_leaves_no_open_door(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever takes it away is told what counts from then on, and that Redis could not be told."""
    _run(capsys, "add", "hr", "-c", "contoso")
    with pytest.raises(SystemExit) as ended:
        main(["producers", "waive", "--yes"])
    assert ended.value.code == 2
    assert "Revoke them first" in " ".join(capsys.readouterr().err.split())
    with pytest.raises(SystemExit):
        main(["producers", "revoke", "hr", "--yes"])
    told = capsys.readouterr()
    assert "programs still need a token" in " ".join(told.out.split())
    assert "could not be noted now" in " ".join(told.err.split())
    assert not load_settings().producers


@pytest.mark.parametrize("several", ["tag:eu", "all", "contoso,tag:eu"])
def test_a_producer_is_given_each_connection_by_name(
    file: Path, capsys: pytest.CaptureFixture[str], several: str
) -> None:
    """Where a command takes many, the sentence says why this one does not."""
    status, told = _run(capsys, "add", "hr", "-c", several)
    assert status == 2
    assert "named one by one" in told["error"]
    assert file.read_text() == OURS
