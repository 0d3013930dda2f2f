from __future__ import annotations

import re
from pathlib import Path

from tasks.producer_logins import rabbit_commands, redis_user

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs/producers.md").read_text(encoding="utf-8")


def test_the_ready_file_has_the_same_user() -> None:
    """Whoever copies the line of `usher-producer` gets what `usher producers add` prints."""
    lines = (ROOT / "deploy/redis/users.acl").read_text(encoding="utf-8").splitlines()
    (ready,) = [line for line in lines if line.startswith("user usher-producer ")]
    password = "SHA256_OF_THE_PRODUCERS_PASSWORD"
    assert ready.replace("user usher-producer", "user producer") == redis_user("producer", "usher", password)


def test_the_page_has_the_same_rights() -> None:
    """Of Redis and of RabbitMQ."""
    (name, rights) = re.findall(r"`ACL SETUSER (\S+) on >… (.+?)`", PAGE)[0]
    assert redis_user(name, "usher", "x").partition(" on #x ")[2] == rights
    _, permissions = rabbit_commands("portal", "/", "file")
    assert f"`{permissions}`" in PAGE.replace("\n", " ")


def test_another_prefix_is_another_servers_neighbour() -> None:
    """Its keys are all under it."""
    keys = re.findall(r"[~&](\S+)", redis_user("hr", "acme", "x"))
    assert len(keys) == 5
    assert all(key.startswith("acme:") for key in keys)
