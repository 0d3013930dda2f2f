"""Three tenants of one application, one that there is not, and a worker: for tests of what is done
to the guests of several tenants.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

from tests.cleaned import ROLES
from tests.integration.tenants.test_several import NOWHERE, write_tenants
from tests.ushers import Usher, run_usher

NAMES = ("adatum", "bellows", "cronus")
MISSING = NOWHERE
EVERY_RIGHT = [*ROLES, "User.ReadWrite.All", "GroupMember.ReadWrite.All"]


@contextmanager
def run_three(folder: Path, more: Mapping[str, str] = MappingProxyType({})) -> Iterator[Usher]:
    """Run them; `more`: what the configuration says of a connection beside. One of which it says
    anything does not stand in the list of connections.
    """
    listed = folder / "tenants.csv"

    def write(ready: dict[str, Any]) -> str:
        text = write_tenants(listed, ready, NAMES)
        lines = listed.read_text().splitlines()
        listed.write_text("\n".join(line for line in lines if line.partition(";")[0] not in more) + "\n")
        for name, told in more.items():
            tenant = ready["tenants"][NAMES.index(name)]
            text += f'[connections.{name}]\napp = "msp"\ntenant_id = "{tenant["tenant_id"]}"\n'
            text += f'authority = "{tenant["authority"]}"\n{told}\n'
        return text

    with run_usher(
        folder,
        sandbox_options=("--quota", "off", "--replication", "0", "--latency", "0", "--tenants", "3", "--shared-app"),
        tables=write,
        more_env={"USHER_CONNECTIONS_FILE": str(listed)},
    ) as usher:
        for name in NAMES:
            usher.sandbox.ask("policy", {"tenant_id": tenant_of(usher, name), "roles": EVERY_RIGHT})
        yield usher


def tenant_of(usher: Usher, name: str) -> str:
    """Return the id of a connection's tenant."""
    tenant: str = usher.sandbox.ready["tenants"][NAMES.index(name)]["tenant_id"]
    return tenant


def add(usher: Usher, *names: str, emails: Sequence[str] = (), **seen: Any) -> list[str]:
    """Put the same guests into some tenants; returns their addresses."""
    emails = [*emails] or [f"guest-{uuid.uuid4().hex[:10]}@partner.example"]
    for name in names:
        users = [{"email": email} for email in emails]
        usher.sandbox.ask("users", {"tenant_id": tenant_of(usher, name), "action": "add", "users": users, **seen})
    return emails


def people(count: int) -> list[str]:
    """New addresses."""
    return [f"guest-{uuid.uuid4().hex[:10]}@partner.example" for _ in range(count)]


def found(usher: Usher, *options: str) -> set[tuple[str, str]]:
    """Return the guests of all three tenants, each with its connection."""
    done = usher.run("guests", "list", "-c", ",".join(NAMES), "--format", "jsonl", *options)
    assert done.status == 0, done.err
    told = map(json.loads, done.out.splitlines())
    return {(one["connection"], one["email"]) for one in told}


def run(usher: Usher, *arguments: str, text: str = "") -> tuple[int, dict[str, Any], str]:
    """Run a command with --json; returns its status, its object and what it said on stderr."""
    status, out, said = usher.run(*arguments, "--json", text=text)
    assert len(out.splitlines()) == 1, (out, said)
    return status, json.loads(out), said
