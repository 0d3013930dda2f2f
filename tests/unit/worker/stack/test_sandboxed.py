from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from config.settings import Settings
from tests.configs import build_connection
from worker.services import find_connection
from worker.stack.folders import StackError
from worker.stack.sandboxed import (
    load_sandbox_connection,
    refuse_sandbox_behind,
)

READY = {
    "url": "https://localhost:1",
    "authority": "https://localhost:1/5d0e4f4e-0000-4000-8000-000000000001",
    "graph_url": "https://localhost:1/v1.0",
    "ca_file": "/s/ca.pem",
    "tenant_id": "5d0e4f4e-0000-4000-8000-000000000001",
    "client_id": "5d0e4f4e-0000-4000-8000-000000000002",
    "client_secret_file": "/s/secret",
    "control_url": "https://localhost:1/_sandbox",
    "mailbox": "invites@contoso.example",
}


@pytest.fixture
def ready_file(tmp_path: Path) -> Path:
    """The ready file of a sandbox that lives: this process."""
    path = tmp_path / "sandbox.json"
    path.write_text(json.dumps({**READY, "pid": os.getpid(), "more": 1}))
    return path


def test_a_ready_file_is_a_connection(ready_file: Path) -> None:
    """The connection `sandbox` is found without configuration, and mails its guests itself."""
    found = load_sandbox_connection(ready_file)
    assert found is not None
    assert found["client_secret"] == "file:/s/secret"
    signs_in = {"tenant_id", "client_id", "client_secret", "authority", "graph_url", "ca_file"}
    assert set(found) == signs_in | {"deliver", "mailbox", "mailbox_rate"}
    assert (found["deliver"], found["mailbox"]) == ("mailbox", "invites@contoso.example")


def test_no_file_half_a_file_or_a_dead_sandbox_is_no_connection(ready_file: Path) -> None:
    """What cannot be used is not believed."""
    assert load_sandbox_connection(ready_file.parent / "absent") is None
    text = ready_file.read_text()
    ready_file.write_text(text[: len(text) // 2])
    assert load_sandbox_connection(ready_file) is None
    ready_file.write_text(json.dumps({"pid": os.getpid()}))
    assert load_sandbox_connection(ready_file) is None
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        gone.wait()
    ready_file.write_text(json.dumps({**READY, "pid": gone.pid}))
    assert load_sandbox_connection(ready_file) is None


def test_a_connection_of_that_name_stays_the_operators(
    ready_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The running sandbox is found where nobody configured a `sandbox`; else theirs is meant."""
    monkeypatch.setenv("USHER_STATE_DIR", str(tmp_path))
    assert find_connection(Settings(), "sandbox").authority == READY["authority"]
    own = build_connection()
    assert find_connection(Settings(connections={"sandbox": own}), "sandbox") is own


def test_a_redis_of_the_operators_has_no_sandbox() -> None:
    """The sandbox lives on this machine alone: behind a Redis URL it is refused with a sentence."""
    refuse_sandbox_behind(None, {})
    refuse_sandbox_behind("unix:///private", {"USHER_PRIVATE": "1"})
    with pytest.raises(StackError, match="needs the private stack"):
        refuse_sandbox_behind("redis://elsewhere", {})
