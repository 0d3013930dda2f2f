"""Tenants that are cleaned up by rule, for tests with real workers: a policy, guests of every kind,
and the command.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from tests.sandboxes import Sandbox
from tests.sites import Site, open_site

GUARD = ["RoleManagement.Read.Directory", "RoleEligibilitySchedule.Read.Directory", "GroupMember.Read.All"]
ROLES = [
    *("User.Invite.All", "User.Read.All", "AuditLog.Read.All", "User.EnableDisableAccount.All"),
    *("User.DeleteRestore.All", *GUARD),
]
_LIMITS = (
    *("invitations_per_tenant", "writes_per_app_and_tenant", "writes_per_tenant", "writes_per_app"),
    *("units_per_app_and_tenant", "units_per_app", "sign_in_reads_per_app"),
)
QUOTA = "\n".join(["[quota]", *(f'{limit} = "1000000/1s"' for limit in _LIMITS), ""])
POLICY = {
    "remind_after": '"7d"',
    "remind_every": '"7d"',
    "disable_pending_after": '"30d"',
    "disable_inactive_after": '"90d"',
    "disable_expired": "true",
    "delete_disabled_after": '"30d"',
    "spare_domains": '["spared.example"]',
    "spare_groups": '["Spared"]',
    "spare_addresses": '"file:spared.csv"',
    "most_reminded": "100000",
    "most_disabled": "100000",
    "most_deleted": "100000",
}
_TABLE = "[connections.contoso.clean]"
REMINDED = {"pending_due"}
INACTIVE = {
    *("inactive", "inactive_spelled", "inactive_nameless", "inactive_lookalike", "inactive_expires_later"),
    *("never_seen", "never_seen_empty", "unknown_old"),
}
PENDING = {"pending_old"}
EXPIRED = {"expired", "expired_pending"}
Kinds = Mapping[str, list[str]]


@asynccontextmanager
async def open_cleaned(url: str, sandbox: Sandbox) -> AsyncIterator[Site]:
    """Open a place with a policy."""
    async with open_site(url, sandbox, latency="0", replication="0", roles=ROLES, quota=QUOTA) as site:
        configure(site)
        yield site


def configure(site: Site, *more: str, **changes: str) -> None:
    """Write the policy, with these changes ('' for none of it), and more lines of the connection's
    own table.
    """
    file = site.folder / "usher.toml"
    own = file.read_text().partition(_TABLE)[0].rstrip()
    policy = {key: value for key, value in (POLICY | changes).items() if value}
    lines = [own, *more, _TABLE, *(f"{key} = {value}" for key, value in policy.items())]
    file.write_text("\n".join(lines) + "\n")


def populate(site: Site, count: int) -> Kinds:
    """Fill the tenant; returns who is what."""
    kinds: Kinds = site.sandbox.ask("populate", {"count": count})["kinds"]
    (site.folder / "spared.csv").write_text("\n".join(["email", *kinds["spared_address"]]) + "\n")
    return kinds


def of(kinds: Kinds, *names: str) -> set[str]:
    """Return the guests of some kinds."""
    return {email for name in names for email in kinds[name]}


def listed(site: Site, *only: str) -> set[str]:
    """Return the addresses of the tenant's guests, as Graph lists them."""
    status, out, err = site.run("guests", "list", "-c", "contoso", "--format", "jsonl", *only)
    assert status == 0, err
    return {json.loads(line)["email"] for line in out.splitlines()} - {"disabled@partner.example"}


def clean(site: Site, *more: str, **env: str) -> tuple[int, dict[str, Any], str]:
    """Clean up; returns the status, the object of --json and what was said."""
    status, out, err = site.run("guests", "clean", "-c", "contoso", "--json", *more, **env)
    assert len(out.splitlines()) == 1, (out, err)
    return status, json.loads(out), err


def undo(site: Site, job: str) -> dict[str, Any]:
    """Undo a job; returns the object of --json, with the status."""
    status, out, err = site.run("guests", "undo", job, "--yes", "--json")
    assert out, err
    return {**json.loads(out.splitlines()[-1]), "status": status}


def due(kinds: Kinds) -> set[str]:
    """Return who is to be disabled."""
    return of(kinds, *INACTIVE, *PENDING, *EXPIRED)


def lines_of(out: str) -> set[tuple[str, str]]:
    """Return what is shown as due: the deed and the guest."""
    lines = [line.split(maxsplit=3) for line in out.splitlines() if line]
    assert all(len(line) == 4 and line[3] for line in lines)
    return {(line[1], line[2]) for line in lines}
