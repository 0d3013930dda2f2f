"""Who vouches for a program is seen from its environment alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from worker.signin.places import find_vouching

AZURE = "7783-7084-3265-9085-8269-3286-77\n"


@pytest.mark.parametrize(
    ("env", "tag", "setting"),
    [
        ({"AZURE_FEDERATED_TOKEN_FILE": "/var/token"}, "", ("client_assertion", "file:/var/token")),
        ({"IDENTITY_ENDPOINT": "http://x", "IDENTITY_HEADER": "y"}, "", ("managed_identity", "system")),
        ({"IDENTITY_ENDPOINT": "http://x", "IMDS_ENDPOINT": "http://y"}, "", ("managed_identity", "system")),
        ({}, AZURE, ("managed_identity", "system")),
        ({"AZURE_CLIENT_ID": "an id"}, AZURE, ("managed_identity", "an id")),
        ({"ACTIONS_ID_TOKEN_REQUEST_URL": "https://x"}, "", ("client_assertion", "file:token")),
        ({}, "another vendor", None),
        ({"IDENTITY_ENDPOINT": "http://x"}, "", None),
    ],
)
def test_each_place_is_recognised(
    tmp_path: Path, env: dict[str, str], tag: str, setting: tuple[str, str] | None
) -> None:
    """By the variables that it sets, or by what is written on the machine."""
    vendor = tmp_path / "tag"
    vendor.write_text(tag)
    found = find_vouching(env, vendor)
    assert (found and found.setting) == setting


def test_any_other_machine_vouches_for_nobody(tmp_path: Path) -> None:
    """One that has no such file at all, too."""
    assert find_vouching({}, tmp_path / "none") is None


def test_an_arc_server_is_recognised_by_its_agent(tmp_path: Path) -> None:
    """Services do not get the variables that a person's shell there has."""
    agent = tmp_path / "himds"
    assert find_vouching({}, tmp_path / "none", agent) is None
    agent.touch()
    found = find_vouching({}, tmp_path / "none", agent)
    assert (found and (found.where, found.setting)) == ("Azure Arc", ("managed_identity", "system"))


def test_a_pod_names_its_application(tmp_path: Path) -> None:
    """Tenant and client are set beside the file of its token."""
    env = {"AZURE_FEDERATED_TOKEN_FILE": "/var/token", "AZURE_TENANT_ID": "a tenant", "AZURE_CLIENT_ID": "a client"}
    found = find_vouching(env, tmp_path / "none")
    assert found is not None
    assert (found.tenant, found.client) == ("a tenant", "a client")
