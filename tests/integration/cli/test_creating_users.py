"""`usher users create` by the real command: a member with a password that is shown once and kept
nowhere.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.sites import Site

ROLES = ("User.Create", "User.Read.All")
pytestmark = pytest.mark.sandbox(options=("--quota", "off"), latency="0", replication="0", roles=ROLES)


def create(site: Site, upn: str, *more: str) -> tuple[int, dict[str, Any], str]:
    """Create a user; returns status, object and stderr."""
    status, out, err = site.run("users", "create", upn, "--name", "Hedy", "-c", "contoso", "--json", *more)
    return status, json.loads(out.splitlines()[-1]), err


async def test_a_member_is_created_and_the_password_shown_once(site: Site) -> None:
    """It is neither in Redis nor in the audit trail, which has the object id; the user is found by
    every name.
    """
    site.sandbox.ask("policy", {"roles": list(ROLES)})
    status, told, err = create(site, "hedy@contoso.example", "--department", "IT")
    assert status == 0, err
    password, user_id = told["password"], told["user"]["id"]
    assert password not in err
    client: Any = site.desk.client
    for key in [key async for key in client.scan_iter(match="*")]:
        assert password.encode() not in (await client.dump(key) or b"")
    audit = site.run("audit", "list", "--json").out
    assert user_id in audit
    assert "user.created" in audit
    assert password not in audit
    for who in (user_id, "hedy@contoso.example", "Hedy"):
        (found,) = json.loads(site.run("users", "get", who, "-c", "contoso", "--json").out)["users"]
        assert (found["id"], found["user_type"], found["enabled"]) == (user_id, "member", True)
    status, out, _ = site.run("users", "create", "off@contoso.example", "--name", "Off", "-c", "contoso", "--disabled")
    assert (status, "shown this once" in _) == (0, True)
    assert out.count("password") == 1


def test_what_cannot_be_created_says_why(site: Site) -> None:
    """A name that somebody has, a foreign domain, no permission, a connection with approval."""
    site.sandbox.ask("policy", {"roles": list(ROLES)})
    for upn, why in (
        ("ada@contoso.example", "has this user principal name"),
        ("grace@elsewhere.example", "none that the tenant has verified"),
        ("grace", "Give a user principal name"),
    ):
        status, told, _ = create(site, upn)
        assert (status, why in told["error"]) == (2, True), told
    assert create(site, "hedy@contoso.example", "--usage-location", "Norway")[0] == 2
    config = site.folder / "usher.toml"
    text = config.read_text()
    config.write_text(text.replace("[connections.contoso]", "[connections.contoso]\nrequire_approval = true"))
    status, told, _ = create(site, "hedy@contoso.example")
    assert (status, "require_approval" in told["error"]) == (2, True)
    config.write_text(text)
    site.sandbox.ask("policy", {"roles": ["User.Read.All"]})
    site.sandbox.ask("tokens", {"action": "revoke"})
    status, told, _ = create(site, "hedy@contoso.example")
    assert (status, "User.Create" in told["error"]) == (2, True)
    assert site.sandbox.ask("stats")["items"]["create_user"] == {"400": 2}


def test_a_lost_answer_is_looked_up_and_nothing_is_repeated(site: Site) -> None:
    """The user is there, and so is the password; throttled before, it is tried again."""
    site.sandbox.ask("policy", {"roles": list(ROLES)})
    site.sandbox.ask("faults", {"spec": "504-after@create_user=1*1"})
    status, told, err = create(site, "lost@contoso.example")
    assert status == 0, err
    assert told["password"]
    site.sandbox.ask("faults", {"spec": "504-before@create_user=1*1"})
    status, told, err = create(site, "never@contoso.example")
    assert (status, told["user"]["id"], bool(told["password"])) == (1, None, True), err
    assert "answer was lost" in told["error"]
    site.sandbox.ask("faults", {"spec": "429@create_user=1*2"})
    status, told, err = create(site, "slow@contoso.example")
    assert (status, bool(told["user"]["id"])) == (0, True), err
