"""What `usher up` says of the stack that it keeps running."""

from __future__ import annotations

from pathlib import Path

from cli.uptime import describe_stack
from config.reader import load_settings
from worker.stack.folders import Folders
from worker.stack.private import private_urls

FOLDERS = Folders(Path("/state"), Path("/state"))
URLS = private_urls(FOLDERS.server_socket)
CONTOSO = {
    "USHER_CONNECTIONS__CONTOSO__TENANT_ID": "contoso.onmicrosoft.com",
    "USHER_CONNECTIONS__CONTOSO__CLIENT_ID": "portal",
    "USHER_CONNECTIONS__CONTOSO__CLIENT_SECRET": "env:S",
}


def test_the_next_command_is_one_that_sends_nothing(tmp_path: Path) -> None:
    """A rehearsal on the sandbox; a look at the tenant where one is configured."""
    (tmp_path / "usher.toml").touch()
    for env, command in (
        ({}, "usher invite guests.csv -c sandbox "),
        (CONTOSO, "usher invite guests.csv -c contoso --dry-run "),
    ):
        lines = describe_stack(
            load_settings(env, tmp_path / "usher.toml"), FOLDERS, URLS, ("127.0.0.1", 5555), is_ready=True
        )
        assert lines[0].startswith("Ready.")
        assert "http://127.0.0.1:5555" in lines[1]
        assert command in lines[2]
        assert "/state/logs" in lines[3]


def test_what_is_not_up_is_not_shown_as_up(tmp_path: Path) -> None:
    """Neither a worker that does not come, nor pages that nobody serves."""
    (tmp_path / "usher.toml").touch()
    settings = load_settings({}, tmp_path / "usher.toml")
    told = "\n".join(describe_stack(settings, FOLDERS, URLS, None, is_ready=False))
    assert "Ready" not in told
    assert "http://" not in told
    assert "/state/logs/worker.log says why" in told
    assert "http://[::1]:80" in "\n".join(describe_stack(settings, FOLDERS, URLS, ("::1", 80), is_ready=True))
