from __future__ import annotations

import stat
import threading
from pathlib import Path

import pytest

from worker.process.process_settings import celery_url
from worker.stack.folders import Folders, StackError
from worker.stack.private import (
    build_server_config,
    ensure_ledger_key,
    private_urls,
)


def test_paths_with_odd_characters_are_quoted_for_the_server_and_for_urls() -> None:
    """A space or a quote in a path ends neither a setting nor a URL."""
    folders = Folders(Path('/a "b"\\c'), Path("/a b%c"))
    config = build_server_config(folders)
    assert 'dir "/a \\"b\\"\\\\c/data"\n' in config
    assert 'unixsocket "/a b%c/valkey.sock"\n' in config
    urls = private_urls(folders.server_socket)
    assert urls.redis_url == "unix:///a%20b%25c/valkey.sock?db=0"
    assert celery_url(urls.redis_url) == "redis+socket:///a%20b%25c/valkey.sock?virtual_host=0"


def test_the_servers_configuration_keeps_every_write_and_opens_no_port(tmp_path: Path) -> None:
    """No port, no eviction, an append-only file, no commands that load code."""
    lines = build_server_config(Folders(tmp_path, tmp_path)).splitlines()
    for line in (
        "port 0",
        "unixsocketperm 700",
        "appendonly yes",
        "appendfsync everysec",
        'save ""',
        "maxmemory-policy noeviction",
        "enable-debug-command no",
        "enable-module-command no",
        "daemonize no",
    ):
        assert line in lines


def test_a_ledger_key_is_made_once(tmp_path: Path) -> None:
    """However many ask at once, they get one key, for its owner alone, and leave no draft
    behind.
    """
    folders = Folders(tmp_path, tmp_path)
    seen: list[bytes] = []
    start = threading.Barrier(8)

    def ask() -> None:
        start.wait()
        seen.append(ensure_ledger_key(folders).read_bytes())

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(seen)) == 1
    assert len(seen[0]) == 45
    assert stat.S_IMODE(folders.ledger_key.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [folders.ledger_key]


def test_a_broken_ledger_key_is_not_replaced(tmp_path: Path) -> None:
    """A new key would make the sealed links unreadable: the person is told instead."""
    folders = Folders(tmp_path, tmp_path)
    folders.ledger_key.write_bytes(b"")
    with pytest.raises(StackError, match="too short"):
        ensure_ledger_key(folders)
    assert folders.ledger_key.read_bytes() == b""


def test_a_made_key_is_one_that_seals(tmp_path: Path) -> None:
    """`seal` takes the key as 32 bytes."""
    from worker.store.seal import Sealer

    sealer = Sealer([ensure_ledger_key(Folders(tmp_path, tmp_path)).read_text().strip()])
    assert sealer.open(sealer.seal(b"x", b"c"), b"c") == b"x"
