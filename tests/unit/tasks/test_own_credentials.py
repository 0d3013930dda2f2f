"""Who of usher's own connections still keeps a secret is told, an application of many once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from config.reader import load_settings
from tasks.own_credentials import OwnCredential, describe_own, list_own_credentials, tell_secrets

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
ID = "00000000-0000-4000-8000-00000000000"
CONFIG = f"""
connections_file = "tenants.csv"
[apps.msp]
client_id = "{ID}1"
client_secret = "env:MSP"
[apps.spare]
client_id = "{ID}2"
client_assertion = "managed_identity:{ID}3"
[connections.paper]
tenant_id = "{ID}4"
client_id = "{ID}5"
certificate = "file:paper.pem"
[connections.pod]
tenant_id = "{ID}4"
client_id = "{ID}6"
client_assertion = "file:token"
[connections.machine]
tenant_id = "{ID}4"
client_id = "{ID}7"
managed_identity = "system"
"""
TENANTS = (
    f"name,tenant_id,app,client_id,client_secret\nadatum,{ID}8,msp,,\nbellows,{ID}9,msp,,\nold,{ID}9,,{ID}0,env:OLD\n"
)


def listed(folder: Path, **ends: datetime) -> list[OwnCredential]:
    """Return what the configuration above is told as."""
    path = folder / "usher.toml"
    path.write_text(CONFIG)
    (folder / "tenants.csv").write_text(TENANTS)
    return list_own_credentials(load_settings(env={}, path=path), ends)


def test_each_is_told_once_and_secrets_first(tmp_path: Path) -> None:
    """Where it stands, what it is, how many connections sign in by it."""
    found = listed(tmp_path)
    assert [(one.stands_under, one.credential, len(one.connections)) for one in found] == [
        ("apps.msp", "secret", 2),
        ("old in connections_file", "secret", 1),
        ("connections.paper", "certificate", 1),
        ("connections.pod", "token file", 1),
        ("apps.spare", "federated managed identity", 0),
        ("connections.machine", "managed identity", 1),
    ]
    assert tell_secrets(found).startswith("2 of 6 still keep a secret: apps.msp, old in connections_file.")
    assert tell_secrets(found[2:]) == "None of usher's own connections keeps a secret."


def test_the_first_noted_end_counts(tmp_path: Path) -> None:
    """Of all connections that share it; an unknown one is an empty cell, and in no window."""
    first, *_, last = listed(tmp_path, adatum=NOW + timedelta(days=90), bellows=NOW + timedelta(days=20.5))
    told = describe_own(first, NOW)
    assert (told["ends"], told["days_left"]) == ("2026-06-22T00:00:00Z", "20")
    assert (first.ends_within(NOW, 30 * 86_400), first.ends_within(NOW, 86_400)) == (True, False)
    assert (describe_own(last, NOW)["ends"], last.ends_within(NOW, 9e9)) == ("", False)
